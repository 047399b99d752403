"""Handwritten digits: train on MNIST in seconds, measure honestly, read digits in pictures.

The names below are imported when they are first used, so `import mnistry` costs nothing.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from mnistry.augmentation import Augmentation
    from mnistry.classifier import Classifier, Prediction
    from mnistry.data import load_data, load_images, load_mnist, save_data
    from mnistry.dataset import Dataset
    from mnistry.errors import DataError, ImageError, MissingExtraError, MnistryError, ModelError, RunError
    from mnistry.evaluation import Evaluation, evaluate
    from mnistry.exporting import export_onnx
    from mnistry.fitting import fit
    from mnistry.reader import Reading, read
    from mnistry.runs import Run
    from mnistry.training import plot, resume, train

# Public name -> the module that defines it. Modules are nouns and functions are verbs, so that
# `mnistry.fit` is the function whatever has been imported before.
_HOME = {
    "Augmentation": "augmentation",
    "Classifier": "classifier",
    "Prediction": "classifier",
    "Dataset": "dataset",
    "load_data": "data",
    "load_images": "data",
    "load_mnist": "data",
    "save_data": "data",
    "DataError": "errors",
    "ImageError": "errors",
    "MissingExtraError": "errors",
    "MnistryError": "errors",
    "ModelError": "errors",
    "RunError": "errors",
    "Evaluation": "evaluation",
    "evaluate": "evaluation",
    "export_onnx": "exporting",
    "fit": "fitting",
    "Reading": "reader",
    "read": "reader",
    "Run": "runs",
    "resume": "training",
    "plot": "training",
    "train": "training",
}

__all__ = [
    "Augmentation",
    "Classifier",
    "DataError",
    "Dataset",
    "Evaluation",
    "ImageError",
    "MissingExtraError",
    "MnistryError",
    "ModelError",
    "Prediction",
    "Reading",
    "Run",
    "RunError",
    "__version__",
    "evaluate",
    "export_onnx",
    "fit",
    "load_data",
    "load_images",
    "load_mnist",
    "plot",
    "read",
    "resume",
    "save_data",
    "train",
]


def _choose_installed_backend() -> None:
    """Let Keras run on JAX where nothing else was chosen and its own choice is not installed.

    Without this, `import keras` fails wherever TensorFlow is missing.
    """
    if "keras" in sys.modules or os.environ.get("KERAS_BACKEND"):
        return
    try:
        folder = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")
        chosen = json.loads((folder / "keras.json").read_text())["backend"]
    except (OSError, ValueError, LookupError, TypeError, RuntimeError):
        chosen = "tensorflow"  # as Keras has it
    if not isinstance(chosen, str) or importlib.util.find_spec(chosen) is None:
        os.environ["KERAS_BACKEND"] = "jax"


_choose_installed_backend()
# ONNX Runtime would write an identifier to the home folder and report its use to its maker.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'mnistry' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"mnistry.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)

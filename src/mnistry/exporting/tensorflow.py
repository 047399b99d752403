"""A network as a TensorFlow SavedModel, and as a LiteRT file (.tflite, once TensorFlow Lite).

TensorFlow writes and runs them in a process of its own (`tensorflow_process`): Keras has one back end a
process, and the files must answer as the network does on the back end that it was trained on.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mnistry.classifier import Metadata
from mnistry.errors import MissingExtraError, ModelError
from mnistry.exporting.checking import (
    MAX_VALIDATION,
    ExportReport,
    Images,
    Logits,
    Original,
    Source,
    Tolerance,
    read_original,
    save_checked,
)
from mnistry.files import atomic_save_folder
from mnistry.runs import Run

SAVED_MODEL_PRECISIONS = ("float32",)
LITERT_PRECISIONS = ("float32", "int8")


def export_saved_model(
    source: Source | Sequence[Source],
    path: str | os.PathLike[str],
    *,
    images: Images,
    metadata: Metadata | None = None,
    precision: str = "float32",
    validation_images: Images | None = None,
    tolerance: Tolerance | None = None,
) -> ExportReport:
    """Write a SavedModel directory, as TensorFlow Serving takes it, and compare it with its source.

    Its signature "serving_default" takes "images", uint8 (n, 28, 28), and gives "logits" and
    "probabilities", float32 (n, classes), the latter calibrated. What `Metadata` holds lies in it as
    assets.extra/mnistry.json.

    Args:
        source: a Keras model, images -> logits; a finished run; or several of them, whose probabilities are
            averaged.
        path: the directory. An empty one or an older SavedModel is replaced once the new one has passed.
        images: uint8 (n, 28, 28), n >= 1, that the directory and its source both answer: the test images.
        metadata: as for `export_onnx`.
        precision: "float32".
        validation_images: None.
        tolerance: what it may differ by; that of `TOLERANCES` by default.

    Raises:
        ModelError: it differs from its source by more than the tolerance, the source cannot be loaded or
            saved, TensorFlow cannot run it, or the directory cannot be written or holds something else.
            Whatever was at `path` is still there, unchanged.
        MissingExtraError: TensorFlow is not installed.
        ValueError: an argument is outside of its range.
    """
    original = _read(source, images, metadata, precision, SAVED_MODEL_PRECISIONS, validation_images)
    path = Path(path)
    if path.exists() and not (path / "saved_model.pb").is_file() and not _is_empty_folder(path):
        raise ModelError(
            f"{str(path)!r} exists and is no SavedModel, so it is not replaced: choose another name"
        )

    def write(temporary: Path) -> Logits:
        return _write_in_process("saved-model", temporary, original, images, None)

    return save_checked(path, write, original, tolerance, atomic_save_folder)


def export_litert(
    source: Source | Sequence[Source],
    path: str | os.PathLike[str],
    *,
    images: Images,
    metadata: Metadata | None = None,
    precision: str = "float32",
    validation_images: Images | None = None,
    tolerance: Tolerance | None = None,
) -> ExportReport:
    """Write a .tflite file, as LiteRT runs it on telephones and small boards, and compare it with its source.

    Its signature "serving_default" takes "images", uint8 (1, 28, 28), one at a time, because the fast
    kernels of LiteRT want fixed shapes. It gives "logits" and "probabilities", float32 (1, classes), the
    latter calibrated. What `Metadata` holds is appended to it as a ZIP archive: unzip -p FILE mnistry.json.

    Args:
        source: a Keras model, images -> logits; a finished run; or several of them, whose probabilities are
            averaged.
        path: the file; an older one is replaced once the new one has passed.
        images: uint8 (n, 28, 28), n >= 1, that the file and its source both answer: the test images.
        metadata: as for `export_onnx`.
        precision: "float32"; or "int8", weights and values in 8 bits.
        validation_images: uint8 (n, 28, 28), for "int8" only: what to find the ranges of the values with.
            Not the test images. At most the first 2,000 are used.
        tolerance: what it may differ by; that of `TOLERANCES` by default.

    Raises:
        ModelError: it differs from its source by more than the tolerance, the source cannot be loaded or
            saved, TensorFlow cannot convert it, or the file cannot be written. Whatever was at `path` is
            still there, unchanged.
        MissingExtraError: TensorFlow is not installed.
        ValueError: an argument is outside of its range.
    """
    original = _read(source, images, metadata, precision, LITERT_PRECISIONS, validation_images)

    def write(temporary: Path) -> Logits:
        return _write_in_process("litert", temporary, original, images, validation_images)

    return save_checked(path, write, original, tolerance)


def _read(
    source: Source | Sequence[Source],
    images: Images,
    metadata: Metadata | None,
    precision: str,
    known_precisions: Sequence[str],
    validation_images: Images | None,
) -> Original:
    if importlib.util.find_spec("tensorflow") is None:
        raise MissingExtraError("tensorflow", "tensorflow", "exporting to SavedModel or LiteRT")
    return read_original(source, images, metadata, precision, known_precisions, validation_images)


def _is_empty_folder(path: Path) -> bool:
    return path.is_dir() and next(path.iterdir(), None) is None


def _write_in_process(
    kind: str, path: Path, original: Original, images: Images, validation_images: Images | None
) -> Logits:
    """Have TensorFlow write `path`, and return what the written file answers to `images`."""
    calibration = original.metadata.calibration
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        job = {
            "kind": kind,
            "path": str(path.absolute()),
            "models": [_save_model(*pair, folder) for pair in enumerate(original.sources)],
            "temperature": 1.0 if calibration is None else calibration.temperature,
            "properties": original.metadata.to_properties(),
        }
        (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
        np.save(folder / "images.npy", images)
        if validation_images is not None:
            np.save(folder / "validation_images.npy", validation_images[:MAX_VALIDATION])
        done = subprocess.run(
            # -P: no file of the current folder may stand in for a module.
            [sys.executable, "-P", "-m", "mnistry.exporting.tensorflow_process", name],
            env=os.environ | {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        if done.returncode != 0:
            lines = done.stderr.strip().splitlines() or [f"the process ended with {done.returncode}"]
            raise ModelError(f"TensorFlow cannot write or run it as {kind}: {lines[-1][:500]}")
        return np.asarray(np.load(folder / "logits.npy"), np.float32)


def _save_model(number: int, source: Source, folder: Path) -> dict[str, str]:
    """Where the model of a source lies as a .keras file, and in which file its own layers are defined."""
    if isinstance(source, Run):
        own = str(source.record.get("config", {}).get("model", ""))
        return {"path": str(source.model_path.absolute()), "own": own}
    path = folder / f"{number}.keras"
    try:
        source.save(path)
    except Exception as error:  # what a user's layer may raise
        raise ModelError(
            f"the model cannot be saved for TensorFlow: {type(error).__name__}: {error}"
        ) from error
    return {"path": str(path), "own": ""}

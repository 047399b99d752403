"""Models by name, from a user's Python file, or from a .keras file, checked to be images -> logits."""

from __future__ import annotations

import importlib.util
import os
import re
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mnistry.errors import ModelError
from mnistry.models.networks import IMAGE_SHAPE, MODELS, Builder

if TYPE_CHECKING:
    import keras


def build_model(name: str, num_classes: int = 10) -> keras.Model:
    """The network of this name, or the one that the function in "file.py:function" builds.

    Args:
        name: a key of `MODELS`, or a path to a Python file, a colon and the name of a function that takes
            the number of classes and returns an uncompiled `keras.Model`, images -> logits.
        num_classes: length of the logits.

    Raises:
        ModelError: no such name, file or function; or what it builds is not such a model.
    """
    check_model_name(name)
    if name in MODELS:
        return MODELS[name](num_classes)
    path, _, function = name.rpartition(":")
    builder = _load_builder(Path(path), function)
    try:
        model = builder(num_classes)
    except Exception as error:  # the code of a user
        raise ModelError(f"{name} failed: {type(error).__name__}: {error}") from error
    check_model(model, num_classes, name)
    return model


def check_model_name(name: str) -> None:
    """See that `build_model` can know this name, without importing Keras.

    Raises:
        ModelError: it is none of `MODELS` and no "file.py:function" with a file that exists.
    """
    if name in MODELS:
        return
    path, colon, _ = name.rpartition(":")
    if not colon and name.endswith(".py"):
        raise ModelError(f"{name!r} names no function in that file: write {name}:function")
    if not colon:
        raise ModelError(f"unknown model {name!r}: known are {', '.join(MODELS)}, or file.py:function")
    if not Path(path).is_file():
        raise ModelError(f"no file {path!r}: --model takes {', '.join(MODELS)}, or file.py:function")


def load_keras(path: str | os.PathLike[str], own: Mapping[str, Any] | None = None) -> keras.Model:
    """The model in a .keras file, images -> logits; `own` has the classes in it that are not Keras' own.

    Raises:
        ModelError: there is no such file, it cannot be loaded, or it is no such model.
    """
    import keras

    if not Path(path).is_file():
        raise ModelError(f"no model file {str(path)!r}: expected a .keras file, or a run directory")
    if not zipfile.is_zipfile(path):
        raise ModelError(
            f"cannot load the model {str(path)!r}: it is no .keras file, or damaged or truncated. Restore it "
            "from a copy, or train again"
        )
    try:
        model = keras.saving.load_model(path, custom_objects=own, compile=False)
    except (OSError, ValueError, TypeError, KeyError, zipfile.BadZipFile) as error:
        raise ModelError(f"cannot load the model {str(path)!r}: {error}") from error
    check_model(model, model.output_shape[-1], str(path))
    return model


def import_own(name: str) -> dict[str, Any]:
    """The classes and functions of the file in "file.py:function", for Keras to find; none without it.

    Raises:
        ModelError: the file cannot be imported.
    """
    path = Path(name.rpartition(":")[0])
    if not path.is_file():
        return {}
    own = vars(_import_file(path)).items()
    return {key: value for key, value in own if getattr(value, "__module__", None) == path.stem}


def check_model(model: Any, num_classes: int, name: str) -> None:
    """See that a user's model is images -> logits, by asking it for the logits of three images.

    Raises:
        ModelError: it is not; the message says in what.
    """
    import keras

    if not isinstance(model, keras.Model):
        raise ModelError(f"{name} must return a keras.Model, received {type(model).__name__}")
    images = np.random.default_rng(0).integers(0, 256, (3, *IMAGE_SHAPE), dtype=np.uint8)
    try:
        logits = keras.ops.convert_to_numpy(model(images))
    except Exception as error:  # the code of a user
        raise ModelError(
            f"{name} cannot take images (n, 28, 28) uint8: begin with keras.Input((28, 28), dtype='uint8') "
            f"and keras.layers.Rescaling(1 / 255). Keras says: {type(error).__name__}: {_plain(error)}"
        ) from error
    if logits.shape != (3, num_classes):
        raise ModelError(f"{name} gives {logits.shape} for 3 images, expected (3, {num_classes})")
    if np.all(logits >= 0) and np.allclose(logits.sum(axis=1), 1, atol=1e-4):
        raise ModelError(f"{name} gives probabilities, expected logits: leave out the final softmax")


def _load_builder(path: Path, function: str) -> Builder:
    module = _import_file(path)
    builder = getattr(module, function, None)
    if not callable(builder):
        names = [name for name, value in vars(module).items() if callable(value) and not name.startswith("_")]
        raise ModelError(f"no function {function!r} in {str(path)!r}: it has {', '.join(names) or 'none'}")
    return builder  # type: ignore[no-any-return]


def _import_file(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ModelError(f"{str(path)!r} is not a Python file: its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # so that classes defined there can be found again by Keras
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # the code of a user
        raise ModelError(f"{str(path)!r} cannot be imported: {type(error).__name__}: {error}") from error
    return module


def _plain(error: Exception) -> str:
    """The message of an error without the codes that colour it on a terminal."""
    return re.sub(r"\x1b\[[0-9;]*m", "", str(error))

"""The networks: each function returns an uncompiled `keras.Model`, images -> logits.

Images are (n, 28, 28) uint8 with 0 = background and 255 = ink; logits are (n, num_classes) float32.
Scaling to 0..1 and the channel axis are layers of the model, so no caller can forget them.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mnistry.errors import ModelError

if TYPE_CHECKING:
    import keras

IMAGE_SHAPE = (28, 28)  # height, width in pixels
Builder = Callable[[int], "keras.Model"]


def linear(num_classes: int = 10) -> keras.Model:
    """Softmax regression on the 784 pixels: 7,850 parameters for ten classes."""
    import keras

    return keras.Sequential(
        [*_input_layers(), keras.layers.Flatten(), keras.layers.Dense(num_classes)], name="linear"
    )


def mlp(num_classes: int = 10) -> keras.Model:
    """The classic: one hidden layer of 128 rectified linear units, 101,770 parameters for ten classes."""
    import keras

    return keras.Sequential(
        [
            *_input_layers(),
            keras.layers.Flatten(),
            keras.layers.Dense(128, activation="relu"),
            keras.layers.Dense(num_classes),
        ],
        name="mlp",
    )


def lenet5(num_classes: int = 10) -> keras.Model:
    """LeNet-5 as commonly rebuilt (LeCun et al. 1998, section II-B): 61,706 parameters for ten classes.

    Its third layer is connected to all maps of the second, and the output layer is linear instead of
    radial basis functions.
    """
    import keras

    return keras.Sequential(
        [
            *_input_layers(),
            keras.layers.Reshape((*IMAGE_SHAPE, 1)),
            keras.layers.Conv2D(6, 5, padding="same", activation="tanh"),
            keras.layers.AveragePooling2D(2),
            keras.layers.Conv2D(16, 5, activation="tanh"),
            keras.layers.AveragePooling2D(2),
            keras.layers.Flatten(),
            keras.layers.Dense(120, activation="tanh"),
            keras.layers.Dense(84, activation="tanh"),
            keras.layers.Dense(num_classes),
        ],
        name="lenet5",
    )


MODELS: dict[str, Builder] = {"linear": linear, "mlp": mlp, "lenet5": lenet5}


def build_model(name: str, num_classes: int = 10) -> keras.Model:
    """The network of this name, or the one that the function in "file.py:function" builds.

    Args:
        name: a key of `MODELS`, or a path to a Python file, a colon and the name of a function that takes
            the number of classes and returns an uncompiled `keras.Model`, images -> logits.
        num_classes: length of the logits.

    Raises:
        ModelError: no such name, file or function; or what it builds is not such a model.
    """
    if name in MODELS:
        return MODELS[name](num_classes)
    path, colon, function = name.rpartition(":")
    if not colon:
        raise ModelError(f"unknown model {name!r}: known are {', '.join(MODELS)}, or file.py:function")
    model = _load_builder(Path(path), function)(num_classes)
    check_model(model, num_classes, name)
    return model


def as_classifier(model: keras.Model, batch_size: int = 1000) -> Callable[[Any], Any]:
    """The function images -> logits of a Keras model: (n, 28, 28) uint8 -> (n, num_classes) float32."""

    def classify(images: Any) -> Any:
        return np.asarray(model.predict(images, batch_size=batch_size, verbose=0), dtype=np.float32)

    return classify


def load_keras(path: str | os.PathLike[str]) -> keras.Model:
    """The model in a .keras file, images -> logits.

    Raises:
        ModelError: there is no such file, it cannot be loaded, or it is no such model.
    """
    import keras

    try:
        model = keras.saving.load_model(path, compile=False)
    except (OSError, ValueError, TypeError, KeyError, zipfile.BadZipFile) as error:
        raise ModelError(f"cannot load the model {str(path)!r}: {error}") from error
    check_model(model, model.output_shape[-1], str(path))
    return model


def _input_layers() -> list[Any]:
    import keras

    return [keras.Input(IMAGE_SHAPE, dtype="uint8", name="images"), keras.layers.Rescaling(1 / 255)]


def _load_builder(path: Path, function: str) -> Builder:
    if not path.is_file():
        raise ModelError(f"no file {str(path)!r}: --model takes {', '.join(MODELS)}, or file.py:function")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ModelError(f"{str(path)!r} is not a Python file: its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # so that classes defined there can be found again by Keras
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise ModelError(f"{str(path)!r} cannot be imported: {type(error).__name__}: {error}") from error
    builder = getattr(module, function, None)
    if not callable(builder):
        names = [name for name, value in vars(module).items() if callable(value) and not name.startswith("_")]
        raise ModelError(f"no function {function!r} in {str(path)!r}: it has {', '.join(names) or 'none'}")
    return builder  # type: ignore[no-any-return]


def check_model(model: Any, num_classes: int, name: str) -> None:
    """See that a user's model is images -> logits, by asking it for the logits of three images."""
    import keras

    if not isinstance(model, keras.Model):
        raise ModelError(f"{name} must return a keras.Model, received {type(model).__name__}")
    images = np.random.default_rng(0).integers(0, 256, (3, *IMAGE_SHAPE), dtype=np.uint8)
    try:
        logits = keras.ops.convert_to_numpy(model(images))
    except Exception as error:
        raise ModelError(
            f"{name} cannot take images (n, 28, 28) uint8: {type(error).__name__}: {error}. "
            "Begin with keras.Input((28, 28), dtype='uint8') and keras.layers.Rescaling(1 / 255)."
        ) from error
    if logits.shape != (3, num_classes):
        raise ModelError(f"{name} gives {logits.shape} for 3 images, expected (3, {num_classes})")
    if np.all(logits >= 0) and np.allclose(logits.sum(axis=1), 1, atol=1e-4):
        raise ModelError(f"{name} gives probabilities, expected logits: leave out the final softmax")

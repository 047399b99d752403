"""The networks: each function returns an uncompiled `keras.Model`, images -> logits.

Images are (n, 28, 28) uint8 with 0 = background and 255 = ink; logits are (n, num_classes) float32.
Scaling to 0..1 and the channel axis are layers of the model, so no caller can forget them.
"""

from __future__ import annotations

import importlib.util
import os
import re
import sys
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mnistry import metrics
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


def convnet(
    num_classes: int = 10,
    channels: Sequence[int] = (32, 32, 64, 64, 64),
    strides: Sequence[int] = (1, 1, 2, 1, 1),
) -> keras.Model:
    """Convolutions of 3 x 3 on the image folded to 14 x 14 x 4: 134,922 parameters as it stands.

    Folding 2 x 2 pixels into channels gives the first layer a view of 6 x 6 pixels for a quarter of the
    work; strides stand in for pooling; batch-norm and a linear output that begins at zero allow large steps.

    Args:
        num_classes: length of the logits.
        channels: filters of each convolution; multiples of 16 suit the vector units of a CPU.
        strides: of each convolution, in both directions.
    """
    import keras

    if len(channels) != len(strides):
        raise ValueError(f"{len(channels)} channels and {len(strides)} strides: as many are needed of both")
    return keras.Sequential(
        [
            *_input_layers(),
            *_fold(2),
            *(layer for pair in zip(channels, strides, strict=True) for layer in _convolution(*pair)),
            keras.layers.Flatten(),
            keras.layers.Dense(num_classes, kernel_initializer="zeros"),
        ],
        name="convnet",
    )


def small_convnet(num_classes: int = 10) -> keras.Model:
    """The `convnet` for seconds: 16, 32 and 64 filters, 34,314 parameters for ten classes."""
    model = convnet(num_classes, (16, 32, 64), (1, 2, 2))
    model.name = "small_convnet"
    return model


def medium_convnet(num_classes: int = 10) -> keras.Model:
    """The `convnet` for a minute: 32, 32, 64 and 64 filters, 97,802 parameters for ten classes."""
    model = convnet(num_classes, (32, 32, 64, 64), (1, 1, 2, 1))
    model.name = "medium_convnet"
    return model


def tiny(num_classes: int = 10) -> keras.Model:
    """For microcontrollers: 7,834 parameters for ten classes, of which 7,706 are trained.

    At the end each filter sees all 7 x 7 places through weights of its own, one number a filter, instead of
    their plain mean: 784 parameters that are worth more than wider layers.
    """
    import keras

    channels, strides = (8, 8, 16, 16, 16), (1, 1, 2, 1, 1)
    places = (IMAGE_SHAPE[0] // 4) ** 2
    return keras.Sequential(
        [
            *_input_layers(),
            *_fold(2),
            *(layer for pair in zip(channels, strides, strict=True) for layer in _convolution(*pair)),
            keras.layers.Reshape((places, channels[-1])),
            keras.layers.EinsumDense(
                "npc,pc->nc",
                output_shape=(channels[-1],),
                kernel_initializer=keras.initializers.Constant(1 / places),
            ),
            keras.layers.Dense(num_classes),
        ],
        name="tiny",
    )


MODELS: dict[str, Builder] = {
    "linear": linear,
    "mlp": mlp,
    "lenet5": lenet5,
    "small_convnet": small_convnet,
    "medium_convnet": medium_convnet,
    "convnet": convnet,
    "tiny": tiny,
}


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
    except Exception as error:
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


def as_classifier(model: keras.Model, batch_size: int = 1000) -> Callable[[Any], Any]:
    """The function images -> logits of a Keras model: (n, 28, 28) uint8 -> (n, num_classes) float32."""

    def classify(images: Any) -> Any:
        logits = np.asarray(model.predict(images, batch_size=batch_size, verbose=0), dtype=np.float32)
        if not np.isfinite(logits).all():
            raise ModelError("the network gives values that are not finite: its training diverged")
        return logits

    return classify


def average(classifiers: Sequence[Callable[[Any], Any]]) -> Callable[[Any], Any]:
    """One function images -> logits out of several: the logarithms of the means of their probabilities.

    A single one is left as it is.
    """

    def classify(images: Any) -> Any:
        logits = [np.asarray(one(images)) for one in classifiers]
        if len(logits) == 1:
            return logits[0].astype(np.float32)
        total = np.logaddexp.reduce([metrics.log_softmax(rows) for rows in logits])
        return np.asarray(total - np.log(len(logits)), np.float32)

    return classify


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


def _input_layers() -> list[Any]:
    import keras

    return [keras.Input(IMAGE_SHAPE, dtype="uint8", name="images"), keras.layers.Rescaling(1 / 255)]


def _fold(factor: int) -> list[Any]:
    """Layers that turn (28, 28) into (28 / factor, 28 / factor, factor**2): each block of pixels a column."""
    import keras

    side = IMAGE_SHAPE[0] // factor
    return [
        keras.layers.Reshape((side, factor, side, factor)),
        keras.layers.Permute((1, 3, 2, 4)),
        keras.layers.Reshape((side, side, factor**2)),
    ]


def _convolution(channels: int, stride: int) -> list[Any]:
    """A 3 x 3 convolution with batch-norm and ReLU."""
    import keras

    return [
        keras.layers.Conv2D(
            channels, 3, stride, padding="same", use_bias=False, kernel_initializer="he_uniform"
        ),
        # The averages must follow a training of a few hundred steps.
        keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5),
        keras.layers.ReLU(),
    ]


def _plain(error: Exception) -> str:
    """The message of an error without the codes that colour it on a terminal."""
    return re.sub(r"\x1b\[[0-9;]*m", "", str(error))


def import_own(name: str) -> dict[str, Any]:
    """The classes and functions of the file in "file.py:function", for Keras to find; none without it."""
    path = Path(name.rpartition(":")[0])
    if not path.is_file():
        return {}
    own = vars(_import_file(path)).items()
    return {key: value for key, value in own if getattr(value, "__module__", None) == path.stem}


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
    except Exception as error:
        raise ModelError(f"{str(path)!r} cannot be imported: {type(error).__name__}: {error}") from error
    return module


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
            f"{name} cannot take images (n, 28, 28) uint8: begin with keras.Input((28, 28), dtype='uint8') "
            f"and keras.layers.Rescaling(1 / 255). Keras says: {type(error).__name__}: {_plain(error)}"
        ) from error
    if logits.shape != (3, num_classes):
        raise ModelError(f"{name} gives {logits.shape} for 3 images, expected (3, {num_classes})")
    if np.all(logits >= 0) and np.allclose(logits.sum(axis=1), 1, atol=1e-4):
        raise ModelError(f"{name} gives probabilities, expected logits: leave out the final softmax")

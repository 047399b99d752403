"""The networks: each function returns an uncompiled `keras.Model`, images -> logits.

Images are (n, 28, 28) uint8 with 0 = background and 255 = ink; logits are (n, num_classes) float32.
Scaling to 0..1 and the channel axis are layers of the model, so no caller can forget them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

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

    Raises:
        ValueError: `channels` and `strides` differ in length.
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

"""Convolution and pooling that XLA's CPU compiler runs fast inside a loop.

Inside `lax.scan` on a CPU, XLA falls to naive kernels for convolution and for the gradient of pooling. The
same arithmetic as patches times a matrix, and as a maximum over a reshaped axis, is an order of magnitude
faster. The exchange lasts only while a program is traced: the layers, their weights and the saved model
stay Keras' own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import jax.numpy as jnp
import keras


@contextmanager
def convolutions_as_products(model: Any) -> Iterator[None]:
    """While the block runs, the `Conv2D` and pooling layers of `model` compute in the forms below."""
    changed: list[tuple[Any, str]] = []
    for layer in model._flatten_layers():
        method, replacement = _replacement(layer)
        if replacement is not None:
            # Into the instance's own dictionary, past Keras' tracking of attributes: nothing to save here.
            layer.__dict__[method] = replacement
            changed.append((layer, method))
    try:
        yield
    finally:
        for layer, method in changed:
            del layer.__dict__[method]


def _replacement(layer: Any) -> tuple[str, Callable[..., Any] | None]:
    """(name of the method, its replacement), or a replacement of None for a layer to be left alone."""
    if getattr(layer, "data_format", None) != "channels_last":
        return "", None
    if type(layer) is keras.layers.Conv2D and layer.groups == 1 and tuple(layer.dilation_rate) == (1, 1):
        return "convolution_op", partial(conv2d, strides=layer.strides, padding=layer.padding)
    reductions: dict[Any, Callable[..., Any]] = {
        keras.layers.MaxPooling2D: jnp.max,
        keras.layers.AveragePooling2D: jnp.mean,
    }
    reduce = reductions.get(type(layer))
    if reduce and tuple(layer.pool_size) == tuple(layer.strides) and layer.padding == "valid":
        return "call", partial(pool2d, size=layer.pool_size, reduce=reduce)
    return "", None


def conv2d(images: Any, kernel: Any, strides: tuple[int, int], padding: str) -> Any:
    """Convolution as patches times a matrix.

    Args:
        images: (n, height, width, channels) float.
        kernel: (rows, columns, channels, filters) float.
        strides: in pixels, down and across.
        padding: "same" or "valid", as in Keras.

    Returns:
        (n, new height, new width, filters), equal to `keras.ops.conv` up to rounding.
    """
    kernel = keras.ops.convert_to_tensor(kernel)
    rows, columns, channels, filters = kernel.shape
    if padding == "same":
        pads = [_same_padding(images.shape[1 + i], kernel.shape[i], strides[i]) for i in (0, 1)]
        images = jnp.pad(images, ((0, 0), *pads, (0, 0)))
    height = (images.shape[1] - rows) // strides[0] + 1
    width = (images.shape[2] - columns) // strides[1] + 1
    down, across = strides
    patches = jnp.concatenate(
        [
            images[:, i : i + (height - 1) * down + 1 : down, j : j + (width - 1) * across + 1 : across, :]
            for i in range(rows)
            for j in range(columns)
        ],
        axis=-1,
    )
    product = patches.reshape(-1, rows * columns * channels) @ kernel.reshape(-1, filters)
    return product.reshape(-1, height, width, filters)


def pool2d(images: Any, size: tuple[int, int], reduce: Callable[..., Any]) -> Any:
    """Pooling over windows of `size` that do not overlap; rows and columns left over are dropped."""
    n, height, width, channels = images.shape
    down, across = size
    height, width = height // down, width // across
    cropped = images[:, : height * down, : width * across, :]
    return reduce(cropped.reshape(n, height, down, width, across, channels), axis=(2, 4))


def _same_padding(length: int, window: int, stride: int) -> tuple[int, int]:
    """Zeros before and after, as TensorFlow and Keras lay them for "same"."""
    total = max(0, (-(-length // stride) - 1) * stride + window - length)
    return total // 2, total - total // 2

"""Convolution and pooling that XLA's CPU compiler runs fast inside a loop.

Inside `lax.scan` on a CPU, XLA falls to naive kernels for the gradients of convolution and of pooling. The
same arithmetic as a product of patches and gradients, as a convolution of the gradients, and as a maximum
over a reshaped axis, is 10 to 20 times faster. The exchange lasts only while a program is traced: the
layers, their weights and the saved model stay Keras' own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import keras


@contextmanager
def fast_convolutions(model: Any) -> Iterator[None]:
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
    """Convolution whose gradients reach XLA's fast paths on the CPU.

    Args:
        images: (n, height, width, channels) float.
        kernel: (rows, columns, channels, filters) float.
        strides: in pixels, down and across.
        padding: "same" or "valid", as in Keras.

    Returns:
        (n, new height, new width, filters), equal to `keras.ops.conv` up to rounding.
    """
    kernel = keras.ops.convert_to_tensor(kernel)
    if padding == "same":
        pads = [_same_padding(images.shape[1 + i], kernel.shape[i], strides[i]) for i in (0, 1)]
        images = jnp.pad(images, ((0, 0), *pads, (0, 0)))
    return _convolve(images, kernel, tuple(strides))


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def _convolve(images: Any, kernel: Any, strides: tuple[int, int]) -> Any:
    if images.shape[-1] == 1:  # few channels: a product wastes less than XLA's kernel
        return jnp.tensordot(_patches(images, kernel.shape, strides), kernel, axes=3)
    return _native(images, kernel, strides, ((0, 0), (0, 0)))


def _forward(images: Any, kernel: Any, strides: tuple[int, int]) -> Any:
    return _convolve(images, kernel, strides), (images, kernel)


def _backward(strides: tuple[int, int], saved: Any, gradient: Any) -> Any:
    images, kernel = saved
    rows, columns = kernel.shape[:2]
    patches = _patches(images, kernel.shape, strides)
    d_kernel = jnp.tensordot(patches, gradient, axes=((0, 1, 2), (0, 1, 2)))
    if strides == (1, 1):
        flipped = kernel[::-1, ::-1].transpose(0, 1, 3, 2)
        d_images = _native(gradient, flipped, strides, ((rows - 1,) * 2, (columns - 1,) * 2))
    else:
        d_patches = jnp.tensordot(gradient, kernel, axes=((3,), (3,)))
        transposed = jax.linear_transpose(lambda x: _patches(x, kernel.shape, strides), images)
        (d_images,) = transposed(d_patches)
    return d_images, d_kernel


_convolve.defvjp(_forward, _backward)


def _native(images: Any, kernel: Any, strides: tuple[int, int], pads: Any) -> Any:
    return jax.lax.conv_general_dilated(
        images, kernel, strides, pads, dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def _patches(images: Any, kernel_shape: tuple[int, ...], strides: tuple[int, int]) -> Any:
    """What the kernel sees at each place: (n, new height, new width, rows, columns, channels)."""
    rows, columns, channels, _ = kernel_shape
    n, down, across = len(images), *strides
    height = (images.shape[1] - rows) // down + 1
    width = (images.shape[2] - columns) // across + 1
    seen = [
        images[:, i : i + (height - 1) * down + 1 : down, j : j + (width - 1) * across + 1 : across, :]
        for i in range(rows)
        for j in range(columns)
    ]
    return jnp.concatenate(seen, axis=-1).reshape(n, height, width, rows, columns, channels)


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

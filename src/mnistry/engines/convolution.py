"""Convolution and pooling that XLA's CPU compiler runs fast inside a loop.

Inside a loop on a CPU, XLA falls to naive kernels for the gradients of convolution and of pooling. The
same arithmetic as a product of patches and gradients, as a convolution of the gradients, and as a maximum
over a reshaped axis, is 10 to 20 times faster. The exchange lasts only while a program is traced: the
layers, their weights and the saved model stay Keras' own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache, partial
from typing import Any

import keras
from keras import ops

Pads = tuple[tuple[int, int], tuple[int, int]]  # zeros above and below, left and right
FEW_CHANNELS = 4  # up to so many, and with strides, patches times a matrix are faster than XLA's convolution
WINOGRAD_CHANNELS = 16  # from so many on, Winograd's transforms cost less than the products they save


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
        keras.layers.MaxPooling2D: ops.max,
        keras.layers.AveragePooling2D: ops.mean,
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
    kernel = ops.convert_to_tensor(kernel)
    pads: Pads = ((0, 0), (0, 0))
    if padding == "same":
        down, across = (_same_padding(images.shape[1 + i], kernel.shape[i], strides[i]) for i in (0, 1))
        pads = (down, across)
    return _differentiable(keras.backend.backend())(images, kernel, tuple(strides), pads)


@cache
def _differentiable(backend: str) -> Callable[..., Any]:
    """`_convolve`, its result alone, with the gradients that `_gradients` gives, on JAX or on TensorFlow."""
    if backend == "jax":
        import jax

        def forward(images: Any, kernel: Any, strides: tuple[int, int], pads: Pads) -> Any:
            result, patches = _convolve(images, kernel, strides, pads)
            return result, (images, kernel, patches)

        def backward(strides: tuple[int, int], pads: Pads, saved: tuple[Any, Any, Any], gradient: Any) -> Any:
            return _gradients(*saved, strides, pads, gradient)

        convolve = jax.custom_vjp(lambda *inputs: _convolve(*inputs)[0], nondiff_argnums=(2, 3))
        convolve.defvjp(forward, backward)
        return convolve
    import tensorflow as tf

    def convolve_with_gradients(images: Any, kernel: Any, strides: tuple[int, int], pads: Pads) -> Any:
        def convolve(images: Any, kernel: Any) -> Any:
            result, patches = _convolve(images, kernel, strides, pads)
            return result, partial(_gradients, images, kernel, patches, strides, pads)

        return tf.custom_gradient(convolve)(images, kernel)

    return convolve_with_gradients


def _convolve(images: Any, kernel: Any, strides: tuple[int, int], pads: Pads) -> tuple[Any, Any]:
    """The result, and the patches it was made from, which the kernel's gradient needs too, or None."""
    if images.shape[-1] > FEW_CHANNELS and strides == (1, 1):
        return _native(images, kernel, pads), None
    patches = _patches(images, kernel.shape, strides, pads)
    return ops.tensordot(patches, kernel, axes=3), patches


def _gradients(
    images: Any, kernel: Any, patches: Any, strides: tuple[int, int], pads: Pads, gradient: Any
) -> tuple[Any, Any]:
    """The gradients of the images and of the kernel, from that of the result."""
    rows, columns, channels, _ = kernel.shape
    if (rows, columns) == (3, 3) and strides == (1, 1) and channels >= WINOGRAD_CHANNELS:
        d_kernel = _d_kernel_by_winograd(images, gradient, pads)
    else:
        if patches is None:
            patches = _patches(images, kernel.shape, strides, pads)
        d_kernel = ops.tensordot(patches, gradient, axes=((0, 1, 2), (0, 1, 2)))
    if strides == (1, 1):
        flipped = ops.transpose(ops.flip(kernel, (0, 1)), (0, 1, 3, 2))
        (top, bottom), (left, right) = pads
        margins = (rows - 1 - top, rows - 1 - bottom), (columns - 1 - left, columns - 1 - right)
        d_images = _native(gradient, flipped, margins)
    else:
        d_images = _d_images_by_phases(gradient, kernel, strides, pads, images.shape)
    return d_images, d_kernel


def _d_kernel_by_winograd(images: Any, gradient: Any, pads: Pads) -> Any:
    """The gradient of a 3 x 3 kernel with stride 1, (3, 3, channels, filters), by Winograd's F(2 x 2, 3 x 3).

    Two neighbours y of a convolution with three taps w see four inputs d, and y = A'(Gw * B'd) with four
    products in place of six, where * is element by element and ' transposes (Lavin and Gray 2015, "Fast
    algorithms for convolutional neural networks", section 4.1). That is linear in w, so the gradient of w is
    G'(B'd * A dy). In two dimensions each 2 x 2 tile of the output takes 16 products in place of 36, and the
    sum over tiles makes of each of the 16 one matrix product.
    """
    _, height, width, filters = gradient.shape
    down, across = -(-height // 2), -(-width // 2)  # tiles; zeros fill up the last ones
    (top, _), (left, _) = pads
    inputs = _place(_place(images, 1, top, 2 * down + 2), 2, left, 2 * across + 2)
    outputs = _place(_place(gradient, 1, 0, 2 * down), 2, 0, 2 * across)

    def inputs_of_tiles(x: Any, axis: int) -> list[Any]:  # B'd
        tiles = x.shape[axis] // 2 - 1
        d = [_every_second(x, axis, i, tiles) for i in range(4)]
        return [d[0] - d[2], d[1] + d[2], d[2] - d[1], d[1] - d[3]]

    def gradients_of_tiles(y: Any, axis: int) -> list[Any]:  # A dy
        first, second = (_every_second(y, axis, i, y.shape[axis] // 2) for i in (0, 1))
        return [first, first + second, first - second, -second]

    def transform(x: Any, along: Callable[[Any, int], list[Any]]) -> Any:
        parts = [part for row in along(x, 1) for part in along(row, 2)]
        return ops.reshape(ops.stack(parts), (16, -1, x.shape[-1]))

    products = ops.einsum(
        "ktc,ktf->kcf", transform(inputs, inputs_of_tiles), transform(outputs, gradients_of_tiles)
    )
    g = ops.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]], products.dtype)
    return ops.einsum("ai,bj,abcf->ijcf", g, g, ops.reshape(products, (4, 4, -1, filters)))


def _d_images_by_phases(
    gradient: Any, kernel: Any, strides: tuple[int, int], pads: Pads, shape: tuple[int, ...]
) -> Any:
    """The gradient of the images, of this shape, of a convolution with strides.

    Counted from the edge of the padding, a pixel (y, x) meets only the taps (i, j) with i = y and j = x
    modulo the strides. So the pixels with one remainder, a phase, are the sum of that phase's taps, each
    shifted as a whole, and the phases interleaved are the image (Shi et al. 2016, "Real-time single image and
    video super-resolution using an efficient sub-pixel convolutional neural network").
    """
    _, height, width, channels = shape
    (top, bottom), (left, right) = pads
    down, across = strides
    missing = [max(0, stride - taps) for stride, taps in zip(strides, kernel.shape[:2], strict=True)]
    kernel = ops.pad(kernel, ((0, missing[0]), (0, missing[1]), (0, 0), (0, 0)))  # each phase has a tap
    rows, columns = kernel.shape[:2]
    by_tap = ops.tensordot(gradient, kernel, axes=((3,), (3,)))  # (..., rows, columns, channels)
    phase_height, phase_width = -(-(top + height + bottom) // down), -(-(left + width + right) // across)

    def phase(i: int, j: int) -> Any:
        of_rows = [
            _shifted_sum(
                [by_tap[:, :, :, row, column] for column in range(j, columns, across)], 2, phase_width
            )
            for row in range(i, rows, down)
        ]
        return _shifted_sum(of_rows, 1, phase_height)

    phases = ops.stack([ops.stack([phase(i, j) for j in range(across)], 3) for i in range(down)], 2)
    padded = ops.reshape(phases, (-1, phase_height * down, phase_width * across, channels))
    return padded[:, top : top + height, left : left + width]


def _shifted_sum(terms: Sequence[Any], axis: int, length: int) -> Any:
    """The sum of the terms, each one place further along the axis than the one before, in zeros."""
    return sum(_place(term, axis, start, length) for start, term in enumerate(terms))


def _place(x: Any, axis: int, start: int, length: int) -> Any:
    """An axis of this length with x in it from place `start` on, zeros around, what is beyond cut off."""
    kept = min(x.shape[axis], length - start)
    pads = [(0, 0)] * len(x.shape)
    pads[axis] = (start, length - start - kept)
    return ops.pad(x[(slice(None),) * axis + (slice(kept),)], pads)


def _every_second(x: Any, axis: int, start: int, count: int) -> Any:
    """So many places of an axis: each second one from `start` on."""
    return x[(slice(None),) * axis + (slice(start, start + 2 * count - 1, 2),)]


def _native(images: Any, kernel: Any, pads: Pads) -> Any:
    if keras.backend.backend() == "jax":
        from jax import lax

        return lax.conv_general_dilated(
            images, kernel, (1, 1), pads, dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
    import tensorflow as tf

    return tf.nn.conv2d(images, kernel, (1, 1), [(0, 0), *pads, (0, 0)])


def _patches(images: Any, kernel_shape: tuple[int, ...], strides: tuple[int, int], pads: Pads) -> Any:
    """What the kernel sees at each place: (n, new height, new width, rows, columns, channels)."""
    rows, columns, channels, _ = kernel_shape
    images = ops.pad(images, ((0, 0), *pads, (0, 0)))
    down, across = strides
    height = (images.shape[1] - rows) // down + 1
    width = (images.shape[2] - columns) // across + 1
    seen = [
        images[:, i : i + (height - 1) * down + 1 : down, j : j + (width - 1) * across + 1 : across, :]
        for i in range(rows)
        for j in range(columns)
    ]
    return ops.reshape(ops.concatenate(seen, axis=-1), (-1, height, width, rows, columns, channels))


def pool2d(images: Any, size: tuple[int, int], reduce: Callable[..., Any]) -> Any:
    """Pooling over windows of `size` that do not overlap; rows and columns left over are dropped."""
    _, height, width, channels = images.shape
    down, across = size
    height, width = height // down, width // across
    cropped = images[:, : height * down, : width * across, :]
    return reduce(ops.reshape(cropped, (-1, height, down, width, across, channels)), axis=(2, 4))


def _same_padding(length: int, window: int, stride: int) -> tuple[int, int]:
    """Zeros before and after, as TensorFlow and Keras lay them for "same"."""
    total = max(0, (-(-length // stride) - 1) * stride + window - length)
    return total // 2, total - total // 2

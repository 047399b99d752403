"""Changes of images by explicit values, one for each image."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

SIZE_PX = 28
CENTRE_PX = (SIZE_PX - 1) / 2
MAX_STROKE_PX = 2.0  # an edge moves by at most the one pixel over which its gradient is known
KNOT_SPACING = 1.5  # of the elastic field, in units of its smoothness; more would show as ripples


def warp(
    images: Any,
    *,
    rotation_deg: Any,
    scale: Any,
    shear: Any,
    shift_px: Any,
    elastic_px: Any = None,
    elastic_field: NDArray[np.float32] | None = None,
) -> Any:
    """Images scaled, then sheared, then rotated about their centre, shifted and bent, in one sampling.

    Args:
        images: (n, 28, 28) uint8.
        rotation_deg: (n,) float32, counter-clockwise.
        scale: (n, 2) float32, factors of height and width, above 0.
        shear: (n,) float32; a positive one slants to the right.
        shift_px: (n, 2) float32, down and right.
        elastic_px: (n, 2 * knots) float32, weights of the field for the rows and then for the columns.
        elastic_field: (knots, 784) float32, see `elastic_basis`.

    Returns:
        (n, 28, 28) uint8: bilinear interpolation; what comes from outside the image is 0.
    """
    from keras import ops

    n = images.shape[0]
    angle = rotation_deg * (math.pi / 180)
    cosine, sine = ops.cos(angle), ops.sin(angle)
    # Where each pixel comes from, relative to the centre: the inverse of shift, rotation, shear and scale,
    # as factors of (row, column, 1).
    row = [cosine / scale[:, 0], sine / scale[:, 0]]
    column = [(shear * cosine - sine) / scale[:, 1], (shear * sine + cosine) / scale[:, 1]]
    factors = ops.stack(
        [
            ops.stack([a, b, CENTRE_PX - a * shift_px[:, 0] - b * shift_px[:, 1]], axis=1)
            for a, b in (row, column)
        ]
    )
    basis = _affine_basis()
    if elastic_field is not None:
        weights = ops.transpose(ops.reshape(elastic_px, (n, 2, -1)), (1, 0, 2))
        factors = ops.concatenate([factors, weights], axis=2)
        basis = np.concatenate([basis, elastic_field])
    # A matrix product, because XLA's CPU compiler computes what it is given only once, where it would
    # repeat element-wise work, sine and cosine too, in every loop that uses it.
    source = ops.matmul(ops.reshape(factors, (2 * n, len(basis))), basis)
    source = ops.reshape(source, (2, n, SIZE_PX, SIZE_PX))
    return sample(images, source[0], source[1])


def sample(images: Any, rows: Any, columns: Any) -> Any:
    """Images read at other places, by bilinear interpolation; the plane around an image is 0.

    Args:
        images: (n, 28, 28) uint8.
        rows: (n, 28, 28) float32, where each pixel comes from; 0 is the middle of the first row.
        columns: (n, 28, 28) float32, likewise.

    Returns:
        (n, 28, 28) uint8.
    """
    from keras import ops

    n = images.shape[0]
    # Reading single values is the slow part, so the four neighbours of a place are packed into one number.
    # With 32 places a row the compiler needs no division to find one.
    padded = ops.cast(_pad(_pad(images, 1, 1, 4), 2, 1, 4), "int32")
    packed = padded[:, :-1, :-1]
    for bits, neighbour in ((8, padded[:, :-1, 1:]), (16, padded[:, 1:, :-1]), (24, padded[:, 1:, 1:])):
        packed = ops.bitwise_or(packed, ops.left_shift(neighbour, bits))
    packed = ops.reshape(packed, (n, 32 * 32))

    rows = ops.clip(rows, -1, SIZE_PX) + 1
    columns = ops.clip(columns, -1, SIZE_PX) + 1
    top, left = ops.cast(rows, "int32"), ops.cast(columns, "int32")
    down, right = rows - ops.cast(top, "float32"), columns - ops.cast(left, "float32")
    places = ops.reshape(32 * top + left, (n, SIZE_PX * SIZE_PX))
    four = ops.reshape(ops.take_along_axis(packed, places, axis=1), (n, SIZE_PX, SIZE_PX))
    neighbours = [
        ops.cast(ops.bitwise_and(ops.right_shift(four, bits), 255), "float32") for bits in (0, 8, 16, 24)
    ]
    above = neighbours[0] + right * (neighbours[1] - neighbours[0])
    below = neighbours[2] + right * (neighbours[3] - neighbours[2])
    return _round(above + down * (below - above))


def move(images: Any, shift_px: Any, most_px: int) -> Any:
    """Images moved by whole pixels; what comes in from outside is 0.

    Args:
        images: (n, 28, 28) uint8.
        shift_px: (n, 2) float, down and right, rounded to whole pixels of -most_px..most_px.
        most_px: the bound of the shifts.
    """
    from keras import ops

    start = most_px - ops.cast(ops.floor(shift_px + 0.5), "int32")
    padded = _pad(_pad(images, 1, most_px, most_px), 2, most_px, most_px)
    return ops.vectorized_map(lambda pair: ops.slice(pair[0], pair[1], (SIZE_PX, SIZE_PX)), (padded, start))


def change_stroke(images: Any, width_px: Any) -> Any:
    """Images with wider or thinner strokes.

    Each pixel gains or loses its gradient's length times the way that the edge moves: one step of the
    level-set equation (Osher and Sethian 1988). Unlike a blend with dilation or erosion, it keeps the middle
    of a thin stroke dark and puts no halo around a wide one.

    Args:
        images: (n, 28, 28) uint8.
        width_px: (n,) float32 in -2..2, by how much a stroke shall be wider, in pixels: each of its edges
            moves half as far, on MNIST's sharp edges a little less.
    """
    from keras import ops

    tall, wide = ops.cast(_pad(images, 1, 1, 1), "float32"), ops.cast(_pad(images, 2, 1, 1), "float32")
    down, right = (tall[:, 2:] - tall[:, :-2]) / 2, (wide[:, :, 2:] - wide[:, :, :-2]) / 2
    gradient = ops.sqrt(ops.square(down) + ops.square(right))
    way_px = ops.reshape(width_px, (-1, 1, 1)) / 2
    return _round(ops.clip(ops.cast(images, "float32") + way_px * gradient, 0, 255))


def erase(images: Any, centre_px: Any, sides_px: Any) -> Any:
    """Images with 0 in one rectangle.

    Args:
        images: (n, 28, 28) uint8.
        centre_px: (n, 2) float32, row and column from the upper left corner of the image; the middle of the
            first pixel is at 0.5.
        sides_px: (n, 2) float32, height and width; a pixel is erased where its middle lies inside.
    """
    from keras import ops

    middles = np.arange(SIZE_PX, dtype=np.float32) + 0.5
    inside = [ops.abs(middles - centre_px[:, axis, None]) < sides_px[:, axis, None] / 2 for axis in (0, 1)]
    hidden = ops.logical_and(inside[0][:, :, None], inside[1][:, None, :])
    return ops.where(hidden, ops.zeros_like(images), images)


@functools.cache
def elastic_basis(smoothness_px: float) -> NDArray[np.float32]:
    """(knots, 784) float32: what one unit at each knot adds to the displacement of each pixel.

    Knots lie on a square grid that reaches over the border; each adds a Gaussian bump. The bumps are scaled
    so that independent weights of variance 1 give displacements of variance 1 at every pixel.
    """
    reach = SIZE_PX - 1 + 2 * smoothness_px
    count = math.ceil(reach / (KNOT_SPACING * smoothness_px)) + 1
    knots = np.linspace(-smoothness_px, SIZE_PX - 1 + smoothness_px, count)
    bumps = np.exp(-0.5 * ((knots[:, None] - np.arange(SIZE_PX)) / smoothness_px) ** 2)
    bumps /= np.linalg.norm(bumps, axis=0)
    return np.kron(bumps, bumps).astype(np.float32)


@functools.cache
def _affine_basis() -> NDArray[np.float32]:
    """(3, 784) float32: row and column of each pixel, from the centre, and 1."""
    rows, columns = np.indices((SIZE_PX, SIZE_PX)).reshape(2, -1) - CENTRE_PX
    return np.stack([rows, columns, np.ones_like(rows)]).astype(np.float32)


def _pad(images: Any, axis: int, before: int, after: int) -> Any:
    """Zeros before and after along an axis; XLA's CPU compiler is faster at joining than at padding."""
    from keras import ops

    shape = list(images.shape)
    zeros = [ops.zeros((*shape[:axis], width, *shape[axis + 1 :]), "uint8") for width in (before, after)]
    return ops.concatenate([zeros[0], images, zeros[1]], axis=axis)


def as_uint8(images: Any) -> Any:
    from keras import ops

    images = ops.convert_to_tensor(images)
    if images.shape[1:] != (SIZE_PX, SIZE_PX):
        raise ValueError(f"images have the shape {tuple(images.shape)}, expected (n, 28, 28)")
    return images if images.dtype == "uint8" else _round(ops.clip(ops.cast(images, "float32"), 0, 255))


def _round(values: Any) -> Any:
    """uint8 of float32 values in 0..255; by way of int32, which compiles to faster code."""
    from keras import ops

    return ops.cast(ops.cast(values + 0.5, "int32"), "uint8")

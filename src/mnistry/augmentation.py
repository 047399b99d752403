"""Random changes of training images, for `mnistry.fit(..., augment=Augmentation(...))`.

Images go in and come out as (n, 28, 28) uint8, 0 = background and 255 = ink, which is what the networks
take; float images of 0..255 are rounded first. Everything is written in `keras.ops`, with shapes known
beforehand and nothing kept between calls, so that it can be compiled inside an epoch on JAX and TensorFlow.

The functions `warp`, `move`, `change_stroke` and `erase` take explicit values, one for each image;
`Augmentation` draws them.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

SIZE_PX = 28
CENTRE_PX = (SIZE_PX - 1) / 2
MAX_STROKE_PX = 2.0  # an edge moves by at most the one pixel over which its gradient is known
KNOT_SPACING = 1.5  # of the elastic field, in units of its smoothness; more would show as ripples
_PLAIN_NUMBERS = 11  # random numbers an image needs besides those of the elastic field


@dataclass(frozen=True)
class Augmentation:
    """A random change of each image by itself; called as `augmentation(key, images)`.

    Every number is drawn evenly between minus and plus the strength given here; a strength of 0 leaves its
    transform out, at no cost. First the stroke changes, then one sampling of the image does all of the
    geometry, then a rectangle is erased. Two values with equal strengths are equal, and hashable.

    Attributes:
        rotation_deg: turn about the centre, in degrees.
        scale: relative change of height and of width, each drawn by itself; 0.1 is 0.9 to 1.1.
        shear: slant; 0.2 moves the top by 0.2 of its height above the centre.
        shift_px: way down and to the right, in pixels. Whole pixels, evenly -n..n, where this is a whole
            number and the only geometry; that is faster and does not blur.
        elastic_px: standard deviation of a smooth random displacement of each pixel, along each axis, in
            pixels (Simard, Steinkraus and Platt 2003, "Best practices for convolutional neural networks").
        elastic_smoothness_px: standard deviation of the Gaussian that smooths that displacement, in pixels.
        stroke_px: change of the width of strokes, in pixels, at most 2.
        erase_px: longest side of a rectangle set to 0; its sides are drawn between 0 and this, its centre
            anywhere in the image.
    """

    rotation_deg: float = 0.0
    scale: float = 0.0
    shear: float = 0.0
    shift_px: float = 0.0
    elastic_px: float = 0.0
    elastic_smoothness_px: float = 4.0
    stroke_px: float = 0.0
    erase_px: float = 0.0

    def __post_init__(self) -> None:
        for name, value in self.to_dict().items():
            if not (math.isfinite(value) and value >= 0):
                raise ValueError(f"{name} must be a number of at least 0, received {value}")
        for name, limit in {"scale": 0.9, "stroke_px": MAX_STROKE_PX}.items():
            if getattr(self, name) > limit:
                raise ValueError(f"{name} must be at most {limit}, received {getattr(self, name)}")
        if self.elastic_smoothness_px < 1:
            raise ValueError(
                f"elastic_smoothness_px must be at least 1, received {self.elastic_smoothness_px}"
            )

    def __call__(self, key: Any, images: Any) -> Any:
        """The images, changed.

        Args:
            key: a `jax.random` key, or on TensorFlow an int32 tensor of shape (2,); see `make_key`. The same
                key and the same number of images give the same changes.
            images: (n, 28, 28) uint8, or float 0..255.

        Returns:
            (n, 28, 28) uint8, a tensor of the back end.
        """
        images = _as_uint8(images)
        field = elastic_basis(self.elastic_smoothness_px) if self.elastic_px else None
        knots = 0 if field is None else len(field)
        drawn = _draw(key, images.shape[0], _PLAIN_NUMBERS + 2 * knots)  # in -1..1
        if self.stroke_px:
            images = change_stroke(images, self.stroke_px * drawn[:, 6])
        if self.rotation_deg or self.scale or self.shear or self.elastic_px or self.shift_px % 1:
            images = warp(
                images,
                rotation_deg=self.rotation_deg * drawn[:, 0],
                scale=1 + self.scale * drawn[:, 1:3],
                shear=self.shear * drawn[:, 3],
                shift_px=self.shift_px * drawn[:, 4:6],
                elastic_px=self.elastic_px * math.sqrt(3) * drawn[:, _PLAIN_NUMBERS:],  # of deviation 1
                elastic_field=field,
            )
        elif self.shift_px:
            images = move(images, (self.shift_px + 0.5) * drawn[:, 4:6], int(self.shift_px))
        if self.erase_px:
            share = (drawn[:, 7:11] + 1) / 2
            images = erase(images, SIZE_PX * share[:, :2], self.erase_px * share[:, 2:])
        return images

    def to_dict(self) -> dict[str, float]:
        """The strengths by name, such that `Augmentation(**augmentation.to_dict())` is equal to this."""
        return dataclasses.asdict(self)


def make_key(seed: int) -> Any:
    """The key that `Augmentation` takes on the back end in use.

    Raises:
        ValueError: the back end is neither JAX nor TensorFlow.
    """
    import keras

    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        return jax.random.key(seed)
    if backend == "tensorflow":
        import tensorflow as tf

        return tf.constant([seed % 2**31, 0], tf.int32)
    raise ValueError(f"augmentation works on the back ends jax and tensorflow, but this is {backend}")


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


def contact_sheet(
    images: NDArray[np.uint8], augmentation: Augmentation, seed: int = 0, columns: int = 10
) -> dict[str, NDArray[np.uint8]]:
    """What an augmentation does: a row of images for each of its transforms alone, and one for all together.

    Args:
        images: (n, 28, 28) uint8, at least one; row i shows image i, in turn where there are more rows.
        augmentation: the strengths.
        seed: of the changes.
        columns: images a row, at least 1; the first is the unchanged one.

    Returns:
        Caption, such as "rotation 12 deg", to (columns, 28, 28) uint8.
    """
    import keras

    used = {name: value for name, value in augmentation.to_dict().items() if value}
    smoothness = used.pop("elastic_smoothness_px")
    alone = {
        _caption(name, value): Augmentation(**{name: value}, elastic_smoothness_px=smoothness)
        for name, value in used.items()
    }
    rows = alone if len(alone) == 1 else {**alone, "all together": augmentation}
    unchanged = [
        np.repeat(images[number % len(images)][None], columns, axis=0) for number in range(len(rows))
    ]

    def change(key: Any) -> list[Any]:
        return [row(key, images) for row, images in zip(rows.values(), unchanged, strict=True)]

    if keras.backend.backend() == "jax":  # one compilation instead of one for every operation
        import jax

        change = jax.jit(change)
    changed = [keras.ops.convert_to_numpy(images) for images in change(make_key(seed))]
    return {
        caption: np.concatenate([before[:1], after[1:]])
        for caption, before, after in zip(rows, unchanged, changed, strict=True)
    }


def _caption(name: str, value: float) -> str:
    transform, _, unit = name.partition("_")
    return f"{transform} {value:g} {unit}".rstrip()


def _draw(key: Any, n: int, count: int) -> Any:
    """(n, count) float32 random numbers of -1..1, as a plain table: XLA draws that fastest."""
    import keras

    if keras.backend.backend() == "jax":
        import jax

        return jax.random.uniform(key, (n, count), minval=-1, maxval=1)
    import tensorflow as tf

    return tf.random.stateless_uniform((n, count), key, -1, 1, alg="philox")


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


def _as_uint8(images: Any) -> Any:
    from keras import ops

    images = ops.convert_to_tensor(images)
    if images.shape[1:] != (SIZE_PX, SIZE_PX):
        raise ValueError(f"images have the shape {tuple(images.shape)}, expected (n, 28, 28)")
    return images if images.dtype == "uint8" else _round(ops.clip(ops.cast(images, "float32"), 0, 255))


def _round(values: Any) -> Any:
    """uint8 of float32 values in 0..255; by way of int32, which compiles to faster code."""
    from keras import ops

    return ops.cast(ops.cast(values + 0.5, "int32"), "uint8")

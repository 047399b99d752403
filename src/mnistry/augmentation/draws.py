"""`Augmentation`: how strongly images change at random, and the draw of each change."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from numbers import Real
from typing import Any

from mnistry.augmentation.transforms import (
    MAX_STROKE_PX,
    SIZE_PX,
    as_uint8,
    change_stroke,
    elastic_basis,
    erase,
    move,
    warp,
)

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

    Raises:
        ValueError: a strength is negative, no finite number, or larger than makes sense.
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
            if not (isinstance(value, Real) and math.isfinite(value) and value >= 0):
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
        images = as_uint8(images)
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


def _draw(key: Any, n: int, count: int) -> Any:
    """(n, count) float32 random numbers of -1..1, as a plain table: XLA draws that fastest."""
    import keras

    if keras.backend.backend() == "jax":
        import jax

        return jax.random.uniform(key, (n, count), minval=-1, maxval=1)
    import tensorflow as tf

    return tf.random.stateless_uniform((n, count), key, -1, 1, alg="philox")

"""Random changes of training images, for `mnistry.fit(..., augment=Augmentation(...))`.

Images go in and come out as (n, 28, 28) uint8, 0 = background and 255 = ink, which is what the networks
take; float images of 0..255 are rounded first. Everything is written in `keras.ops`, with shapes known
beforehand and nothing kept between calls, so that it can be compiled inside an epoch on JAX and TensorFlow.

The functions `warp`, `move`, `change_stroke` and `erase` take explicit values, one for each image;
`Augmentation` draws them.
"""

from __future__ import annotations

from mnistry.augmentation.draws import Augmentation, make_key
from mnistry.augmentation.sheets import contact_sheet
from mnistry.augmentation.transforms import (
    CENTRE_PX,
    KNOT_SPACING,
    MAX_STROKE_PX,
    SIZE_PX,
    change_stroke,
    elastic_basis,
    erase,
    move,
    sample,
    warp,
)

__all__ = [
    "CENTRE_PX",
    "KNOT_SPACING",
    "MAX_STROKE_PX",
    "SIZE_PX",
    "Augmentation",
    "change_stroke",
    "contact_sheet",
    "elastic_basis",
    "erase",
    "make_key",
    "move",
    "sample",
    "warp",
]

"""What every reader gives, and the one conversion of foreign arrays to uint8 images and labels."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mnistry.dataset import DIGITS, HEIGHT, WIDTH, Dataset, check_labels
from mnistry.errors import DataError

PIXELS = HEIGHT * WIDTH


class Part(NamedTuple):
    """One part (train or test) of a source: checked images, and labels where the source has them."""

    images: NDArray[np.uint8]  # (n, 28, 28), n at least 1
    labels: NDArray[np.uint8] | None  # (n,)
    class_names: tuple[str, ...] = DIGITS


def as_images(values: NDArray[Any], source: str) -> NDArray[np.uint8]:
    """Return the images as (n, 28, 28) uint8.

    Takes (n, 28, 28), (n, 784), (n, 28, 28, 1) or (n, 1, 28, 28); integers or floats of 0..255, floats of
    which none is above 1 (then 1 is ink), or booleans. Floats are rounded to the nearest of the 256 levels.

    Raises:
        DataError: no images, another shape or type, NaN, infinity or a value outside 0..255.
    """
    if values.dtype.kind not in "buif":
        raise DataError(f"{source}: pixels of type {values.dtype}; integers or floats expected")
    shapes = {(HEIGHT, WIDTH), (PIXELS,), (HEIGHT, WIDTH, 1), (1, HEIGHT, WIDTH)}
    if values.shape[1:] not in shapes:
        raise DataError(
            f"{source}: images of shape {values.shape}; (n, {HEIGHT}, {WIDTH}) or (n, {PIXELS}) expected"
        )
    if len(values) == 0:
        raise DataError(f"{source}: no images, shape {values.shape}; at least one expected")
    images = values.reshape(-1, HEIGHT, WIDTH)
    if images.dtype == np.uint8:
        return images
    if images.dtype == np.bool_:
        return images.astype(np.uint8) * np.uint8(255)
    lowest, highest = images.min(), images.max()
    if not (lowest >= 0 and highest <= 255):  # `not`, because NaN compares false with everything
        index, row, column = np.unravel_index(
            int((~((images >= 0) & (images <= 255))).argmax()), images.shape
        )
        raise DataError(
            f"{source}: image {index}, row {row}, column {column} is {images[index, row, column]}; "
            "pixels of 0..255, or of 0..1 as floats, expected"
        )
    if images.dtype.kind == "f":
        images = np.rint(images * 255 if highest <= 1 else images)
    return images.astype(np.uint8)


def as_labels(values: NDArray[Any], num_classes: int, source: str, hint: str = "") -> NDArray[np.uint8]:
    """Return the labels as (n,) uint8; takes (n,) or (n, 1) integers, also written as floats.

    The `hint` says what to do about a label outside the classes.

    Raises:
        DataError: another shape or type, a fraction, NaN, or a label outside 0..num_classes - 1.
    """
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1:
        hint = "; one-hot labels become numbers by labels.argmax(axis=1)" if values.ndim == 2 else ""
        raise DataError(f"{source}: labels of shape {values.shape}; (n,) expected{hint}")
    if values.dtype.kind not in "uif":
        raise DataError(f"{source}: labels of type {values.dtype}; integers expected")
    if values.dtype.kind == "f":
        fractions = ~np.isfinite(values) | (values != np.rint(values))
        if fractions.any():
            index = int(fractions.argmax())
            raise DataError(f"{source}: the label at index {index} is {values[index]}; an integer expected")
    check_labels(values, num_classes, source, hint)
    return values.astype(np.uint8)


def check_counts(images: NDArray[Any], labels: NDArray[Any], source: str) -> None:
    """See that there is one label for each image.

    Raises:
        DataError: there is not.
    """
    if len(images) != len(labels):
        raise DataError(
            f"{source}: {len(images)} images but {len(labels)} labels; one label an image expected"
        )


def check_ten_classes(dataset: Dataset, kind: str) -> None:
    """See that a data set can be read back from a format that cannot carry class names.

    Raises:
        DataError: it has a label above 9.
    """
    if dataset.labels.max() >= len(DIGITS):
        raise DataError(
            f"{dataset.name}: label {dataset.labels.max()} cannot be written as {kind}, which has no place "
            "for class names and is read as ten classes; choose npz, parquet or folder"
        )

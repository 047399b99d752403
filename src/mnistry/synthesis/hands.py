"""Digits by other hands than MNIST's: from coarse bitmaps that a data set holds, written anew in fine ones.

"Optical Recognition of Handwritten Digits" (Alpaydin and Kaynak 1998; UCI Machine Learning Repository, CC BY
4.0) has 5,620 digits by 43 people who cross their 7s and close their 4s as MNIST's writers hardly do. Each is
counted into 8 x 8 fields: what is left is the form, and little of the pen.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mnistry.dataset import Dataset
from mnistry.errors import DataError
from mnistry.imaging import center_digit

FIELDS, MOST = 8, 16  # fields on a side, and the count of a field that is full of ink
FINE_PX = 12  # pixels on a side of a field that is drawn anew
MARGIN_PX = 8
SOFT_PX = 5.0  # standard deviation of the blur that joins the fields
WIDTH = (0.75, 1.1)  # to which a bitmap is stretched
WIDTH_OF_1 = (0.25, 0.8)


def load_hands(path: str | Path) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Return bitmaps (n, 8, 8) float32, 0..1, 1 = full of ink, and labels (n,) uint8 of a file of digits.

    Args:
        path: text, a digit a line: 64 counts from 0 to 16, row by row, and the label, with commas between.

    Raises:
        DataError: the file cannot be read, or holds something else.
    """
    try:
        lines = [line for line in Path(path).read_text().split("\n") if line and not line.startswith("@")]
        values = np.array([line.split(",") for line in lines], np.float32)
        counts, labels = values[:, :-1], values[:, -1]
    except (OSError, ValueError, IndexError) as error:
        raise DataError(f"{path} cannot be read as 8 x 8 digits: {error}") from error
    if (
        counts.shape[1] != FIELDS**2
        or not (counts.min() >= 0 and counts.max() <= MOST)  # false for NaN too
        or not np.isin(labels, range(10)).all()
    ):
        raise DataError(
            f"{path}: 64 counts from 0 to {MOST} and a label are expected a line, for 8 x 8 digits"
        )
    bitmaps = (counts / MOST).astype(np.float32).reshape(-1, FIELDS, FIELDS)
    return bitmaps, labels.astype(np.uint8)


def write_hands(bitmaps: NDArray[np.float32], labels: NDArray[np.uint8], copies: int, seed: int) -> Dataset:
    """Return the digits, `copies` times, each with a width and a pen of its own, as MNIST would hold them.

    Args:
        bitmaps: (n, 8, 8) float32, 0..1, 1 = full of ink.
        labels: (n,) uint8.
        copies: of each.
        seed: of everything that is random.
    """
    rng = np.random.default_rng(seed)
    images = [
        _write(bitmap, label == 1, rng)
        for _ in range(copies)
        for bitmap, label in zip(bitmaps, labels, strict=True)
    ]
    return Dataset(np.stack(images), np.tile(labels, copies), "hands")


def _write(bitmap: NDArray[np.float32], is_one: bool, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return one digit, (28, 28) uint8, 255 = ink."""
    fine: Any = np.kron(bitmap, np.ones((FINE_PX, FINE_PX), np.float32))
    fine = cv2.GaussianBlur(np.pad(fine, MARGIN_PX), (0, 0), SOFT_PX)
    width = round(fine.shape[1] * rng.uniform(*(WIDTH_OF_1 if is_one else WIDTH)))
    fine = cv2.resize(fine, (width, fine.shape[0]), interpolation=cv2.INTER_AREA)
    level = rng.uniform(0.4, 0.62) * float(fine.max())  # the higher, the thinner
    ink = np.clip(128 + (fine - level) * rng.uniform(500, 1500), 0, 255).astype(np.uint8)
    thinner = int(rng.integers(0, 5))
    if thinner:
        tip = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (1 + thinner, 1 + thinner))
        worn = cv2.erode(ink, tip)
        if worn.max() == 255 and worn.sum() > 0.5 * ink.sum():  # not worn away
            ink = np.asarray(worn, np.uint8)
    return center_digit(ink)

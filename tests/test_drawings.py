"""What is drawn and is no digit: the whole reader refuses it, and still reads digits drawn alike."""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from mnistry import load_mnist, read
from mnistry.errors import ImageError
from mnistry.synthesis import outliers

COUNT = 60


def read_each(inks: Iterable[NDArray[np.uint8]], single: bool) -> list[str]:
    """What is read of each, a picture by itself."""
    texts = []
    for ink in inks:
        size = 120 / max(ink.shape)
        large = cv2.resize(ink, None, fx=size, fy=size, interpolation=cv2.INTER_CUBIC)
        try:
            texts.append(read(255 - np.pad(large, 50), single=single).text)
        except ImageError:
            texts.append("")
    return texts


@pytest.mark.parametrize("single", [False, True])
def test_drawings_are_refused(single: bool) -> None:
    _, test = load_mnist()
    drawn = [ink for ink, _ in outliers.draw_outliers(test, COUNT, {"doodle": 1.0}, 11)]
    assert sum(text != "" for text in read_each(drawn, single)) <= 0.06 * COUNT


@pytest.mark.parametrize("single", [False, True])
def test_digits_drawn_like_them_are_read(single: bool) -> None:
    train, _ = load_mnist()
    images, labels = train.images[-COUNT:], train.labels[-COUNT:]
    texts = read_each(images, single)
    assert sum(text == str(label) for text, label in zip(texts, labels, strict=True)) >= 0.95 * COUNT

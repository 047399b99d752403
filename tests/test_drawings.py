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
def test_drawings_of_a_kind_that_nothing_was_trained_on_are_refused(single: bool) -> None:
    """Houses of two and three floors, rings in rings, and arcs above each other."""
    drawn = []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        ink, pen = np.zeros((120, 120), np.uint8), int(rng.integers(3, 7))
        if seed % 3 == 0:
            cv2.polylines(
                ink, [np.array([(25, 110), (25, 45), (60, 10), (95, 45), (95, 110)])], True, 255, pen
            )
            for y in rng.integers(50, 100, 2).tolist():
                cv2.line(ink, (25, y), (95, y), 255, pen)
        elif seed % 3 == 1:
            for radius in (52, 36, 20):
                cv2.circle(ink, (60, 60), radius + int(rng.integers(-3, 4)), 255, pen)
            cv2.line(ink, (5, 60), (115, 60), 255, pen)
        else:
            for y in (40, 65, 90, 115):
                cv2.ellipse(ink, (60, y), (50 + int(rng.integers(-5, 6)), 30), 0, 200, 340, 255, pen)
        drawn.append(ink)
    assert sum(text != "" for text in read_each(drawn, single)) <= 3


@pytest.mark.parametrize("single", [False, True])
def test_a_stroke_beside_a_digit_does_not_take_it_away(single: bool) -> None:
    """Together they are no digit, and the digit is one by itself."""
    train, _ = load_mnist()
    inks = []
    for number in range(-20, 0):
        large = cv2.resize(train.images[number], None, fx=5, fy=5, interpolation=cv2.INTER_CUBIC)
        inks.append(np.pad(large, ((0, 0), (0, 80))))
        cv2.line(inks[-1], (150, 20), (185, 5), 255, 9)
    texts = read_each(inks, single)
    assert sum(text == str(label) for text, label in zip(texts, train.labels[-20:], strict=True)) >= 15


@pytest.mark.parametrize("single", [False, True])
def test_digits_drawn_like_them_are_read(single: bool) -> None:
    train, _ = load_mnist()
    images, labels = train.images[-COUNT:], train.labels[-COUNT:]
    texts = read_each(images, single)
    assert sum(text == str(label) for text, label in zip(texts, labels, strict=True)) >= 0.95 * COUNT

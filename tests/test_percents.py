"""Percent signs and numbers that are crossed out are no digits."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from mnistry import load_mnist, read
from mnistry.percents import is_percent
from mnistry.struck import is_struck

STROKE_PX, DIGIT_PX = 9, 90


def write(text: str, width: int = 600) -> np.ndarray:
    """Test digits from the left, bright on 0, in (160, width)."""
    _, digits = load_mnist()
    ink = np.zeros((160, width), np.uint8)
    for place, name in enumerate(text):
        image = digits.images[digits.labels == int(name)][4]
        left = 30 + round(place * 0.8 * DIGIT_PX)
        field = ink[35 : 35 + DIGIT_PX, left : left + DIGIT_PX]
        np.maximum(field, cv2.resize(image, (DIGIT_PX, DIGIT_PX), interpolation=cv2.INTER_CUBIC), out=field)
    return ink


def draw_percent(ink: np.ndarray, left: int, apart_px: int) -> None:
    """Draw a percent sign with its rings so far from where they would touch its stroke."""
    cv2.line(ink, (left + 14, 116), (left + 54, 46), 255, STROKE_PX, cv2.LINE_AA)
    for x, y in ((left + 12 - apart_px, 60), (left + 58 + apart_px, 102)):
        cv2.ellipse(ink, (x, y), (12, 14), 0, 0, 360, 255, STROKE_PX - 2, cv2.LINE_AA)


@pytest.mark.parametrize("text", ["7", "36", "100"])
@pytest.mark.parametrize("apart_px", [-6, 8])
def test_a_percent_sign_is_no_digit(text: str, apart_px: int) -> None:
    page = write(text)
    draw_percent(page, 50 + round(0.8 * DIGIT_PX * len(text)), apart_px)
    (line,) = read(255 - page).lines
    assert line.text == text
    assert not line.digits[-1].accepted


def test_a_9_and_a_6_are_no_percent_sign() -> None:
    """Neither apart nor drawn into each other, though their rings stand like those of one."""
    _, digits = load_mnist()
    nines, sixes = (digits.images[digits.labels == digit][:200] for digit in (9, 6))
    for nine, six in zip(nines, sixes, strict=True):
        for gap in (-2, 0, 2):
            parts = [part[:, part.max(axis=0) > 100] for part in (nine, six)]
            pair = np.zeros((28, parts[0].shape[1] + parts[1].shape[1] + max(gap, 0)), np.uint8)
            pair[:, : parts[0].shape[1]] = parts[0]
            start = parts[0].shape[1] + gap
            field = pair[:, start : start + parts[1].shape[1]]
            np.maximum(field, parts[1], out=field)
            large = cv2.resize(pair, None, fx=3.5, fy=3.5, interpolation=cv2.INTER_CUBIC)
            assert not is_percent(large[large.max(axis=1) > 100])


@pytest.mark.parametrize("lines", [(80,), (68, 96)])
@pytest.mark.parametrize("slope", [0.0, 0.12])
def test_what_is_crossed_out_is_not_read(lines: tuple[int, ...], slope: float) -> None:
    page = write("6358")
    for row in lines:
        down = round(slope * 150)
        cv2.line(page, (14, row + down), (340, row - down), 255, STROKE_PX, cv2.LINE_AA)
    other = write("742", 400)
    reading = read(255 - np.hstack([page, other]))
    assert reading.text == "742"
    assert len(reading.lines[0].digits) > 3  # what was crossed out is there, refused


def test_a_line_through_part_of_a_number_leaves_it_as_it_is() -> None:
    page = write("6358")
    cv2.line(page, (14, 80), (110, 80), 255, STROKE_PX, cv2.LINE_AA)
    mark = page[:, page.max(axis=0) > 0] > 100
    assert not is_struck(mark[mark.any(axis=1)], STROKE_PX)


@pytest.mark.parametrize("digit", [4, 5, 7])
def test_bars_that_join_digits_cross_nothing_out(digit: int) -> None:
    _, digits = load_mnist()
    images = [image[:, image.max(axis=0) > 100] for image in digits.images[digits.labels == digit][:90]]
    for index in range(0, 90, 3):
        row = np.zeros((28, 90), np.uint8)
        end = 2
        for image in images[index : index + 3]:
            field = row[:, end - 2 : end - 2 + image.shape[1]]
            np.maximum(field, image, out=field)
            end += image.shape[1] - 2
        large = cv2.resize(row, None, fx=3.5, fy=3.5, interpolation=cv2.INTER_CUBIC) > 60
        mark = large[:, large.any(axis=0)]
        assert not is_struck(mark[mark.any(axis=1)], STROKE_PX)

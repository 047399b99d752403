"""Light digits on a dark plate, on a lighter wall."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from mnistry import load_mnist, read

NUMBER = (4, 7, 2)


def show_plate(portion: float, turn: float = 0.0, left: int = 0, count: int = 3) -> NDArray[np.uint8]:
    """A wall of 500 x 700 pixels with a plate so many times as wide, and digits of MNIST on it."""
    _, test = load_mnist()
    width, height = round(700 * portion), round(350 * portion)
    plate = np.full((height, width), 30, np.uint8)
    side = round(0.6 * height)
    for place, digit in enumerate(NUMBER[:count]):
        image = test.images[np.flatnonzero(test.labels == digit)[2]]
        large = cv2.resize(image, (side, side), interpolation=cv2.INTER_CUBIC)
        x, y = round(0.12 * width) + round(0.72 * side) * place, round(0.2 * height)
        field = plate[y : y + side, x : x + side]
        np.maximum(field, large, out=field)
    to_wall = cv2.getRotationMatrix2D((width / 2, height / 2), turn, 1)
    to_wall[:, 2] += ((700 - width) / 2 + left, (500 - height) / 2)
    wall = np.full((500, 700), 205, np.uint8)
    return np.asarray(
        cv2.warpAffine(plate, to_wall, (700, 500), wall, cv2.INTER_LINEAR, cv2.BORDER_TRANSPARENT), np.uint8
    )


@pytest.mark.parametrize("portion", [0.3, 0.5, 0.8])
@pytest.mark.parametrize("turn", [0.0, 6.0])
def test_light_digits_on_a_dark_plate_are_read(portion: float, turn: float) -> None:
    (line,) = read(show_plate(portion, turn)).lines
    assert line.text == "472"
    for digit in line.digits:
        x, _, width, height = digit.box
        assert 350 - 350 * portion < x
        assert x + width < 350 + 350 * portion
        assert 0.08 * 350 * portion < height < 0.8 * 350 * portion


def test_plates_beside_each_other_are_read_one_by_one() -> None:
    page = np.hstack([show_plate(0.5), show_plate(0.4)])
    assert sorted(read(page).text.split("\n")) == ["472", "472"]


def test_a_single_digit_on_a_plate_is_read() -> None:
    page = show_plate(0.5, count=1)
    assert read(page).text == "4"
    assert read(page, single=True).text == "4"


@pytest.mark.parametrize("portion", [0.4, 0.9])
def test_the_outline_of_a_plate_is_no_digit(portion: float) -> None:
    """Blurred, and with a light frame around it."""
    page = show_plate(portion)
    width, height = round(700 * portion), round(350 * portion)
    corner = ((700 - width) // 2 + 6, (500 - height) // 2 + 6)
    cv2.rectangle(page, corner, (700 - corner[0], 500 - corner[1]), 230, 3)
    assert read(cv2.GaussianBlur(page, (0, 0), 2)).text == "472"


def test_a_plate_is_dark_ink_where_the_user_says_so() -> None:
    assert read(show_plate(0.5), invert=False).text == ""


@pytest.mark.parametrize("marks", [(), ((300, 250),), ((250, 250), (420, 250))])
def test_a_filled_shape_with_holes_is_no_digit(marks: tuple[tuple[int, int], ...]) -> None:
    wall = np.full((500, 700), 220, np.uint8)
    cv2.ellipse(wall, (350, 250), (200, 140), 10, 0, 360, 40, -1)
    for place in marks:
        cv2.circle(wall, place, 25, 220, -1)
    assert read(wall).text == ""

"""Pictures of what the reader did."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from mnistry.errors import ImageError
from mnistry.explanation import ACCEPTED, PANEL_PX, REFUSED, draw_overlay, draw_steps
from mnistry.readings import Digit, Line


def _digit(label: str, left: int, accepted: bool) -> Digit:
    image = np.zeros((28, 28), np.uint8)
    image[4:24, 12:16] = 255
    return Digit(label, (left, 40, 60, 100), 0.9, (), accepted, image)


@pytest.fixture
def picture() -> np.ndarray:
    picture = np.full((200, 300), 255, np.uint8)
    cv2.line(picture, (70, 50), (70, 130), 0, 6)
    cv2.line(picture, (200, 50), (200, 130), 0, 6)
    return picture


LINES = [Line((_digit("1", 40, True), _digit("7", 170, False)))]


def test_the_overlay_has_boxes_in_two_colours(picture: np.ndarray) -> None:
    overlay = draw_overlay(picture, LINES)
    assert overlay.dtype == np.uint8
    scale = overlay.shape[1] / 300
    for colour, left in ((ACCEPTED, 40), (REFUSED, 170)):
        columns = np.flatnonzero((overlay == colour).all(axis=2).any(axis=0))
        assert abs(columns.min() - left * scale) <= 3


def test_boxes_of_a_larger_original_are_drawn_in_place(picture: np.ndarray) -> None:
    large = [
        Line(tuple(Digit("1", tuple(4 * v for v in d.box), 0.9, (), True, d.image) for d in LINES[0].digits))
    ]
    assert np.array_equal(
        (draw_overlay(picture, large, (800, 1200)) == ACCEPTED).all(axis=2).nonzero()[1].min(),
        (draw_overlay(picture, LINES) == ACCEPTED).all(axis=2).nonzero()[1].min(),
    )


def test_the_steps_show_the_picture_and_what_the_network_saw(picture: np.ndarray) -> None:
    steps = draw_steps(picture, LINES)
    assert steps.shape[1:] == (PANEL_PX, 3)
    assert steps.shape[0] > 2 * 200 + 128 + 56
    assert (steps == 255).all(axis=2).any()


def test_a_picture_without_ink_has_no_steps() -> None:
    with pytest.raises(ImageError, match="no ink"):
        draw_steps(np.full((100, 100), 255, np.uint8), [])

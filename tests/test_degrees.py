"""Degree signs are no small 0s, and cents that are written high up no degrees."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from drawing import write_rows
from mnistry import read
from mnistry.grouping import group_lines
from mnistry.segmentation import Mark


def draw_ring(page: np.ndarray, left: int, middle: int, radius: int = 11) -> None:
    cv2.ellipse(page, (left + radius, middle), (radius, radius), 0, 0, 360, 0, 5, cv2.LINE_AA)


@pytest.mark.parametrize("number", ["7", "38", "21"])
@pytest.mark.parametrize("unit", ["", "C"])
@pytest.mark.parametrize("word", ["", "Cellar"])
def test_a_ring_high_up_behind_a_number_is_no_0(number: str, unit: str, word: str) -> None:
    left = 330 if word else 30
    page = write_rows([(word, number, left)], 170, 1.2)
    end = int(np.flatnonzero((page < 128).any(axis=0))[-1])
    draw_ring(page, end + 8, 48)
    if unit:
        cv2.putText(page, unit, (end + 44, 110), cv2.FONT_HERSHEY_SIMPLEX, 2.2, 0, 5, cv2.LINE_AA)
    assert read(page).text.replace(" ", "") == number


def test_cents_that_are_written_small_are_digits() -> None:
    page = write_rows([("", "47", 30)], 170, 1.0)
    end = int(np.flatnonzero((page < 128).any(axis=0))[-1])
    for place in range(2):
        draw_ring(page, end + 10 + 40 * place, 52, 15)
    (line,) = read(page).lines
    assert line.text.replace(" ", "") == "4700"


def test_a_last_0_half_as_high_as_the_others_is_a_digit() -> None:
    page = write_rows([("", "47", 30)], 170, 1.0)
    end = int(np.flatnonzero((page < 128).any(axis=0))[-1])
    draw_ring(page, end + 14, 54, 16)
    assert read(page).text.replace(" ", "") == "470"


@pytest.mark.parametrize(("top", "lines"), [(30, 1), (58, 1), (4, 2)])
def test_a_small_mark_at_the_top_of_the_last_one_is_of_its_line(top: int, lines: int) -> None:
    """The letters before it are lower than the digit, so it is above their line."""
    boxes = [(20, 60, 40, 40), (70, 62, 40, 38), (200, 40, 50, 70), (260, top, 20, 20)]
    marks = [Mark(box, np.full((box[3], box[2]), 255, np.uint8)) for box in boxes]
    assert len(group_lines(marks)) == lines

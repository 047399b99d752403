"""Marks put together to lines."""

from __future__ import annotations

import numpy as np
import pytest

from mnistry.segmentation import Mark, find_slope, find_typical_height, group_lines


def place(
    rows: int, columns: int, gap: float, pitch: float, slope: float, jitter: float = 0.0
) -> tuple[list[Mark], list[list[Mark]]]:
    """Marks 40 pixels high in rows that fall by `slope`, gap and pitch in their heights; all, and by rows."""
    rng = np.random.default_rng(0)
    lines = []
    for row in range(rows):
        line = []
        for column in range(columns):
            x = round(50 + column * 40 * gap)
            y = round(400 + row * 40 * pitch + slope * x + rng.normal(0, 40 * jitter))
            line.append(Mark((x, y, 26, 40), np.full((40, 26), 255, np.uint8)))
        lines.append(line)
    marks = [mark for line in lines for mark in line]
    return [marks[index] for index in rng.permutation(len(marks))], lines


def boxes_of(marks: list[Mark]) -> np.ndarray:
    return np.array([mark.box for mark in marks], np.int32)


@pytest.mark.parametrize("slope", [-0.25, -0.1, 0.0, 0.12, 0.22])
@pytest.mark.parametrize("gap", [0.9, 2.5, 4.5])
def test_lines_that_rise_or_fall_are_found_however_far_apart_their_digits_are(slope, gap) -> None:
    marks, lines = place(4, 6, gap, 2.0, slope, jitter=0.06)
    found = group_lines(marks)
    assert [[mark.box for mark in line] for line in found] == [[mark.box for mark in line] for line in lines]
    assert all(mark in marks for line in found for mark in line)  # with the ink and the places they had


@pytest.mark.parametrize("slope", [-0.2, 0.0, 0.15])
def test_the_slope_of_a_page_is_that_of_its_lines(slope: float) -> None:
    marks, _ = place(5, 8, 1.5, 2.2, slope, jitter=0.05)
    boxes = boxes_of(marks)
    assert find_slope(boxes, find_typical_height(boxes)) == pytest.approx(slope, abs=0.015)


def test_digits_below_each_other_and_few_digits_have_no_slope() -> None:
    column, _ = place(9, 1, 1, 1.8, 0.0)
    assert find_slope(boxes_of(column), 40) == 0
    assert [len(line) for line in group_lines(column)] == [1] * 9
    two, _ = place(2, 2, 3, 2, 0.1)
    assert find_slope(boxes_of(two), 40) == 0


def test_dirt_has_no_say() -> None:
    marks, _ = place(3, 5, 1.2, 2.0, 0.0)
    rng = np.random.default_rng(1)
    dirt = [
        Mark((*rng.integers(0, 900, 2).tolist(), 4, 4), np.full((4, 4), 255, np.uint8)) for _ in range(40)
    ]
    assert find_slope(boxes_of([*marks, *dirt]), 40) == 0

"""By how much the lines of a page rise or fall."""

from __future__ import annotations

import numpy as np
import pytest

from mnistry.slopes import find_slope


def place(rows: int, columns: int, gap: float, pitch: float, slope: float, jitter: float = 0.0) -> np.ndarray:
    """Boxes 40 pixels high in rows that fall by `slope`, gap and pitch in their heights."""
    rng = np.random.default_rng(0)
    row, column = (part.ravel() for part in np.indices((rows, columns)))
    x = 50 + column * 40 * gap
    y = 400 + row * 40 * pitch + slope * x + rng.normal(0, 40 * jitter, x.shape)
    return np.stack([x, y, np.full(x.shape, 26), np.full(x.shape, 40)], axis=1).astype(np.int32)


@pytest.mark.parametrize("slope", [-0.2, 0.0, 0.15])
@pytest.mark.parametrize("gap", [1.2, 3.0])
def test_it_is_that_of_the_lines(slope: float, gap: float) -> None:
    assert find_slope(place(5, 8, gap, 2.2, slope, jitter=0.05), 40) == pytest.approx(slope, abs=0.015)


def test_few_marks_and_columns_have_none() -> None:
    assert find_slope(place(9, 1, 1, 1.8, 0.0), 40) == 0
    assert find_slope(place(2, 2, 3, 2, 0.1), 40) == 0
    two = place(5, 2, 4.0, 2.0, 0.0)
    two[1::2, 1] += 36  # two columns of single digits, one lower
    assert find_slope(two, 40) == 0


def test_dirt_that_lies_in_falling_rows_has_no_say() -> None:
    marks = place(3, 5, 1.2, 2.0, 0.0)
    dirt = place(4, 12, 1.0, 3.0, 0.2)
    dirt[:, 2:] = 5
    assert find_slope(np.concatenate([marks, dirt]), 40) == 0
    dirt[:, 2:] = 40
    assert find_slope(np.concatenate([marks, dirt]), 40) == pytest.approx(0.2, abs=0.02)

"""A line made upright."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from mnistry.segmentation import find_marks
from mnistry.straightening import MARGIN_PX, STRIP_PX, straighten


def write_bars(height: int, slope: float = 0.0, slant: float = 0.0) -> np.ndarray:
    """Ink of six bars in a row that falls by `slope`, leaning to the right by `slant`."""
    ink = np.zeros((900, 1200), np.uint8)
    for number in range(6):
        x = 200 + number * 1.2 * height
        y = 450 + slope * (x - 500)
        top = (round(x + slant * height / 2), round(y - height / 2))
        bottom = (round(x - slant * height / 2), round(y + height / 2))
        cv2.line(ink, top, bottom, 255, max(3, height // 12), cv2.LINE_AA)
    return ink


@pytest.mark.parametrize("height", [20, 60, 120])
@pytest.mark.parametrize(("slope", "slant"), [(0.0, 0.0), (0.2, 0.0), (-0.15, 0.3), (0.0, 0.5)])
def test_bars_come_out_level_upright_and_of_one_height(height: int, slope: float, slant: float) -> None:
    strip = straighten(find_marks(write_bars(height, slope, slant)))
    assert strip.ink.shape[0] == pytest.approx(STRIP_PX + 2 * MARGIN_PX, abs=12)
    bars = sorted(find_marks(strip.ink), key=lambda mark: mark.box[0])
    assert len(bars) == 6
    boxes = np.array([bar.box for bar in bars])
    assert np.ptp(boxes[:, 1]) <= 6  # level
    np.testing.assert_allclose(boxes[:, 3], STRIP_PX, atol=10)
    assert boxes[:, 2].max() < 0.35 * STRIP_PX  # upright


def test_places_on_the_strip_are_those_on_the_page() -> None:
    page = write_bars(60, 0.15, 0.2)
    strip = straighten(find_marks(page))
    rows, columns = np.nonzero(strip.ink > 200)
    x, y = strip.to_page @ np.vstack([columns, rows, np.ones(len(rows))])
    assert (page[np.rint(y).astype(int), np.rint(x).astype(int)] > 100).mean() > 0.9

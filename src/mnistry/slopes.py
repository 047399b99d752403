"""By how much the lines of a page rise or fall, all of them alike."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SMALL_PORTION = 0.4  # of the digits' height: marks less high tell nothing about lines
SLOPES = np.arange(-30, 31) * 0.01  # rows a column
LEAST_IN_ROWS = 6  # marks
BINS, SPREAD = 8, 0.25  # to a digit's height; the part of it that marks of one line differ in height
CLOSER = 1.1  # times as close as in level rows
ABREAST = 2.3  # marks in a row, in the mean
NEAR = 2.0  # digits' heights between the middles of neighbours


def find_slope(boxes: NDArray[np.int32], typical: float) -> float:
    """Return by how many rows a column the lines of a page fall, all of them, as far as it is certain.

    It is the slope at which the marks' middles lie closest together in rows. Few marks may lie in rows by
    chance, and so may two columns: there it is 0, and where level rows are about as close.

    Args:
        boxes: (n, 4): x, y, width, height of the marks.
        typical: height of the digits.
    """
    large = boxes[boxes[:, 3] >= SMALL_PORTION * typical].astype(np.float64)
    if len(large) < LEAST_IN_ROWS:
        return 0.0
    x, y = large[:, 0] + large[:, 2] / 2, large[:, 1] + large[:, 3] / 2
    bin_px = max(1.0, typical / BINS)
    kernel = np.exp(-0.5 * (np.arange(-2 * BINS, 2 * BINS + 1) / (SPREAD * BINS)) ** 2)

    def measure(slope: float) -> float:
        rows = (y - slope * x) / bin_px
        counts = np.bincount((rows - rows.min()).astype(np.int64))
        return float(counts @ np.convolve(counts, kernel)[2 * BINS : 2 * BINS + len(counts)])

    closeness = np.array([measure(slope) for slope in SLOPES])
    best = int(np.argmax(closeness * (1 - np.abs(SLOPES))))
    if closeness[best] < max(CLOSER * measure(0.0), ABREAST * len(large)):
        return 0.0
    # The rows of columns that do not stand level may lie in rows, too, but there neighbours are level.
    across, down = x[None] - x[:, None], y[None] - y[:, None]
    beside = (across > 0) & (across < NEAR * typical) & (np.abs(down) < typical)
    if beside.any() and abs(np.median((down - SLOPES[best] * across)[beside])) > abs(np.median(down[beside])):
        return 0.0
    return float(SLOPES[best])

"""A line of marks made upright: turned level, its slanted strokes straight, its digits of one height."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mnistry.pictures import Gray
from mnistry.segmentation import Mark, find_typical_height, paint_marks
from mnistry.slopes import SMALL_PORTION

STRIP_PX = 64  # height of a straightened line's digits
MOST_STRIP_PIXELS = 2_000_000  # of a line: some 250 digits; what would be longer is made less high
MARGIN_PX = 32  # around them, for what reaches above and below
MAX_SLANT = 0.7  # horizontal per vertical pixel
MOST_SLANT_PX = 2000  # width, while the slant is measured, of a mark 32 pixels high


@dataclass(frozen=True)
class Strip:
    """A line of writing made upright and STRIP_PX high.

    Attributes:
        ink: (STRIP_PX + 2 MARGIN_PX, any width) uint8.
        to_page: (2, 3), the affine map from the strip's (x, y) to the page's.
    """

    ink: Gray
    to_page: NDArray[np.float64]


def straighten(line: Sequence[Mark]) -> Strip:
    """Return the line's ink turned level, its slanted strokes upright, its digits STRIP_PX high."""
    import cv2

    ink, (left, top) = paint_marks(line)
    heights = np.array([mark.box[3] for mark in line], np.float64)
    large = [mark for mark in line if mark.box[3] >= SMALL_PORTION * heights.max()]
    slope = _fit_slope(large)
    typical = find_typical_height(np.array([mark.box for mark in large]))
    scale = STRIP_PX / typical
    slant = measure_slant([mark.ink for mark in large])
    # page (relative to left, top) -> strip: level, upright, scaled; then moved so that nothing is cut.
    matrix = scale * np.array([[1.0, slant], [0.0, 1.0]]) @ np.array([[1.0, 0.0], [-slope, 1.0]])
    offset, size = _place_strip(line, ink.shape, (left, top), matrix)
    if (too_large := math.prod(size) / MOST_STRIP_PIXELS) > 1:
        matrix, scale = matrix / math.sqrt(too_large), scale / math.sqrt(too_large)
        offset, size = _place_strip(line, ink.shape, (left, top), matrix)
    if scale < 0.5:
        ink = np.asarray(cv2.GaussianBlur(ink, (0, 0), 0.35 / scale), np.uint8)
    full = np.column_stack([matrix, offset])
    strip = cv2.warpAffine(ink, full, size, flags=cv2.INTER_LINEAR if scale < 2 else cv2.INTER_CUBIC)
    to_page = cv2.invertAffineTransform(full)
    to_page[:, 2] += (left, top)
    return Strip(np.asarray(strip, np.uint8), np.asarray(to_page, np.float64))


def _place_strip(
    line: Sequence[Mark], shape: tuple[int, ...], origin: tuple[int, int], matrix: NDArray[np.float64]
) -> tuple[NDArray[np.float64], tuple[int, int]]:
    """Return what to add to what `matrix` gives, so that all marks are on the strip, and its (width, height).

    Args:
        line: the marks.
        shape: (height, width) of the picture with their ink alone, which begins at `origin` (x, y).
        origin: see there.
        matrix: (2, 2), from that picture to the strip.
    """
    frame = matrix @ np.array([[0, shape[1], 0, shape[1]], [0, 0, shape[0], shape[0]]], np.float64)
    offset = MARGIN_PX - frame.min(axis=1)
    # What lies outside the marks is left out, by whole pixels: a line may rise across the whole page.
    boxes = np.array([mark.box for mark in line], np.float64)
    starts = boxes[:, :2] - origin
    (x, y), (right, bottom) = starts.T, (starts + boxes[:, 2:]).T
    corners = matrix @ np.array([np.hstack([x, right, x, right]), np.hstack([y, y, bottom, bottom])])
    first = np.floor(corners.min(axis=1) + offset - MARGIN_PX + 1e-6)  # never less than 0
    size = np.ceil(corners.max(axis=1) + offset + MARGIN_PX) - first
    return offset - first, (int(size[0]), int(size[1]))


def _fit_slope(line: Sequence[Mark]) -> float:
    """Return how far the line falls per pixel to the right."""
    if len(line) < 3:
        return 0.0
    x = np.array([mark.box[0] + mark.box[2] / 2 for mark in line])
    middle = np.array([mark.box[1] + mark.box[3] / 2 for mark in line])
    slopes = (middle[:, None] - middle)[np.triu_indices(len(line), 1)] / np.where(
        (steps := (x[:, None] - x)[np.triu_indices(len(line), 1)]) == 0, 1, steps
    )
    far = np.abs(steps) > np.ptp(x) / 4
    return float(np.clip(np.median(slopes[far]), -0.5, 0.5)) if far.any() else 0.0


def measure_slant(inks: Sequence[Gray]) -> float:
    """Return the slant of the strokes of some marks, horizontal per vertical pixel to the right going up.

    It is the shear under which their columns are most unequal.
    """
    import cv2

    small = []
    for ink in inks:
        size = (min(MOST_SLANT_PX, max(1, round(ink.shape[1] * 32 / len(ink)))), 32)
        small.append(np.asarray(cv2.resize(ink, size, interpolation=cv2.INTER_AREA), np.uint8))
    rows = [_stand_side_by_side(small[first : first + 50]) for first in range(0, len(small), 50)]
    best, best_score = 0.0, -1.0
    for slant in np.arange(-0.4, MAX_SLANT + 0.01, 0.1):
        score = 0.0
        matrix = np.array([[1, slant, 16 if slant >= 0 else 16 - 32 * slant], [0, 1, 0]])
        for ink, starts in rows:
            profile = cv2.warpAffine(ink, matrix, ink.shape[::-1]).sum(axis=0, dtype=np.float64)
            squares, sums = np.add.reduceat(profile**2, starts), np.add.reduceat(profile, starts)
            score += sum((squares / np.maximum(1.0, sums)).tolist())
        score *= 1 - 0.08 * abs(slant)  # upright where there is little to tell
        if score > best_score:
            best, best_score = float(slant), score
    return best


def _stand_side_by_side(inks: Sequence[Gray]) -> tuple[Gray, NDArray[np.int64]]:
    """Return pictures of 32 rows in one, with 64 free columns right of each, and where each begins."""
    starts = np.cumsum([0, *(ink.shape[1] + 64 for ink in inks)])
    row = np.zeros((32, int(starts[-1])), np.uint8)
    for ink, start in zip(inks, starts.tolist(), strict=False):
        row[:, start : start + ink.shape[1]] = ink
    return row, starts[:-1]

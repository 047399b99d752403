"""From the ink of a page to its marks: what is connected, without dirt, rules and surroundings.

`ink` is (height, width) uint8, bright on 0. Nothing here knows what a digit looks like.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mnistry.errors import CrowdedError
from mnistry.imaging import Box, measure_stroke
from mnistry.pictures import Gray
from mnistry.pixels import find_connected
from mnistry.rules import MARK_LEVEL

MOST_MARKS = 1000  # on a page: more is no writing, and would take long
MOST_COVERED = 8  # times the page's area: the boxes of all marks together
MUCH_GRAIN = 30  # marks
FEW_MARKS = 3  # large ones are writing, one or two may be anything,
GRAIN_HEIGHTS = 4.0  # times as high as grain,
GRAIN_LEVEL = 190  # whose ink has less than this level in the mean
POINT_PX, MOST_POINTS = 3, 0.85  # or such a portion of it is not larger, or specks, at most
SPECK_PX = 10  # so long,
LONGEST_SPECK = 2  # times as long as wide,
SPECK_FILLED = 0.5  # and such a portion of their box is ink, at least
DIRT_PORTION = 0.12  # of the digits' height: a mark less long is dirt
FRAME_PORTION = 0.5  # of the picture's side
RIM_HEIGHTS = 3.0  # of the digits: what is longer along a border is none
SPACIOUS = 2.0  # times as high as the digits is a page, no cutting around them: there no mark is one that
SLIVER_ALONG, SLIVER_THICKNESS = 0.8, 0.35  # of the length lies on the border, if it is so thick at most
SLIVER_HEIGHTS = 1.3  # of the digits: what is not longer may be one,
WEDGE = 2.0  # but not so many times thicker at one end,
SLIVER_STROKES, LIKE_DIGITS = 0.4, 1.5  # nor so thin for their strokes; they are up to so many times as high

ALIKE = 0.25  # of its height, by which others' differ that are such lines, too
UPRIGHT = 1.2  # times as high as broad are most digits, and signs are not
UPRIGHT_HEIGHTS = 3.0  # of the digits: what is longer, and narrow, parts columns,
LEAST_PORTION = 0.12  # where there are FEW_MARKS digits, of its length each at least
HAIR_HEIGHTS, HAIR_STROKES = 1.15, 0.5  # of the digits: what is higher than all, and so thin, frames them
RULE_HEIGHTS = 2.0  # of the digits: what is longer, and low, underlines or strikes out
DASH_HEIGHT = 0.2  # of the digits: what is no higher, and wider than high, is a dash,
DASH_GAP, DASH_DOWN = 0.7, 0.1  # digits' heights from one to the next of a dashed rule, across and down,
FEW_DASHES = 5  # which has so many at least
BAR_GAP = 0.3  # of the digits' height, at most, between the bar of a torn 5 or 7 and the rest


@dataclass(frozen=True)
class Mark:
    """Connected ink.

    Attributes:
        box: (x, y, width, height) in pixels of the page.
        ink: (height, width) uint8, this mark's ink alone.
        cell: the number of the cell of a table that it is in, from 1 on; 0 where it is in none.
    """

    box: Box
    ink: Gray
    cell: int = 0

    @property
    def bottom(self) -> int:
        """The first row below the mark."""
        return self.box[1] + self.box[3]

    @property
    def right(self) -> int:
        """The first column right of the mark."""
        return self.box[0] + self.box[2]


def find_marks(ink: Gray, name: str = "", cells: Sequence[Box] = ()) -> list[Mark]:
    """Return what is connected in the ink, without dirt and without what frames the page.

    Args:
        ink: (height, width) uint8.
        name: what an error calls the picture; empty for "the picture".
        cells: those of tables on the page, in the order of their numbers.

    Raises:
        CrowdedError: there are more than MOST_MARKS, or they lie around each other.
    """
    labels, stats = find_connected(ink >= MARK_LEVEL)
    count = len(stats)
    if count == 1:
        return []
    boxes = np.asarray(stats[1:, :4], np.int32)
    rows, columns = ink.shape
    ends = boxes[:, :2] + boxes[:, 2:]
    touching = (boxes[:, :2] == 0).any(axis=1) | (ends == (columns, rows)).any(axis=1)
    # Noise has a hundred thousand marks: only the few that can be part of a frame are looked at one by one.
    framing = _ask_each(_is_frame, boxes, touching, ink.shape)
    if framing.all():
        framing[:] = False
    typical = find_typical_height(boxes[~framing])
    free = np.flatnonzero(~framing & ~touching)
    if is_grain(boxes[free], typical):
        sums = np.bincount(labels.ravel(), weights=ink.ravel(), minlength=count)[1:].astype(np.float64)
        typical = see_past_grain(boxes[free], stats[1:, 4][free], sums[free], typical)
    framing |= _ask_each(_is_rim, boxes, touching, ink.shape, typical)
    if len(free) >= FEW_MARKS and min(ink.shape) > SPACIOUS * typical:
        framing |= _find_slivers(ink, labels, boxes, free, typical)
    framing |= (boxes[:, 2] > RULE_HEIGHTS * typical) & (boxes[:, 3] < boxes[:, 2] / 8)
    framing |= _find_margin_lines(boxes, framing)
    framing |= _find_hairlines(ink, labels, stats[1:], framing, typical)
    kept = np.flatnonzero(~framing & (boxes[:, 2:].max(axis=1) >= DIRT_PORTION * typical))
    covered = int((boxes[kept, 2].astype(np.int64) * boxes[kept, 3]).sum())
    if len(kept) > MOST_MARKS or covered > MOST_COVERED * ink.size:
        raise CrowdedError(
            f"{name or 'the picture'} has {len(kept):,} marks, which is no page of digits (at most "
            f"{MOST_MARKS:,}, with boxes of {MOST_COVERED} times the page's area together; here it is "
            f"{covered / ink.size:.1f} times). Crop it to the digits, or photograph them in better light"
        )
    marks = []
    for index in kept[~_find_dashed_rules(boxes[kept], typical)].tolist():
        x, y, width, height = boxes[index].tolist()
        inside = (slice(y, y + height), slice(x, x + width))
        alone = np.where(labels[inside] == index + 1, ink[inside], np.uint8(0))
        cell = _find_cell(x + width / 2, y + height / 2, cells)
        marks.append(Mark((x, y, width, height), alone, cell))
    return marks


def _find_cell(x: float, y: float, cells: Sequence[Box]) -> int:
    """Return the number, from 1 on, of the cell in which a point lies; 0 where it lies in none."""
    for number, (left, top, width, height) in enumerate(cells, 1):
        if left <= x < left + width and top <= y < top + height:
            return number
    return 0


def _ask_each(
    question: Callable[..., bool], boxes: NDArray[np.int32], asked: NDArray[np.bool_], *rest: object
) -> NDArray[np.bool_]:
    """Return the answer for every box that is asked for, and False for the others."""
    answers = np.zeros(len(boxes), np.bool_)
    answers[asked] = [question(box, *rest) for box in boxes[asked].tolist()]
    return answers


def find_typical_height(boxes: NDArray[np.int32]) -> float:
    """Return the height of most of the ink: the median of the heights, each weighted by itself."""
    heights = np.sort(boxes[:, 3]).astype(np.float64)
    return float(heights[np.searchsorted(np.cumsum(heights), heights.sum() / 2)])


def is_grain(boxes: NDArray[np.int32], typical: float) -> bool:
    """Return whether most marks may be grain: there are many, and several are far higher than is typical."""
    if len(boxes) < MUCH_GRAIN:
        return False
    return bool(np.count_nonzero(boxes[:, 3] > GRAIN_HEIGHTS * typical) >= FEW_MARKS)


def see_past_grain(
    boxes: NDArray[np.int32], areas: NDArray[np.number], sums: NDArray[np.float64], typical: float
) -> float:
    """Return the typical height again, or, where that is of grain, the height of most of the ink's area.

    Grain is fainter than writing, as its marks just reach the threshold, or, in a scan of black and white,
    nearly all of it are points or specks. `areas` are of the marks' ink, `sums` of its levels.
    """
    order = np.argsort(boxes[:, 3], kind="stable")
    heights, total = boxes[order, 3], np.cumsum(areas[order])
    height = float(heights[np.searchsorted(total, total[-1] / 2)])
    if height <= GRAIN_HEIGHTS * typical or np.count_nonzero(heights > height / 2) < FEW_MARKS:
        return typical
    small = boxes[:, 3] < height / GRAIN_HEIGHTS
    faint = sums[small].sum() < GRAIN_LEVEL * areas[small].sum()
    across, down = boxes[small, 2], boxes[small, 3]
    longer, shorter = np.maximum(across, down), np.minimum(across, down)
    specks = (longer <= np.minimum(SPECK_PX, LONGEST_SPECK * shorter)) & (
        areas[small] >= SPECK_FILLED * across * down
    )
    points = ((longer <= POINT_PX) | specks).mean() >= MOST_POINTS
    return height if faint or points else typical


def _is_frame(box: Sequence[int], shape: tuple[int, ...]) -> bool:
    """Return whether a mark is a rim of the picture or a rule: very long, narrow, and along a border."""
    x, y, width, height = box
    if width >= height:
        return (
            width > FRAME_PORTION * shape[1]
            and height < width / 8
            and (y == 0 or y + height == shape[0] or x == 0 or x + width == shape[1])
        )
    return height > FRAME_PORTION * shape[0] and width < height / 8 and (x == 0 or x + width == shape[1])


def _find_margin_lines(boxes: NDArray[np.int32], framing: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which marks are narrow and far higher than the digits, of which there must be a few.

    What is as broad as high, or lower, are signs, beside which the lines may be 1s.
    """
    lines = np.zeros(len(boxes), np.bool_)
    widths, heights = boxes[:, 2], boxes[:, 3]
    narrow = (widths < heights / 8) & ~framing
    for index in np.flatnonzero(narrow & (heights >= heights.max() / 2)):
        alike = narrow & (np.abs(heights - heights[index]) <= ALIKE * heights[index])
        others = ~alike & ~framing & (heights > LEAST_PORTION * heights[index])
        if np.count_nonzero(others & (heights > UPRIGHT * widths)) >= FEW_MARKS:
            lines[index] = heights[index] > UPRIGHT_HEIGHTS * find_typical_height(boxes[others])
    return lines


def _find_hairlines(
    ink: Gray,
    labels: NDArray[np.int32],
    stats: NDArray[np.int32],
    framing: NDArray[np.bool_],
    typical: float,
) -> NDArray[np.bool_]:
    """Return which marks are upright, beside all digits, higher than these and far thinner than the strokes.

    `stats` are (x, y, width, height, area) of the marks: the side of a box is such, no 1 by the same pen.
    """
    found = np.zeros(len(stats), np.bool_)
    lefts, _, widths, heights, areas = stats.T
    upright = ~framing & (heights > typical) & (widths < heights / 8)
    digits = np.flatnonzero(~framing & ~upright & (heights > typical / LIKE_DIGITS))
    if upright.any() and len(digits) >= FEW_MARKS:
        rights = lefts + widths
        beside = (rights <= lefts[digits].min()) | (lefts >= rights[digits].max())
        stroke_px = measure_stroke(np.where(np.isin(labels, digits + 1), ink, np.uint8(0)))
        thin = areas < HAIR_STROKES * stroke_px * heights
        found = upright & beside & thin & (heights > HAIR_HEIGHTS * heights[digits].max())
    return found


def _find_dashed_rules(boxes: NDArray[np.int32], typical: float) -> NDArray[np.bool_]:
    """Return which marks are the dashes, many in a row, of a rule that is dashed, dotted, or faint.

    The torn-off bars of 5s and 7s are none: each has the rest of its digit below it.
    """
    found = np.zeros(len(boxes), np.bool_)
    x, y, width, height = boxes.T
    low = (height <= DASH_HEIGHT * typical) & (width >= height)
    large = np.flatnonzero(height >= typical / LIKE_DIGITS)
    rows: list[list[int]] = []  # that may go on; dashes come from left to right
    for index in np.flatnonzero(low)[np.argsort(x[low], kind="stable")].tolist():
        below = y[large] - (y[index] + height[index])
        shared = np.minimum(x[large] + width[large], x[index] + width[index]) - np.maximum(x[large], x[index])
        if ((shared > 0) & (np.abs(below) <= BAR_GAP * typical)).any():
            continue
        middle = y[index] + height[index] / 2
        rows = [row for row in rows if x[index] - (x + width)[row[-1]] <= DASH_GAP * typical]
        for row in rows:
            if abs(middle - y[row[-1]] - height[row[-1]] / 2) <= DASH_DOWN * typical:
                row.append(index)
                break
        else:
            row = [index]
            rows.append(row)
        if len(row) >= FEW_DASHES:
            found[row] = True
    return found


def _is_rim(box: Sequence[int], shape: tuple[int, ...], typical: float) -> bool:
    """Return whether a mark is part of what surrounds the paper: along a border, far longer than a digit."""
    x, y, width, height = box
    if x == 0 or x + width == shape[1]:
        return height > RIM_HEIGHTS * typical and width < height / 4
    if y == 0 or y + height == shape[0]:  # where touching digits may be long too, but not so low
        return width > RIM_HEIGHTS * typical and height < typical / 2
    return False


def _find_slivers(
    ink: Gray,
    labels: NDArray[np.int32],
    boxes: NDArray[np.int32],
    free: NDArray[np.intp],
    typical: float,
) -> NDArray[np.bool_]:
    """Return which marks are narrow and lie along a border as a whole: a bit of what is beside the paper.

    What is as high as the digits there may be a 1, unless it is a wedge, or far thinner than the strokes of
    those as high as digits that are `free` of the border.
    """
    slivers = np.zeros(len(boxes), np.bool_)
    digits = free[np.abs(np.log(boxes[free, 3] / typical)) < np.log(LIKE_DIGITS)]
    stroke_px = 0.0
    for side, axis in ((labels[0], 1), (labels[-1], 1), (labels[:, 0], 0), (labels[:, -1], 0)):
        length, thickness = (boxes[:, 3], boxes[:, 2]) if axis == 0 else (boxes[:, 2], boxes[:, 3])
        along = np.bincount(side, minlength=len(boxes) + 1)[1:]
        narrow = (along >= SLIVER_ALONG * length) & (thickness < SLIVER_THICKNESS * length)
        for index in np.flatnonzero(narrow):
            x, y, width, height = boxes[index].tolist()
            stroke_px = stroke_px or measure_stroke(np.where(np.isin(labels, digits + 1), ink, np.uint8(0)))
            profile = (labels[y : y + height, x : x + width] == index + 1).sum(axis=1 - axis)
            ends = [part.sum() for part in (profile[: len(profile) // 4], profile[-(len(profile) // 4) :])]
            slivers[index] |= (
                length[index] > SLIVER_HEIGHTS * typical
                or max(ends) > WEDGE * min(ends)
                or thickness[index] < SLIVER_STROKES * stroke_px
            )
    return slivers


def paint_marks(marks: Sequence[Mark]) -> tuple[Gray, tuple[int, int]]:
    """Return the ink of some marks in one picture, and where on the page (x, y) it begins."""
    left, top = min(mark.box[0] for mark in marks), min(mark.box[1] for mark in marks)
    right, bottom = max(mark.right for mark in marks), max(mark.bottom for mark in marks)
    ink = np.zeros((bottom - top, right - left), np.uint8)
    for mark in marks:
        x, y, width, height = mark.box[0] - left, mark.box[1] - top, *mark.box[2:]
        field = ink[y : y + height, x : x + width]
        np.maximum(field, mark.ink, out=field)
    return ink, (left, top)

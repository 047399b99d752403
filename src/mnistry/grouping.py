"""From marks to lines, in reading order. Nothing here knows what a digit looks like."""

from __future__ import annotations

import heapq
import statistics
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mnistry.imaging import Box
from mnistry.rules import MARK_LEVEL
from mnistry.segmentation import Mark, find_typical_height, is_grain, see_past_grain
from mnistry.slopes import SMALL_PORTION, find_slope

LEAST_HEIGHT_PX = 7  # of the largest mark in a line
INSIDE = 0.7  # of a mark's height that is at that of a line, if it is a part of it
SIGN_HEIGHT = 0.66  # of those beside it: so high is a comma or an asterisk, which hardly is at their height
RAISED, BEHIND = 0.5, 0.6  # and so high, and so far behind the one before it, a raised one, as of degrees
BROKEN_HEIGHT = 1.25  # times as high as those beside it is a digit in two parts, at most,
NEAR = 0.1  # of their height apart, from side to side; one whose stem is torn off, from top to bottom,
STEM = 0.3  # and at most so wide is that
MOST_MERGED = 100  # lines of a page that are compared with each other for that
FEW_SMALL, MOST_SMALL = 2, 60  # marks too small for the other lines that may be lines of their own,
SMALL_PX, SMALL_ALIKE = 12, 1.6  # where they are so high, and hardly differ in that


def group_lines(marks: Sequence[Mark]) -> list[list[Mark]]:
    """Return the marks line by line, from top to bottom, each from left to right.

    Where all lines rise or fall alike, they are made level first. A mark joins the line whose last marks it
    stands beside; small marks (dots, dashes, parts of broken strokes) join the nearest line afterwards. Of
    what is far from all some may be lines of small digits. What is less than LEAST_HEIGHT_PX high everywhere
    is no line: grain, or what is left of a printed one.
    """
    if not marks:
        return []
    boxes = np.array([mark.box for mark in marks], np.int32)
    typical = find_typical_height(boxes)
    if is_grain(boxes, typical):
        inked = [mark.ink[mark.ink >= MARK_LEVEL] for mark in marks]
        areas, sums = np.array([ink.size for ink in inked]), np.array([float(ink.sum()) for ink in inked])
        typical = see_past_grain(boxes, areas, sums, typical)
    slope = find_slope(boxes, typical)
    level = [
        replace(mark, box=(x, y - round(slope * (x + width / 2)), width, height))
        for mark, (x, y, width, height) in zip(marks, boxes.tolist(), strict=True)
    ]
    numbers = {id(mark): number for number, mark in enumerate(level)}
    lines = [[marks[numbers[id(mark)]] for mark in line] for line in _group_level(level, typical)]
    return [line for line in lines if max(mark.box[3] for mark in line) >= LEAST_HEIGHT_PX]


def _group_level(marks: Sequence[Mark], typical: float) -> list[list[Mark]]:
    """Return the marks line by line, as `group_lines` does, where lines are about level."""
    large = sorted(
        (mark for mark in marks if mark.box[3] >= SMALL_PORTION * typical), key=lambda mark: mark.box[0]
    )
    lines: list[list[Mark]] = []
    nearest: list[list[Mark]] = []  # of every line: the three marks that reach furthest to the right
    spans = np.zeros((len(large), 2))  # their median top and bottom
    for mark in large:
        top, bottom = spans[: len(lines)].T
        shared = np.minimum(bottom, mark.bottom) - np.maximum(top, mark.box[1])
        overlaps = shared / np.maximum(1.0, np.minimum(bottom - top, mark.box[3]))
        if len(lines) and overlaps.max() > 0.4:
            number = int(np.argmax(overlaps))
            lines[number].append(mark)
        else:
            number = len(lines)
            lines.append([mark])
            nearest.append([])
        nearest[number] = heapq.nlargest(3, [*nearest[number], mark], key=lambda other: other.right)
        spans[number, 0] = statistics.median(other.box[1] for other in nearest[number])
        spans[number, 1] = statistics.median(other.bottom for other in nearest[number])
    small = [mark for mark in marks if mark.box[3] < SMALL_PORTION * typical]
    lines = _merge_lines(lines, np.array([mark.box for mark in small], np.int64).reshape(-1, 4))
    lines += _group_small(_add_small(lines, small))
    for line in lines:
        line.sort(key=lambda mark: mark.box[0] + mark.box[2] / 2)
    return sorted(lines, key=lambda line: float(np.mean([mark.box[1] + mark.box[3] / 2 for mark in line])))


def _merge_lines(lines: Sequence[list[Mark]], small: NDArray[np.int64]) -> list[list[Mark]]:
    """Return the lines, those that stand at the height of another one together with it.

    The upper part of a broken digit begins a line of its own if the lower part begins one too. `small` are
    the boxes of marks that are in no line yet, (n, 4).
    """
    if len(lines) > MOST_MERGED:
        return list(lines)
    merged: list[tuple[list[Mark], NDArray[np.int64]]] = []
    for line in sorted(lines, key=len, reverse=True):
        boxes = np.array([mark.box for mark in line])
        number = next(
            (number for number, (_, other) in enumerate(merged) if _stands_in(boxes, other, small)), None
        )
        if number is None:
            merged.append((line, boxes))
        else:
            merged[number] = [*merged[number][0], *line], np.vstack([merged[number][1], boxes])
    return [line for line, _ in merged]


def _stands_in(boxes: NDArray[np.int64], line: NDArray[np.int64], small: NDArray[np.int64]) -> bool:
    """Return whether all of some boxes stand at the height of the three next ones beside them in a line."""
    top, bottom = line[:, 1].min(), (line[:, 1] + line[:, 3]).max()
    if len(line) < 2 or boxes[:, 1].min() >= bottom or (boxes[:, 1] + boxes[:, 3]).max() <= top:
        return False
    for x, y, width, height in boxes.tolist():
        distances = np.maximum(line[:, 0] - (x + width), x - (line[:, 0] + line[:, 2]))
        beside = np.flatnonzero(distances >= 0)
        nearest = line[beside[np.argsort(distances[beside], kind="stable")[:3]]]
        if len(nearest) < 2:
            return False
        top, bottom = np.median(nearest[:, 1]), np.median(nearest[:, 1] + nearest[:, 3])
        shared, high = min(bottom, y + height) - max(top, y), float(np.median(nearest[:, 3]))
        level = np.vstack([line, small[_are_dashes(small, x + width, top, bottom)]])  # as in 25,-
        right_of = level[:, 0] + level[:, 2] / 2 > x + width / 2
        between = right_of.any() and not right_of.all()
        is_sign = between and shared > 0 and height <= SIGN_HEIGHT * high and len(boxes) < len(line)
        is_sign |= len(boxes) == 1 and any(_is_raised((x, y, width, height), other) for other in nearest)
        # The parts beside a single one may be broken too; a whole line is measured by what is usual, but
        # where each of its marks is a stem.
        box, tall = (x, y, width, height), float(nearest[:, 3].max())
        completes = _completes(box, line, tall if len(boxes) == 1 else high) or _is_torn(box, line, tall)
        if shared < INSIDE * height and not (is_sign or completes):
            return False
    return True


def _is_raised(box: Box, other: NDArray[np.int64]) -> bool:
    """Return whether a mark is small, and soon behind another one at its top."""
    x, y, _, height = box
    left, top, width, high = other.tolist()
    small = height <= RAISED * high and y + height > top
    return bool(small and y + height / 2 < top + high / 2 and 0 <= x - (left + width) <= BEHIND * high)


def _are_dashes(boxes: NDArray[np.int64], left: int, top: float, bottom: float) -> NDArray[np.bool_]:
    """Return which marks are wider than high, at the height of a line, and begin soon behind a column."""
    middles = boxes[:, 1] + boxes[:, 3] / 2
    near = np.abs(boxes[:, 0] - left) <= bottom - top
    return np.asarray(near & (boxes[:, 2] > boxes[:, 3]) & (middles > top) & (middles < bottom))


def _completes(box: Box, others: NDArray[np.int64], height_px: float) -> bool:
    """Return whether a mark and those above and below it are as high together as a digit beside them.

    The bar of a 5 may stand beside what is above or below it, too.
    """
    _, y, _, height = box
    parts = _find_parts(box, others, height_px)
    if not len(parts):
        return False
    bottom = max(y + height, (parts[:, 1] + parts[:, 3]).max())
    return bool(bottom - min(y, parts[:, 1].min()) <= BROKEN_HEIGHT * height_px)


def _is_torn(box: Box, others: NDArray[np.int64], height_px: float) -> bool:
    """Return whether a mark is a stem that completes what ends or begins where it does."""
    _, y, width, height = box
    parts = _find_parts(box, others, height_px)
    gaps = np.maximum(parts[:, 1] - (y + height), y - (parts[:, 1] + parts[:, 3]))
    near = bool((gaps <= NEAR * height_px).any())
    return near and width <= STEM * height_px and _completes(box, others, height_px)


def _find_parts(box: Box, others: NDArray[np.int64], height_px: float) -> NDArray[np.int64]:
    """Return those of other boxes that are above or below a mark, or hardly beside it."""
    x, _, width, _ = box
    shared = np.minimum(x + width, others[:, 0] + others[:, 2]) - np.maximum(x, others[:, 0])
    return np.asarray(others[shared >= -NEAR * height_px], np.int64)


def _group_small(marks: Sequence[Mark]) -> list[list[Mark]]:
    """Return the lines of marks that are too small for the others, but alike and not many."""
    high = [mark for mark in marks if mark.box[3] >= SMALL_PX]
    if not FEW_SMALL <= len(high) <= MOST_SMALL:
        return []
    lines = _group_level(high, find_typical_height(np.array([mark.box for mark in high], np.int32)))
    heights = [[mark.box[3] for mark in line] for line in lines]
    return [
        line
        for line, high_px in zip(lines, heights, strict=True)
        if len(line) >= FEW_SMALL and max(high_px) <= SMALL_ALIKE * min(high_px)
    ]


def _add_small(lines: Sequence[list[Mark]], small: Sequence[Mark]) -> list[Mark]:
    """Let each small mark join the line of the nearest mark, if that is near, and return the others.

    Distances are in heights of the other mark; sideways they count half, up and down twice.
    """
    placed = [(*mark.box, number) for number, line in enumerate(lines) for mark in line]
    count = len(placed)
    boxes = np.zeros((count + len(small), 5))
    boxes[:count] = placed
    others = []
    for mark in small:
        x, y = mark.box[0] + mark.box[2] / 2, mark.box[1] + mark.box[3] / 2
        left, top, width, height, owners = boxes[:count].T
        down = np.maximum(np.maximum(top - y, y - (top + height)), 0) / height
        across = np.maximum(np.maximum(left - x, x - (left + width)), 0) / height
        distances = np.maximum(2 * down, 0.5 * across)
        nearest = distances.min()
        if nearest < 1.0:
            number = int(owners[distances == nearest].min())
            lines[number].append(mark)
            boxes[count] = (*mark.box, number)
            count += 1
        else:
            others.append(mark)
    return others

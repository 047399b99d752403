"""From the ink of a page to lines of marks, and from a line to the pieces its digits are made of.

    find_marks     ink -> marks: what is connected, without dirt, rules and surroundings
    group_lines    marks -> lines, in reading order
    straighten     a line -> its ink, upright and STRIP_PX high between its base line and its top
    cut_pieces     that strip -> pieces from left to right, each a part of a digit, or a whole one

`ink` is (height, width) uint8, bright on 0. Nothing here knows what a digit looks like.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mnistry.imaging import Box
from mnistry.pictures import Gray

MARK_LEVEL = 96  # of the ink, from which neighbouring pixels are connected
DIRT_PORTION = 0.12  # of the digits' height: a mark less long is dirt
SMALL_PORTION = 0.4  # of the digits' height: marks less high tell nothing about lines

FRAME_PORTION = 0.5  # of the picture's side
RIM_HEIGHTS = 3.0  # of the digits: what is longer along a border is none

STRIP_PX = 64  # height of a straightened line's digits
MARGIN_PX = 32  # around them, for what reaches above and below
MAX_SLANT = 0.7  # horizontal per vertical pixel


@dataclass(frozen=True)
class Mark:
    """Connected ink.

    Attributes:
        box: (x, y, width, height) in pixels of the page.
        ink: (height, width) uint8, this mark's ink alone.
    """

    box: Box
    ink: Gray

    @property
    def bottom(self) -> int:
        """The first row below the mark."""
        return self.box[1] + self.box[3]

    @property
    def right(self) -> int:
        """The first column right of the mark."""
        return self.box[0] + self.box[2]


@dataclass(frozen=True)
class Strip:
    """A line of writing made upright and STRIP_PX high.

    Attributes:
        ink: (STRIP_PX + 2 MARGIN_PX, any width) uint8.
        to_page: (2, 3), the affine map from the strip's (x, y) to the page's.
    """

    ink: Gray
    to_page: NDArray[np.float64]


@dataclass(frozen=True)
class Piece:
    """Ink that is not cut any further.

    Attributes:
        box: (x, y, width, height) in the strip.
        ink: (height, width) uint8, this piece's ink alone.
        mark: number of the connected mark it was cut from.
        cut: how many pixels of ink the cut on its left went through; 0 where nothing was cut.
    """

    box: Box
    ink: Gray
    mark: int
    cut: float


def find_marks(ink: Gray) -> list[Mark]:
    """Return what is connected in the ink, without dirt and without what frames the page."""
    import cv2

    count, labels, stats, _ = cv2.connectedComponentsWithStats(
        (ink >= MARK_LEVEL).astype(np.uint8), connectivity=8
    )
    if count == 1:
        return []
    boxes = stats[1:, :4]
    framing = np.array([_is_frame(box, ink.shape) for box in boxes.tolist()])
    if framing.all():
        framing[:] = False
    typical = _typical_height(boxes[~framing])
    framing |= [_is_rim(box, ink.shape, typical) for box in boxes.tolist()]
    marks = []
    for label, (x, y, width, height) in enumerate(boxes.tolist(), start=1):
        if framing[label - 1] or max(width, height) < DIRT_PORTION * typical:
            continue
        inside = (slice(y, y + height), slice(x, x + width))
        marks.append(
            Mark((x, y, width, height), np.where(labels[inside] == label, ink[inside], 0).astype(np.uint8))
        )
    return marks


def _typical_height(boxes: NDArray[np.int32]) -> float:
    """Return the height of most of the ink: the median of the heights, each weighted by itself."""
    heights = np.sort(boxes[:, 3]).astype(np.float64)
    return float(heights[np.searchsorted(np.cumsum(heights), heights.sum() / 2)])


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


def _is_rim(box: Sequence[int], shape: tuple[int, ...], typical: float) -> bool:
    """Return whether a mark is part of what surrounds the paper: along a border, far longer than a digit."""
    x, y, width, height = box
    if x == 0 or x + width == shape[1]:
        return height > RIM_HEIGHTS * typical and width < height / 4
    if y == 0 or y + height == shape[0]:  # where touching digits may be long too, but not so low
        return width > RIM_HEIGHTS * typical and height < typical / 2
    return False


def group_lines(marks: Sequence[Mark]) -> list[list[Mark]]:
    """Return the marks line by line, from top to bottom, each from left to right.

    A mark joins the line whose last marks it stands beside; small marks (dots, dashes, parts of broken
    strokes) join the nearest line afterwards.
    """
    if not marks:
        return []
    typical = _typical_height(np.array([mark.box for mark in marks]))
    large = sorted(
        (mark for mark in marks if mark.box[3] >= SMALL_PORTION * typical), key=lambda mark: mark.box[0]
    )
    lines: list[list[Mark]] = []
    for mark in large:
        overlaps = [_overlap(line, mark) for line in lines]
        if overlaps and max(overlaps) > 0.4:
            lines[int(np.argmax(overlaps))].append(mark)
        else:
            lines.append([mark])
    for mark in marks:
        if mark.box[3] >= SMALL_PORTION * typical:
            continue
        distances = [_distance(line, mark) for line in lines]
        nearest = int(np.argmin(distances))
        if distances[nearest] < 1.0:
            lines[nearest].append(mark)
    for line in lines:
        line.sort(key=lambda mark: mark.box[0] + mark.box[2] / 2)
    return sorted(lines, key=lambda line: float(np.mean([mark.box[1] + mark.box[3] / 2 for mark in line])))


def _overlap(line: Sequence[Mark], mark: Mark) -> float:
    """Return how much of the lower of both is beside the other, 0..1, judged by the line's nearest marks."""
    nearest = sorted(line, key=lambda other: -other.right)[:3]
    top = float(np.median([other.box[1] for other in nearest]))
    bottom = float(np.median([other.bottom for other in nearest]))
    shared = min(bottom, mark.bottom) - max(top, mark.box[1])
    return shared / max(1.0, min(bottom - top, mark.box[3]))


def _distance(line: Sequence[Mark], mark: Mark) -> float:
    """Return how far a small mark is from a line's nearest mark, in heights of that; sideways half."""
    x, y = mark.box[0] + mark.box[2] / 2, mark.box[1] + mark.box[3] / 2
    distances = []
    for other in line:
        height = other.box[3]
        down = max(other.box[1] - y, y - other.bottom, 0) / height
        across = max(other.box[0] - x, x - other.right, 0) / height
        distances.append(max(2 * down, 0.5 * across))
    return min(distances, default=np.inf)


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


def straighten(line: Sequence[Mark]) -> Strip:
    """Return the line's ink turned level, its slanted strokes upright, its digits STRIP_PX high."""
    import cv2

    ink, (left, top) = paint_marks(line)
    heights = np.array([mark.box[3] for mark in line], np.float64)
    large = [mark for mark in line if mark.box[3] >= SMALL_PORTION * heights.max()]
    slope = _fit_slope(large)
    typical = _typical_height(np.array([mark.box for mark in large]))
    scale = STRIP_PX / typical
    slant = _measure_slant(large)
    # page (relative to left, top) -> strip: level, upright, scaled; then moved so that nothing is cut.
    matrix = scale * np.array([[1.0, slant], [0.0, 1.0]]) @ np.array([[1.0, 0.0], [-slope, 1.0]])
    corners = matrix @ np.array(
        [[0, ink.shape[1], 0, ink.shape[1]], [0, 0, ink.shape[0], ink.shape[0]]], np.float64
    )
    offset = MARGIN_PX - corners.min(axis=1)
    size = np.ceil(corners.max(axis=1) + offset + MARGIN_PX).astype(int)
    if scale < 0.5:
        ink = np.asarray(cv2.GaussianBlur(ink, (0, 0), 0.35 / scale), np.uint8)
    full = np.column_stack([matrix, offset])
    strip = cv2.warpAffine(
        ink, full, (int(size[0]), int(size[1])), flags=cv2.INTER_LINEAR if scale < 2 else cv2.INTER_CUBIC
    )
    to_page = cv2.invertAffineTransform(full)
    to_page[:, 2] += (left, top)
    return Strip(np.asarray(strip, np.uint8), np.asarray(to_page, np.float64))


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


def _measure_slant(line: Sequence[Mark]) -> float:
    """Return the slant of the strokes, horizontal per vertical pixel to the right going up: the shear under
    which the columns of the marks are most unequal.
    """
    import cv2

    best, best_score = 0.0, -1.0
    small = []
    for mark in line:
        scale = 32 / mark.box[3]
        small.append(
            cv2.resize(mark.ink, (max(1, round(mark.box[2] * scale)), 32), interpolation=cv2.INTER_AREA)
        )
    for slant in np.arange(-0.4, MAX_SLANT + 0.01, 0.1):
        score = 0.0
        for ink in small:
            matrix = np.array([[1, slant, 16 if slant >= 0 else 16 - 32 * slant], [0, 1, 0]])
            profile = cv2.warpAffine(ink, matrix, (ink.shape[1] + 64, 32)).sum(axis=0, dtype=np.float64)
            score += float((profile**2).sum()) / max(1.0, float(profile.sum()))
        score *= 1 - 0.08 * abs(slant)  # upright where there is little to tell
        if score > best_score:
            best, best_score = float(slant), score
    return best

"""What stands around and under the writing is taken away: boxes, tables, circles and underlines.

    remove_frames   what is straight, digits that touch it stay
    remove_rings    what encloses writing that it does not touch, whatever its form

`ink` is (height, width) uint8, bright on 0. Nothing here knows what a digit is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from mnistry.grids import LEAST_WRITTEN, find_grid, find_ring
from mnistry.imaging import Box, measure_line, measure_stroke
from mnistry.outlines import (
    BAND,
    CONTENT_HEIGHT,
    LEAST_FRAME_PX,
    STEM,
    Place,
    find_crossed,
    find_lines,
    find_sides,
)
from mnistry.pictures import Gray
from mnistry.pixels import find_connected
from mnistry.rules import MARK_LEVEL

THIN = 0.15  # of the box around two sides of a note is their shadow,
ELSEWHERE = 0.1  # of which so much is not along a side, or is no thicker: see STEM
NOTE_HEIGHT = 0.1  # of its height is a mark of writing on the note
ROW_HEIGHT, ROW_MARKS = 0.04, 3  # or so many marks so high, of a table, or of several rows in a box
LEAST_CONTENT = 0.03  # of underlined writing's area is ink that is not the line
SEVERAL = 1.6  # widths per height, from which a frame, or boxes side by side, is for several digits
MOST_FRAMES = 1000  # marks of that size on a page, and
MOST_FRAMED = 4  # times the page's area, their boxes together
LIKE = 1.4  # times as high, at most, an empty box is as one that something is written in
UNDERLINED = 2.5  # widths per height, from which a mark on a level line is underlined writing

MOST_ENDS = 4  # lines of a table that is not cut off lead to the picture's border
LEVEL = 0.4  # of a row, or a column, there is a straight line of a table that is not turned;
SEEN_STRAIGHT = 0.95  # of its lines are seen so: then they all are
WINDOWS = 2  # holes with writing in them: then it may be as broad as it likes
ROW_STROKES = 2.0  # times as high as its stroke is wide are rows of writing in what is one line
FACE_MARKS = 5  # eyes, nose, mouth, tongue: more of them are rows of writing
ROW_LEAST, ROW_PORTION = 2, 0.08  # marks of a row of writing in a hole, and of its height they have,
ALIKE = 0.5  # of the highest one's height has each, and so far apart are their middles at most
LEAST_AROUND = 0.15  # of the page's area is around several rows
HOLE = 0.7  # of the mark's height and width: what goes around writing is no 6 and no 8
INNER = 0.75  # of the hole's height and width has the inner line of an outlined digit
SLASH_LEAN = 0.25, 4.0  # columns a row of a slash in a zero, at least and at most, in one that is no
TALL = 1.4  # times as high as broad: there a stroke may lean as it likes
SLASH_SLENDER = 3.0  # times as long as thick
FEW_OTHERS = 5  # marks, whose usual height is known
AS_HIGH = 0.9  # of it has a digit in a circle
DOT = 0.7  # of its box a dot in a zero fills


def remove_frames(ink: Gray) -> tuple[Gray, list[Box]]:
    """Return the ink without boxes and tables around the writing, and without lines that it stands on.

    And the boxes of tables' cells, (x, y, width, height) each, and then of frames wide enough for several
    digits, the smaller ones first: what is in one of them is a number, or part of one.

    A box is taken away where something is written in it, and empty ones like it with it: alone, a rectangle
    may be a 0. So are two lines that meet, as the shadow along two sides of a note.
    """
    import cv2

    labels, stats = find_connected(ink >= MARK_LEVEL)
    full: list[tuple[Place, Gray]] = []
    empty: list[tuple[Place, Gray]] = []
    cells: list[Box] = []
    wide: list[Box] = []
    large = np.flatnonzero(stats[:, 2:4].min(axis=1) >= LEAST_FRAME_PX / 4)
    large = large[large > 0]
    if len(large) > MOST_FRAMES or stats[large, 2:4].prod(axis=1).sum() > MOST_FRAMED * ink.size:
        return ink, []  # that is no form, and would take long
    for label in large.tolist():
        x, y, width, height, _ = stats[label].tolist()
        inside = (slice(y, y + height), slice(x, x + width))
        mark = labels[inside] == label
        grid = (
            find_grid(mark, labels[inside] * ~mark > 0) if _has_others(stats[large], stats[label]) else None
        )
        if grid is not None:
            table = _agree(grid.lines, mark, ink[inside])
            edges = cv2.dilate(table.view(np.uint8), np.ones((3, 3), np.uint8))
            full.append((inside, edges * ~(mark & ~table)))
            cells += [(x + left, y + top, across, down) for left, top, across, down in grid.cells]
            continue
        sides = find_sides(mark)
        crossed = find_crossed(mark) if min(width, height) >= LEAST_FRAME_PX else None
        if crossed is not None:
            (rows, columns), lines = crossed
            rows, columns = slice(y + rows.start, y + rows.stop), slice(x + columns.start, x + columns.stop)
            full.append(((rows, columns), lines))
            wide += [(x, y, width, height)] if width >= SEVERAL * height else []
        elif min(width, height) >= LEAST_FRAME_PX and all(sides):
            box = find_lines(np.where(mark, ink[inside], np.uint8(0)), 2, 2)
            if box is None:
                continue
            down, across = height // 10, width // 10
            field = (slice(down, height - down), slice(across, width - across))
            written = (ink[inside] >= MARK_LEVEL) & (box == 0)
            if _is_written(written[field], box[field]):
                full.append((inside, box))
                wide += [(x, y, width, height)] if width >= SEVERAL * height else []
            else:
                empty.append((inside, box))
        elif min(width, height) >= LEAST_FRAME_PX and _is_corner(sides, mark):
            down, across = height // 10, width // 10
            written = (ink[inside] >= MARK_LEVEL) & ~mark
            _, written_stats = find_connected(written[down : height - down, across : width - across])
            if (written_stats[1:, 3] >= NOTE_HEIGHT * height).any():
                full.append((inside, np.where(mark, ink[inside], np.uint8(0))))
        elif width >= UNDERLINED * height and (sides[0] or sides[1]):
            alone = np.where(mark, ink[inside], np.uint8(0))
            # Boxes side by side of which a part is too faint are taken away, too.
            around = sides[0] and (sides[2] or sides[3])
            line = find_lines(alone, 1, 2) if around else None
            if line is None:
                line = find_lines(alone, 1, 0)
            if line is not None and (mark & (line == 0)).mean() >= LEAST_CONTENT:
                full.append((inside, line))
    if not full:
        return ink, []
    heights = [inside[0].stop - inside[0].start for inside, _ in full]
    result = ink.copy()
    for inside, lines in full + empty:
        height = inside[0].stop - inside[0].start
        if any(max(height, other) <= LIKE * min(height, other) for other in heights):
            result[inside][lines > 0] = 0
    return result, cells + sorted(wide, key=lambda frame: frame[2] * frame[3])


def _agree(lines: NDArray[np.bool_], mark: NDArray[np.bool_], ink: Gray) -> NDArray[np.bool_]:
    """Return the lines of a table; straight ones only where they are seen from side to side, too.

    Of a stroke along a line, or one that parts a cell, that leaves more. It takes long, and is tried where
    lines stay in their rows and columns.
    """
    rows, columns = (lines.mean(axis=axis) >= LEVEL for axis in (1, 0))
    if (lines & (rows[:, None] | columns)).sum() < SEEN_STRAIGHT * lines.sum():
        return lines
    straight = np.zeros_like(mark)
    crossed = find_crossed(mark)
    box = find_lines(np.where(mark, ink, np.uint8(0)), 2, 2) if crossed is None else None
    if crossed is not None:
        straight[crossed[0]] = crossed[1] > 0
    elif box is not None:
        straight = np.asarray(box > 0)
    both = lines & straight
    return both if np.count_nonzero(both) >= SEEN_STRAIGHT * np.count_nonzero(lines) else lines


def find_tables(mask: NDArray[np.bool_]) -> Iterator[tuple[Place, NDArray[np.bool_]]]:
    """Yield where tables are in a picture, and their lines there; squares that go on beyond it are none."""
    labels, stats = find_connected(mask)
    large = 1 + np.flatnonzero(stats[1:, 2:4].min(axis=1) >= LEAST_FRAME_PX / 4)
    if len(large) > MOST_FRAMES:
        return
    border = np.concatenate([labels[0], labels[:, -1], labels[-1], labels[:, 0]])
    for label in large.tolist():
        x, y, width, height, _ = stats[label].tolist()
        ends = np.count_nonzero(np.diff((border == label).astype(np.int8)) > 0)
        if ends <= MOST_ENDS and _has_others(stats[large], stats[label]):
            place = (slice(y, y + height), slice(x, x + width))
            mark = labels[place] == label
            grid = find_grid(mark, (labels[place] > 0) & ~mark)
            if grid is not None:
                yield place, grid.lines


def _has_others(marks: NDArray[np.int32], mark: NDArray[np.int32]) -> bool:
    """Return whether several marks lie in the box of one, as writing does in a table."""
    left, top, width, height = (marks[:, column] for column in range(4))
    inside = (left > mark[0]) & (left + width < mark[0] + mark[2])
    inside &= (top > mark[1]) & (top + height < mark[1] + mark[3])
    return int(np.count_nonzero(inside)) >= LEAST_WRITTEN


def _is_written(field: NDArray[np.bool_], lines: Gray) -> bool:
    """Return whether what is inside a box has a mark as high as a digit would be, or several smaller ones.

    What is smaller and hangs on to the box's `lines`, 1 or 0, is a part of them, as the bar of a square 8.
    """
    import cv2

    labels, stats = find_connected(field)
    heights = stats[1:, 3]
    hanging = np.unique(labels[cv2.dilate(lines, np.ones((3, 3), np.uint8)) > 0])
    rows = heights >= max(LEAST_FRAME_PX / 4, ROW_HEIGHT * len(field))
    rows[hanging[hanging > 0] - 1] = False
    return bool((heights >= CONTENT_HEIGHT * len(field)).any() or np.count_nonzero(rows) >= ROW_MARKS)


def _is_corner(sides: tuple[bool, bool, bool, bool], mark: NDArray[np.bool_]) -> bool:
    """Return whether a mark is two thin lines that meet, as the shadow beside a note is, and others as thin.

    What is thicker elsewhere is a digit that hangs on to them.
    """
    upper, lower, left, right = sides
    if not ((upper or lower) and (left or right) and mark.mean() <= THIN):
        return False
    rows, columns = (max(1, round(BAND * side)) for side in mark.shape)
    elsewhere = np.zeros_like(mark)
    elsewhere[rows:-rows, columns:-columns] = mark[rows:-rows, columns:-columns]
    if elsewhere.sum() <= ELSEWHERE * mark.sum():
        return True
    inner_px, outer_px = (measure_stroke(part * np.uint8(255)) for part in (elsewhere, mark & ~elsewhere))
    return inner_px <= STEM * outer_px


def remove_rings(ink: Gray) -> Gray:
    """Return the ink without marks that enclose writing: circles, bubbles, boxes drawn by hand, a dark desk.

    Writing in a hole is a mark that fills its height, or nearly, and is no speck for the line around it, or
    several smaller ones. A 0 with a slash or a dot in it stays, and so do a 6, an 8, an outlined digit, and
    strokes that reach from around the writing far into it.
    """
    import cv2

    mask = np.pad(ink >= MARK_LEVEL, 1)
    labels, stats = find_connected(mask)
    large = 1 + np.flatnonzero(stats[1:, 3] >= LEAST_FRAME_PX / 4)
    covered = stats[large, 2:4].astype(np.int64).prod(axis=1).sum()
    if not 1 < len(large) <= MOST_FRAMES or covered > MOST_FRAMED * ink.size:
        return ink
    _, found_grounds, found_stats, _ = cv2.connectedComponentsWithStats(
        (~mask).view(np.uint8), None, None, None, 4
    )
    grounds, ground_stats = np.asarray(found_grounds, np.int32), np.asarray(found_stats, np.int32)
    contents: dict[int, list[int]] = {}  # of each hole
    for label in large.tolist():
        contents.setdefault(_look_left(labels, stats, label, grounds), []).append(label)
    holes: dict[int, list[int]] = {}  # of each mark around some
    for hole in contents.keys() - {int(grounds[0, 0])}:
        holes.setdefault(_look_left(grounds, ground_stats, hole, labels), []).append(hole)
    # Of a few marks those in a circle are as high as the others, a slash in a zero is less.
    usual = float(np.median(stats[large, 3])) if len(large) >= FEW_OTHERS else np.inf
    result = np.pad(ink, 1)
    for label, found in holes.items():
        insides = [(ground_stats[hole], contents[hole]) for hole in found]
        if _is_ring(label, insides, labels, stats, usual):
            x, y, width, height, _ = stats[label].tolist()
            inside = (slice(y - 1, y + height + 1), slice(x - 1, x + width + 1))
            mark = labels[inside] == label
            hole = max(found, key=lambda hole: ground_stats[hole, 4])
            outside = grounds[inside] == _look_left(labels, stats, label, grounds)
            ring = find_ring(mark, grounds[inside] == hole, outside)
            edges = cv2.dilate(ring.view(np.uint8), np.ones((3, 3), np.uint8)) > 0
            result[inside][edges & (ring | (labels[inside] == 0))] = 0
    return np.ascontiguousarray(result[1:-1, 1:-1])


def _look_left(
    labels: NDArray[np.int32], stats: NDArray[np.int32], label: int, others: NDArray[np.int32]
) -> int:
    """Return the number among others that stands left of all pixels with a label: what is around it."""
    x, y, _, height, _ = stats[label].tolist()
    row = y + int(np.argmax(labels[y : y + height, x] == label))
    return int(others[row, x - 1])


def _is_ring(
    label: int,
    insides: Sequence[tuple[NDArray[np.int32], Sequence[int]]],
    labels: NDArray[np.int32],
    stats: NDArray[np.int32],
    usual: float,
) -> bool:
    """Return whether a mark encloses writing; `insides` are the boxes of its holes, and the marks there.

    `usual` is the height of most marks.
    """
    x, y, width, height, _ = stats[label].tolist()
    if min(width, height) < LEAST_FRAME_PX:
        return False
    inside = (slice(y, y + height), slice(x, x + width))
    at_border = bool(min(x, y) <= 1 or x + width >= labels.shape[1] - 1 or y + height >= labels.shape[0] - 1)
    stroke_px = 0.0 if at_border else measure_stroke((labels[inside] == label) * np.uint8(255))
    filled = 0
    for hole, marks in insides:
        across, down = int(hole[2]), int(hole[3])
        sizes = stats[list(marks), 2:4]
        heights = sizes[:, 1]
        high = (heights >= CONTENT_HEIGHT * down) & (sizes < (INNER * across, INNER * down)).any(axis=1)
        lone = len(marks) == 1 and heights[0] < AS_HIGH * usual
        row = _is_row(stats[list(marks)], down, stroke_px)
        if row or (
            high.any() and not (lone and _is_in_zero(marks[0], labels, stats, height >= TALL * width))
        ):
            filled += 1
            whole = at_border or (across >= HOLE * width and down >= HOLE * height)
            if whole and (row or heights[high].max() >= stroke_px):
                return True
        rows = heights >= max(ROW_HEIGHT * down, ROW_STROKES * stroke_px)
        enough = ROW_MARKS if at_border else FACE_MARKS + 1
        if np.count_nonzero(rows) >= enough and width * height >= LEAST_AROUND * labels.size:
            return True
    return filled >= WINDOWS


def _is_row(marks: NDArray[np.int32], down: int, stroke_px: float) -> bool:
    """Return whether the marks in a hole so high are a row of about one height, as no face has.

    Dots and commas beside two that are higher count for nothing. `marks` are statistics as of
    `find_connected`, `stroke_px` is the width of the outline.
    """
    high = int(marks[:, 3].max(initial=0))
    marks = marks[marks[:, 3] >= max(ROW_HEIGHT * down, ALIKE * high)]
    if len(marks) < ROW_LEAST or high < max(ROW_PORTION * down, ROW_STROKES * stroke_px):
        return False
    middles = marks[:, 1] + marks[:, 3] / 2
    dots = marks[:, 4] >= DOT * marks[:, 2] * marks[:, 3]
    return float(np.ptp(middles)) <= ALIKE * high and not bool(dots.all())


def _is_in_zero(label: int, labels: NDArray[np.int32], stats: NDArray[np.int32], tall: bool) -> bool:
    """Return whether a mark is a straight stroke or a dot, as in a zero that is slashed or dotted.

    Unless that is `tall`, the stroke leans to the right.
    """
    x, y, width, height, area = stats[label].tolist()
    if area >= DOT * width * height:
        return True
    length, thickness, lean = measure_line((labels[y : y + height, x : x + width] == label) * np.uint8(255))
    least, most = SLASH_LEAN
    return length >= SLASH_SLENDER * thickness and (tall or least <= lean <= most)

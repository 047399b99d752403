"""Tables: where their lines run, however they were drawn, and which strokes of a table are writing on them.

`mark` is (height, width) bool. Nothing here knows what a digit is.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mnistry.imaging import Box, measure_stroke
from mnistry.pixels import find_connected

LEAST_CELL_PX = 16  # shorter side
LEAST_CELLS = 4
ANGULAR = 0.75  # of the smallest rectangle around a cell it fills,
COVERED = 0.6  # and all of them of what is around the table
GAP = 3.0  # widths of a line: so far from the next one a line may end
APART = 0.5  # of a cell's height and width lie some middles of cells apart: a row of boxes is no table
WRITTEN, LEAST_WRITTEN = 0.25, 2  # of a cell's height are marks of writing, and so many there are
DEEP_STROKES, DEEP = 1.3, 0.08  # widths of a line, and of a cell's side: so far strokes reach into it
BENT = 0.7  # widths of a line: so far it may bend into a cell
CROSSED = 1.6  # widths of a line: so far is one stroke from the next where it crosses the line
BROAD = 2.5  # widths of a line: so high and wide is what leaves the table and is not a line's end


class _Cell(NamedTuple):
    """A cell of a table: its number among the holes of the mark, its box in that, and its convex outline."""

    hole: int
    box: Box
    hull: NDArray[np.int32]


class Grid(NamedTuple):
    """A table: where its lines run, and the boxes of the cells between them, (x, y, width, height)."""

    lines: NDArray[np.bool_]
    cells: list[Box]


def find_grid(mark: NDArray[np.bool_], others: NDArray[np.bool_]) -> Grid | None:
    """Return the lines that a mark has around the cells of a table; None where nothing is written in them.

    A cell is what its outline is around, with all that reaches into that: strokes of writing. They are no
    lines, nor is what joins them where they cross one.

    Args:
        mark: alone, cut out.
        others: what other marks are there.
    """
    import cv2

    cells = _list_cells(mark)
    if len(cells) < LEAST_CELLS:
        return None
    boxes = np.array([cell.box for cell in cells])
    width, height = np.median(boxes[:, 2:], axis=0).tolist()
    spread = np.ptp(boxes[:, :2] + boxes[:, 2:] / 2, axis=0)
    covered = sum(cv2.contourArea(cell.hull) for cell in cells)
    around = cv2.convexHull(np.concatenate([cell.hull for cell in cells]))
    if (spread < APART * np.array([width, height])).any() or covered < COVERED * cv2.contourArea(around):
        return None
    depth = np.zeros(mark.shape, np.float32)
    for cell in cells:
        x, y, across, down = cell.box
        field = np.zeros((down + 2, across + 2), np.uint8)
        cv2.fillConvexPoly(field, cell.hull - (x - 1, y - 1), 1)
        known = depth[y : y + down, x : x + across]
        np.maximum(known, cv2.distanceTransform(field, cv2.DIST_L2, 3)[1:-1, 1:-1], out=known)
    _, stats = find_connected(others & (depth > 0))
    if np.count_nonzero(stats[1:, 3] >= WRITTEN * height) < LEAST_WRITTEN:
        return None
    line_px = measure_stroke((mark & (depth == 0)) * np.uint8(255))
    labels, stats = find_connected(mark & (depth > BENT * line_px))
    deepest = np.zeros(len(stats), np.float32)
    np.maximum.at(deepest, labels.ravel(), depth.ravel())
    written = deepest >= max(DEEP_STROKES * line_px, DEEP * min(width, height))
    written[0] = False
    shallow = _make_pen(2 * BENT * line_px)
    inside = (cv2.dilate(written[labels].view(np.uint8), shallow) > 0) & mark & (depth > 0)
    pen = _make_pen(CROSSED * line_px + 2)
    # Strokes that leave the table, and ends of lines: what goes on inside as strokes do is kept.
    table = np.zeros(mark.shape, np.uint8)
    cv2.fillConvexPoly(table, around, 1)
    leaving, stats = find_connected(mark & (cv2.dilate(table, pen) == 0))
    outside = (stats[:, 2:4].min(axis=1) >= BROAD * line_px)[leaving]
    strokes = np.pad((inside | outside).view(np.uint8), len(pen))
    joined = cv2.morphologyEx(strokes, cv2.MORPH_CLOSE, pen)[len(pen) : -len(pen), len(pen) : -len(pen)] > 0
    pieces, stats = find_connected(mark & joined)
    kept = np.bincount(pieces[inside], minlength=len(stats)) > 0
    return Grid(np.asarray(mark & ~kept[pieces], np.bool_), [cell.box for cell in cells])


def _make_pen(size_px: float) -> NDArray[np.uint8]:
    """Return a disc of an odd size, at least so large."""
    import cv2

    size = int(size_px + 1) | 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)), np.uint8)


def _list_cells(mark: NDArray[np.bool_]) -> list[_Cell]:
    """Return the cells of a mark: its holes, parted where a line that should part them ends too early."""
    import cv2

    gap_px = int(GAP * measure_stroke(mark * np.uint8(255))) | 1
    shut = cv2.morphologyEx(
        np.pad(mark.view(np.uint8), gap_px), cv2.MORPH_CLOSE, np.ones((gap_px, gap_px), np.uint8)
    )
    holes, cells = _list_holes(mark)
    parts: dict[int, list[_Cell]] = {}  # of each hole, and of what is around the mark
    parted, found = _list_holes(shut[gap_px:-gap_px, gap_px:-gap_px] > 0)
    for cell in found:
        x, y, across, down = cell.box
        rows, columns = np.nonzero(parted[y : y + down, x : x + across] == cell.hole)
        parts.setdefault(int(holes[y + rows[0], x + columns[0]]), []).append(cell)
    whole = {cell.hole: cell for cell in cells}
    return [
        cell
        for hole, found in parts.items()
        for cell in ([whole[hole]] if len(found) == 1 and hole in whole else found)
    ]


def _list_holes(mark: NDArray[np.bool_]) -> tuple[NDArray[np.int32], list[_Cell]]:
    """Return a number for everything that a mark parts, and which of it are holes with four sides or so."""
    import cv2

    _, numbers, stats, _ = cv2.connectedComponentsWithStats(
        np.pad(~mark, 1, constant_values=True).view(np.uint8), None, None, None, 4
    )
    cells = []
    for hole in np.flatnonzero(stats[:, 2:4].min(axis=1) >= LEAST_CELL_PX).tolist():
        if hole in (0, numbers[0, 0]):
            continue
        x, y, across, down, _ = stats[hole].tolist()
        alone = (numbers[y : y + down, x : x + across] == hole).view(np.uint8)
        outlines, _ = cv2.findContours(alone, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE, offset=(x - 1, y - 1))
        hull = np.asarray(cv2.convexHull(np.concatenate(outlines)), np.int32)
        if cv2.contourArea(hull) >= ANGULAR * np.prod(cv2.minAreaRect(hull)[1]):
            cells.append(_Cell(hole, (x - 1, y - 1, across, down), hull))
    return np.asarray(numbers[1:-1, 1:-1], np.int32), cells

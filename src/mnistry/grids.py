"""Where the lines of tables and rings run, however they were drawn, and which strokes of them are writing.

find_grid   the lines between the cells of a table
find_ring   the line around a hole with writing in it

`mark` is (height, width) bool. Nothing here knows what a digit is.
"""

from __future__ import annotations

from collections.abc import Sequence
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
PARTED = 0.78  # of a cell are the parts of it between lines that end so
APART = 0.5  # of a cell's height and width lie some middles of cells apart: a row of boxes is no table
WRITTEN, LEAST_WRITTEN = 0.25, 2  # of a cell's height are marks of writing, and so many there are
TAIL = 0.02  # of what is inside a ring is outside, at most
DEEP_IN_RING = 0.4  # of the way to its middle strokes reach that touch a ring
DEEP_STROKES, DEEP = 1.3, 0.08  # widths of a line, and of a cell's side: so far strokes reach into it
BENT = 0.7  # widths of a line: so far it may bend into a cell
CROSSED = 1.6  # widths of a line: so far is one stroke from the next where it crosses the line
SLIVER = 0.6  # of the width of a line is the edge of one, where it bends
COMPACT = 0.2  # of its box fills what leaves the table and stands alone there: no corner of lines does
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
    """Return the lines of a table with writing in its cells; None where the mark is no such table.

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
    depth = _measure_depth(mark.shape, [cell.hull for cell in cells])
    _, stats = find_connected(others & (depth > 0))
    if np.count_nonzero(stats[1:, 3] >= WRITTEN * height) < LEAST_WRITTEN:
        return None
    line_px = measure_stroke((mark & (depth == 0)) * np.uint8(255))
    inside = _find_reaching(mark, depth, line_px, DEEP * min(width, height))
    pen = _make_pen(CROSSED * line_px + 2)
    # What leaves the table and is no line's end.
    table = np.zeros(mark.shape, np.uint8)
    cv2.fillConvexPoly(table, around, 1)
    leaving, stats = find_connected(mark & (cv2.dilate(table, pen) == 0))
    broad = np.flatnonzero(stats[:, 2:4].min(axis=1) >= BROAD * line_px)
    outside = np.isin(leaving, [part for part in broad if _is_stroke(leaving == part, line_px)])
    compact = np.isin(leaving, np.flatnonzero(stats[:, 4] >= COMPACT * stats[:, 2] * stats[:, 3]))
    pieces, stats = find_connected(_join(inside | outside, mark, pen))
    kept = np.bincount(pieces[inside | (outside & compact)], minlength=len(stats)) > 0
    kept[0] = False
    return Grid(mark & ~kept[pieces], [cell.box for cell in cells])


def find_ring(
    mark: NDArray[np.bool_], hole: NDArray[np.bool_], outside: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Return where a mark runs around what is written in it; strokes that reach far into that are none of it.

    Args:
        mark: alone, cut out.
        hole: what it runs around.
        outside: what is around it; where that reaches in, as beside a bubble's tail, all is the ring's.
    """
    import cv2

    outlines, _ = cv2.findContours(hole.view(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    hull = np.asarray(cv2.convexHull(np.concatenate(outlines)), np.int32)
    depth = _measure_depth(mark.shape, [hull])
    if np.count_nonzero(outside & (depth > 0)) > TAIL * np.count_nonzero(depth > 0):
        return mark
    line_px = measure_stroke((mark & (depth == 0)) * np.uint8(255))
    inside = _find_reaching(mark, depth, line_px, DEEP_IN_RING * float(depth.max()))
    return np.asarray(mark & ~inside, np.bool_)


def _is_stroke(part: NDArray[np.bool_], line_px: float) -> bool:
    """Return whether a part of a mark is about as thick as a line, and not the edge of a bent one."""
    return measure_stroke(part * np.uint8(255)) >= SLIVER * line_px


def _measure_depth(shape: tuple[int, ...], hulls: Sequence[NDArray[np.int32]]) -> NDArray[np.float32]:
    """Return for every pixel how far it is inside one of some convex outlines, 0 outside."""
    import cv2

    depth = np.zeros(shape, np.float32)
    for hull in hulls:
        x, y, across, down = cv2.boundingRect(hull)
        field = np.zeros((down + 2, across + 2), np.uint8)
        cv2.fillConvexPoly(field, hull - (x - 1, y - 1), 1)
        known = depth[y : y + down, x : x + across]
        np.maximum(known, cv2.distanceTransform(field, cv2.DIST_L2, 3)[1:-1, 1:-1], out=known)
    return depth


def _find_reaching(
    mark: NDArray[np.bool_], depth: NDArray[np.float32], line_px: float, least_px: float
) -> NDArray[np.bool_]:
    """Return what reaches from a line so far inside as strokes do, and not only where the line bends."""
    import cv2

    labels, stats = find_connected(mark & (depth > BENT * line_px))
    deepest = np.zeros(len(stats), np.float32)
    np.maximum.at(deepest, labels.ravel(), depth.ravel())
    written = deepest >= max(DEEP_STROKES * line_px, least_px)
    written[0] = False
    grown = cv2.dilate(written[labels].view(np.uint8), _make_pen(2 * BENT * line_px)) > 0
    return np.asarray(grown & mark & (depth > 0), np.bool_)


def _join(strokes: NDArray[np.bool_], mark: NDArray[np.bool_], pen: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return strokes with what lies between them on a line that they cross."""
    import cv2

    wide = np.pad(strokes.view(np.uint8), len(pen))
    inner = slice(len(pen), -len(pen))
    return np.asarray((cv2.morphologyEx(wide, cv2.MORPH_CLOSE, pen)[inner, inner] > 0) & mark, np.bool_)


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
    return [cell for hole in {**whole, **parts} for cell in _choose(whole.get(hole), parts.get(hole, []))]


def _choose(whole: _Cell | None, parts: list[_Cell]) -> list[_Cell]:
    """Return a hole, or its parts if a line that ends too early parts it, unlike a digit near a line."""
    import cv2

    if whole is None:
        return parts
    together = sum(cv2.contourArea(part.hull) for part in parts)
    return parts if len(parts) > 1 and together >= PARTED * cv2.contourArea(whole.hull) else [whole]


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

"""Where touching digits may be cut: the paths from top to bottom through the least ink.

A path goes down a row at a time, straight or a column aside. It pays the ink it goes through, and a little
for every step aside. Candidates are the cheapest paths around; which of them part digits is decided later.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from mnistry.imaging import EDGE_LEVEL, Box
from mnistry.pictures import Gray
from mnistry.pixels import find_connected
from mnistry.rules import MARK_LEVEL
from mnistry.straightening import STRIP_PX

STEP_ASIDE = 0.12  # price of a step aside, in pixels of full ink
NARROW_PX = 0.42 * STRIP_PX  # a mark narrower than this is not cut
APART_PX = 9  # least distance of two cuts in the middle row
STROKES = 2.3  # a cut may go through so many stroke widths
MOST_CELLS = 4_000_000  # pixels of marks that are cut at a time: bounds the memory
LEAST_PART_PX = 4  # width of what is cut off
WALL = 1e6  # price of what no path goes through

# The columns of cuts by row, (n, height), and their n prices.
Cuts: TypeAlias = tuple[NDArray[np.int64], list[float]]
NO_CUTS: Cuts = (np.zeros((0, 0), np.int64), [])


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


def cut_pieces(ink: Gray, stroke_px: float) -> list[Piece]:
    """Return the pieces of a strip from left to right.

    Args:
        ink: (height, width) uint8, digits about STRIP_PX high.
        stroke_px: width of its strokes.
    """
    marks = _list_marks(ink)
    wide = [mark for _, mark, _ in marks if mark.shape[1] >= NARROW_PX]
    cuts = iter(_find_cuts_in_all(wide, stroke_px))
    pieces = []
    for label, mark, origin in marks:
        pieces += _cut_mark(mark, origin, label, *(next(cuts) if mark.shape[1] >= NARROW_PX else NO_CUTS))
    return sorted(pieces, key=lambda piece: piece.box[0] + piece.box[2] / 2)


def find_only_mark(ink: Gray) -> Piece | None:
    """Return the mark of a strip, uncut, if there is just one."""
    marks = _list_marks(ink)
    if len(marks) != 1:
        return None
    ((label, mark, origin),) = marks
    return next(iter(_make_piece(mark, origin, label, 0.0)), None)


def _list_marks(ink: Gray) -> list[tuple[int, Gray, tuple[int, int]]]:
    """Return (number, ink, (left, top)) of what is connected on a strip and no speck."""
    labels, stats = find_connected(ink >= MARK_LEVEL)
    labels = _spread(labels, ink)
    chosen = [label for label in np.flatnonzero(stats[:, 2:4].max(axis=1) >= 0.1 * STRIP_PX) if label > 0]
    marks = []
    for label, (x, y, width, height) in zip(chosen, stats[chosen, :4].tolist(), strict=True):
        x, y = max(0, x - 1), max(0, y - 1)
        inside = (slice(y, y + height + 2), slice(x, x + width + 2))
        marks.append((int(label), np.where(labels[inside] == label, ink[inside], np.uint8(0)), (x, y)))
    return marks


def _spread(labels: NDArray[np.int32], ink: Gray) -> NDArray[np.int32]:
    """Give the soft edges of the marks the labels of the marks."""
    import cv2

    grown = cv2.dilate(labels.astype(np.float32), np.ones((3, 3), np.uint8)).astype(np.int32)
    return np.where((labels == 0) & (ink > 0), grown, labels)


def _cut_mark(
    mark: Gray, origin: tuple[int, int], label: int, paths: NDArray[np.int64], costs: Sequence[float]
) -> list[Piece]:
    width = mark.shape[1]
    pieces: list[Piece] = []
    for index in range(len(paths) + 1):
        # Between the paths on both sides; only the columns that these enclose are looked at.
        start = int(paths[index - 1].min()) if index else 0
        stop = int(paths[index].max()) if index < len(paths) else width
        part = mark[:, start : max(start, stop)]
        if len(paths):
            columns = np.arange(start, max(start, stop))
            inside = columns >= (paths[index - 1][:, None] if index else 0)
            inside = inside & (columns < (paths[index][:, None] if index < len(paths) else width))
            part = np.where(inside, part, np.uint8(0))
        cut = float(costs[index - 1]) if index and pieces else 0.0
        pieces += _make_piece(part, (origin[0] + start, origin[1]), label, cut)
    return pieces


def _make_piece(part: Gray, origin: tuple[int, int], label: int, cut: float) -> list[Piece]:
    """Return the piece, its box tight around the ink, as a list; an empty one if there is next to none."""
    import cv2

    outline = (part >= EDGE_LEVEL).view(np.uint8)
    if np.count_nonzero(outline) < 4:
        return []
    x, y, width, height = cv2.boundingRect(outline)
    box = (origin[0] + x, origin[1] + y, width, height)
    return [Piece(box, np.ascontiguousarray(part[y : y + height, x : x + width]), label, cut)]


def find_cuts(mark: Gray, stroke_px: float) -> Cuts:
    """Return candidate cuts of a mark from left to right, and how many pixels of ink each goes through.

    Returns:
        (n, height) columns: a row's ink left of its column is left of the cut; and n prices.
    """
    return _find_cuts_in_all([mark], stroke_px)[0]


def _find_cuts_in_all(marks: Sequence[Gray], stroke_px: float) -> list[Cuts]:
    """Return the cuts of each mark; marks are handled side by side, a row of all of them at a time."""
    if not marks:
        return []
    tallest = max(map(len, marks))
    if len(marks) > 1 and tallest * sum(mark.shape[1] + 1 for mark in marks) > MOST_CELLS:
        half = len(marks) // 2
        return _find_cuts_in_all(marks[:half], stroke_px) + _find_cuts_in_all(marks[half:], stroke_px)
    # A cheapest path through a pixel of the middle row is the cheapest one to it from the top and the
    # cheapest one from the bottom. So each mark stands twice in `price`, its upper half and, upside down, its
    # lower one; both end in the last row with the mark's middle row. Above them all is free, between them is
    # a wall.
    rows = tallest // 2 + 1
    starts = np.cumsum([1, *(mark.shape[1] + 1 for mark in marks)])
    total_width = int(starts[-1])
    price = np.full((rows, 2 * total_width), WALL, np.float32)
    for mark, start in zip(marks, starts.tolist(), strict=False):
        middle = len(mark) // 2
        for half_mark, left in ((mark[: middle + 1], start), (mark[middle:][::-1], total_width + start)):
            field = price[:, left : left + mark.shape[1]]
            field[: rows - len(half_mark)] = 0
            np.divide(half_mark, np.float32(255), out=field[rows - len(half_mark) :], dtype=np.float32)
    total = _cheapest(price)
    along_all = total[-1, :total_width] + total[-1, total_width:] - price[-1, :total_width]
    chosen = [
        _choose_columns(along_all[start : start + mark.shape[1]], stroke_px)
        for mark, start in zip(marks, starts.tolist(), strict=False)
    ]
    columns = np.concatenate(
        [np.array(list, np.int64) + start for list, start in zip(chosen, starts.tolist(), strict=False)]
    )
    followed = _follow(total, np.concatenate([columns, columns + total_width]))
    upper, lower = followed[:, : len(columns)], followed[:, len(columns) :] - total_width
    found: list[Cuts] = []
    first = 0
    for mark, start, picked in zip(marks, starts.tolist(), chosen, strict=False):
        middle, here = len(mark) // 2, slice(first, first + len(picked))
        below = lower[rows - (len(mark) - middle) : -1, here][::-1]
        paths = np.concatenate([upper[rows - middle - 1 :, here], below]).T - start
        # Cuts may meet and do not cross.
        prices = [float(along_all[start + column]) for column in picked]
        found.append((np.maximum.accumulate(paths, axis=0), prices))
        first += len(picked)
    return found


def _choose_columns(along: NDArray[np.float32], stroke_px: float) -> list[int]:
    """Return the columns, in order, in which the cheapest paths cross the middle row, APART_PX apart."""
    chosen: list[int] = []
    edge = 0.12 * STRIP_PX
    free = np.ones(len(along), np.bool_)
    for column in np.argsort(along, kind="stable").tolist():
        if along[column] > STROKES * stroke_px + 1:
            break
        if edge <= column <= len(along) - edge and free[column]:
            free[max(0, column - APART_PX + 1) : column + APART_PX] = False
            chosen.append(column)
    return sorted(chosen)


def _cheapest(price: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return for every pixel the price of the cheapest path to it from the top row, its own included."""
    total = price.copy()
    best = np.empty_like(price[0])
    for row in range(1, len(price)):
        before = total[row - 1]
        aside = before + np.float32(STEP_ASIDE)
        best[:] = before
        np.minimum(best[1:], aside[:-1], out=best[1:])
        np.minimum(best[:-1], aside[1:], out=best[:-1])
        total[row] += best
    return total


def _follow(total: NDArray[np.float32], columns: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the columns, (rows, n), of the cheapest paths that end in n columns of the last row."""
    paths = np.empty((len(total), len(columns)), np.int64)
    paths[-1] = columns
    for row in range(len(total) - 2, -1, -1):
        costs, step = total[row], np.float32(STEP_ASIDE)
        straight, left, right = costs[columns], costs[columns - 1] + step, costs[columns + 1] + step
        aside = np.where(left <= right, -1, 1)
        columns = columns + np.where(straight <= np.minimum(left, right), 0, aside)
        paths[row] = columns
    return paths


def group_by_mark(pieces: Sequence[Piece]) -> list[list[Piece]]:
    """Return the pieces of each mark, in the order of the marks' first pieces."""
    marks: dict[int, list[Piece]] = {}
    for piece in pieces:
        marks.setdefault(piece.mark, []).append(piece)
    return list(marks.values())


def cut_again(pieces: Sequence[Piece], columns: Sequence[int]) -> list[Piece]:
    """Return the pieces from left to right, those that reach across a column of the strip cut there.

    What was emptied, as a sign was, stays as it is.
    """
    parts = []
    for piece in pieces:
        if not piece.ink.any():
            parts.append(piece)
            continue
        x, y, width, _ = piece.box
        inside = [column - x for column in columns if LEAST_PART_PX <= column - x <= width - LEAST_PART_PX]
        edges = [0, *sorted(inside), width]
        for start, stop in pairwise(edges):
            cut = float(piece.ink[:, start - 1 : start + 1].sum()) / (2 * 255) if start else piece.cut
            parts += _make_piece(piece.ink[:, start:stop], (x + start, y), piece.mark, cut)
    return sorted(parts, key=lambda piece: piece.box[0] + piece.box[2] / 2)


def join(pieces: Sequence[Piece]) -> tuple[Gray, tuple[int, int, int, int]]:
    """Return the ink of several pieces in one picture, and its box in the strip."""
    left, top = min(piece.box[0] for piece in pieces), min(piece.box[1] for piece in pieces)
    right = max(piece.box[0] + piece.box[2] for piece in pieces)
    bottom = max(piece.box[1] + piece.box[3] for piece in pieces)
    ink = np.zeros((bottom - top, right - left), np.uint8)
    for piece in pieces:
        x, y, width, height = piece.box[0] - left, piece.box[1] - top, *piece.box[2:]
        field = ink[y : y + height, x : x + width]
        np.maximum(field, piece.ink, out=field)
    return ink, (left, top, right - left, bottom - top)


def resize_piece(piece: Piece, size: float, down_px: int) -> Piece:
    """Return a piece so many times as large as it is, in a strip of that size, and moved down."""
    import cv2

    x, y, width, height = piece.box
    left, top = round(size * x), round(size * y)
    box = (
        left,
        top + down_px,
        max(1, round(size * (x + width)) - left),
        max(1, round(size * (y + height)) - top),
    )
    way = cv2.INTER_AREA if size < 1 else cv2.INTER_CUBIC
    ink = np.asarray(cv2.resize(piece.ink, box[2:], interpolation=way), np.uint8)
    return Piece(box, ink, piece.mark, size * piece.cut)

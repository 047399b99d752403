"""Where touching digits may be cut: the paths from top to bottom through the least ink.

A path goes down a row at a time, straight or a column aside. It pays the ink it goes through, and a little
for every step aside. Candidates are the cheapest paths around; which of them part digits is decided later.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mnistry.imaging import EDGE_LEVEL
from mnistry.pictures import Gray
from mnistry.segmentation import MARK_LEVEL, STRIP_PX, Piece

STEP_ASIDE = 0.12  # price of a step aside, in pixels of full ink
NARROW_PX = 0.42 * STRIP_PX  # a mark narrower than this is not cut
APART_PX = 9  # least distance of two cuts in the middle row
STROKES = 2.3  # a cut may go through so many stroke widths


def cut_pieces(ink: Gray, stroke_px: float) -> list[Piece]:
    """Return the pieces of a strip from left to right.

    Args:
        ink: (height, width) uint8, digits about STRIP_PX high.
        stroke_px: width of its strokes.
    """
    import cv2

    count, labels, stats, _ = cv2.connectedComponentsWithStats(
        (ink >= MARK_LEVEL).astype(np.uint8), connectivity=8
    )
    labels = _spread(labels.astype(np.int32), ink)
    pieces = []
    for label in range(1, count):
        x, y, width, height = (int(value) for value in stats[label, :4])
        x, y = max(0, x - 1), max(0, y - 1)
        inside = (slice(y, y + height + 2), slice(x, x + width + 2))
        mark = np.where(labels[inside] == label, ink[inside], 0).astype(np.uint8)
        if max(width, height) < 0.1 * STRIP_PX:
            continue
        pieces += _cut_mark(mark, (x, y), label, stroke_px)
    return sorted(pieces, key=lambda piece: piece.box[0] + piece.box[2] / 2)


def _spread(labels: NDArray[np.int32], ink: Gray) -> NDArray[np.int32]:
    """Give the soft edges of the marks the labels of the marks."""
    import cv2

    grown = cv2.dilate(labels.astype(np.float32), np.ones((3, 3), np.uint8)).astype(np.int32)
    return np.where((labels == 0) & (ink > 0), grown, labels)


def _cut_mark(mark: Gray, origin: tuple[int, int], label: int, stroke_px: float) -> list[Piece]:
    paths, costs = (
        find_cuts(mark, stroke_px) if mark.shape[1] >= NARROW_PX else (np.zeros((0, len(mark)), np.int64), [])
    )
    columns = np.arange(mark.shape[1])
    owner = (
        (columns[None, None, :] >= paths[:, :, None]).sum(axis=0) if len(paths) else np.zeros(mark.shape, int)
    )
    pieces: list[Piece] = []
    for index in range(len(paths) + 1):
        part = np.where(owner == index, mark, 0).astype(np.uint8)
        rows, across = np.nonzero(part >= EDGE_LEVEL)
        if len(rows) < 4:
            continue
        top, bottom, left, right = rows.min(), rows.max() + 1, across.min(), across.max() + 1
        box = (int(origin[0] + left), int(origin[1] + top), int(right - left), int(bottom - top))
        cut = float(costs[index - 1]) if index and pieces else 0.0
        pieces.append(Piece(box, np.ascontiguousarray(part[top:bottom, left:right]), label, cut))
    return pieces


def find_cuts(mark: Gray, stroke_px: float) -> tuple[NDArray[np.int64], list[float]]:
    """Return candidate cuts of a mark from left to right, and how many pixels of ink each goes through.

    Returns:
        (n, height) columns: a row's ink left of its column is left of the cut; and n prices.
    """
    price = mark.astype(np.float32) / np.float32(255)
    down, up = _cheapest(price), _cheapest(price[::-1])[::-1]
    total = down + up - price
    middle = len(mark) // 2
    along = total[middle]
    chosen: list[int] = []
    edge = 0.12 * STRIP_PX
    for column in np.argsort(along, kind="stable"):
        if along[column] > STROKES * stroke_px + 1:
            break
        if edge <= column <= mark.shape[1] - edge and all(
            abs(column - other) >= APART_PX for other in chosen
        ):
            chosen.append(int(column))
    chosen.sort()
    paths = np.array([_trace(down, up, middle, column) for column in chosen], np.int64).reshape(
        len(chosen), len(mark)
    )
    paths = np.maximum.accumulate(paths, axis=0)  # cuts may meet and do not cross
    return paths, [float(along[column]) for column in chosen]


def _cheapest(price: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return for every pixel the price of the cheapest path to it from the top row, its own included."""
    total = price.copy()
    for row in range(1, len(price)):
        before = total[row - 1]
        best = before.copy()
        best[1:] = np.minimum(best[1:], before[:-1] + STEP_ASIDE)
        best[:-1] = np.minimum(best[:-1], before[1:] + STEP_ASIDE)
        total[row] += best
    return total


def _trace(down: NDArray[np.float32], up: NDArray[np.float32], middle: int, column: int) -> list[int]:
    """Return the columns of the cheapest path through a pixel of the middle row, from top to bottom."""
    above = _follow(down, middle, column, -1)
    below = _follow(up, middle, column, 1)
    return [*above[::-1], column, *below]


def _follow(total: NDArray[np.float32], row: int, column: int, direction: int) -> list[int]:
    columns = []
    width = total.shape[1]
    while 0 <= row + direction < len(total):
        row += direction
        options = [(total[row, column], column)]
        if column > 0:
            options.append((total[row, column - 1] + STEP_ASIDE, column - 1))
        if column < width - 1:
            options.append((total[row, column + 1] + STEP_ASIDE, column + 1))
        column = min(options, key=lambda option: option[0])[1]
        columns.append(column)
    return columns


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

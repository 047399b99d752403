"""Numbers that are crossed out: a mark with one or two lines through it that begin and end beside it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mnistry.cutting import group_by_mark, join
from mnistry.imaging import EDGE_LEVEL, Box
from mnistry.segments import CutLine
from mnistry.straightening import STRIP_PX

LEAST_WIDTH, LEAST_HEIGHT = 1.2, 0.5  # times as wide as high are two digits, and portion of the line's height
CENTRAL = 0.35, 0.65  # of the height: there is the middle of the line through them,
COVERED = 0.97  # of its way it is ink
OVERHANG = 0.14  # of the height it goes on at both ends, nothing there
THICK = 1.5  # widths of a stroke each of them is, at most,
NEAR = 0.5  # of the height above and below it, but a second line
BESIDE = 1.2  # widths of a stroke above and below it are strokes that cross it:
LEAST_CROSSED = 3  # so many


def find_struck(line: CutLine) -> list[Box]:
    """Return the boxes of the pieces of what is crossed out on a line."""
    return [
        piece.box
        for pieces in group_by_mark(line.pieces)
        if len(pieces) > 1 and is_struck(join(pieces)[0] >= EDGE_LEVEL, line.stroke_px)
        for piece in pieces
    ]


def is_struck(mask: NDArray[np.bool_], stroke_px: float) -> bool:
    """Return whether a mark has a straight line through it that begins and ends beside it."""
    height, width = mask.shape
    if width < LEAST_WIDTH * height or height < LEAST_HEIGHT * STRIP_PX:
        return False
    columns, ends = np.arange(1, width - 1), np.arange(0, height, 2)
    start, stop = (side.ravel() for side in np.meshgrid(ends, ends))
    middle = (start + stop) / 2
    central = (middle >= CENTRAL[0] * height) & (middle <= CENTRAL[1] * height)
    start, stop = start[central], stop[central]
    along = np.linspace(0, 1, len(columns))
    rows = np.rint(start[:, None] + (stop - start)[:, None] * along).astype(int)
    covered = mask[rows, columns].mean(axis=1)
    best = int(covered.argmax())
    if covered[best] < COVERED:
        return False
    # The middle of the line: the mean of all that lie in it.
    same = (np.abs(start - start[best]) <= stroke_px) & (np.abs(stop - stop[best]) <= stroke_px)
    rows = np.rint(rows[same & (covered >= COVERED)].mean(axis=0)).astype(int)
    end, far = max(2, round(OVERHANG * height)), NEAR * height
    distance = np.abs(np.arange(height)[:, None] - rows)
    alone = ~(mask[:, columns] & (distance > far)).any(axis=0)
    edges = np.diff(np.pad(mask[:, columns], ((1, 0), (0, 0))).astype(np.int8), axis=0) > 0
    alone &= mask[:, columns].sum(axis=0) <= THICK * stroke_px * edges.sum(axis=0)
    if not (alone[:end].all() and alone[-end:].all()):
        return False
    beside_px = round(BESIDE * stroke_px)
    above, below = (_look(mask, rows + side, columns) for side in (-beside_px, beside_px))
    reach = np.ones(2 * round(stroke_px / 2) + 1)  # a stroke may lean
    crossing = (np.convolve(above, reach, "same") > 0) & (np.convolve(below, reach, "same") > 0)
    return bool(np.count_nonzero(np.diff(np.pad(crossing.astype(np.int8), 1)) > 0) >= LEAST_CROSSED)


def _look(mask: NDArray[np.bool_], rows: NDArray[np.int64], columns: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return where there is ink on a line, not beyond the mark."""
    height = len(mask)
    return np.asarray(mask[rows.clip(0, height - 1), columns] & (rows >= 0) & (rows < height), np.bool_)

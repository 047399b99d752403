"""Percent signs, which look like 90 or 96: two rings on both sides of a single slanting stroke."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mnistry.cutting import Piece, group_by_mark, join
from mnistry.decoding import Path
from mnistry.imaging import Box
from mnistry.pictures import Gray
from mnistry.segments import CutLine

MOST_MARKS = 3  # the stroke and two rings, each by itself
HEIGHT = 0.7  # of the highest digit's, at least, is a percent sign high,
WIDTH = 0.5, 1.5  # of its own height it is wide
RING_APART = 0.3  # of the height the rings are apart, across and down, at least,
SMALL, TURNED = 0.6, 0.15  # and apart from the stroke: so high at most, and so far down, as lines turn;
ROUND = 0.1  # of its height and width the space in a ring is from its middle, at most
EIGHT = 8  # the class of what has two rings, too
RING_LEVEL = 128  # of ink: the edges of a thick pen fill small rings
LEAST_RING = 0.004  # of the square of the height is the space in a ring
END = 0.1  # of the height, above and below which the stroke may be round
LEAST_LEAN = -0.15  # columns a row that it leans to the right, at least: lines are made upright,
STRAIGHT = 0.97  # of its way it is ink,
PART, BESIDE = 0.4, 0.1  # of the height: in so much nothing is so far right of its top, or left of its foot


def find_percents(path: Path, line: CutLine) -> list[Box]:
    """Return the boxes of the pieces of percent signs on a line, of which the path has made digits.

    But a mark that is surely an 8 is one.
    """
    eights = [part.box for part in path.segments if part.answer == EIGHT and part.confidence > 0.5]
    highest = max((segment.box[3] for segment in path.segments if segment.digit), default=0)
    parts = sorted(group_by_mark(line.pieces), key=_find_middle)
    found: list[Box] = []
    for start in range(len(parts)):
        for stop in range(start + 1, min(start + MOST_MARKS, len(parts)) + 1):
            pieces = [piece for part in parts[start:stop] for piece in part]
            ink, box = join(pieces)
            _, _, width, height = box
            fits = height >= HEIGHT * highest and WIDTH[0] * height <= width <= WIDTH[1] * height
            if not fits or pieces[0].box in found or box in eights:
                continue
            if is_percent(ink) or (stop - start == MOST_MARKS and _are_apart(parts[start:stop])):
                found += [piece.box for piece in pieces]
    return found


def _find_middle(pieces: Sequence[Piece]) -> float:
    left = min(piece.box[0] for piece in pieces)
    return (left + max(piece.box[0] + piece.box[2] for piece in pieces)) / 2


def _are_apart(parts: Sequence[Sequence[Piece]]) -> bool:
    """Return whether three marks are a stroke with a small ring on both sides, the left one higher up."""
    (left, left_box), (stroke, (_, _, _, height)), (right, right_box) = (join(part) for part in parts)
    if max(left_box[3], right_box[3]) > SMALL * height or len(_list_rings(stroke >= RING_LEVEL)) > 0:
        return False
    down = right_box[1] + right_box[3] / 2 - left_box[1] - left_box[3] / 2
    return down >= TURNED * height and is_round(left) and is_round(right)


def is_round(ring: Gray) -> bool:
    """Return whether a mark has one space, in its middle, as no 6 or 9 has."""
    spaces = _list_rings(ring >= RING_LEVEL)
    height, width = ring.shape
    return len(spaces) == 1 and all(
        abs(x / width - 0.5) <= ROUND and abs(y / height - 0.5) <= ROUND for x, y in spaces
    )


def is_percent(ink: Gray) -> bool:
    """Return whether ink has a ring in its upper left, one in its lower right, and a stroke between them.

    Between 9 and 6, which have such rings as well, there are two strokes.
    """
    mask = ink >= RING_LEVEL
    rings = _list_rings(mask)
    if len(rings) != 2:
        return False
    (left, upper), (right, lower) = rings
    if min(right - left, lower - upper) < RING_APART * len(mask):
        return False
    return _has_stroke(mask)


def _has_stroke(mask: NDArray[np.bool_]) -> bool:
    """Return whether a straight stroke goes up, with nothing left of its foot and right of its top."""
    height, width = mask.shape
    rows = np.rint(np.linspace(END * height, (1 - END) * height - 1, height)).astype(int)
    foot, lean = np.arange(width), np.arange(LEAST_LEAN * height, width)
    # Columns of every such line: (feet, leans, rows).
    along = (rows[-1] - rows) / max(1, rows[-1] - rows[0])
    columns = np.rint(foot[:, None, None] + lean[:, None] * along).astype(int)
    inked = mask[rows, columns.clip(0, width - 1)] & (columns < width)
    straight = np.argwhere(inked.mean(axis=2) >= STRAIGHT)
    aside = BESIDE * height
    part = round(PART * height)
    first, last = mask[rows].argmax(axis=1), width - 1 - mask[rows][:, ::-1].argmax(axis=1)
    return any(
        (last[:part] <= columns[one, other, :part] + aside).all()
        and (first[-part:] >= columns[one, other, -part:] - aside).all()
        for one, other in straight.tolist()
    )


def _list_rings(mask: NDArray[np.bool_]) -> list[tuple[float, float]]:
    """Return the middles (x, y) of the spaces that are enclosed in a mark, from left to right."""
    import cv2

    _, numbers, stats, middles = cv2.connectedComponentsWithStats(
        np.pad(~mask, 1, constant_values=True).view(np.uint8), None, None, None, 4
    )
    return sorted(
        (float(middles[index][0]), float(middles[index][1]))
        for index in range(1, len(stats))
        if index != numbers[0, 0] and stats[index, 4] >= LEAST_RING * len(mask) ** 2
    )

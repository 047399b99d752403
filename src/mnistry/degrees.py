"""Degree signs, which look like small 0s: a ring high up behind a number, and the unit behind it."""

from __future__ import annotations

from collections.abc import Sequence

from mnistry.cutting import Piece, group_by_mark, join
from mnistry.decoding import Path
from mnistry.imaging import Box
from mnistry.percents import is_round
from mnistry.segments import CutLine
from mnistry.words import is_doubtful

LARGE = 0.6  # of the highest mark's height a digit is high, at least;
HEIGHT = 0.42  # of the height of the digit before it is the ring, at most, which ends above its middle,
CIRCLE, CIRCLE_HEIGHT = 0.95, 0.48  # or so high one that is as broad as a circle, as few 0s are,
WIDTH = 0.6, 1.7  # and of its own height it is wide
GAP = 0.6  # of the highest one's height, between the ring and what stands beside it, at most
RING = 0  # the class of what it may be taken for


def find_degrees(path: Path, line: CutLine) -> list[Box]:
    """Return the boxes of the pieces of degree signs on a line, and of a doubtful mark behind them, as C.

    Where two small rings are beside each other, as in cents that are written so, they are none.
    """
    marks = group_by_mark(line.pieces)
    boxes = [join(mark)[1] for mark in marks]
    highest = max((box[3] for box in boxes), default=0)
    large = [box for box in boxes if box[3] >= LARGE * highest]
    if len(large) == len(boxes):
        return []
    found: list[Box] = []
    for mark, box in zip(marks, boxes, strict=True):
        if box in large or not _is_ring(mark, line):
            continue
        before, behind = _list_beside(box, boxes, GAP * highest)
        if not before or before[-1] not in large or not _is_raised(box, before[-1]):
            continue
        if behind and behind[0][3] <= HEIGHT * before[-1][3]:
            continue
        found += [piece.box for piece in mark]
        unit = [other for other, place in zip(marks, boxes, strict=True) if place in behind[:1]]
        if len(behind) == 1 and _is_unit(unit[0], path):
            found += [piece.box for piece in unit[0]]
    return found


def _is_raised(ring: Box, digit: Box) -> bool:
    """Return whether a mark is small beside a digit, and ends above its middle."""
    _, y, width, height = ring
    _, top, _, high = digit
    small = HEIGHT if width < CIRCLE * height else CIRCLE_HEIGHT
    return height <= small * high and y + height <= top + high / 2 and WIDTH[0] <= width / height <= WIDTH[1]


def _is_ring(mark: Sequence[Piece], line: CutLine) -> bool:
    """Return whether a mark is a ring: it encloses one space, or would be a 0 if it were a digit."""
    if is_round(join(mark)[0]):
        return True
    start = next(index for index, piece in enumerate(line.pieces) if piece is mark[0])
    alone = line.segments.get((start, start + len(mark)))
    return alone is not None and alone.confidence > 0 and alone.answer == RING


def _list_beside(ring: Box, boxes: Sequence[Box], gap: float) -> tuple[list[Box], list[Box]]:
    """Return what is left and right of a ring, from left to right, as far as no wider gap parts it.

    Nothing is left of it where another mark is below or above it: it may be a part of that.
    """
    x, _, width, _ = ring
    middle = x + width / 2
    if any(left < middle < left + wide for left, _, wide, _ in boxes if (left, wide) != (x, width)):
        return [], []
    before = [box for box in boxes if box[0] + box[2] <= middle and box[0] + box[2] >= x - gap]
    behind: list[Box] = []
    end = x + width
    for box in sorted(box for box in boxes if box[0] >= middle):
        if box[0] - end > gap:
            break
        behind.append(box)
        end = max(end, box[0] + box[2])
    return sorted(before, key=lambda box: box[0] + box[2]), behind


def _is_unit(mark: Sequence[Piece], path: Path) -> bool:
    """Return whether a mark behind a ring is no sure digit, but with it."""
    x, _, width, _ = join(mark)[1]
    return all(
        not segment.digit or is_doubtful([segment])
        for segment in path.segments
        if segment.box[0] < x + width / 2 < segment.box[0] + segment.box[2]
    )

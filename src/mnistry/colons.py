"""Colons, of which the digits beside them take a point each: two points above each other."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from mnistry.cutting import group_by_mark, join
from mnistry.imaging import Box
from mnistry.segments import CutLine

LARGE = 0.6  # of the highest mark's height a digit is high, at least
HEIGHT = 0.3  # of the digits' height so high at most is a point,
WIDTH = 0.5, 2.0  # and of its own height it is wide;
ALIKE = 1.8  # times as large as the other one, at most
ASIDE = 0.15  # of the digits' height so far it is from above the other one,
APART = 0.15, 0.75  # and so far their middles are apart


def find_colons(line: CutLine) -> list[Box]:
    """Return the boxes of the pieces of the colons of a line: two points, in columns without other marks."""
    marks = group_by_mark(line.pieces)
    boxes = [join(mark)[1] for mark in marks]
    highest = max((box[3] for box in boxes), default=0)
    large = [box for box in boxes if box[3] >= LARGE * highest]
    if len(large) < 2:
        return []
    height = float(np.median([box[3] for box in large]))
    top = float(np.median([box[1] for box in large]))
    points = [
        index
        for index, (_, _, width, high) in enumerate(boxes)
        if high <= HEIGHT * height and WIDTH[0] <= width / high <= WIDTH[1]
    ]
    found: list[Box] = []
    for pair in combinations(points, 2):
        (left, upper), (right, lower) = (_find_middle(boxes[index]) for index in pair)
        sizes = [max(boxes[index][2:]) for index in pair]
        above = abs(left - right) <= ASIDE * height and max(sizes) <= ALIKE * min(sizes)
        apart = APART[0] * height <= abs(upper - lower) <= APART[1] * height
        inside = top <= min(upper, lower) and max(upper, lower) <= top + height
        middle = (left + right) / 2
        alone = [index for index, (x, _, width, _) in enumerate(boxes) if x < middle < x + width]
        between = any(box[0] + box[2] / 2 < middle for box in large) and any(
            box[0] + box[2] / 2 > middle for box in large
        )
        if above and apart and inside and between and set(alone) <= set(pair):
            found += [piece.box for index in pair for piece in marks[index]]
    return found


def _find_middle(box: Box) -> tuple[float, float]:
    x, y, width, height = box
    return x + width / 2, y + height / 2

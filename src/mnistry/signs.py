"""The signs of a line that look like digits by themselves, or join them: slashes, commas, brackets, dashes.

    find_signs      a way to read a line -> the marks in it that are signs, brackets too:
    find_apart      those told by what they are,
    find_compared   and by how others stand
    leave_out       the line without them, to be read again

A comma is low and hangs from the line. A slash looks like a 1 that leans further than the strokes around it.
Where digits are of many hands, so does many a 1: so it must reach above and below all the others as well,
or the line must read as a date, 24/12/2026, with two alike. Before a dash at the end, 25/-, it need not
reach far, or not at all if it leans much. What a digit has drawn to itself is a dash, a colon or the like, if
it is the same digit without.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Sequence
from dataclasses import replace
from itertools import combinations, groupby
from typing import NamedTuple

import numpy as np

from mnistry.brackets import find_brackets
from mnistry.colons import find_colons
from mnistry.cutting import Piece
from mnistry.decoding import Path
from mnistry.degrees import find_degrees
from mnistry.imaging import Box, cut, measure_line
from mnistry.percents import find_percents
from mnistry.pictures import Gray
from mnistry.segments import CutLine, Segment
from mnistry.straightening import measure_slant
from mnistry.struck import find_struck
from mnistry.words import split_words

LEAST_HEIGHT = 0.4  # of the largest digit's height: what is lower is a dot or a dash
LEAST_OTHERS = 2  # marks of a line
COMMA_HEIGHT, COMMA_TOP = 0.66, 0.6  # of the others' height: at most so high, and so far down begins a comma
COMMA_BELOW = 0.05  # of it it reaches below them, at least,
COMMA_WIDTH = 0.6  # or it is a bar, so broad for its height
LEAST_LENGTH, LEAST_SLENDER = 3.0, 3.5  # times as long as it is thick is a stroke, and one surely straight;
MOST_THICKNESS, MOST_SLENDER = 2.2, 1.6  # times as thick as the line's strokes they are, at most
LEANING = 0.12  # columns a row that a slash leans further to the right than the other strokes;
REACH = 0.12  # the same and what it reaches above and below the others, in their heights, in a date
MOST_REACH = 0.2  # of that above and of that below counts
LEAST_LEANING = -0.05  # in a date, further than strokes that are not straight,
LEAST_APART = 0.08  # and than those that are
ALIKE, ALIKE_HIGH = 0.1, 0.8  # columns a row by which the slashes of a date differ, and portion of the height
ABOVE, BELOW = 0.12, 0.08  # of the others' height that a slash of no date reaches above and below them
FAR_LEANING, FAR_REACH = 0.3, 0.04  # the same of one that leans so far that it need hardly reach further,
LONG_REACH = 0.13  # and of one that reaches so far, up and down, that it need not lean further,
END_LEANING, END_REACH = 0.05, 0.06  # the same of a slash that a dash at the end of the line follows,
ENDINGS = 0.25, 0.35  # or it leans so far, before one dash, and before two
LEAST_DASH = 2.2  # times as wide as high is a dash,
DASH_HEIGHT = 0.25  # of the slash's height so high at most,
DASH_GAP = 0.6  # so far from it,
DASH_MIDDLE = 0.25  # and so far from its middle
LONGEST_DATE = 10  # marks
MOST_DRAWN = 3  # marks of a sign, as of "divided by", that a digit has drawn to itself;
INTO = 0.1  # of its height, that they reach beyond its side at most,
SIGN_TOP, SIGN_BOTTOM = 0.15, 0.95  # between which dashes are,
STACKED = 0.2  # of it, which those above each other are apart across, and reach above and below it, at most;
SAME, GAIN = 0.9, 0.02  # confidence that it is the same digit without them, and how much more that may be,
SIGN_HEIGHT = 0.8  # where they are so high at most, in its heights
FAR_GAIN, CROSS_TOP = 0.05, 0.3  # from which what is so far down may be a cross at the digits' foot:
FAR_INTO, SUNK = 0.2, 1.1  # so far inside at most, and reaching so far down
DATE = re.compile("D{1,2}/D{1,2}/(DD|DDDD)|DDDD/D{1,2}/D{1,2}")  # D: a digit


class _Stroke(NamedTuple):
    """A large mark of a line.

    Attributes:
        box: in the strip.
        ink: (height, width) uint8.
        lean: by how many columns a row it goes to the right on its way up; None if it is no stroke.
        straight: whether it is surely a straight one.
    """

    box: Box
    ink: Gray
    lean: float | None
    straight: bool


def find_signs(path: Path, line: CutLine, ink: Gray) -> list[Box]:
    """Return the boxes of the signs that a path through a line has; `ink` is that of its strip."""
    apart = find_apart(path, line)
    return [*apart, *find_compared(path, line, ink, apart)]


def find_apart(path: Path, line: CutLine) -> list[Box]:
    """Return the boxes of the signs that are told by what they are, whatever stands beside them."""
    return [
        *find_struck(line),
        *find_percents(path, line),
        *find_degrees(path, line),
        *find_colons(line),
        *find_brackets(path, line),
        *_find_drawn(path, line),
    ]


def find_compared(path: Path, line: CutLine, ink: Gray, apart: Collection[Box]) -> list[Box]:
    """Return the boxes of the signs that are told by how other marks of the line stand: slashes and commas.

    Those in `apart`, and what was emptied, are not looked at.
    """
    whole = {piece.box: piece.ink for piece in line.pieces}
    height = max((segment.box[3] for segment in path.segments if segment.digit), default=0)
    strokes, low = [], []
    for segment in path.segments:
        if segment.digit and segment.box in whole and segment.box[3] < LEAST_HEIGHT * height:
            low.append(segment.box)
        elif segment.box[3] >= LEAST_HEIGHT * height and segment.confidence > 0 and segment.box not in apart:
            lean, straight = None, False
            if segment.box in whole:
                lean, straight = _measure_lean(whole[segment.box], line.stroke_px)
            strokes.append(_Stroke(segment.box, cut(ink, segment.box), lean, straight))
    ending = _find_ending(path, line, ink)
    return ending or _find_others(strokes, [*low, *(stroke.box for stroke in strokes if stroke.box in whole)])


def _find_others(strokes: Sequence[_Stroke], whole: Sequence[Box]) -> list[Box]:
    """Return the boxes of slashes, or of commas out of `whole`, those of single pieces."""
    commas = _find_commas(whole, strokes)
    if commas or all(stroke.lean is None for stroke in strokes):
        return commas
    words = split_words([stroke.box for stroke in strokes])
    for word in [range(len(strokes)), *(words if len(words) > 1 else [])]:
        found = _find_pair([strokes[index] for index in word])
        if found:
            return [stroke.box for stroke in found]
    return _find_tall(strokes)


def _find_drawn(path: Path, line: CutLine) -> list[Box]:
    """Return the boxes of the pieces of signs that digits have drawn to them and are the same without."""
    pieces = line.pieces
    found = []
    for segment in path.segments:
        if not segment.digit:
            continue
        groups = [list(group) for _, group in groupby(pieces[segment.start : segment.stop], _get_mark)]
        for count in range(1, min(MOST_DRAWN, len(groups) - 1) + 1):
            first, last = (sum(map(len, part)) for part in (groups[:count], groups[-count:]))
            for signs, rest in (
                (groups[:count], (segment.start + first, segment.stop)),
                (groups[-count:], (segment.start, segment.stop - last)),
            ):
                alone = line.segments.get(rest)
                if alone and alone.answer == segment.answer and _is_drawn(signs, alone, segment):
                    found += [piece.box for sign in signs for piece in sign]
    return found


def _get_mark(piece: Piece) -> int:
    return piece.mark


def _is_drawn(signs: Sequence[Sequence[Piece]], alone: Segment, whole: Segment) -> bool:
    """Return whether marks beside a digit, with which it is the whole segment, are a sign of their own.

    Such as a dash, points or dashes above each other, or what makes a doubtful digit of a sure one.
    """
    boxes = [_bound([piece.box for piece in sign]) for sign in signs]
    lefts, tops, rights, bottoms = np.array(boxes).T
    x, y, width, height = alone.box
    top, bottom = (tops.min() - y) / height, (bottoms.max() - y) / height
    gain = alone.confidence - whole.confidence
    cross = gain >= FAR_GAIN and top >= CROSS_TOP
    into = min(rights.max() - x, x + width - lefts.min()) / height
    if alone.confidence < SAME or into > (FAR_INTO if cross else INTO):
        return False
    level = top >= SIGN_TOP and bottom <= SIGN_BOTTOM
    low = (bottoms - tops).max() <= DASH_HEIGHT * height
    dash = len(signs) == 1 and low and level and _is_dash([piece.box for piece in signs[0]])
    apart = lefts.max() - rights.min() < STACKED * height
    stacked = len(signs) > 1 and low and apart and top >= -STACKED and bottom <= 1 + STACKED
    gained = gain >= GAIN and top >= 0 and bottom <= (SUNK if cross else 1)
    return bool(dash or stacked or (gained and bottom - top <= SIGN_HEIGHT))


def _find_commas(marks: Sequence[Box], strokes: Sequence[_Stroke]) -> list[Box]:
    """Return the boxes of marks that are far lower than most of a line, begin far down, and end below them.

    A bar between others that begins so far down may end where they do.
    """
    if len(strokes) <= LEAST_OTHERS:
        return []
    boxes = np.array([stroke.box for stroke in strokes])
    boxes = boxes[boxes[:, 3] > COMMA_HEIGHT * np.median(boxes[:, 3])]
    top, bottom = np.median(boxes[:, 1]), np.median(boxes[:, 1] + boxes[:, 3])
    high = bottom - top
    return [
        (x, y, width, height)
        for x, y, width, height in marks
        if height <= COMMA_HEIGHT * high
        and y - top >= COMMA_TOP * high
        and (
            y + height - bottom >= COMMA_BELOW * high
            or (width <= COMMA_WIDTH * height and boxes[:, 0].min() < x < boxes[:, 0].max())
        )
    ]


def _find_ending(path: Path, line: CutLine, ink: Gray) -> list[Box]:
    """Return the slash before a dash, or the two of =, that end a line, which the path may take together."""
    rest = list(line.pieces)
    dashes: list[list[Box]] = []
    while rest and len(dashes) < len(ENDINGS):
        boxes = [piece.box for piece in rest if piece.mark == rest[-1].mark]
        if not _is_dash(boxes):
            break
        rest = [piece for piece in rest if piece.mark != rest[-1].mark]
        dashes.append(boxes)
    if not dashes or len(rest) < 2 or not _is_beside(rest[-1].box, dashes):
        return []
    slash = rest[-1]
    if slash.mark == rest[-2].mark:  # part of a digit
        return []
    lean, _ = _measure_lean(slash.ink, line.stroke_px)
    boxes = [segment.box for segment in path.segments if segment.stop < len(rest) and segment.digit]
    if lean is None or not boxes:
        return []
    others = [_Stroke(box, cut(ink, box), None, False) for box in boxes]
    _, leaning, above, below = _compare(_Stroke(slash.box, slash.ink, lean, False), others)
    reaches = leaning >= END_LEANING and min(above, below) >= END_REACH
    return [slash.box] if reaches or leaning >= ENDINGS[len(dashes) - 1] else []


def _bound(boxes: Sequence[Box]) -> tuple[int, int, int, int]:
    """Return the first column and row of some boxes, and those behind the last."""
    left, top, width, height = np.array(boxes).T
    return int(left.min()), int(top.min()), int((left + width).max()), int((top + height).max())


def _is_dash(boxes: Sequence[Box]) -> bool:
    left, top, right, bottom = _bound(boxes)
    return right - left >= LEAST_DASH * (bottom - top)


def _is_beside(slash: Box, dashes: Sequence[Sequence[Box]]) -> bool:
    """Return whether low dashes, each in pieces, stand right behind a slash, at its middle."""
    x, y, width, height = slash
    left, top, _, bottom = _bound([box for dash in dashes for box in dash])
    high = max(box[3] for dash in dashes for box in dash) <= DASH_HEIGHT * height
    middle = abs((top + bottom) / 2 - (y + height / 2)) <= DASH_MIDDLE * height
    return high and middle and left - (x + width) <= DASH_GAP * height


def _measure_lean(ink: Gray, stroke_px: float) -> tuple[float | None, bool]:
    """Return `lean` and `straight` of a mark, as `_Stroke` has them."""
    length, thickness, lean = measure_line(ink)
    slender, thick = length / thickness, thickness / stroke_px
    if slender < LEAST_LENGTH or thick > MOST_THICKNESS or abs(lean) > 1:
        return None, False
    return lean, slender >= LEAST_SLENDER and thick <= MOST_SLENDER


def _find_pair(strokes: Sequence[_Stroke]) -> tuple[_Stroke, _Stroke] | None:
    """Return the two slashes of a date; None if it is none."""
    if len(strokes) > LONGEST_DATE:
        return None
    straight = [index for index, stroke in enumerate(strokes) if stroke.lean is not None]
    for pair in combinations(straight, 2):
        text = "".join("/" if index in pair else "D" for index in range(len(strokes)))
        if not DATE.fullmatch(text):
            continue
        one, other = (strokes[index] for index in pair)
        others = [stroke for index, stroke in enumerate(strokes) if index not in pair]
        high = one.box[3] / other.box[3]
        alike = abs(_lean(one) - _lean(other)) <= ALIKE and ALIKE_HIGH <= high <= 1 / ALIKE_HIGH
        seen = [_compare(slash, others) for slash in (one, other)]
        apart, leaning, above, below = np.mean(seen, axis=0)
        reach = min(above, MOST_REACH) + min(below, MOST_REACH)
        if alike and apart > LEAST_APART and leaning > LEAST_LEANING and leaning + reach > REACH:
            return one, other
    return None


def _find_tall(strokes: Sequence[_Stroke]) -> list[Box]:
    """Return the one straight stroke of a line that reaches above and below the others, and leans further.

    Between others that may be hardly, if it leans far, and if it reaches far it need not lean.
    """
    if len(strokes) <= LEAST_OTHERS or not any(stroke.straight for stroke in strokes):
        return []
    slash = max((stroke for stroke in strokes if stroke.straight), key=_lean)
    apart, leaning, above, below = _compare(slash, [other for other in strokes if other is not slash])
    tall = min(apart, leaning) >= LEANING and above >= ABOVE and below >= BELOW
    between = slash is not strokes[0] and slash is not strokes[-1]
    far = min(apart, leaning) >= FAR_LEANING and min(above, below) >= FAR_REACH
    long = min(apart, leaning) >= LEAST_LEANING and min(above, below) >= LONG_REACH
    return [slash.box] if tall or (between and (far or long)) else []


def _lean(stroke: _Stroke) -> float:
    return stroke.lean or 0.0


def _compare(slash: _Stroke, others: Sequence[_Stroke]) -> tuple[float, float, float, float]:
    """Return how much further a stroke leans than others, straight ones and not, and reaches up and down.

    The former in columns a row, infinite where there are none; the latter in the others' heights.
    """
    straight = [_lean(other) for other in others if other.straight]
    bent = [other.ink for other in others if not other.straight]
    boxes = np.array([other.box for other in others])
    top, bottom = np.median(boxes[:, 1]), np.median(boxes[:, 1] + boxes[:, 3])
    _, y, _, height = slash.box
    return (
        _lean(slash) - max(straight, default=-math.inf),
        _lean(slash) - (measure_slant(bent) if bent else -math.inf),
        float((top - y) / (bottom - top)),
        float((y + height - bottom) / (bottom - top)),
    )


def leave_out(signs: Collection[Box], line: CutLine, ink: Gray) -> tuple[CutLine, Gray]:
    """Return a line in which the pieces with some boxes are surely no digits, and its ink without them."""
    ink, pieces = ink.copy(), list(line.pieces)
    taken = {index for index, piece in enumerate(pieces) if piece.box in signs}
    for index in taken:
        x, y, width, height = pieces[index].box
        ink[y : y + height, x : x + width][pieces[index].ink > 0] = 0
        pieces[index] = replace(pieces[index], ink=np.zeros_like(pieces[index].ink))
    left = {}
    for span, segment in line.segments.items():
        if taken.isdisjoint(range(*span)):
            left[span] = segment
        elif taken.issuperset(range(*span)):
            left[span] = replace(segment, probabilities=0 * segment.probabilities)
    return CutLine(pieces, left, line.stroke_px), ink

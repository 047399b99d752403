"""Brackets, which look like 1s: told from them by how they are bowed, and by where they stand.

find_brackets        on a line: bowed as 1s hardly are, or in pairs
find_list_brackets   on a page: behind each number of a list
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby

import numpy as np

from mnistry.cutting import Piece, join
from mnistry.decoding import Path
from mnistry.imaging import EDGE_LEVEL, Box
from mnistry.pictures import Gray
from mnistry.segments import CutLine

ONE = 1  # the class of what may be a bracket
BOW, MOST_BOW = 0.2, 0.45  # heights that a bracket is bowed by; of 6,700 MNIST training 1s 0.1 % are so much,
BOW_OF_PAIR = 0.08  # but two that are bowed to the outside may have so little,
BOW_OF_LIST = 0.06  # and so much more than other 1s, in the mean, those behind the numbers of a list,
LIST_GAP = 0.3  # where this is the least gap behind them, in heights,
LEAST_LINES, FROM_ONE = 3, 2  # on so many lines, and on so many where the numbers begin with 1
BOW_RESIDUAL = 0.02  # of the height that it is away from a parabola, in the mean square,
BOW_THICKNESS = 0.3  # and so thick at most,
BOW_HEIGHT = 0.85  # of the highest mark beside it, at least, it is high
PART_OF = 0.5  # confidence of a digit from which what is a part of it is no bracket
LEAST_ROWS = 8  # of pixels
FLAT_END = 2.0  # times as broad as it is thick are its ends, at most


def find_brackets(path: Path, line: CutLine) -> list[Box]:
    """Return the boxes of the pieces of marks that are bowed like brackets: far, or in pairs.

    They are no parts of a sure digit, and by themselves a 1 or none.
    """
    if len(path.segments) < 2:
        return []
    pieces = line.pieces
    highest = max(segment.box[3] for segment in path.segments)
    sure = [segment for segment in path.segments if segment.digit and segment.confidence >= PART_OF]
    found: list[Sequence[Piece]] = []
    opening: Sequence[Piece] = ()
    for _, group in groupby(range(len(pieces)), lambda index: pieces[index].mark):
        places = list(group)
        start, stop = places[0], places[-1] + 1
        part = pieces[start:stop]
        alone = line.segments.get((start, stop))
        if alone is None or alone.box[3] < BOW_HEIGHT * highest:
            continue
        if any(
            one.start <= start and stop <= one.stop and one.stop - one.start > stop - start for one in sure
        ):
            continue
        bow = measure_bow(join(part)[0]) if alone.answer == ONE or alone.none > alone.confidence else 0.0
        if not BOW_OF_PAIR <= abs(bow) <= MOST_BOW:
            continue
        closes = bow < 0 and len(opening) > 0
        if abs(bow) >= BOW or closes:
            found.append(part)
        if closes:
            found.append(opening)
        opening = part if bow > 0 else ()
    return [piece.box for part in found for piece in part]


def find_list_brackets(paths: Sequence[Path], lines: Sequence[CutLine]) -> dict[int, list[Box]]:
    """Return by the number of its line the boxes of the bracket behind each number of a list: 1) 2) 3).

    They are bowed to the right, further than other 1s on the page, a gap follows, and the numbers before them
    count on: on LEAST_LINES of those that begin so, which need not follow each other, or FROM_ONE if from 1.
    """
    runs: list[list[tuple[int, int, float, list[Box]]]] = [[]]  # (line, number, bow, boxes) that count on
    for index, (path, line) in enumerate(zip(paths, lines, strict=True)):
        found = _find_list_bracket(path, line.pieces)
        if found is None:
            continue
        if runs[-1] and found[0] != runs[-1][-1][1] + 1:
            runs.append([])
        runs[-1].append((index, *found))
    listed: dict[int, list[Box]] = {}
    for run in runs:
        if len(run) < (FROM_ONE if run and run[0][1] == 1 else LEAST_LINES):
            continue
        boxes = {index: boxes for index, _, _, boxes in run}
        usual = min(0.0, _measure_others(paths, lines, boxes))
        if np.mean([bow for _, _, bow, _ in run]) <= usual - BOW_OF_LIST:
            listed |= boxes
    return listed


def _measure_others(
    paths: Sequence[Path], lines: Sequence[CutLine], brackets: Mapping[int, list[Box]]
) -> float:
    """Return the mean bow of the 1s on the page that are none of some brackets; 0 if there are no others."""
    bows = []
    for index, (path, line) in enumerate(zip(paths, lines, strict=True)):
        for segment in path.segments:
            part = line.pieces[segment.start : segment.stop]
            if segment.answer == ONE and segment.digit and part[0].box not in brackets.get(index, []):
                bows.append(measure_bow(join(part)[0]))
    return float(np.mean(bows)) if bows else 0.0


def _find_list_bracket(path: Path, pieces: Sequence[Piece]) -> tuple[int, float, list[Box]] | None:
    """Return the number that a line begins with, the bow of the stroke behind it, and its pieces' boxes."""
    segments = path.segments
    for digits in (1, 2):
        if len(segments) < digits + 2 or not all(segment.digit for segment in segments[:digits]):
            break
        stroke, after = segments[digits], segments[digits + 1]
        part = pieces[stroke.start : stroke.stop]
        gap = after.box[0] - (stroke.box[0] + stroke.box[2])
        before = segments[digits - 1]
        nearer = stroke.box[0] - (before.box[0] + before.box[2]) < gap
        if stroke.answer != ONE or gap < LIST_GAP * stroke.box[3] or not nearer:
            continue
        if len({piece.mark for piece in part}) == 1:
            number = int("".join(str(segment.answer) for segment in segments[:digits]))
            return number, measure_bow(join(part)[0]), [piece.box for piece in part]
    return None


def measure_bow(ink: Gray) -> float:
    """Return by how much of its height an upright stroke is bowed; 0 if it is no such stroke.

    It is positive where the middle is left of the ends, as of an opening bracket.
    """
    solid = ink >= EDGE_LEVEL
    rows = np.flatnonzero(solid.any(axis=1))
    rows = rows[len(rows) // 20 : len(rows) - len(rows) // 20]
    if len(rows) < LEAST_ROWS:
        return 0.0
    seen, columns = solid[rows], np.arange(solid.shape[1])
    broad = seen.sum(axis=1)
    spans = solid.shape[1] - seen[:, ::-1].argmax(axis=1) - seen.argmax(axis=1)
    middles = seen @ columns / broad
    height = float(np.ptp(rows) + 1)
    along = (rows - rows.mean()) / height * 2
    powers = np.vander(along, 3)
    curve, *_ = np.linalg.lstsq(powers, middles, rcond=None)
    residual = float(np.sqrt(np.mean((powers @ curve - middles) ** 2)))
    thick = float(np.median(broad))
    ends = max(broad[: len(rows) // 8].max(), broad[-(len(rows) // 8) :].max())
    if (
        residual > BOW_RESIDUAL * height
        or thick > BOW_THICKNESS * height
        or ends > FLAT_END * thick
        or (spans - broad).mean() > thick / 2
    ):
        return 0.0
    return float(curve[0]) / height

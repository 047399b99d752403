"""From the pieces of a line to its digits: the most probable way to put the pieces together.

The classifier says how probable it is that a segment is a digit, and which; a segment may also be left out,
as a mark that is no digit. The best path over all pieces, each in exactly one segment, is found by dynamic
programming.

`Predict` is any function images -> probabilities, (n, 28, 28) uint8 -> (n, classes) float, whose rows sum to
at most 1: what lacks is the probability that the image is no digit at all.
"""

from __future__ import annotations

import heapq
import math
import operator
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mnistry.cutting import Piece, join
from mnistry.errors import CrowdedError
from mnistry.imaging import EDGE_LEVEL, center_digit
from mnistry.segments import MAX_GAP_PX, CutLine, Segment
from mnistry.straightening import STRIP_PX

Predict: TypeAlias = Callable[[NDArray[np.uint8]], NDArray[np.floating[Any]]]

MAX_PIECES = 8
MOST_SEGMENTS = 12_000  # on a page: 1,000 digits have some 9,000
MAX_WIDTH_PX = 1.5 * STRIP_PX  # of a segment

MOST_LABELS = 3  # of a segment, tried in its place
MAX_SURPRISE = 4.0  # price of a label more than that of the likeliest
MOST_TRIED = 60_000  # labels of segments times ways kept, on a page: bounds the time


class Path(NamedTuple):
    """A way to put every piece of a line into one segment, a digit or left out.

    Attributes:
        segments: from left to right.
        price: the negative logarithm of a probability, but for a constant.
        doubt: what it costs more for who sees the line uncut; 0 without such a judge.
    """

    segments: tuple[Segment, ...]
    price: float
    doubt: float = 0.0

    @property
    def labels(self) -> tuple[int, ...]:
        """The classes of the digits."""
        return tuple(segment.answer for segment in self.segments if segment.digit)


# The end of a path: its price, its labels, what comes last and as which class, and the way before that. A
# plain tuple, as hundreds of thousands are made of a page: names would take half of the time.
_Way: TypeAlias = "tuple[float, tuple[int, ...], Segment | None, int | None, _Way | None]"


def classify_segments(
    lines: Sequence[Sequence[Piece]], predict: Predict, name: str = ""
) -> list[dict[tuple[int, int], Segment]]:
    """Return for each line every segment that its pieces allow, by (start, stop), as the classifier sees it.

    Those with pieces that were emptied, as signs were, are left out. `name` is what an error calls the
    picture.

    Raises:
        CrowdedError: there are more than MOST_SEGMENTS.
    """
    spans = [(number, *span) for number, pieces in enumerate(lines) for span in list_spans(pieces)]
    if len(spans) > MOST_SEGMENTS:
        raise CrowdedError(
            f"the marks in {name or 'the picture'} can be put together to {len(spans):,} different digits; "
            f"at most {MOST_SEGMENTS:,} can be tried. Crop it to the digits"
        )
    boxes, images, seen = [], [], []
    inked = [[piece.ink.max(initial=0) >= EDGE_LEVEL for piece in pieces] for pieces in lines]
    for number, start, stop in spans:
        if all(inked[number][start:stop]):
            ink, box = join(lines[number][start:stop])
            seen.append((number, start, stop))
            boxes.append(box)
            images.append(center_digit(ink))
    stacked = np.stack(images) if images else np.zeros((0, 28, 28), np.uint8)
    probabilities = np.asarray(predict(stacked), np.float64)
    found: list[dict[tuple[int, int], Segment]] = [{} for _ in lines]
    for (number, start, stop), box, image, row in zip(seen, boxes, images, probabilities, strict=True):
        found[number][start, stop] = Segment(start, stop, box, image, row)
    return found


def list_spans(pieces: Sequence[Piece]) -> list[tuple[int, int]]:
    """Return (start, stop) of every run of pieces that could be one digit."""
    spans = []
    sizes = Counter(piece.mark for piece in pieces)
    for start in range(len(pieces)):
        mark = pieces[start].mark
        stops = list(range(start + 1, min(start + MAX_PIECES, len(pieces)) + 1))
        whole = start + sizes[mark]  # where the mark ends, if all of it stands together
        if MAX_PIECES < whole - start <= len(pieces) - start and all(
            piece.mark == mark for piece in pieces[start:whole]
        ):
            stops.append(whole)
        right = 0
        left = pieces[start].box[0]
        for stop in stops:
            box = pieces[stop - 1].box
            left = min(left, box[0])
            if stop > start + 1 and box[0] - right > MAX_GAP_PX:
                break
            right = max(right, box[0] + box[2])
            if right - left > MAX_WIDTH_PX and pieces[stop - 1].mark != mark:
                break
            spans.append((start, stop))
    return spans


def find_paths(line: CutLine, most: int = 1) -> list[Path]:
    """Return the cheapest paths with different labels, the best first; at least one, if only an empty one.

    With `most` above 1, a segment may be taken for one of its less probable classes too.
    """
    ending: list[list[tuple[float, int | None, Segment]]] = [[] for _ in range(len(line.pieces) + 1)]
    for segment, prices, ranked, left_out in line.prices:
        options = [(prices[label], label) for label in ranked[: MOST_LABELS if most > 1 else 1]]
        dearest = options[0][0] + MAX_SURPRISE
        ending[segment.stop] += [(price, label, segment) for price, label in options if price < dearest]
        ending[segment.stop].append((left_out, None, segment))
    most = max(1, min(most, MOST_TRIED // (1 + sum(map(len, ending)))))
    ways: list[list[_Way]] = [[(0.0, (), None, None, None)]]
    for stop in range(1, len(line.pieces) + 1):
        found: dict[tuple[int, ...], _Way] = {}
        for price, label, segment in ending[stop]:
            for way in ways[segment.start]:
                labels = way[1] if label is None else (*way[1], label)
                total = way[0] + price
                known = found.get(labels)
                if known is None or total < known[0]:
                    found[labels] = (total, labels, segment, label, way)
        ways.append(heapq.nsmallest(most, found.values(), key=operator.itemgetter(0)))
    return [_trace(way) for way in ways[-1]] or [Path((), math.inf)]


def _trace(way: _Way) -> Path:
    segments = []
    step: _Way | None = way
    while step is not None:
        _, _, segment, label, step = step
        if segment is not None:
            segments.append(replace(segment, digit=label is not None, label=label))
    return Path(tuple(segments[::-1]), way[0])


def find_path_with(line: CutLine, labels: Sequence[int]) -> Path | None:
    """Return the cheapest path with these labels; None where the pieces do not allow so many digits."""
    last, count = len(line.pieces), len(labels)
    # Of so many pieces, and so many of the labels: what the cheapest way there costs, and its last step.
    costs = [[math.inf] * (count + 1) for _ in range(last + 1)]
    steps: list[list[tuple[Segment, int | None] | None]] = [[None] * (count + 1) for _ in range(last + 1)]
    costs[0][0] = 0.0
    for segment, prices, _, left_out in line.prices:
        before, here, taken = costs[segment.start], costs[segment.stop], steps[segment.stop]
        # A piece has a digit at most: no more are done before, and no more are left.
        for done in range(max(0, count - 1 - last + segment.stop), min(count, segment.start) + 1):
            cost = before[done]
            if cost + left_out < here[done]:
                here[done] = cost + left_out
                taken[done] = (segment, None)
            if done < count and cost + prices[labels[done]] < here[done + 1]:
                here[done + 1] = cost + prices[labels[done]]
                taken[done + 1] = (segment, labels[done])
    if not math.isfinite(costs[last][count]):
        return None
    path, stop, done = [], last, count
    while (step := steps[stop][done]) is not None:
        path.append(replace(step[0], digit=step[1] is not None, label=step[1]))
        stop, done = step[0].start, done - (step[1] is not None)
    return Path(tuple(path[::-1]), costs[last][count])

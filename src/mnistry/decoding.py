"""From the pieces of a line to its digits: the most probable way to put the pieces together.

A segment is a run of neighbouring pieces. The classifier says how probable it is that the segment is a digit,
and which; a segment may also be left out, as a mark that is no digit. The best path over all pieces, each
in exactly one segment, is found by dynamic programming.

`Predict` is any function images -> probabilities, (n, 28, 28) uint8 -> (n, classes) float, whose rows sum to
at most 1: what lacks is the probability that the image is no digit at all.
"""

from __future__ import annotations

import heapq
import math
import operator
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mnistry.cutting import Piece, join
from mnistry.errors import CrowdedError
from mnistry.imaging import EDGE_LEVEL, Box, center_digit
from mnistry.pictures import Gray
from mnistry.straightening import STRIP_PX

# Of each mark, by its number: how many pieces it has, and the price of taking a part of it for a digit.
Marks: TypeAlias = Mapping[int, tuple[int, float]]
Predict: TypeAlias = Callable[[NDArray[np.uint8]], NDArray[np.floating[Any]]]

MAX_PIECES = 8
MOST_SEGMENTS = 12_000  # on a page: 1,000 digits have some 9,000
MAX_WIDTH_PX = 1.5 * STRIP_PX  # of a segment
MAX_GAP_PX = 0.3 * STRIP_PX  # between neighbouring pieces of a segment
LEAST = 1e-6  # probability

# Prices, as negative logarithms of probabilities. Found by a random search on composed lines and on pictures
# to tune with; docs/LOG.md has how.
SOFTNESS = 0.4  # exponent of the probabilities: the classifier is too sure of what is half a digit
PRICE_SMALL = 3.0  # of a digit of no height; falls to 0 at SMALL_PORTION of the line's
SMALL_PORTION = 0.3
PRICE_WIDE = 3.0  # of a digit that is wider than WIDE, a width per height
WIDE = 2.0
PRICE_GAP = 0.3  # of joining what a gap of MAX_GAP_PX separates
PRICE_CUT = 0.15  # of a cut, a stroke width of ink
PRICE_PART = 1.0  # of a digit that is a part of a mark up to PART_WIDTHS[0] digits' heights wide: that is one
PART_WIDTHS = (0.8, 1.2)  # digit, or a letter; the price falls to 0 at the other width
PRICE_LEAVE_SMALL = 0.5  # of leaving out a dot or a dash,
PRICE_TORN = 0.5  # more, where it was cut off what stays
PRICE_LEAVE = 2.0  # and a mark as large as a digit; and of each the logarithm of how likely it is none

MOST_LABELS = 3  # of a segment, tried in its place
MAX_SURPRISE = 4.0  # price of a label more than that of the likeliest
MOST_TRIED = 60_000  # labels of segments times ways kept, on a page: bounds the time


@dataclass(frozen=True)
class Segment:
    """Pieces that belong together.

    Attributes:
        start, stop: which pieces of the line.
        box: (x, y, width, height) in the strip.
        image: (28, 28) uint8, what the classifier saw.
        probabilities: float64 (classes,), their sum at most 1.
        digit: whether the path takes it for a digit; else it is left out.
        label: the class that the path takes it for; None for the most probable one.
        seen: the probability of that, 0..1, for who sees the line uncut; 0 without such a judge.
    """

    start: int
    stop: int
    box: Box
    image: Gray
    probabilities: NDArray[np.float64]
    digit: bool = True
    label: int | None = None
    seen: float = 0.0

    @property
    def answer(self) -> int:
        """The class that it is taken for."""
        return int(self.probabilities.argmax()) if self.label is None else self.label

    @property
    def confidence(self) -> float:
        """The probability of that, 0..1."""
        return float(self.probabilities[self.answer])

    @property
    def none(self) -> float:
        """The probability that it is no digit, 0..1."""
        return max(0.0, 1.0 - float(self.probabilities.sum()))


# A line's pieces, the segments that they allow by (start, stop), and the width of its strokes.
Cut: TypeAlias = tuple[Sequence[Piece], dict[tuple[int, int], Segment], float]


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


class _Way(NamedTuple):
    """The end of a path: what comes last, and the way before it."""

    price: float
    labels: tuple[int, ...]
    segment: Segment | None
    label: int | None
    before: _Way | None


def classify_segments(
    lines: Sequence[Sequence[Piece]], predict: Predict, name: str = ""
) -> list[dict[tuple[int, int], Segment]]:
    """Return for each line every segment that its pieces allow, by (start, stop), as the classifier sees it.

    `name` is what an error calls the picture.

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
    for number, start, stop in spans:
        ink, box = join(lines[number][start:stop])
        if ink.size and ink.max() >= EDGE_LEVEL:
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


def find_paths(
    pieces: Sequence[Piece], segments: dict[tuple[int, int], Segment], stroke_px: float, most: int = 1
) -> list[Path]:
    """Return the cheapest paths with different labels, the best first; at least one, if only an empty one.

    With `most` above 1, a segment may be taken for one of its less probable classes too.
    """
    marks = measure_marks(pieces)
    ending: list[list[tuple[float, int | None, Segment]]] = [[] for _ in range(len(pieces) + 1)]
    for segment in segments.values():
        options = price_labels(segment, pieces, marks, stroke_px, MOST_LABELS if most > 1 else 1)
        dearest = options[0][0] + MAX_SURPRISE
        ending[segment.stop] += [(price, label, segment) for price, label in options if price < dearest]
        ending[segment.stop].append((price_leaving(segment, pieces, marks), None, segment))
    most = max(1, min(most, MOST_TRIED // (1 + sum(map(len, ending)))))
    ways: list[list[_Way]] = [[_Way(0.0, (), None, None, None)]]
    for stop in range(1, len(pieces) + 1):
        found: dict[tuple[int, ...], _Way] = {}
        for price, label, segment in ending[stop]:
            for way in ways[segment.start]:
                labels = way.labels if label is None else (*way.labels, label)
                total = way.price + price
                if labels not in found or total < found[labels].price:
                    found[labels] = _Way(total, labels, segment, label, way)
        ways.append(heapq.nsmallest(most, found.values(), key=operator.attrgetter("price")))
    return [_trace(way) for way in ways[-1]] or [Path((), math.inf)]


def find_path_with(
    pieces: Sequence[Piece],
    segments: dict[tuple[int, int], Segment],
    stroke_px: float,
    labels: Sequence[int],
) -> Path | None:
    """Return the cheapest path with these labels; None where the pieces do not allow so many digits."""
    marks = measure_marks(pieces)
    # The cheapest ways to the end of so many pieces that have so many of the labels.
    ways: dict[tuple[int, int], _Way] = {(0, 0): _Way(0.0, (), None, None, None)}
    for segment in sorted(segments.values(), key=lambda segment: segment.stop):
        classes = len(segment.probabilities)
        prices = {label: price for price, label in price_labels(segment, pieces, marks, stroke_px, classes)}
        left_out = price_leaving(segment, pieces, marks)
        for done in range(len(labels) + 1):
            way = ways.get((segment.start, done))
            if way is None:
                continue
            steps: list[tuple[int, int | None, float]] = [(done, None, left_out)]
            if done < len(labels):
                steps.append((done + 1, labels[done], prices[labels[done]]))
            for reached, label, price in steps:
                known = ways.get((segment.stop, reached))
                if known is None or way.price + price < known.price:
                    ways[segment.stop, reached] = _Way(way.price + price, (), segment, label, way)
    found = ways.get((len(pieces), len(labels)))
    return None if found is None else _trace(found)


def _trace(way: _Way) -> Path:
    segments = []
    step: _Way | None = way
    while step is not None and step.segment is not None:
        segments.append(replace(step.segment, digit=step.label is not None, label=step.label))
        step = step.before
    return Path(tuple(segments[::-1]), way.price)


def measure_marks(pieces: Sequence[Piece]) -> dict[int, tuple[int, float]]:
    """Return for each mark of a line how many pieces it has, and the price of taking a part for a digit."""
    ends: dict[int, list[int]] = {}
    for piece in pieces:
        ends.setdefault(piece.mark, []).extend((piece.box[0], piece.box[0] + piece.box[2]))
    narrow, wide = PART_WIDTHS
    marks = {}
    for mark, columns in ends.items():
        width = (max(columns) - min(columns)) / STRIP_PX
        marks[mark] = len(columns) // 2, PRICE_PART * min(1.0, max(0.0, (wide - width) / (wide - narrow)))
    return marks


def price_labels(
    segment: Segment, pieces: Sequence[Piece], marks: Marks, stroke_px: float, most: int
) -> list[tuple[float, int]]:
    """Return (price, class) of taking the segment for each of its most probable classes, cheapest first.

    `marks` is what `measure_marks` says of the line.
    """
    _, _, width, height = segment.box
    price = PRICE_SMALL * max(0.0, 1 - height / (SMALL_PORTION * STRIP_PX))
    price += PRICE_WIDE * max(0.0, width / height - WIDE)
    run = pieces[segment.start : segment.stop]
    right = run[0].box[0] + run[0].box[2]
    for piece in run[1:]:
        price += PRICE_GAP * max(0, piece.box[0] - right) / MAX_GAP_PX
        right = max(right, piece.box[0] + piece.box[2])
    price += PRICE_CUT * run[0].cut / stroke_px
    inside = Counter(piece.mark for piece in run)
    price += max((marks[mark][1] for mark, count in inside.items() if marks[mark][0] > count), default=0.0)
    none = max(LEAST, segment.none) ** SOFTNESS
    options = []
    for label in np.argsort(-segment.probabilities, kind="stable")[:most].tolist():
        probability = max(LEAST, float(segment.probabilities[label]))
        soft = probability**SOFTNESS
        others = max(LEAST, 1 - probability - segment.none) ** SOFTNESS
        options.append((price - math.log(soft / (soft + others + none)), label))
    return options


def price_leaving(segment: Segment, pieces: Sequence[Piece], marks: Marks) -> float:
    """Return the price of leaving the segment out: more if it is surely a digit, large, or torn off."""
    size = min(1.0, segment.box[3] / (0.7 * STRIP_PX)) ** 2
    inside = Counter(piece.mark for piece in pieces[segment.start : segment.stop])
    size *= max(1.0, segment.box[2] / (0.6 * STRIP_PX))  # it may be several digits
    torn = PRICE_TORN if any(marks[mark][0] > count for mark, count in inside.items()) else 0.0
    price = PRICE_LEAVE_SMALL + (PRICE_LEAVE - PRICE_LEAVE_SMALL) * size + torn
    return price - math.log(max(LEAST, segment.none))

"""From the pieces of a line to its digits: the most probable way to put the pieces together.

A segment is a run of neighbouring pieces. The classifier says how probable it is that the segment is a digit,
and which; a segment may also be left out, as a mark that is no digit. The best path over all pieces, each
in exactly one segment, is found by dynamic programming.

`Predict` is any function images -> probabilities, (n, 28, 28) uint8 -> (n, classes) float, whose rows sum to
at most 1: what lacks is the probability that the image is no digit at all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mnistry.errors import ImageError
from mnistry.imaging import EDGE_LEVEL, Box, center_digit
from mnistry.pictures import Gray
from mnistry.segmentation import STRIP_PX, Piece

Predict: TypeAlias = Callable[[NDArray[np.uint8]], NDArray[np.floating[Any]]]

MAX_PIECES = 8
MOST_SEGMENTS = 12_000  # on a page: 1,000 digits have some 9,000
MAX_WIDTH_PX = 1.5 * STRIP_PX  # of a segment
MAX_GAP_PX = 0.3 * STRIP_PX  # between neighbouring pieces of a segment
LEAST = 1e-6  # probability

# Prices, as negative logarithms of probabilities.
PRICE_DIGIT = 0.0  # of every digit: how much rather one than two
PRICE_SMALL = 3.0  # of a digit of no height; falls to 0 at SMALL_PORTION of the line's
SMALL_PORTION = 0.6
PRICE_WIDE = 3.0  # of a digit that is wider than WIDE, a width per height
WIDE = 1.1
PRICE_GAP = 1.0  # of joining what a gap of MAX_GAP_PX separates
PRICE_CUT = 0.25  # of a cut, a stroke width of ink
PRICE_LEAVE_SMALL = 0.3  # of leaving out a dot or a dash,
PRICE_TORN = 0.6  # more, where it was cut off what stays
PRICE_LEAVE = 3.5  # and a mark as large as a digit


@dataclass(frozen=True)
class Segment:
    """Pieces that belong together.

    Attributes:
        start, stop: which pieces of the line.
        box: (x, y, width, height) in the strip.
        image: (28, 28) uint8, what the classifier saw.
        probabilities: float64 (classes,), their sum at most 1.
        digit: whether the best path takes it for a digit; else it is left out.
    """

    start: int
    stop: int
    box: Box
    image: Gray
    probabilities: NDArray[np.float64]
    digit: bool = True


def classify_segments(
    lines: Sequence[Sequence[Piece]], predict: Predict, name: str = ""
) -> list[dict[tuple[int, int], Segment]]:
    """Return for each line every segment that its pieces allow, by (start, stop), as the classifier sees it.

    `name` is what an error calls the picture.

    Raises:
        ImageError: there are more than MOST_SEGMENTS.
    """
    from mnistry.cutting import join

    spans = [(number, *span) for number, pieces in enumerate(lines) for span in list_spans(pieces)]
    if len(spans) > MOST_SEGMENTS:
        raise ImageError(
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


def find_best_path(
    pieces: Sequence[Piece], segments: dict[tuple[int, int], Segment], stroke_px: float
) -> tuple[list[Segment], float]:
    """Return the cheapest way to put every piece into one segment, a digit or left out, and its price."""
    sizes = Counter(piece.mark for piece in pieces)
    prices = np.full(len(pieces) + 1, np.inf)
    prices[0] = 0.0
    last: list[Segment | None] = [None] * (len(pieces) + 1)
    for (start, stop), segment in sorted(segments.items(), key=lambda item: item[0][1]):
        for digit, price in (
            (True, price_digit(segment, pieces, stroke_px)),
            (False, price_leaving(segment, pieces, sizes)),
        ):
            if prices[start] + price < prices[stop]:
                prices[stop] = prices[start] + price
                last[stop] = Segment(
                    segment.start, segment.stop, segment.box, segment.image, segment.probabilities, digit
                )
    path = []
    stop = len(pieces)
    while stop > 0 and (segment_at := last[stop]) is not None:
        path.append(segment_at)
        stop = segment_at.start
    return path[::-1], float(prices[-1])


def price_digit(segment: Segment, pieces: Sequence[Piece], stroke_px: float) -> float:
    """Return the price of taking the segment for a digit."""
    price = -np.log(max(LEAST, float(segment.probabilities.max())))
    small = max(0.0, 1 - segment.box[3] / (SMALL_PORTION * STRIP_PX))
    price += PRICE_SMALL * small
    price += PRICE_WIDE * max(0.0, segment.box[2] / segment.box[3] - WIDE)
    run = pieces[segment.start : segment.stop]
    right = run[0].box[0] + run[0].box[2]
    for piece in run[1:]:
        price += PRICE_GAP * max(0, piece.box[0] - right) / MAX_GAP_PX
        right = max(right, piece.box[0] + piece.box[2])
    return float(price + PRICE_DIGIT + PRICE_CUT * run[0].cut / stroke_px)


def price_leaving(segment: Segment, pieces: Sequence[Piece], sizes: Mapping[int, int]) -> float:
    """Return the price of leaving the segment out: more if it is as large as a digit, or torn off one.

    `sizes` says how many pieces each mark has in all.
    """
    size = min(1.0, segment.box[3] / (0.7 * STRIP_PX)) ** 2
    inside = Counter(piece.mark for piece in pieces[segment.start : segment.stop])
    size *= max(1.0, segment.box[2] / (0.6 * STRIP_PX))  # it may be several digits
    torn = PRICE_TORN if any(sizes[mark] > count for mark, count in inside.items()) else 0.0
    return PRICE_LEAVE_SMALL + (PRICE_LEAVE - PRICE_LEAVE_SMALL) * size + torn

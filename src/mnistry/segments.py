"""What a line may be put together from: its segments, and what each costs as a digit or left out.

A segment is a run of neighbouring pieces. Prices are negative logarithms of probabilities; those of a line
are computed at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mnistry.cutting import Piece, join, resize_piece
from mnistry.imaging import Box
from mnistry.pictures import Gray
from mnistry.straightening import STRIP_PX

MAX_GAP_PX = 0.3 * STRIP_PX  # between neighbouring pieces of a segment
LEAST = 1e-6  # probability

# Found by a random search on composed lines and on pictures to tune with; docs/LOG.md has how.
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


# By (start, stop), from left to right.
Segments: TypeAlias = Mapping[tuple[int, int], Segment]


class Priced(NamedTuple):
    """A segment with what it costs.

    Attributes:
        segment: it.
        labels: of every class the price of taking it for that.
        ranked: the classes, the cheapest first.
        left_out: the price of leaving it out.
    """

    segment: Segment
    labels: list[float]
    ranked: list[int]
    left_out: float


@dataclass(frozen=True, eq=False)
class CutLine:
    """A line that was cut.

    Attributes:
        pieces: from left to right.
        segments: all that the pieces allow.
        stroke_px: the width of its strokes, in pixels of its strip.
    """

    pieces: Sequence[Piece]
    segments: Segments
    stroke_px: float

    def take(self, left: int, right: int) -> CutLine:
        """Return a part of it, of the pieces in these columns of the strip; they count from the first one."""
        inside = [
            index
            for index, piece in enumerate(self.pieces)
            if left <= piece.box[0] + piece.box[2] / 2 <= right
        ]
        start, stop = (inside[0], inside[-1] + 1) if inside else (0, 0)
        segments = {
            (first - start, last - start): replace(segment, start=first - start, stop=last - start)
            for (first, last), segment in self.segments.items()
            if start <= first and last <= stop
        }
        return CutLine(self.pieces[start:stop], segments, self.stroke_px)

    def resize(self, size: float, down_px: int) -> CutLine:
        """Return it so many times as large, and moved down."""
        pieces = [resize_piece(piece, size, down_px) for piece in self.pieces]
        segments = {
            (start, stop): replace(segment, box=join(pieces[start:stop])[1])
            for (start, stop), segment in self.segments.items()
        }
        return CutLine(pieces, segments, size * self.stroke_px)

    @cached_property
    def prices(self) -> list[Priced]:
        """Every segment with its prices, sorted by where it stops."""
        segments = sorted(self.segments.values(), key=lambda segment: segment.stop)
        if not segments:
            return []
        marks = _measure_marks(self.pieces)
        shapes, leaving = np.array([self._price_shape(segment, marks) for segment in segments]).T
        probabilities = np.stack([segment.probabilities for segment in segments])
        none = (1 - probabilities.sum(axis=1)).clip(0.0)
        soft = probabilities.clip(LEAST) ** SOFTNESS
        others = (1 - probabilities.clip(LEAST) - none[:, None]).clip(LEAST) ** SOFTNESS
        labels = shapes[:, None] - np.log(soft / (soft + others + (none.clip(LEAST) ** SOFTNESS)[:, None]))
        labels[~probabilities.any(axis=1)] = np.inf  # what was emptied, as a sign is
        ranked = np.argsort(-probabilities, axis=1, kind="stable")
        leaving -= np.log(none.clip(LEAST))
        return list(map(Priced, segments, labels.tolist(), ranked.tolist(), leaving.tolist()))

    def _price_shape(self, segment: Segment, marks: Mapping[int, tuple[int, float]]) -> tuple[float, float]:
        """Return what a segment's shape and pieces cost if it is a digit, and if it is left out.

        Leaving out costs more if it is large, or torn off.
        """
        _, _, width, height = segment.box
        price = PRICE_SMALL * max(0.0, 1 - height / (SMALL_PORTION * STRIP_PX))
        price += PRICE_WIDE * max(0.0, width / height - WIDE)
        run = self.pieces[segment.start : segment.stop]
        right = run[0].box[0] + run[0].box[2]
        for piece in run[1:]:
            price += PRICE_GAP * max(0, piece.box[0] - right) / MAX_GAP_PX
            right = max(right, piece.box[0] + piece.box[2])
        price += PRICE_CUT * run[0].cut / self.stroke_px
        inside = Counter(piece.mark for piece in run)
        torn = [marks[mark][1] for mark, count in inside.items() if marks[mark][0] > count]
        size = min(1.0, height / (0.7 * STRIP_PX)) ** 2
        size *= max(1.0, width / (0.6 * STRIP_PX))  # it may be several digits
        leaving = PRICE_LEAVE_SMALL + (PRICE_LEAVE - PRICE_LEAVE_SMALL) * size + (PRICE_TORN if torn else 0.0)
        return price + max(torn, default=0.0), leaving


def _measure_marks(pieces: Sequence[Piece]) -> dict[int, tuple[int, float]]:
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

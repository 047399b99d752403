"""Lines of marks made upright, cut, and classified: all that a page of digits may be put together from."""

from __future__ import annotations

from collections.abc import Sequence

from mnistry.cutting import Piece, cut_pieces, find_only_mark
from mnistry.decoding import Predict, classify_segments
from mnistry.errors import CrowdedError
from mnistry.imaging import measure_stroke
from mnistry.segmentation import Mark
from mnistry.segments import PART_WIDTHS, PRICE_LEAVE_SMALL, PRICE_PART, PRICE_TORN, CutLine
from mnistry.straightening import STRIP_PX, Strip, straighten

MOST_PIXELS = 40_000_000  # of all strips of a page: 1,000 digits have 13,000,000
MOST_PIECES = 5000  # of a page: 1,000 digits have 3,600
PRICE_PARTED = 2 * min(PRICE_PART, PRICE_LEAVE_SMALL + PRICE_TORN)  # of two parts of a narrow mark, at least


def cut_lines(
    lines: Sequence[Sequence[Mark]], predict: Predict, name: str = "", *, thoroughly: bool = False
) -> tuple[list[Strip], list[CutLine]]:
    """Return the strip of each line, and its pieces with what the classifier says of their segments.

    A narrow mark alone is not cut where that cannot make the best path cheaper, but `thoroughly`.

    Args:
        lines: marks.
        predict: images -> probabilities (see `decoding`).
        name: what an error calls the picture.
        thoroughly: offer dearer paths, too.

    Raises:
        CrowdedError: together the strips are larger than those of any page of digits, or there are more
            pieces or segments.
    """
    strips: list[Strip] = []
    pixels = 0
    for line in lines:
        strips.append(straighten(line))
        pixels += strips[-1].ink.size
        _check(pixels, 0, len(lines), name)
    widths = [max(2.0, measure_stroke(strip.ink)) for strip in strips]
    found: dict[int, CutLine] = {}
    if not thoroughly:
        alone = {index: _find_narrow(strips[index]) for index, line in enumerate(lines) if len(line) == 1}
        narrow = {index: [piece] for index, piece in alone.items() if piece is not None}
        offered = classify_segments(list(narrow.values()), predict, name) if narrow else []
        for (index, pieces), segments in zip(narrow.items(), offered, strict=True):
            whole = CutLine(pieces, segments, widths[index])
            if any(min(prices) < min(PRICE_PARTED, left_out) for _, prices, _, left_out in whole.prices):
                found[index] = whole
    rest = [index for index in range(len(strips)) if index not in found]
    cut: list[list[Piece]] = []
    for index in rest:
        cut.append(cut_pieces(strips[index].ink, widths[index]))
        _check(pixels, sum(map(len, cut)), len(lines), name)
    for index, pieces, segments in zip(rest, cut, classify_segments(cut, predict, name), strict=True):
        found[index] = CutLine(pieces, segments, widths[index])
    return strips, [found[index] for index in range(len(strips))]


def _check(pixels: int, pieces: int, lines: int, name: str) -> None:
    if pixels > MOST_PIXELS or pieces > MOST_PIECES:
        raise CrowdedError(
            f"{name or 'the picture'} has marks far longer than digits, such as rules, or more of them "
            f"than a page of digits ({lines:,} lines). Crop it to the digits"
        )


def _find_narrow(strip: Strip) -> Piece | None:
    """Return the only mark of a line, uncut, if it is so narrow that a part of it is hardly a digit."""
    mark = find_only_mark(strip.ink)
    return mark if mark is not None and mark.box[2] <= PART_WIDTHS[0] * STRIP_PX else None

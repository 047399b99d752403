"""Readings that fit what is known beforehand: so many digits, or a pattern such as [0-9]{5}.

compile_pattern   expected number of digits or a regular expression -> a pattern
find_best_match   the pieces of a line -> the most probable reading that fits
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mnistry.decoding import LEAST, Segment, price_digit, price_leaving
from mnistry.segmentation import Piece

WAYS = 40  # kept for every end and number of digits: the cheapest
LABELS = 4  # of a segment, tried beside the most probable one


def compile_pattern(expect: int | None = None, pattern: str | None = None) -> re.Pattern[str]:
    """Return the pattern that a whole line of digits has to match.

    Raises:
        ValueError: both or none are given, `expect` is less than 1, or `pattern` is no regular expression.
    """
    if (expect is None) == (pattern is None):
        raise ValueError("give either how many digits are expected or a pattern, and not both")
    if pattern is None:
        if expect is None or expect < 1:
            raise ValueError(f"expect is {expect}; expected the number of digits of a line, 1 or more")
        return re.compile(rf"\d{{{expect}}}", re.ASCII)
    try:
        return re.compile(pattern, re.ASCII)
    except re.error as error:
        raise ValueError(
            f"the pattern {pattern!r} is no regular expression ({error}); for five digits it is \\d{{5}}"
        ) from error


def find_best_match(
    pieces: Sequence[Piece],
    segments: dict[tuple[int, int], Segment],
    stroke_px: float,
    pattern: re.Pattern[str],
    class_names: Sequence[str],
) -> tuple[list[Segment], str] | None:
    """Return the cheapest reading whose text matches, and that text; None where none of those kept does.

    As `decoding.find_best_path`, but for every end and number of digits the WAYS cheapest are kept, with the
    likeliest labels of each segment. A segment that is read as another than its likeliest label has the
    probabilities of the others set to 0.
    """
    # ways[stop][count]: (price, text, segments) of the cheapest ways to read the pieces before `stop`.
    ways: list[dict[int, list[tuple[float, str, tuple[Segment, ...]]]]] = [{} for _ in range(len(pieces) + 1)]
    ways[0][0] = [(0.0, "", ())]
    for (start, stop), segment in sorted(segments.items(), key=lambda item: item[0][1]):
        options = _list_options(segment, pieces, stroke_px, class_names)
        for count, begun in list(ways[start].items()):
            for price, label, chosen in options:
                ended = ways[stop].setdefault(count + (label != ""), [])
                ended += [(cost + price, text + label, (*path, chosen)) for cost, text, path in begun]
        for count, ended in ways[stop].items():
            ways[stop][count] = heapq.nsmallest(WAYS, ended, key=lambda way: way[0])
    fitting = [way for ended in ways[-1].values() for way in ended if pattern.fullmatch(way[1])]
    if not fitting:
        return None
    _, text, path = min(fitting, key=lambda way: way[0])
    return list(path), text


def _list_options(
    segment: Segment, pieces: Sequence[Piece], stroke_px: float, class_names: Sequence[str]
) -> list[tuple[float, str, Segment]]:
    """Return (price, label, segment) of every way to take it: as one of its likeliest labels, or left out."""
    options = [(price_leaving(segment, pieces), "", replace(segment, digit=False))]
    best = float(segment.probabilities.max())
    base = price_digit(segment, pieces, stroke_px)
    for index in np.argsort(-segment.probabilities, kind="stable")[: 1 + LABELS]:
        probability = float(segment.probabilities[index])
        price = base + float(np.log(max(best, LEAST)) - np.log(max(probability, LEAST)))
        only = np.where(np.arange(len(segment.probabilities)) == index, segment.probabilities, 0.0)
        options.append(
            (
                price,
                class_names[index],
                segment if probability == best else replace(segment, probabilities=only),
            )
        )
    return options

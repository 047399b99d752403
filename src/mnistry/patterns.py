"""Readings that fit what is known beforehand: so many digits, or a pattern such as [0-9]{5}.

compile_pattern   expected number of digits or a regular expression -> a pattern
find_matches      the pieces of a line -> the most probable readings that fit
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mnistry.decoding import Path
from mnistry.segments import CutLine, Priced, Segment

WAYS = 40  # kept for every end and number of digits: the cheapest
LABELS = 4  # of a segment, tried beside the most probable one
MOST_CHECKED = 1000  # ways to read a line, whether they match
MOST_TRIED = 40_000  # pieces times numbers of digits, on a line: bounds the time


class _Ways(NamedTuple):
    """The cheapest ways to read the pieces before a certain one, by the number of digits.

    Attributes:
        fewest: number of digits of the first row.
        prices: (numbers of digits, WAYS), rising in each row; infinite where there are no more ways.
        parts: the same shape: the number in `steps` of what comes last,
        befores: and which way of the piece where that begins comes before it.
        steps: (start, label, segment) of everything that ends here.
    """

    fewest: int
    prices: NDArray[np.float64]
    parts: NDArray[np.int64]
    befores: NDArray[np.int64]
    steps: list[tuple[int, str, Segment]]


def compile_pattern(expect: int | None = None, pattern: str | None = None) -> re.Pattern[str]:
    """Return the pattern that a whole line of digits has to match.

    Raises:
        ValueError: both or none are given, `expect` is no number or less than 1, or `pattern` is no regular
            expression.
    """
    if (expect is None) == (pattern is None):
        raise ValueError("give either how many digits are expected or a pattern, and not both")
    if pattern is None:
        if not isinstance(expect, int) or expect < 1:
            raise ValueError(f"expect is {expect!r}; expected the number of digits of a line, 1 or more")
        return re.compile(rf"\d{{{expect}}}", re.ASCII)
    try:
        return re.compile(pattern, re.ASCII)
    except re.error as error:
        raise ValueError(
            f"the pattern {pattern!r} is no regular expression ({error}); for five digits it is \\d{{5}}"
        ) from error


def find_matches(
    line: CutLine,
    pattern: re.Pattern[str],
    class_names: Sequence[str],
    most: int = 1,
) -> list[Path]:
    """Return the cheapest paths with different texts that match, the best first; none where none kept does.

    As `decoding.find_paths`, but for every end and number of digits the WAYS cheapest are kept, with the
    likeliest labels of each segment.
    """
    ending: dict[int, list[tuple[float, int, str, Segment]]] = {}
    for priced in line.prices:
        start, stop = priced.segment.start, priced.segment.stop
        for price, label, chosen in _list_options(priced, class_names):
            ending.setdefault(stop, []).append((price, start, label, chosen))
    none = np.zeros((1, WAYS), np.int64)
    ways = {0: _Ways(0, np.where(np.arange(WAYS) == 0, 0.0, np.inf)[None], none, none, [])}
    most_counts = max(2, MOST_TRIED // max(1, len(line.pieces)))
    for stop in sorted(ending):
        steps = [step for step in ending[stop] if step[1] in ways]
        if steps:
            ways[stop] = _find_ways(ways, steps, most_counts)
    if len(line.pieces) not in ways:
        return []
    last = ways[len(line.pieces)]
    order = np.argsort(last.prices, axis=None, kind="stable")
    found: dict[str, Path] = {}
    # On a long line not all, but of every number of digits the cheapest.
    for index in [*order[:MOST_CHECKED], *order[MOST_CHECKED:][order[MOST_CHECKED:] % WAYS == 0]]:
        row, way = divmod(int(index), WAYS)
        if len(found) == most or not np.isfinite(last.prices[row, way]):
            break
        path, text = _trace(ways, len(line.pieces), row, way)
        if text not in found and pattern.fullmatch(text):
            found[text] = Path(tuple(path), float(last.prices[row, way]))
    return list(found.values())


def _find_ways(
    ways: dict[int, _Ways], steps: list[tuple[float, int, str, Segment]], most_counts: int
) -> _Ways:
    """Return the ways that end with one of the steps (price, start, label, segment)."""
    rows = [ways[start].fewest + (label != "") for _, start, label, _ in steps]
    fewest = min(rows)
    most = max(row + len(ways[start].prices) for row, (_, start, _, _) in zip(rows, steps, strict=True))
    tried = np.full((most - fewest, len(steps), WAYS), np.inf)
    for number, (row, (price, start, _, _)) in enumerate(zip(rows, steps, strict=True)):
        begun = ways[start].prices
        tried[row - fewest : row - fewest + len(begun), number] = begun + price
    if (
        len(tried) > most_counts
    ):  # a line far longer than any number: only numbers of digits near the likeliest
        best = int(np.argmin(tried.min(axis=(1, 2))))
        first = max(0, min(best - most_counts // 2, len(tried) - most_counts))
        tried, fewest = tried[first : first + most_counts], fewest + first
    flat = tried.reshape(len(tried), -1)
    cheapest = np.sort(np.argpartition(flat, WAYS - 1, axis=1)[:, :WAYS], axis=1)
    order = np.argsort(np.take_along_axis(flat, cheapest, axis=1), axis=1, kind="stable")
    chosen = np.take_along_axis(cheapest, order, axis=1)
    prices = np.take_along_axis(flat, chosen, axis=1)
    return _Ways(fewest, prices, chosen // WAYS, chosen % WAYS, [step[1:] for step in steps])


def _trace(ways: dict[int, _Ways], stop: int, row: int, way: int) -> tuple[list[Segment], str]:
    """Return the segments and the text of one way to read the pieces before `stop`."""
    path: list[Segment] = []
    text = ""
    while stop > 0:
        here = ways[stop]
        start, label, segment = here.steps[here.parts[row, way]]
        row, way = row + here.fewest - (label != "") - ways[start].fewest, int(here.befores[row, way])
        path.append(segment)
        text = label + text
        stop = start
    return path[::-1], text


def _list_options(priced: Priced, class_names: Sequence[str]) -> list[tuple[float, str, Segment]]:
    """Return (price, label, segment) of every way to take it: as one of its likeliest labels, or left out."""
    segment = priced.segment
    options = [(priced.left_out, "", replace(segment, digit=False))]
    for label in priced.ranked[: 1 + LABELS]:
        options.append((priced.labels[label], class_names[label], replace(segment, label=label)))
    return options

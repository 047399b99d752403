"""What is read of each line of a page where it is known what the digits of every line match."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import combinations
from typing import NamedTuple

from mnistry.acceptance import accept
from mnistry.decoding import Path
from mnistry.segments import Segment
from mnistry.words import split_words

MOST_FORCED = 8.0  # price of a reading that fits a pattern more than that of the free one
LEAST_FORCED = 0.001  # confidence of each of its digits, at least, and
MEAN_FORCED = 0.75  # in the geometric mean, if it has marks that are no digits and another line fits
WORD_GAP = 0.3  # digits' heights, between words of a line of which some may fit,
MOST_WORDS = 20  # and no more of them


class Fitting(NamedTuple):
    """How to read a line, and which of its segments are accepted: none where nothing fits."""

    path: Path
    accepted: list[bool]


def choose_fitting(
    free: Sequence[Path],
    accepted: Sequence[list[bool]],
    matches: Sequence[Path | None],
    fits: Callable[[Sequence[int]], bool],
) -> list[Fitting]:
    """Return how to read each line of a page.

    That is as it is read freely, if that fits; else the best way that does, unless it is far less probable;
    else the only words of it that fit by themselves, such as a code before a town. Where other lines fit
    firmly, one with marks that are no digits is not made to fit if that is not sure, or if all of it is
    refused when it is read freely: it seems to be words.

    Args:
        free: the best way to read each line.
        accepted: which of its segments are accepted.
        matches: the best way that fits, None where there is none.
        fits: whether labels do.
    """
    found = [
        _choose(path, answers, match, fits)
        for path, answers, match in zip(free, accepted, matches, strict=True)
    ]
    # Lines that fit firmly, and those of them of which something is read freely, too.
    firm = [any(fitting.accepted) and not _is_weak(_list_accepted(fitting)) for fitting in found]
    read = [any(accept(path, 0.0)) for path in free]
    is_read = any(sure and some for sure, some in zip(firm, read, strict=True))
    chosen = []
    for fitting, path, match, some in zip(found, free, matches, read, strict=True):
        words = fitting.path is match and not all(segment.digit for segment in path.segments)
        odd = (any(firm) and _is_weak(_list_accepted(fitting))) or (is_read and not some)
        chosen.append(Fitting(path, [False] * len(path.segments)) if words and odd else fitting)
    return chosen


def _choose(
    free: Path, accepted: list[bool], match: Path | None, fits: Callable[[Sequence[int]], bool]
) -> Fitting:
    """Return how to read a line, whatever the others are."""
    as_it_is = Fitting(free, accepted)
    if fits([segment.answer for segment in _list_accepted(as_it_is)]):
        return as_it_is
    nothing = Fitting(free, [False] * len(free.segments))
    fitting = nothing
    if match is not None and not _is_forced(match, free):
        fitting = Fitting(match, [segment.digit for segment in match.segments])
    if fitting is nothing or _is_weak(_list_accepted(fitting)):
        words = _find_words(free, fits)
        if words:
            return Fitting(free, [index in words for index in range(len(free.segments))])
    return fitting


def _find_words(free: Path, fits: Callable[[Sequence[int]], bool]) -> set[int]:
    """Return the numbers of the segments of the only words side by side that fit, and are sure to."""
    # Without the signs that were found (see `signs`), of which no digit is at all probable.
    shown = [number for number, segment in enumerate(free.segments) if segment.confidence > 0]
    words = split_words([free.segments[number].box for number in shown], WORD_GAP)
    if not 1 < len(words) <= MOST_WORDS:
        return set()
    found = []
    for start, stop in combinations(range(len(words) + 1), 2):
        first, last = words[start][0], words[stop - 1][-1]
        numbers = shown[first : last + 1]
        segments = [free.segments[number] for number in numbers]
        if fits([segment.answer for segment in segments]) and _is_number(segments):
            beside = [*words[max(0, start - 1) : start], *words[stop : stop + 1]]
            goes_on = any(_goes_on([free.segments[shown[index]] for index in word]) for word in beside)
            others = [free.segments[number] for number in shown if number not in numbers]
            if not goes_on and not _is_number(others):
                found.append(set(numbers))
    return found[0] if len(found) == 1 else set()


def _goes_on(word: Sequence[Segment]) -> bool:
    """Return whether a word beside a number may be a part of it: more than half of its marks are digits."""
    digits = sum(segment.digit and segment.confidence >= MEAN_FORCED for segment in word)
    return 2 * digits > len(word)


def _list_accepted(fitting: Fitting) -> list[Segment]:
    return [
        segment for segment, answer in zip(fitting.path.segments, fitting.accepted, strict=True) if answer
    ]


def _is_forced(match: Path, free: Path) -> bool:
    """Return whether a reading that fits a pattern is none that the picture allows."""
    least = min((segment.confidence for segment in match.segments if segment.digit), default=1.0)
    return least < LEAST_FORCED or match.price + match.doubt > free.price + free.doubt + MOST_FORCED


def _is_weak(digits: Sequence[Segment]) -> bool:
    """Return whether digits are not confident, all in all."""
    return math.prod(segment.confidence for segment in digits) < MEAN_FORCED ** len(digits)


def _is_number(segments: Sequence[Segment]) -> bool:
    """Return whether all are digits, and sure to be."""
    return all(segment.digit for segment in segments) and not _is_weak(segments)

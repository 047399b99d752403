"""Readings that fit what is known beforehand."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from mnistry.cutting import Piece
from mnistry.decoding import find_paths
from mnistry.patterns import compile_pattern, find_matches
from mnistry.readings import DIGIT_NAMES
from mnistry.segments import CutLine, Segment


def _piece(left: int) -> Piece:
    return Piece((left, 32, 30, 64), np.full((64, 30), 255, np.uint8), left, 0.0)


def _segment(start: int, stop: int, **probabilities: float) -> Segment:
    row = np.zeros(10)
    for name, probability in probabilities.items():
        row[int(name[1:])] = probability
    return Segment(start, stop, (0, 32, 30, 64), np.zeros((28, 28), np.uint8), row)


PIECES = [_piece(0), _piece(32), _piece(90)]
SEGMENTS = {
    (0, 1): _segment(0, 1, d1=0.3),
    (1, 2): _segment(1, 2, d0=0.4),
    (0, 2): _segment(0, 2, d6=0.8, d0=0.1),
    (2, 3): _segment(2, 3, d7=0.7, d1=0.3),
}
LINE = CutLine(PIECES, SEGMENTS, 6.0)


def find(pattern: re.Pattern[str]) -> str | None:
    found = find_matches(LINE, pattern, DIGIT_NAMES)
    return "".join(map(str, found[0].labels)) if found else None


def test_a_pattern_that_everything_fits_gives_the_free_reading() -> None:
    (free,) = find_paths(LINE)
    assert find(re.compile(r"\d*")) == "".join(map(str, free.labels)) == "67"


def test_the_number_of_digits_parts_what_the_free_reading_joins() -> None:
    assert find(compile_pattern(expect=3)) == "107"


def test_a_pattern_chooses_a_less_likely_digit() -> None:
    assert find(compile_pattern(pattern="[0-5]7")) == "07"
    assert find(compile_pattern(pattern="61")) == "61"


def test_a_forced_label_keeps_the_probabilities_of_its_segment() -> None:
    (found,) = find_matches(LINE, compile_pattern(pattern="61"), DIGIT_NAMES)
    assert found.labels == (6, 1)
    assert [int(segment.probabilities.argmax()) for segment in found.segments] == [6, 7]
    (free,) = find_paths(LINE)
    assert found.price > free.price


def test_several_matches_differ_and_the_best_is_the_first() -> None:
    found = find_matches(LINE, compile_pattern(expect=2), DIGIT_NAMES, 4)
    assert [path.labels for path in found][:2] == [(6, 7), (6, 1)]
    assert len({path.labels for path in found}) == len(found) == 4
    assert [path.price for path in found] == sorted(path.price for path in found)


def test_nothing_fits_where_there_are_too_few_pieces() -> None:
    assert find(compile_pattern(expect=4)) is None


@pytest.mark.parametrize(
    ("expect", "pattern", "message"),
    [
        (None, None, "either"),
        (2, "x", "either"),
        (0, None, "1 or more"),
        ("5", None, "expect is '5'; expected the number"),
        (None, "(", "regular expression"),
    ],
)
def test_what_cannot_be_expected_is_named(expect: Any, pattern: str | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        compile_pattern(expect, pattern)

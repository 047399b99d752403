"""Words beside and around numbers are refused, also where their letters look like digits."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from drawing import write_rows
from mnistry import lines, read
from mnistry.cutting import group_by_mark
from mnistry.decoding import Path
from mnistry.imaging import Box
from mnistry.segments import CutLine, Segment
from mnistry.words import list_letters


@pytest.mark.parametrize("word", ["Food", "Look", "Colour", "Door", "total"])
@pytest.mark.parametrize("scale", [0.9, 1.6])
def test_letters_like_digits_in_a_word_beside_a_number_are_refused(word: str, scale: float) -> None:
    assert read(write_rows([(word, "47358", 330)], 170, scale)).text.replace(" ", "") == "47358"


@pytest.mark.parametrize("word", ["Tel", "Nil", "ill"])
def test_a_bar_in_a_word_of_letters_is_no_one(word: str) -> None:
    assert read(write_rows([(word, "", 0)], 170, 1.6)).text == ""
    assert read(write_rows([(word, "47358", 330)], 170, 1.6)).text.replace(" ", "") == "47358"


def test_a_unit_behind_a_number_adds_nothing() -> None:
    for scale in (1.2, 1.5, 1.8):
        page = write_rows([("", "47", 30)], 170, 1.0)
        cv2.putText(page, "kg", (240, 105), cv2.FONT_HERSHEY_SIMPLEX, scale, 0, 5, cv2.LINE_AA)
        assert read(page).text == "47"


def test_a_number_close_to_a_word_stays() -> None:
    assert read(write_rows([("Ab", "74", 130)], 170, 1.7)).text.replace(" ", "") == "74"


def test_a_sure_number_close_to_a_word_is_read() -> None:
    assert read(write_rows([("Street", "47", 182)], 170, 1.7)).text == "47"


def test_a_pattern_takes_its_number_alone_out_of_an_address() -> None:
    rows = [("Anna Lee", "", 0), ("Hill Road", "", 0), ("Boston", "", 0), ("", "52417", 30)]
    page = write_rows(rows, 560, 2.0)
    reading = read(page, pattern=r"\d{5}")
    assert reading.text.strip().replace(" ", "") == "52417"
    assert [line.text for line in reading.lines if line.text] == ["52417"]


def test_a_number_before_a_word_is_taken_if_it_fits_as_it_is_read() -> None:
    page = write_rows([("", "52417", 30)], 170, 1.0)
    cv2.putText(page, "Hamburg", (450, 105), cv2.FONT_HERSHEY_SIMPLEX, 1.7, 0, 4, cv2.LINE_AA)
    line = read(page, pattern=r"\d{5}").lines[0]
    assert line.text.replace(" ", "") == "52417"
    assert line.free_text == line.text


@pytest.mark.parametrize("word", ["Bananas", "Apples", "Cellar", "Milk"])
@pytest.mark.parametrize("number", ["10", "12", "250", "1", "11"])
def test_the_numbers_of_a_list_are_read_as_if_its_words_were_not_there(word: str, number: str) -> None:
    assert read(write_rows([(word, number, 420)], 170, 1.7)).text.replace(" ", "") == number


def test_a_sign_in_a_number_beside_a_word_is_found_as_without_it() -> None:
    page = write_rows([("Hat", "20", 330)], 170, 1.2)
    for x, y in ((520, 62), (572, 102)):
        cv2.circle(page, (x, y), 14, 0, 6, cv2.LINE_AA)
    cv2.line(page, (524, 118), (566, 44), 0, 6, cv2.LINE_AA)
    (line,) = read(page).lines
    assert line.text.replace(" ", "") == "20"


def test_a_sign_of_the_whole_line_stays_one_where_its_number_is_read_alone(monkeypatch) -> None:
    """As an opening bracket before a number does, of which the closing one is behind a word."""
    page = write_rows([("Cellar", "73", 420)], 170, 1.7)
    assert read(page).text.replace(" ", "") == "73"

    def find(path: Path, line: CutLine) -> list[Box]:
        *_, seven, _ = group_by_mark(line.pieces)
        return [piece.box for piece in seven]

    monkeypatch.setattr(lines, "find_apart", find)
    (line,) = read(page).lines
    assert line.text == "3"
    assert [digit.confidence for digit in line.digits[-2:-1]] == [0]


def take(x: int, confidence: float, none: float) -> Segment:
    """A 3, so likely, as high as digits are on a strip."""
    probabilities = np.array([0, 0, 0, confidence, 0, 0, 0, 0, 0, 1 - confidence - none])
    return Segment(0, 1, (x, 0, 50, 64), np.zeros((28, 28), np.uint8), probabilities)


@pytest.mark.parametrize(
    ("marks", "refused"),
    [
        ([(0.7, 0.2), (0.1, 0.9)], {0, 1}),
        ([(0.1, 0.9), (0.8, 0.1), (0.6, 0.2), (0.02, 0.98)], {0, 1, 2, 3}),
        ([(0.9, 0.1), (0.1, 0.9)], set()),  # a digit that is sure beside a mark that is none
        ([(0.7, 0.2), (0.1, 0.9), (0.8, 0.1)], set()),  # a sum
        ([(0.7, 0.2), (0.7, 0.2)], set()),
    ],
)
def test_a_doubtful_digit_beside_as_many_marks_that_are_none_is_none(
    marks: list[tuple[float, float]], refused: set[int]
) -> None:
    segments = [take(60 * index, *mark) for index, mark in enumerate(marks)]
    likely = [confidence >= none for confidence, none in marks]
    assert list_letters(segments, likely) == refused


def test_far_from_a_mark_that_is_none_a_doubtful_digit_is_one() -> None:
    assert 0 not in list_letters([take(0, 0.7, 0.2), take(400, 0.1, 0.9)], [True, False])


def test_a_sure_number_in_the_same_group_keeps_a_doubtful_one() -> None:
    """A small 2, a plus, and a 3."""
    segments = [take(0, 0.5, 0.3), take(80, 0.1, 0.9), take(220, 0.99, 0.01)]
    segments[0] = replace(segments[0], box=(0, 40, 20, 20))
    assert not list_letters(segments, [True, False, True])


@pytest.mark.parametrize(
    ("marks", "refused"),
    [
        ([0.8, 0, 0.9, 0, 0.95, 0.7], set()),  # 6+4=10, by a hand that who sees the line uncut does not know
        ([0.8, 0, 0.9, 0.95, 0.7, 0], set(range(6))),
        ([0.8, 0, 0, 0.9, 0.95, 0.7], set(range(6))),
        ([0.6, 0, 0.6, 0, 0.6, 0.6], set(range(6))),
    ],
)
def test_fair_digits_with_single_signs_between_them_are_no_word(
    marks: list[float], refused: set[int]
) -> None:
    segments = [
        replace(take(60 * place, mark or 0.01, 0.99 * (mark == 0)), seen=0.1 * (mark > 0))
        for place, mark in enumerate(marks)
    ]
    assert list_letters(segments, [mark > 0 for mark in marks]) == refused

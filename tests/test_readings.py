"""What a line says: digits, and spaces where a gap was meant as one."""

from __future__ import annotations

import numpy as np
import pytest

from mnistry.readings import Digit, Line, Reading

IMAGE = np.zeros((28, 28), np.uint8)


def make_line(marks: str, gaps: list[int]) -> Line:
    """Digits 60 wide and 100 high with these gaps; "?" is a mark that is refused."""
    digits, left = [], 0
    for label, gap in zip(marks, [*gaps, 0], strict=True):
        digits.append(Digit(label.replace("?", "4"), (left, 0, 60, 100), 0.9, (), label != "?", IMAGE))
        left += 60 + gap
    return Line(tuple(digits))


@pytest.mark.parametrize(
    ("marks", "gaps", "text"),
    [
        ("203", [20, 120], "20 3"),
        ("12", [120], "1 2"),
        ("4711", [20, 20, 20], "4711"),
        ("47114711", [30, 30, 30, 150, 30, 30, 30], "4711 4711"),
        ("123456", [120, 130, 110, 125, 115], "123456"),  # far apart all along
        ("123456", [120, 130, 300, 125, 115], "123 456"),
        ("34712", [120, 120, 120, 20], "3 4 7 12"),
        ("123456", [120, 20, 120, 120, 20], "1 23 4 56"),
        ("1234567", [120, 110, 50, 120, 90, 115], "1234567"),
        ("1?2?3?4", [20, 20, 20, 20, 20, 20], "1 2 3 4"),
        ("1??2", [0, -30, 0], "1 2"),
        ("1?2", [-50, -50], "12"),  # a dot between, no gap
        ("???", [10, 10], ""),
        ("0683452971", [15, 70, 10, 75, 12, 68, 20, 72, 15], "06 83 45 29 71"),  # in groups
        ("4711", [65, 20, 20], "4 711"),
        ("471", [65, 20], "471"),
        ("4711", [45, 20, 20], "4711"),
        ("47119", [55, 20, 60, 70], "47119"),  # unevenly written
    ],
)
def test_a_space_stands_where_a_gap_was_meant_as_one(marks, gaps, text):
    assert make_line(marks, gaps).text == text


def test_a_line_of_marks_that_are_no_digits_adds_nothing_to_the_text():
    lines = [make_line("??", [20]), make_line("12", [20]), make_line("?", []), make_line("34", [20])]
    assert Reading("page.png", tuple(lines), (400, 200)).text == "12\n34"


def test_long_names_are_apart():
    line = Line(tuple(Digit(name, (0, 0, 9, 9), 0.9, (), True, IMAGE) for name in ("ten", "two")))
    assert line.text == "ten two"


def place(*marks: tuple[str, int, int, int] | tuple[str, int, int, int, int]) -> Line:
    """Digits with their left edge, width, height, and top edge or 0; "?" is a mark that is refused."""
    digits = []
    for label, left, width, height, *top in marks:
        accepted, box = label != "?", (left, sum(top), width, height)
        digits.append(Digit(label if accepted else "8", box, 0.9, (), accepted, IMAGE))
    return Line(tuple(digits))


def test_a_thin_1_among_digits_that_are_evenly_written_has_no_space_beside_it():
    line = [("4", 0, 60, 100), ("7", 100, 60, 100), ("1", 230, 15, 100), ("9", 310, 60, 100)]
    assert place(*line).text == "4719"
    assert place(*line[:2], ("1", 300, 15, 100), ("9", 380, 60, 100)).text == "47 19"


def test_a_dot_in_a_gap_makes_no_space_of_it():
    far = [("5", 0, 60, 100), ("2", 160, 60, 100), ("9", 320, 60, 100), ("1", 480, 60, 100)]
    assert place(*far).text == "5291"
    assert place(*far[:2], ("?", 262, 15, 18), *far[2:]).text == "5291"
    assert place(*far[:2], ("?", 245, 40, 90), *far[2:]).text == "52 91"
    assert place(*far[:2], ("?", 228, 80, 14, 45), *far[2:]).text == "52 91"  # a dash


def test_signs_part_digits_but_a_point_and_a_comma_do_not():
    pair = [("1", 0, 60, 100), ("2", 120, 60, 100)]  # with a gap of 60, which is no space
    assert place(*pair).text == "12"
    assert place(pair[0], ("?", 85, 12, 14), pair[1]).text == "12"  # 1.2
    assert place(pair[0], ("?", 70, 42, 12, 45), pair[1]).text == "1 2"  # 1-2
    assert place(pair[0], ("?", 70, 42, 12, 2), pair[1]).text == "12"  # the bar of a 5
    assert place(pair[0], ("?", 65, 50, 48, 25), pair[1]).text == "12"  # a blot, not as large as a sign
    assert place(pair[0], ("?", 62, 55, 60, 20), pair[1]).text == "1 2"  # 1+2
    assert place(pair[0], ("?", 85, 14, 56, 70), pair[1]).text == "12"  # 1,2
    assert place(pair[0], ("?", 65, 50, 52, 55), pair[1]).text == "1 2"  # 1x2, the cross at the digits' foot
    assert place(pair[0], ("?", 85, 12, 14, 30), ("?", 90, 12, 14, 80), pair[1]).text == "1 2"  # 1:2
    assert place(pair[0], ("?", 65, 12, 14, 90), ("?", 95, 12, 14, 92), pair[1]).text == "12"  # two specks
    assert place(pair[0], ("?", 45, 42, 12, 45), ("2", 75, 60, 100)).text == "12"  # where nearly no gap is

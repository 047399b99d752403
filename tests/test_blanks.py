"""What is no writing though something was read."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from mnistry import read
from mnistry.blanks import check_written
from mnistry.errors import ImageError
from mnistry.imaging import Box
from mnistry.readings import Digit, Line

SIZE = (400, 640)


def mark(confidence: float, box: Box = (100, 100, 20, 30), label: str = "1", accepted: bool = True) -> Digit:
    return Digit(label, box, confidence, (), accepted, np.zeros((28, 28), np.uint8))


def is_blank(marks: list[Digit], contrast: float, size: tuple[int, int] = SIZE) -> bool:
    try:
        check_written([Line(tuple(marks))], size, lambda: contrast)
    except ImageError as error:
        return str(error).startswith("no ink found in the picture: ")
    return False


@pytest.mark.parametrize(("sure", "blank"), [(0, True), (1, True), (2, False), (5, False)])
def test_many_faint_marks_are_no_writing_unless_some_surely_are_digits(sure: int, blank: bool) -> None:
    marks = [mark(0.99)] * sure + [mark(0.5)] * 4 + [mark(0.01, accepted=False)] * 26
    assert is_blank(marks, 30) == blank
    assert not is_blank(marks, 90)


def test_digits_that_a_threshold_refuses_are_writing() -> None:
    assert not is_blank([mark(0.98, accepted=False)] * 24, 30)


def test_a_few_refused_marks_are_shown() -> None:
    assert not is_blank([mark(0.01, accepted=False)] * 19, 30)


@pytest.mark.parametrize("box", [(280, 0, 60, 400), (0, 150, 640, 60)])
def test_a_faint_stripe_from_border_to_border_is_no_writing(box: Box) -> None:
    x, y, width, height = box
    assert is_blank([mark(0.99, box)], 60)
    assert is_blank([mark(0.99, box), mark(0.1, accepted=False)], 60)
    assert not is_blank([mark(0.99, box)], 120)
    assert not is_blank([mark(0.99, box, label="7")], 60)
    assert not is_blank([mark(0.99, box)] * 2, 60)
    assert not is_blank(
        [mark(0.99, (x + 2, y + 2, width - 4, height - 4))], 60
    )  # a 1 that is cut out closely


def test_a_cutting_may_be_filled_by_a_faint_1() -> None:
    assert not is_blank([mark(0.99, (20, 0, 20, 100))], 40, size=(100, 80))
    assert not is_blank([mark(0.99, (400, 0, 100, 500))], 40, size=(500, 1500))  # a strip


def test_contrast_is_measured_only_where_it_decides() -> None:
    def fail() -> float:
        raise AssertionError

    check_written([Line((mark(0.99), mark(0.2, accepted=False)))], SIZE, fail)
    check_written([], SIZE, fail)


@pytest.mark.parametrize(("level", "message"), [(205, "no ink found"), (90, "no page of digits|can be put")])
def test_dotted_paper_is_blank_where_its_dots_are_faint(level: int, message: str) -> None:
    page = np.full((900, 900), 235, np.uint8)
    for x in range(10, 900, 18):
        for y in range(10, 900, 18):
            cv2.circle(page, (x, y), 4, level, -1, cv2.LINE_AA)
    for single in (None, True):
        with pytest.raises(ImageError, match=message):
            read(page, single=single)

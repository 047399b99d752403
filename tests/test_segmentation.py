"""Marks put together to lines."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from drawing import write_rows
from mnistry import read
from mnistry.grouping import group_lines
from mnistry.imaging import Box
from mnistry.segmentation import Mark, find_marks


def place(
    rows: int, columns: int, gap: float, pitch: float, slope: float, jitter: float = 0.0
) -> tuple[list[Mark], list[list[Mark]]]:
    """Marks 40 pixels high in rows that fall by `slope`, gap and pitch in their heights; all, and by rows."""
    rng = np.random.default_rng(0)
    lines = []
    for row in range(rows):
        line = []
        for column in range(columns):
            x = round(50 + column * 40 * gap)
            y = round(400 + row * 40 * pitch + slope * x + rng.normal(0, 40 * jitter))
            line.append(Mark((x, y, 26, 40), np.full((40, 26), 255, np.uint8)))
        lines.append(line)
    marks = [mark for line in lines for mark in line]
    return [marks[index] for index in rng.permutation(len(marks))], lines


def boxes_of(marks: list[Mark]) -> np.ndarray:
    return np.array([mark.box for mark in marks], np.int32)


@pytest.mark.parametrize("slope", [-0.25, -0.1, 0.0, 0.12, 0.22])
@pytest.mark.parametrize("gap", [0.9, 2.5, 4.5])
def test_lines_that_rise_or_fall_are_found_however_far_apart_their_digits_are(slope, gap) -> None:
    marks, lines = place(4, 6, gap, 2.0, slope, jitter=0.06)
    found = group_lines(marks)
    assert [[mark.box for mark in line] for line in found] == [[mark.box for mark in line] for line in lines]
    assert all(mark in marks for line in found for mark in line)  # with the ink and the places they had


@pytest.mark.parametrize("lower", [0.8, 1.0])
@pytest.mark.parametrize("count", [2, 4])
def test_two_columns_of_numbers_at_other_heights_stay_apart(lower: float, count: int) -> None:
    left, _ = place(3, count, 1.0, 2.4, 0.0)
    right, _ = place(3, count, 1.0, 2.4, 0.0)
    across, down = round(40 * (count + 3.0)), round(40 * lower)
    moved = [Mark((m.box[0] + across, m.box[1] + down, *m.box[2:]), m.ink) for m in right]
    found = group_lines([*left, *moved])
    assert [len(line) for line in found] == [count] * 6


def test_a_margin_line_is_no_mark_beside_digits_and_alone_it_is_one() -> None:
    ink = np.zeros((300, 400), np.uint8)
    ink[60:300, 20:24] = 255
    assert len(find_marks(ink)) == 1
    for x in range(80, 380, 60):
        ink[120:180, x : x + 8] = 255
    assert boxes_of(find_marks(ink))[:, 0].tolist() == [80, 140, 200, 260, 320]


def test_a_one_over_a_dotted_line_is_no_margin_line() -> None:
    ink = np.zeros((300, 800), np.uint8)
    ink[100:190, 300:308] = 255
    for x in range(20, 780, 18):
        ink[210:214, x : x + 4] = 255
    assert [300, 100, 8, 90] in boxes_of(find_marks(ink)).tolist()


def test_ones_on_a_page_with_more_signs_than_digits_are_no_margin_lines() -> None:
    ink = np.zeros((500, 400), np.uint8)
    for y in range(40, 440, 100):
        ink[y : y + 66, 40:70] = 255
        for x in (100, 200):
            ink[y + 52 : y + 66, x : x + 14] = ink[y : y + 66, x + 50 : x + 57] = 255
    assert len(find_marks(ink)) == 20
    assert len(find_marks(ink[:120])) == 5


@pytest.mark.parametrize("lines", [1, 3, 4])
def test_lines_between_columns_of_digits_or_of_ones_are_no_marks(lines: int) -> None:
    ink = np.zeros((500, 600), np.uint8)
    for x in range(60, 60 + 120 * lines, 120):
        ink[30:470, x : x + 4] = 255
        for y in range(60, 400, 80):
            ink[y : y + 60, x + 30 : x + 38] = ink[y : y + 60, x + 60 : x + 90] = 255
    assert len(find_marks(ink)) == 10 * lines


@pytest.mark.parametrize(
    ("left", "height", "thickness", "kept"),
    [(80, 80, 3, False), (80, 80, 9, True), (80, 64, 3, True), (156, 80, 3, True), (460, 80, 3, False)],
)
def test_what_is_beside_all_digits_higher_and_far_thinner_is_the_side_of_a_box(
    left: int, height: int, thickness: int, kept: bool
) -> None:
    ink = np.zeros((300, 500), np.uint8)
    for x in range(120, 440, 60):
        ink[100:160, x : x + 10] = ink[100:110, x : x + 30] = 255
    ink[130 - height // 2 : 130 + height // 2, left : left + thickness] = 255
    assert len(find_marks(ink)) == 6 + kept


@pytest.mark.parametrize(
    ("dashes", "step", "fall", "kept"),
    [(20, 20, 0.25, False), (5, 20, 0, False), (4, 20, 0, True), (8, 60, 0, True), (8, 20, 9, True)],
)
def test_a_dashed_rule_is_no_mark_and_a_few_dashes_are(
    dashes: int, step: int, fall: float, kept: bool
) -> None:
    ink = np.zeros((300, 600), np.uint8)
    for x in range(80, 440, 60):
        ink[100:160, x : x + 30] = 255
    for dash in range(dashes):
        x, y = 40 + step * dash, 180 + int(fall * dash)
        ink[y : y + 4, x : x + 10] = 255
    assert len(find_marks(ink)) == 6 + (dashes if kept else 0)


def test_the_torn_off_bars_of_sevens_are_no_dashed_rule() -> None:
    page = np.full((220, 400), 255, np.uint8)
    for x in range(60, 335, 55):
        cv2.line(page, (x, 80), (x + 32, 80), 0, 6)
        cv2.line(page, (x + 30, 90), (x + 12, 140), 0, 6)
    assert read(page).text == "77777"


def test_a_one_twice_as_high_as_its_neighbours_is_no_margin_line() -> None:
    ink = np.zeros((300, 400), np.uint8)
    ink[50:210, 20:28] = 255
    for x in range(80, 380, 60):
        ink[100:166, x : x + 8] = 255
    assert len(find_marks(ink)) == 6


@pytest.mark.parametrize(("thickness", "kept"), [(3, False), (8, True)])
def test_what_lies_along_the_border_far_thinner_than_the_strokes_is_a_bit_of_the_desk(
    thickness: int, kept: bool
) -> None:
    ink = np.zeros((400, 600), np.uint8)
    for x in range(60, 540, 60):
        ink[150:220, x : x + 10] = 255
    ink[160:225, 600 - thickness :] = 255
    assert ([600 - thickness, 160, thickness, 65] in boxes_of(find_marks(ink)).tolist()) == kept


@pytest.mark.parametrize("scale", [1, 3])
def test_the_torn_off_bars_of_fives_stay_in_their_line(scale: int) -> None:
    """The second bar ends above the middle one of three marks before it: the first five is torn too."""
    whole = [(42, 25, 24, 35), (67, 29, 18, 29), (129, 25, 26, 31), (208, 25, 32, 34)]
    fives = [(92, 37, 28, 19), (97, 22, 21, 17), (161, 34, 32, 25), (181, 21, 26, 12)]
    boxes = [(scale * x, scale * y, scale * width, scale * height) for x, y, width, height in whole + fives]
    marks = [Mark(box, np.full(box[3:1:-1], 255, np.uint8)) for box in boxes]
    assert [len(line) for line in group_lines(marks)] == [8]


@pytest.mark.parametrize("scale", [1, 3])
def test_a_bar_that_stands_above_beside_its_five_stays_in_the_line(scale: int) -> None:
    boxes = [(1, 25, 60, 89), (53, 41, 50, 67), (103, 29, 57, 78), (152, 52, 27, 55), (180, 14, 30, 34)]
    boxes = [(scale * x, scale * y, scale * width, scale * height) for x, y, width, height in boxes]
    marks = [Mark(box, np.full(box[3:1:-1], 255, np.uint8)) for box in boxes]
    assert [len(line) for line in group_lines(marks)] == [5]


@pytest.mark.parametrize(
    ("dot", "lines"), [((300, 50, 6, 6), 2), ((300, 50, 20, 6), 2), ((188, 50, 26, 6), 1)]
)
def test_only_a_dash_close_behind_makes_a_low_mark_a_comma(dot: Box, lines: int) -> None:
    boxes = [(40, 30, 34, 48), (84, 30, 34, 48), (128, 30, 34, 48), (160, 74, 19, 27), dot]
    marks = [Mark(box, np.full(box[3:1:-1], 255, np.uint8)) for box in boxes]
    assert len(group_lines(marks)) == lines


def test_stems_torn_off_stay_in_their_line() -> None:
    """A 4 and a 1 whose stems end below, beside an 0 and an 8."""
    whole = [(56, 69, 29, 24), (64, 39, 12, 27), (87, 44, 18, 45), (142, 45, 29, 53)]
    boxes = [*whole, (219, 37, 54, 91), (301, 30, 53, 104), (85, 93, 7, 39), (157, 104, 8, 30)]
    marks = [Mark(box, np.full(box[3:1:-1], 255, np.uint8)) for box in boxes]
    assert [len(line) for line in group_lines(marks)] == [8]


@pytest.mark.parametrize("tallest", [35, 62])
def test_short_lines_right_above_each_other_stay_two(tallest: int) -> None:
    upper = [(40 + 45 * n, 20, 26, 35) for n in range(2 if tallest > 35 else 3)]
    lower = [(40 + 45 * n, 95 - high, 26, high) for n, high in enumerate((35, 35, tallest, 35))]
    marks = [Mark(box, np.full(box[3:1:-1], 255, np.uint8)) for box in upper + lower]
    assert [len(line) for line in group_lines(marks)] == [len(upper), 4]


def test_a_line_along_three_rows_is_no_mark() -> None:
    ink = np.zeros((520, 400), np.uint8)
    ink[40:480, 40:44] = 255
    for y in (100, 230, 360):
        for x in range(80, 380, 60):
            ink[y : y + 60, x : x + 8] = 255
    assert boxes_of(find_marks(ink))[:, 0].min() == 80


@pytest.mark.parametrize("density", [0.0005, 0.002, 0.008])
def test_specks_of_a_scan_in_black_and_white_change_nothing(density: float) -> None:
    light = write_rows([("", "47358", 40), ("", "206419", 60)], 500, 1.0)
    page = np.where(light < 128, 0, 255).astype(np.uint8)
    page[np.random.default_rng(0).random(page.shape) < density] = 0
    assert read(page).text.replace(" ", "") == "47358\n206419"

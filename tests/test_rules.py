"""What is printed to write on is taken away, and nothing else."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from mnistry import read
from mnistry.frames import remove_frames
from mnistry.paper import find_page_ink
from mnistry.rules import measure_pitch, remove_rules


def draw_digits(count: int = 3, left: int = 60, step: int = 90) -> np.ndarray:
    """A seven, 60 pixels high, several times, on a page of 200 x 420; bright on 0."""
    ink = np.zeros((200, 420), np.uint8)
    for x in range(left, left + count * step, step):
        cv2.polylines(ink, [np.array([(x, 70), (x + 35, 70), (x + 12, 130)])], False, 255, 5, cv2.LINE_AA)
    return ink


def turn(ink: np.ndarray, degrees: float) -> np.ndarray:
    matrix = cv2.getRotationMatrix2D((ink.shape[1] / 2, ink.shape[0] / 2), degrees, 1)
    return cv2.warpAffine(ink, matrix, ink.shape[::-1])


def lost_and_left(page: np.ndarray, digits: np.ndarray) -> tuple[float, float]:
    """The portion of the digits that is gone, and what is left of the rest, in the digits' ink."""
    cleaned = remove_frames(page)[0]
    near = cv2.dilate(digits, np.ones((3, 3), np.uint8)) > 0
    lost = ((cleaned < 96) & (digits >= 96)).sum()
    left = ((cleaned >= 96) & ~near).sum()
    return float(lost / (digits >= 96).sum()), float(left / (digits >= 96).sum())


@pytest.mark.parametrize("degrees", [0, 1.5, -3])
def test_squared_paper_is_taken_away(degrees: float) -> None:
    digits = draw_digits()
    page = digits.copy()
    for x in range(-200, 620, 35):
        cv2.line(page, (x, -200), (x, 400), 150, 2)
    for y in range(-200, 400, 35):
        cv2.line(page, (-200, y), (620, y), 150, 2)
    matrix = cv2.getRotationMatrix2D((210, 100), degrees, 1)
    turned = cv2.warpAffine(page, matrix, (420, 200), borderMode=cv2.BORDER_REFLECT)
    cleaned, truth = remove_rules(turned), turn(digits, degrees)
    count, _, stats, _ = cv2.connectedComponentsWithStats((cleaned >= 96).astype(np.uint8), connectivity=8)
    assert (stats[1:, 3] > 30).sum() == 3  # the digits
    assert ((cleaned < 96) & (truth >= 96)).sum() < 0.12 * (truth >= 96).sum()
    assert count - 1 <= 3 + 5  # of some 60 squares there are a few specks left


@pytest.mark.parametrize("level", [60, 90])
def test_faint_squares_that_the_digits_cross_do_not_hang_on_to_them(level: int) -> None:
    digits = draw_digits()
    squares = np.zeros_like(digits)
    squares[17::35], squares[18::35] = level, level
    squares[:, 17::35] = squares[:, 18::35] = level
    rough = np.random.default_rng(0).random(digits.shape) < 0.1  # a printed line is no even one
    page = np.maximum(digits, np.where(rough, squares // 3, squares)).astype(np.int16)
    page = (page + np.random.default_rng(1).integers(0, 4, digits.shape)).clip(0, 255).astype(np.uint8)
    ink = find_page_ink(255 - page).ink
    near = cv2.dilate(digits, np.ones((13, 13), np.uint8)) > 0
    assert not ink[~near].any()
    assert (ink[digits > 200] > 200).mean() > 0.9


@pytest.mark.parametrize("degrees", [0, 1.1, -2])
def test_thin_squares_far_from_the_digits_are_no_ink(degrees: float) -> None:
    page = np.full((700, 1100), 255.0)
    for at in range(-400, 1500, 59):
        cv2.line(page, (at, -400), (at, 1500), 190, 2, cv2.LINE_AA)
        cv2.line(page, (-400, at), (1500, at), 190, 2, cv2.LINE_AA)
    matrix = cv2.getRotationMatrix2D((550, 350), degrees, 1)
    page = cv2.warpAffine(page, matrix, (1100, 700), borderMode=cv2.BORDER_REFLECT)
    for x in (150, 240, 330):
        cv2.polylines(page, [np.array([(x, 150), (x + 60, 150), (x + 20, 250)])], False, 60, 8, cv2.LINE_AA)
    page *= np.linspace(1, 0.65, 700)[:, None]  # light from above
    noise = np.random.default_rng(0).normal(0, 2, page.shape)
    assert read((page + noise).clip(0, 255).astype(np.uint8)).text.strip() == "777"


@pytest.mark.parametrize("degrees", [0, 2, -4])
def test_boxes_around_digits_are_taken_away(degrees: float) -> None:
    digits = draw_digits()
    page = digits.copy()
    for x in (35, 125, 215, 305):  # the last one is empty
        cv2.rectangle(page, (x, 50), (x + 80, 150), 255, 2)
    lost, left = lost_and_left(turn(page, degrees), turn(digits, degrees))
    assert lost < 0.02
    assert left < 0.15  # specks where lines met, which are dropped as dirt


def test_a_table_is_taken_away_even_where_strokes_cross_it() -> None:
    digits = draw_digits()
    page = digits.copy()
    cv2.rectangle(page, (35, 50), (305, 125), 255, 2)  # the stems go on below it
    for x in (125, 215):
        cv2.line(page, (x, 50), (x, 125), 255, 2)
    lost, left = lost_and_left(page, digits)
    assert lost < 0.05
    assert left < 0.15


def test_an_underline_is_taken_away() -> None:
    digits = draw_digits(4, 60, 75)
    page = digits.copy()
    cv2.line(page, (50, 129), (350, 133), 255, 3)
    lost, left = lost_and_left(page, digits)
    assert lost < 0.05
    assert left < 0.15


def test_a_rectangle_by_itself_stays_for_it_may_be_a_0() -> None:
    page = np.zeros((200, 420), np.uint8)
    for x in (60, 160, 260):
        cv2.rectangle(page, (x, 60), (x + 45, 130), 255, 6)
    cv2.line(page, (160, 95), (205, 95), 255, 6)  # an 8 as on a display
    assert np.array_equal(remove_frames(page)[0], page)


def test_digits_alone_stay_as_they_are() -> None:
    page = draw_digits()
    cv2.ellipse(page, (340, 100), (25, 32), 0, 0, 360, 255, 5)
    cv2.circle(page, (340, 100), 6, 255, -1)  # something inside a 0
    cv2.line(page, (370, 100), (410, 100), 255, 5)  # a minus
    assert np.array_equal(remove_frames(page)[0], page)


@pytest.mark.parametrize("rows", [2, 3])
@pytest.mark.parametrize("inner", [True, False])
def test_a_box_around_several_rows_is_taken_away_with_lines_between_them_or_not(
    rows: int, inner: bool
) -> None:
    page = np.zeros((120 * rows + 80, 480), np.uint8)
    for row in range(rows):
        page[40 + 120 * row : 160 + 120 * row, 40:420] = draw_digits()[50:170, 40:]
    digits = page.copy()
    for y in range(30, 31 + 120 * rows, 120 if inner else 120 * rows):
        cv2.line(page, (30, y), (440, y), 255, 3)
    for x in (30, 440):
        cv2.line(page, (x, 30), (x, 30 + 120 * rows), 255, 3)
    lost, left = lost_and_left(page, digits)
    assert lost < 0.02
    assert left < 0.02


@pytest.mark.parametrize("degrees", [0.0, 1.5])
@pytest.mark.parametrize("end", [700, 660])
def test_the_margin_of_a_ruled_page_is_taken_away(degrees: float, end: int) -> None:
    page = np.zeros((700, 500), np.uint8)
    for y in range(40, 700, 60):
        cv2.line(page, (-20, y), (520, y), 120, 2)
    cv2.line(page, (70, -20), (70, end), 120, 2)
    left = remove_rules(turn(page, degrees), 0.0)
    assert (left > 0).mean() < 0.003


def test_a_1_as_high_as_the_picture_stays_where_the_paper_is_not_ruled() -> None:
    page = np.zeros((700, 500), np.uint8)
    cv2.line(page, (250, -20), (250, 720), 255, 30)
    cv2.line(page, (-20, 350), (520, 350), 120, 2)
    assert (remove_rules(page) > 0).mean() > 0.9 * (page == 255).mean()


def test_the_distance_of_printed_lines_is_measured_where_there_are_many() -> None:
    page = np.zeros((700, 500), np.uint8)
    for y in range(40, 700, 60):
        cv2.line(page, (-20, y), (520, y), 120, 2)
    assert measure_pitch(page) == 60
    assert measure_pitch(np.ascontiguousarray(page.T)) == 0  # these may be 1s
    assert measure_pitch(np.zeros((700, 500), np.uint8)) == 0


@pytest.mark.parametrize("bow", [0, 4, 8, 14])
def test_a_bowed_1_as_high_as_the_picture_is_no_pair_of_printed_lines(bow: int) -> None:
    """As steep as it is above and below, it is found at two slopes."""
    rows = np.linspace(10, 470, 60)
    points = np.column_stack([240 + bow * np.cos(3 * rows / 240), rows]).round().astype(np.int32)
    ink = np.zeros((480, 480), np.uint8)
    cv2.polylines(ink, [points], False, 255, 16, cv2.LINE_AA)
    assert np.array_equal(remove_rules(ink), ink)
    assert read(255 - ink).text == "1"

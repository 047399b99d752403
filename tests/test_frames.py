"""What is drawn around the writing is taken away, and a digit that goes around something is not."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from mnistry import load_mnist, read
from mnistry.frames import remove_frames, remove_rings


def ring(size: tuple[int, int] = (200, 300)) -> np.ndarray:
    """A circle as drawn by hand, which ends across where it began; bright on 0."""
    ink = np.zeros(size, np.uint8)
    angles = np.linspace(0.1, 2 * np.pi + 0.3, 60)
    points = np.stack(
        [150 + (122 - 4 * np.abs(angles - 3)) * np.cos(angles), 100 + (85 - angles) * np.sin(angles)], 1
    )
    cv2.polylines(ink, [points.round().astype(np.int32)], False, 255, 4, cv2.LINE_AA)
    return ink


def write(ink: np.ndarray, image: np.ndarray, place: tuple[int, int], side: int) -> np.ndarray:
    """The ink with an MNIST image at x, y, so large."""
    x, y = place
    written = ink.copy()
    large = cv2.resize(image, (side, side), interpolation=cv2.INTER_CUBIC)
    written[y : y + side, x : x + side] = np.maximum(written[y : y + side, x : x + side], large)
    return written


def test_what_stands_in_a_circle_is_read_without_it() -> None:
    _, test_digits = load_mnist()
    images = [test_digits.images[test_digits.labels == digit][0] for digit in (4, 7)]
    page = write(write(ring(), images[0], (70, 50), 90), images[1], (140, 50), 90)
    cleaned = remove_rings(page)
    assert not (cleaned & ring()).any()
    assert (cleaned > 96).sum() == pytest.approx((page > 96).sum() - (ring() > 96).sum(), rel=0.01)
    assert read(255 - page).text == "47"


def test_a_circle_around_nothing_or_a_dot_is_a_zero() -> None:
    page = ring()
    assert (remove_rings(page) == page).all()
    cv2.circle(page, (150, 100), 6, 255, -1)
    assert (remove_rings(page) == page).all()
    assert read(255 - page).text == "0"


def test_the_slash_of_a_zero_stays_in_it() -> None:
    page = np.zeros((200, 200), np.uint8)
    cv2.ellipse(page, (100, 100), (45, 70), 0, 0, 360, 255, 6, cv2.LINE_AA)
    cv2.line(page, (82, 140), (118, 62), 255, 5, cv2.LINE_AA)
    assert (remove_rings(page) == page).all()


def test_two_specks_in_a_zero_are_no_row_of_digits() -> None:
    page = np.zeros((200, 200), np.uint8)
    cv2.ellipse(page, (100, 100), (45, 70), 0, 0, 360, 255, 8, cv2.LINE_AA)
    for x in (85, 115):
        cv2.circle(page, (x, 100), 5, 255, -1)
    assert (remove_rings(page) == page).all()


def test_a_face_is_not_taken_apart() -> None:
    page = np.zeros((300, 300), np.uint8)
    cv2.circle(page, (150, 150), 120, 255, 5, cv2.LINE_AA)
    for x in (105, 195):
        cv2.ellipse(page, (x, 120), (13, 16), 0, 0, 360, 255, 4, cv2.LINE_AA)
    cv2.ellipse(page, (150, 170), (55, 40), 0, 20, 160, 255, 5, cv2.LINE_AA)
    assert (remove_rings(page) == page).all()
    assert read(255 - page).text == ""


def test_a_bubble_around_rows_is_taken_away() -> None:
    _, test_digits = load_mnist()
    page = np.zeros((260, 420), np.uint8)
    angles = np.linspace(0, 2 * np.pi, 90)
    waves = 1 + 0.03 * np.sin(7 * angles)
    points = np.stack([210 + 195 * waves * np.cos(angles), 130 + 118 * waves * np.sin(angles)], 1)
    cv2.polylines(page, [points.round().astype(np.int32)], True, 255, 4, cv2.LINE_AA)
    bubble, texts = page.copy(), []
    rng = np.random.default_rng(0)
    for y in (60, 140):
        chosen = rng.integers(0, len(test_digits.labels), 4)
        for x, index in zip((100, 155, 210, 265), chosen, strict=True):
            page = write(page, test_digits.images[index], (x, y), 58)
        texts.append("".join(str(test_digits.labels[index]) for index in chosen))
    assert not (remove_rings(page) & bubble).any()
    assert read(255 - page).text.replace(" ", "").split("\n") == texts


def test_a_bubble_with_a_tail_around_a_small_number_is_taken_away() -> None:
    _, test_digits = load_mnist()
    page = np.zeros((400, 500), np.uint8)
    outline = cv2.ellipse2Poly((250, 150), (160, 110), 0, 110, 430, 5)
    outline = np.vstack([outline, [(290, 255), (190, 360)]])
    cv2.polylines(page, [outline], True, 255, 3, cv2.LINE_AA)
    bubble = page.copy()
    for x, digit in ((200, 4), (235, 0), (270, 7)):
        page = write(page, test_digits.images[test_digits.labels == digit][0], (x, 130), 44)
    assert not (remove_rings(page) & bubble).any()
    assert read(255 - page).text == "407"


def test_many_marks_are_left_alone() -> None:
    page = np.zeros((1200, 1200), np.uint8)
    for y in range(10, 1190, 20):
        for x in range(10, 1190, 20):
            cv2.circle(page, (x, y), 8, 255, 1)
            page[y - 4 : y + 4, x] = 255
    assert (remove_rings(page) == page).all()


def test_the_shadow_along_two_sides_of_a_note_is_taken_away() -> None:
    page = draw_shadow()
    assert (remove_frames(page)[0][draw_shadow(digits="") > 0] < 96).all()
    assert read(255 - page).text.replace(" ", "") == "47"


SIX = [(100, 42), (72, 80), (64, 118), (78, 140), (106, 130), (104, 108), (84, 102), (66, 112)]
FOUR = [(86, 40), (58, 112), (122, 112)], [(100, 84), (96, 156)]
TWO = [(60, 62), (78, 42), (104, 54), (98, 84), (60, 136), (62, 140), (118, 140)]


def draw_box(*strokes: list[tuple[int, int]], outline: bool = True) -> np.ndarray:
    """Strokes of a pen 7 pixels wide in the left one of two boxes, whose lines are 2 wide; bright on 0."""
    page = np.zeros((200, 260), np.uint8)
    if outline:
        for left in (40, 140):
            cv2.rectangle(page, (left, 30), (left + 80, 140), 150, 2)
    for stroke in strokes:
        cv2.polylines(page, [np.array(stroke)], False, 255, 7, cv2.LINE_AA)
    return page


@pytest.mark.parametrize(
    ("strokes", "text"), [([SIX], "6"), (FOUR, "4"), ([TWO], "2"), ([[(x + 24, y) for x, y in SIX]], "6")]
)
def test_a_digit_on_a_side_of_its_box_stays_whole(strokes: list, text: str) -> None:
    """The 6 and the 2 stand on the lower side, the 4 crosses it; the second 6 crosses the right one."""
    page = draw_box(*strokes)
    cleaned = remove_frames(page)[0]
    assert cleaned[30:40, 40:64].max() < 96, "the corner of the box"
    assert (cleaned[draw_box(*strokes, outline=False) == 255] == 255).all()
    left = cleaned.copy()
    left[draw_box(*strokes, outline=False) > 0] = 0
    left[:, 138:] = 0
    assert np.count_nonzero(left >= 96) < 130, "pixels of the box beside the digit"
    assert read(255 - page).text == text


@pytest.mark.parametrize("line_px", [3, 7])
def test_the_lines_of_boxes_may_be_thick(line_px: int) -> None:
    page = draw_box(*FOUR, outline=False)
    for left in (30, 130):
        cv2.rectangle(page, (left, 20), (left + 100, 180), 255, line_px)
    assert read(255 - page).text == "4"


def test_a_digit_as_thin_as_the_lines_stays_beside_a_thicker_one() -> None:
    page = draw_box([(x - 8, y - 10) for x, y in SIX])
    cv2.line(page, (120, 80), (140, 80), 150, 2)
    thin = np.array([(162, 60), (178, 44), (200, 56), (194, 84), (162, 124), (206, 124), (222, 118)])
    cv2.polylines(page, [thin], False, 255, 3, cv2.LINE_AA)
    assert read(255 - page).text.replace(" ", "") == "62"


@pytest.mark.parametrize("stroke_px", [8, 12])
def test_eights_that_touch_are_no_box(stroke_px: int) -> None:
    """Rows through their waists, and columns through their sides, are ink from side to side."""
    page = np.zeros((180, 160), np.uint8)
    for x, across in ((50, 19), (84, 14)):
        for y, down in ((60, 20), (101, 22)):
            cv2.ellipse(page, (x, y), (across, down), 0, 0, 360, 255, stroke_px, cv2.LINE_AA)
    assert (remove_frames(page)[0] == page).all()


def test_a_7_with_nothing_under_it_stays() -> None:
    page = np.zeros((200, 200), np.uint8)
    cv2.polylines(page, [np.array([(60, 50), (130, 50), (130, 160)])], False, 255, 6, cv2.LINE_AA)
    assert (remove_frames(page)[0] == page).all()


def draw_shadow(digits: str = "47") -> np.ndarray:
    """Digits, and two lines that meet right of them and below; bright on 0."""
    _, test = load_mnist()
    page = np.zeros((320, 420), np.uint8)
    cv2.polylines(page, [np.array([(60, 280), (360, 276), (364, 40)])], False, 160, 5, cv2.LINE_AA)
    for place, digit in enumerate(digits):
        page = write(page, test.images[test.labels == int(digit)][0], (110 + 80 * place, 110), 90)
    return page


@pytest.mark.parametrize("reach", [(0, 45), (32, 40), (-20, 40)])
def test_a_stroke_in_a_zero_stays_however_it_leans(reach: tuple[int, int]) -> None:
    x, y = reach
    page = np.zeros((300, 300), np.uint8)
    cv2.ellipse(page, (150, 150), (60, 90), 0, 0, 360, 255, 6, cv2.LINE_AA)
    cv2.line(page, (150 - x, 150 - y), (150 + x, 150 + y), 255, 5, cv2.LINE_AA)
    assert (remove_rings(page) == page).all()
    assert read(255 - page).text == "0"


def test_what_stands_in_the_loop_of_a_6_or_an_8_takes_nothing_away() -> None:
    six = np.zeros((300, 300), np.uint8)
    cv2.circle(six, (150, 200), 70, 255, 6, cv2.LINE_AA)
    cv2.ellipse(six, (190, 190), (110, 150), 0, 180, 250, 255, 6, cv2.LINE_AA)
    cv2.line(six, (150, 170), (150, 225), 255, 6, cv2.LINE_AA)
    eight = np.zeros((300, 300), np.uint8)
    cv2.ellipse(eight, (150, 90), (50, 55), 0, 0, 360, 255, 6, cv2.LINE_AA)
    cv2.ellipse(eight, (150, 210), (60, 65), 0, 0, 360, 255, 6, cv2.LINE_AA)
    cv2.line(eight, (150, 70), (150, 115), 255, 6, cv2.LINE_AA)
    for page in (six, eight):
        assert (remove_rings(page) == page).all()


def test_an_outlined_zero_keeps_both_its_lines() -> None:
    page = np.zeros((300, 300), np.uint8)
    cv2.ellipse(page, (150, 150), (80, 110), 0, 0, 360, 255, 4, cv2.LINE_AA)
    cv2.ellipse(page, (150, 150), (50, 80), 0, 0, 360, 255, 4, cv2.LINE_AA)
    cv2.ellipse(page, (150, 150), (68, 98), 0, 0, 360, 255, 4, cv2.LINE_AA)
    assert (remove_rings(page) == page).all()


def test_a_1_in_a_circle_beside_numbers_as_high_is_read() -> None:
    page = np.zeros((200, 640), np.uint8)
    _, test = load_mnist()
    for place, digit in enumerate("4735"):
        page = write(page, test.images[test.labels == int(digit)][0], (20 + 95 * place, 55), 90)
    cv2.line(page, (530, 132), (546, 66), 255, 7, cv2.LINE_AA)
    cv2.ellipse(page, (538, 99), (45, 62), 0, 0, 360, 255, 4, cv2.LINE_AA)
    assert read(255 - page).text.replace(" ", "") == "47351"


@pytest.mark.parametrize("shift", [0, 10])
def test_a_square_8_is_no_table_with_writing(shift: int) -> None:
    """The step in its middle bar is left over of its lines, and hangs on to them."""
    ink = np.zeros((200, 200), np.uint8)
    cv2.rectangle(ink, (45, 42), (145, 165), 255, 12)
    cv2.polylines(
        ink, [np.array([(45, 108), (75, 108), (85, 108 - shift), (145, 108 - shift)])], False, 255, 12
    )
    for corner in ((50, 50), (140, 48), (46, 112), (52, 160)):
        cv2.circle(ink, corner, 13, 255, -1)
    assert np.array_equal(remove_frames(ink)[0], ink)


def draw_boxes(gap: int) -> np.ndarray:
    """7130 in four thin boxes side by side, the foot of the 1 so far above their lower line."""
    page = np.full((120, 310), 250, np.uint8)
    cv2.rectangle(page, (30, 25), (278, 95), 120, 1)
    for x in (92, 154, 216):
        cv2.line(page, (x, 25), (x, 95), 120, 1)
    for stroke in (
        [(50, 38), (76, 38), (60, 82)],
        [(112, 45), (124, 36), (116, 95 - gap)],
        [(172, 40), (196, 38), (184, 55), (198, 66), (190, 82), (172, 82)],
        [(246, 36), (232, 55), (236, 78), (250, 82), (260, 60), (256, 40), (246, 36)],
    ):
        cv2.polylines(page, [np.array(stroke)], False, 20, 4, cv2.LINE_AA)
    return page


@pytest.mark.parametrize("gap", [-3, 0, 2, 8])
def test_a_digit_whose_foot_is_on_the_line_of_its_box_stays(gap: int) -> None:
    assert read(draw_boxes(gap)).text.replace(" ", "") == "7130"


@pytest.mark.parametrize("gap", [0, 12])
def test_boxes_whose_lower_line_is_partly_too_faint_are_no_digits(gap: int) -> None:
    page = draw_boxes(gap)
    page[94:97, 165:] = 250
    page[60:, 277:280] = 250
    assert read(page).text.replace(" ", "") == "7130"


@pytest.mark.parametrize("boxes", [4, 2])
@pytest.mark.parametrize("gap", [6, 14])
def test_digits_in_groups_of_boxes_are_apart_and_in_one_group_are_not(boxes: int, gap: int) -> None:
    _, digits = load_mnist()
    page = np.full((150, 2 * 70 * boxes + 120), 250, np.uint8)
    left, text = 40, ""
    for group in range(2):
        cv2.rectangle(page, (left, 35), (left + 64 * boxes, 110), 120, 2)
        for place in range(boxes):
            label = 2 + 4 * group + place
            image = digits.images[np.flatnonzero(digits.labels == label)[1]]
            large = cv2.resize(image, (72, 72), interpolation=cv2.INTER_CUBIC)[10:62, 10:62]
            x = left + 64 * place + 6
            cv2.line(page, (x - 6, 35), (x - 6, 110), 120, 2)
            np.minimum(page[46:98, x : x + 52], 255 - large, out=page[46:98, x : x + 52])
            text += str(label)
        left += 64 * boxes + gap
        text += " " * (group == 0)
    assert read(page).text == text

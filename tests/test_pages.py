"""Pages with several digits, read by a classifier that knows templates: no network is needed."""

from __future__ import annotations

import io
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import mnistry
from mnistry import pages, pictures
from mnistry.acceptance import accept, is_solid
from mnistry.cutting import Piece, cut_again, cut_pieces, find_cuts, join
from mnistry.decoding import Path, find_paths, list_spans
from mnistry.errors import ImageError
from mnistry.grouping import group_lines
from mnistry.imaging import center_digit, find_even_level, find_polarity
from mnistry.lines import Options
from mnistry.paper import find_page_ink
from mnistry.rules import remove_rules
from mnistry.segmentation import find_marks
from mnistry.segments import CutLine, Segment
from mnistry.sequences import PADDING_PX, SCALE
from mnistry.straightening import straighten


def write(
    text: str, *, scale: float = 3, thickness: int = 6, step: int = 80, rows: int = 130
) -> NDArray[np.uint8]:
    """Return a white picture with the digits of `text`, a row per line, in black."""
    lines = text.split("\n")
    picture = np.full((rows * len(lines) + 40, step * max(map(len, lines)) + 60), 255, np.uint8)
    for row, line in enumerate(lines):
        for column, character in enumerate(line):
            place = (30 + column * step, 110 + row * rows)
            cv2.putText(picture, character, place, cv2.FONT_HERSHEY_SIMPLEX, scale, 0, thickness, cv2.LINE_AA)
    return picture


def _template(digit: int) -> NDArray[np.float64]:
    image = center_digit(255 - write(str(digit)))
    blurred = cv2.GaussianBlur(image.astype(np.float64), (0, 0), 1.5).ravel()
    return blurred / np.linalg.norm(blurred)


TEMPLATES = np.stack([_template(digit) for digit in range(10)])


def match(images: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return probabilities by likeness to the templates; little for what is like none of them."""
    if len(images) == 0:
        return np.zeros((0, 10))
    blurred = np.stack([cv2.GaussianBlur(image.astype(np.float64), (0, 0), 1.5).ravel() for image in images])
    likeness = blurred @ TEMPLATES.T / np.linalg.norm(blurred, axis=1, keepdims=True)
    odds = np.exp(40 * (likeness - 0.9))
    return odds / (1 + odds.sum(axis=1, keepdims=True))


def read(picture: NDArray[np.uint8]) -> str:
    return "\n".join(line.text for line in pages.read_page(picture, Options(match)))


def test_digits_are_read_from_left_to_right() -> None:
    assert read(write("4711")) == "4711"


def test_lines_are_read_from_top_to_bottom() -> None:
    assert read(write("203\n8546\n917")) == "203\n8546\n917"


def test_light_ink_on_dark_is_read_as_well() -> None:
    assert read(255 - write("2046")) == "2046"


def test_a_shadow_across_the_page_changes_nothing() -> None:
    light = np.linspace(0.4, 1.0, write("35608").shape[1])
    light[150:260] *= 0.6
    light = np.convolve(np.pad(light, 20, mode="edge"), np.ones(41) / 41, mode="valid")
    assert read((write("35608") * light).astype(np.uint8)) == "35608"


@pytest.mark.parametrize("degrees", [-8, 8])
def test_a_tilted_line_is_read(degrees: float) -> None:
    picture = cv2.copyMakeBorder(write("20563"), 120, 120, 40, 40, cv2.BORDER_CONSTANT, value=255)
    center = (picture.shape[1] / 2, picture.shape[0] / 2)
    turn = cv2.getRotationMatrix2D(center, degrees, 1)
    tilted = cv2.warpAffine(picture, turn, picture.shape[::-1], borderValue=255)
    assert read(tilted) == "20563"


def test_touching_digits_are_parted() -> None:
    assert read(write("2835", step=62)) == "2835"


def test_a_rule_under_the_digits_is_taken_away() -> None:
    picture = write("20563")
    cv2.line(picture, (0, 128), (picture.shape[1], 134), 60, 2)
    assert read(picture) == "20563"


def test_a_rule_leaves_the_strokes_that_cross_it_whole() -> None:
    ink = np.zeros((100, 300), np.uint8)
    cv2.line(ink, (150, 10), (150, 90), 255, 8)
    ruled = ink.copy()
    cv2.line(ruled, (0, 50), (299, 50), 255, 2)
    cleaned = remove_rules(ruled)
    assert (cleaned[10:90, 148:153] == 255).all()
    assert not cleaned[:, :140].any()
    assert not cleaned[:, 160:].any()


def test_a_one_as_high_as_the_picture_is_no_rule() -> None:
    ink = np.zeros((100, 60), np.uint8)
    ink[:, 28:32] = 255
    assert np.array_equal(remove_rules(ink), ink)


def test_the_boxes_are_in_pixels_of_the_picture() -> None:
    picture = write("3508")
    large = cv2.resize(picture, None, fx=6, fy=6, interpolation=cv2.INTER_LINEAR)
    lines = pages.read_page(large, Options(match))
    for index, digit in enumerate(lines[0].digits):
        x, y, width, height = digit.box
        ink = np.argwhere(picture[:, 25 + index * 80 : 25 + (index + 1) * 80] < 128)
        (top, left), (bottom, right) = ink.min(axis=0), ink.max(axis=0) + 1
        left, right = left + 25 + index * 80, right + 25 + index * 80
        assert np.allclose(np.array([x, y, x + width, y + height]) / 6, [left, top, right, bottom], atol=8)


def test_a_picture_made_smaller_while_it_is_loaded_gives_boxes_of_the_whole() -> None:
    picture = cv2.resize(write("3508"), None, fx=8, fy=8)
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG")
    gray, size = pictures.load_shrunk(file.getvalue(), 1600)
    assert size == picture.shape
    assert max(gray.shape) == 1600
    x, _, width, _ = pages.read_page(gray, Options(match), size=size)[0].digits[-1].box
    assert picture.shape[1] * 0.7 < x < x + width <= picture.shape[1]


@pytest.mark.parametrize("format", ["JPEG", "PNG"])
def test_a_turned_photo_is_turned_back_when_it_is_made_smaller(format: str) -> None:
    picture = np.zeros((3000, 2000, 3), np.uint8)
    picture[:300] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise: the top becomes the right side
    file = io.BytesIO()
    Image.fromarray(picture).save(file, format, exif=exif)
    gray, size = pictures.load_shrunk(file.getvalue(), 500)
    assert size == (2000, 3000)
    assert np.allclose(gray.shape, (333, 500), atol=1)
    assert gray[:, -30:].mean() > 240
    assert gray[:, :-80].mean() < 10


def test_a_blank_page_has_no_ink() -> None:
    rng = np.random.default_rng(0)
    page = np.clip(200 + np.linspace(-40, 40, 400) + rng.normal(0, 4, (300, 400)), 0, 255).astype(np.uint8)
    with pytest.raises(ImageError, match="no ink"):
        pages.read_page(page, Options(match))


def test_what_is_left_of_printed_lines_is_no_writing():
    rng = np.random.default_rng(0)
    picture = np.full((900, 900), 240, np.uint8)
    for y in range(100, 900, 120):
        for x in np.flatnonzero(rng.random(45) < 0.6) * 20:
            cv2.line(picture, (int(x), y), (int(x) + 14, y), 120, 3)
    with pytest.raises(ImageError, match="no ink found in the picture: nothing on it is both 7 pixels high"):
        pages.read_page(picture, Options(match))
    digits = write("42", step=150)
    picture[250 : 250 + len(digits), 300 : 300 + digits.shape[1]] = digits.clip(max=240)
    assert read(picture) == "4 2"


def test_a_bright_spot_does_not_change_the_polarity() -> None:
    picture = np.full((200, 300), 90, np.uint8)
    cv2.circle(picture, (150, 200), 90, 200, -1)
    picture = cv2.GaussianBlur(picture, (0, 0), 25)
    cv2.line(picture, (60, 30), (90, 80), 10, 8)
    cv2.line(picture, (200, 30), (220, 90), 10, 8)
    assert not find_polarity(picture, find_even_level(picture))


def test_the_marks_of_the_letter_i_stay_in_one_line() -> None:
    ink = 255 - write("11", step=120)
    ink[5:20, 60:75] = 255
    assert len(group_lines(find_marks(ink))) == 1


def test_a_slanted_line_is_made_upright() -> None:
    ink = 255 - write("1111")
    slanted = cv2.warpAffine(ink, np.array([[1, -0.3, 40], [0, 1, 0]]), (ink.shape[1] + 60, ink.shape[0]))
    strip = straighten(group_lines(find_marks(slanted))[0])
    upright = straighten(group_lines(find_marks(ink))[0])
    pieces, expected = cut_pieces(strip.ink, 6.0), cut_pieces(upright.ink, 6.0)
    assert np.mean([p.box[2] for p in pieces]) < 1.3 * np.mean([p.box[2] for p in expected])


def test_a_cut_goes_through_the_joint_of_two_rings() -> None:
    ink = np.zeros((64, 120), np.uint8)
    cv2.circle(ink, (32, 32), 24, 255, 6)
    cv2.circle(ink, (86, 32), 24, 255, 6)
    paths, prices = find_cuts(ink, 6.0)
    best = int(np.argmin(np.abs(paths[:, 32] - 59)))
    assert abs(int(paths[best, 32]) - 59) <= 4
    assert prices[best] <= 13


def test_pieces_put_together_are_the_mark_again() -> None:
    ink = np.zeros((128, 200), np.uint8)
    cv2.circle(ink, (62, 64), 24, 255, 6)
    cv2.circle(ink, (116, 64), 24, 255, 6)
    whole, (x, y, width, height) = join(cut_pieces(ink, 6.0))
    assert np.array_equal(whole, ink[y : y + height, x : x + width])
    assert whole.sum() == ink.sum()


def _piece(left: int, width: int = 30) -> Piece:
    return Piece((left, 32, width, 64), np.full((64, width), 255, np.uint8), left, 0.0)


def _segment(start: int, stop: int, probability: float) -> Segment:
    probabilities = np.zeros(10)
    probabilities[3] = probability
    return Segment(start, stop, (0, 32, 30, 64), np.zeros((28, 28), np.uint8), probabilities)


def test_pieces_are_cut_again_where_they_reach_across_a_column() -> None:
    ink = np.zeros((128, 200), np.uint8)
    ink[32:96, 20:70] = 255
    ink[32:96, 100:110] = 255
    (wide, narrow) = cut_pieces(ink, 2.0)
    pieces = cut_again([wide, narrow], [40, 69, 85, 104])  # 69 and 85 part nothing
    assert [piece.box for piece in pieces] == [
        (20, 32, 20, 64),
        (40, 32, 30, 64),
        (100, 32, 4, 64),
        (104, 32, 6, 64),
    ]
    assert [piece.cut for piece in pieces] == [0, 64, 0, 64]
    assert [piece.mark for piece in pieces] == [wide.mark, wide.mark, narrow.mark, narrow.mark]
    np.testing.assert_array_equal(join(pieces)[0], join([wide, narrow])[0])


def look_for(text: str) -> Callable[[NDArray[np.uint8]], NDArray[np.float64]]:
    """Return what sees this text, its digits side by side, on any line."""

    def look(ink: NDArray[np.uint8]) -> NDArray[np.float64]:
        columns = np.flatnonzero(ink.max(axis=0) > 60)
        start, stop = columns[0] - 8, columns[-1] + 9 + PADDING_PX / SCALE
        answers = np.full((60, 11), np.log(1e-4))
        answers[:, 0] = np.log(0.999)
        for place, digit in enumerate(text):
            middle = columns[0] + np.ptp(columns) * (place + 0.5) / len(text)
            step = int((middle - start) / (stop - start) * 60)
            answers[step] = np.log(1e-4)
            answers[step, int(digit) + 1] = np.log(0.999)
        return answers[None]

    return look


def test_what_sees_a_line_uncut_has_touching_digits_cut_and_accepted() -> None:
    picture = write("1234", step=38)
    assert read(picture) != "1234"
    (line,) = pages.read_page(picture, Options(match, see_line=look_for("1234")))
    assert line.text == "1234"
    assert min(digit.confidence for digit in line.digits) > 0.4
    lefts = [digit.box[0] for digit in line.digits]
    assert lefts == sorted(lefts)


def test_who_sees_a_line_uncut_does_not_decide_alone() -> None:
    def look(ink: NDArray[np.uint8]) -> NDArray[np.float64]:
        return np.logaddexp(np.log(0.7) + look_for("1239")(ink), np.log(0.3) + look_for("1234")(ink))

    (line,) = pages.read_page(write("1234"), Options(match, see_line=look))
    assert line.text == "1234"


@pytest.mark.parametrize(
    ("text", "seen", "accepted"),
    [
        ("7+7-7", 0.95, True),
        ("7+7-7", 0.3, True),
        ("+77-7", 0.95, True),
        ("+77-7", 0.3, False),
        ("7++-", 0.95, False),
        ("7++-", 0.9995, True),
    ],
)
def test_digits_among_signs_are_no_word_where_the_line_is_seen_so(
    text: str, seen: float, accepted: bool
) -> None:
    image = np.zeros((28, 28), np.uint8)

    def segment(place: int, digit: bool) -> Segment:
        probabilities = np.full(10, 0.9 if digit else 0.01) * (np.arange(10) == 7)
        box = (60 * place, 32, 40, 64)
        return Segment(place, place + 1, box, image, probabilities, digit, 7 if digit else None, seen * digit)

    path = Path(tuple(segment(place, sign == "7") for place, sign in enumerate(text)), 0.0)
    assert accept(path, 0.0) == [accepted and sign == "7" for sign in text]


def test_a_filled_shape_is_no_digit_and_thick_digits_are() -> None:
    shirt = np.full((200, 200), 255, np.uint8)
    outline = [
        (60, 50),
        (85, 42),
        (115, 42),
        (140, 50),
        (152, 84),
        (132, 88),
        (130, 160),
        (70, 160),
        (68, 88),
        (48, 84),
    ]
    cv2.fillPoly(shirt, [np.array(outline)], 30)
    for single in (False, True):
        assert not any(
            digit.accepted for line in mnistry.read(shirt, single=single).lines for digit in line.digits
        )
    _, test = mnistry.load_mnist()
    thick = [cv2.dilate(image, np.ones((2, 2), np.uint8)) for image in test.images[:500]]
    assert not any(map(is_solid, [*test.images[:2000], *thick]))
    assert read(write("5371", thickness=24)).replace(" ", "") == "5371"


@pytest.mark.parametrize(
    ("others", "seen", "accepted"), [(3, 0.95, True), (3, 0.5, False), (1, 0.95, False), (0, 0.95, False)]
)
def test_a_thick_digit_among_others_that_is_surely_seen_is_no_filled_shape(
    others: int, seen: float, accepted: bool
) -> None:
    filled = np.zeros((28, 28), np.uint8)
    filled[4:24, 8:20] = 255
    assert is_solid(filled)
    thick = Segment(0, 1, (0, 32, 40, 64), filled, np.full(10, 0.99) * (np.arange(10) == 8), True, 8, seen)
    line = [_letter(index, 0.95) for index in range(1, 1 + others)]
    assert accept(Path((thick, *line), 0.0), 0.0) == [accepted] + others * [True]


@pytest.mark.parametrize(("apart_px", "text"), [(34, "88"), (None, "")])
def test_two_digits_that_touch_are_read_where_nothing_else_is(apart_px: int | None, text: str) -> None:
    """They are one mark, which is no digit; a drawing as wide is refused."""
    ink = np.zeros((220, 220), np.uint8)
    for x in (70, 70 + apart_px) if apart_px else ():
        for y, down in ((80, 22), (123, 24)):
            cv2.ellipse(ink, (x, y), (18, down), 0, 0, 360, 255, 6, cv2.LINE_AA)
    if apart_px is None:
        cv2.polylines(ink, [np.array([(50, 110), (110, 50), (170, 110)])], False, 255, 6, cv2.LINE_AA)
        cv2.polylines(
            ink, [np.array([(60, 100), (60, 160), (160, 160), (160, 100)])], False, 255, 6, cv2.LINE_AA
        )
    assert len(find_marks(ink)) == 1
    assert mnistry.read(255 - ink).text == text


@pytest.mark.parametrize(
    ("text", "seen", "accepted"),
    [("++++ 777", 0.5, 0), ("++++ 777", 0.99, 3), ("+++7 777", 0.5, 0), ("777", 0.5, 3)],
)
def test_a_doubtful_word_beside_one_of_letters_is_none_of_digits(
    text: str, seen: float, accepted: int
) -> None:
    image = np.zeros((28, 28), np.uint8)

    def segment(place: int, digit: bool) -> Segment:
        probabilities = np.full(10, 0.9 if digit else 0.01) * (np.arange(10) == 7)
        box = (60 * place, 32, 40, 64)
        return Segment(place, place + 1, box, image, probabilities, digit, 7, seen * digit)

    path = Path(tuple(segment(place, sign == "7") for place, sign in enumerate(text) if sign != " "), 0.0)
    assert sum(accept(path, 0.0)) == accepted


@pytest.mark.parametrize(("slash", "accepted"), [(0.0, True), (0.01, False)])
def test_slashes_that_were_found_are_no_letters(slash: float, accepted: bool) -> None:
    """Between digits of which some are doubtful: as letters, they and the doubts would make a word."""
    image = np.zeros((28, 28), np.uint8)

    def segment(place: int, sign: bool) -> Segment:
        probabilities = np.full(10, slash if sign else 0.6) * (np.arange(10) == 7)
        box = (60 * place, 32, 40, 64)
        return Segment(place, place + 1, box, image, probabilities, not sign, 7, 0.0 if sign else 0.7)

    path = Path(tuple(segment(place, sign == "/") for place, sign in enumerate("7/7/77")), 0.0)
    assert accept(path, 0.0) == [accepted and sign == "7" for sign in "7/7/77"]


def test_the_best_path_joins_the_pieces_of_a_broken_digit() -> None:
    pieces = [_piece(0), _piece(34), _piece(90)]
    segments = {(0, 1): _segment(0, 1, 0.01), (1, 2): _segment(1, 2, 0.01), (0, 2): _segment(0, 2, 0.9)}
    segments[2, 3] = _segment(2, 3, 0.8)
    path = find_paths(CutLine(pieces, segments, 6.0))[0].segments
    assert [(segment.start, segment.stop) for segment in path] == [(0, 2), (2, 3)]
    assert all(segment.digit for segment in path)


def test_a_mark_that_is_no_digit_is_left_out() -> None:
    pieces = [_piece(0), _piece(90)]
    segments = {(0, 1): _segment(0, 1, 0.9), (1, 2): _segment(1, 2, 1e-5)}
    path = find_paths(CutLine(pieces, segments, 6.0))[0].segments
    assert [segment.digit for segment in path] == [True, False]


def test_what_stands_far_apart_is_never_one_digit() -> None:
    assert list_spans([_piece(0), _piece(90)]) == [(0, 1), (1, 2)]


def test_faint_strokes_of_a_drawing_are_kept() -> None:
    picture = np.full((200, 200), 255, np.uint8)
    cv2.line(picture, (60, 40), (60, 160), 120, 6)
    cv2.line(picture, (60, 160), (140, 160), 0, 6)
    assert find_page_ink(picture).ink[60:140, 60].min() > 80


def test_a_page_full_of_specks_is_refused_at_once():
    noise = np.random.default_rng(3).integers(0, 256, (497, 422), np.uint8)
    with pytest.raises(ImageError, match=r"no ink found|marks, which is no page of digits"):
        pages.read_page(noise, Options(lambda images: np.full((len(images), 10), 0.1)))


def _letter(index: int, probability: float) -> Segment:
    probabilities = np.zeros(10)
    probabilities[1] = probability
    return Segment(index, index + 1, (40 * index, 32, 30, 64), np.zeros((28, 28), np.uint8), probabilities)


@pytest.mark.parametrize(
    ("chances", "accepted"),
    [
        ((0.9, 0.9, 0.9, 0.9, 0.2), (True, True, True, True, True)),  # a digit in company
        ((0.9, 0.9, 0.9, 0.9, 0.01), (True, True, True, True, False)),  # a sign among digits
        ((0.01, 0.9, 0.01, 0.9, 0.9), (False,) * 5),  # a word with letters like digits
        ((0.01, 0.9), (False, True)),  # too short for a word
        ((0.2, 0.9), (False, True)),  # no company
    ],
)
def test_what_stands_beside_a_mark_helps_to_accept_it(
    chances: tuple[float, ...], accepted: tuple[bool, ...]
) -> None:
    path = Path(tuple(_letter(index, chance) for index, chance in enumerate(chances)), 1.0)
    assert tuple(accept(path, 0.0)) == accepted
    assert not any(accept(path, 0.95))


def test_words_are_refused_and_numbers_beside_them_are_not() -> None:
    picture = np.full((150, 900), 255, np.uint8)
    cv2.putText(picture, "kitchen", (30, 100), cv2.FONT_HERSHEY_DUPLEX, 2.5, 0, 5, cv2.LINE_AA)
    cv2.putText(picture, "4023", (520, 100), cv2.FONT_HERSHEY_DUPLEX, 2.5, 0, 5, cv2.LINE_AA)
    assert mnistry.read(picture).text.replace(" ", "") == "4023"


def test_a_pen_of_one_pixel_is_ink() -> None:
    picture = np.full((110, 292), 255, np.uint8)
    for x in (40, 130, 220):
        cv2.polylines(picture, [np.array([(x, 20), (x + 30, 22), (x + 10, 90)])], False, 62, 1, cv2.LINE_8)
    ink = find_page_ink(picture).ink
    assert np.array_equal(ink >= 96, picture < 128)


def test_a_broken_digit_at_the_beginning_makes_no_line_of_its_own() -> None:
    picture = write("3371")
    picture[76:79, :105] = 255  # through the first digit
    marks = find_marks(find_page_ink(picture).ink)
    assert len(marks) == 5
    assert len(group_lines(marks)) == 1


def test_lines_close_below_each_other_stay_apart() -> None:
    picture = write("5371\n2604", rows=88)
    assert [len(line) for line in group_lines(find_marks(find_page_ink(picture).ink))] == [4, 4]


@pytest.mark.parametrize(("level", "size_px"), [(150, 5), (250, 9)])
def test_specks_far_smaller_than_the_digits_are_grain(level: int, size_px: int) -> None:
    ink, rng = find_page_ink(write("3571")).ink, np.random.default_rng(0)
    specks = ink.copy()
    for _ in range(150):
        x, y = rng.integers(1, ink.shape[1] - 10), rng.integers(1, ink.shape[0] - 10)
        if not specks[max(0, y - 8) : y + size_px + 8, max(0, x - 8) : x + size_px + 8].any():
            cv2.circle(specks, (int(x) + size_px // 2, int(y) + size_px // 2), size_px // 2, level, -1)
    (line,) = group_lines(find_marks(specks))  # some stand beside the digits
    assert sum(mark.box[3] > 40 for mark in line) == 4


def test_small_digits_below_large_ones_are_writing() -> None:
    large = write("357", scale=5, thickness=10, step=150, rows=150)
    small = write("123456789012\n567812341234\n123412345678", scale=1, thickness=2, step=30, rows=80)
    page = np.full((len(large) + len(small), max(large.shape[1], small.shape[1])), 255, np.uint8)
    page[: len(large), : large.shape[1]] = large
    page[len(large) :, : small.shape[1]] = small
    lines = group_lines(find_marks(find_page_ink(page).ink))
    assert [len(line) for line in lines] == [3, 12, 12, 12]


def test_more_digits_than_a_line_network_can_tell_apart_have_confidences() -> None:
    page = np.full((160, 600), 255, np.uint8)
    for place in range(58):
        page[32:128, 30 + 9 * place : 33 + 9 * place] = 0
    reading = mnistry.read(page)
    assert sum(len(line.digits) for line in reading.lines) > 10
    assert all(0 <= digit.confidence <= 1 for line in reading.lines for digit in line.digits)


def test_what_is_too_short_for_the_digits_of_a_line_decides_nothing() -> None:
    def look(ink: NDArray[np.uint8]) -> NDArray[np.float64]:
        return np.full((1, 3, 11), -np.log(11))  # four digits cannot be spelt in three steps

    (alone,) = pages.read_page(write("1234"), Options(match))
    (line,) = pages.read_page(write("1234"), Options(match, see_line=look))
    assert line.text == alone.text == "1234"
    assert [digit.confidence for digit in line.digits] == [digit.confidence for digit in alone.digits]


def write_below(text: str, portion: float) -> NDArray[np.uint8]:
    """Return a page with a large 58 by a hand of MNIST, and text below it, so much smaller."""
    _, test = mnistry.load_mnist()
    page, top = np.full((420, 420), 255, np.uint8), 20
    for row, size in (("58", 180), (text, round(180 * portion))):
        for place, character in enumerate(row):
            left = 30 + round(0.72 * size * place)
            if character.isdigit():
                image = test.images[np.flatnonzero(test.labels == int(character))[3]]
                large = cv2.resize(image, (size, size), interpolation=cv2.INTER_CUBIC)
                field = page[top : top + size, left : left + size]
                np.minimum(field, 255 - large, out=field)
            else:
                scale = size / 36
                cv2.putText(page, character, (left, top + size), cv2.FONT_HERSHEY_SIMPLEX, scale, 0, 3)
        top = 260
    return page


@pytest.mark.parametrize("portion", [0.45, 0.33, 0.25])
def test_a_line_of_far_smaller_digits_is_read(portion: float) -> None:
    assert mnistry.read(write_below("4710", portion)).text.replace(" ", "") == "58\n4710"


def test_small_marks_that_are_no_sure_digits_are_no_line() -> None:
    reading = mnistry.read(write_below("kfm", 0.25))
    assert [line.text.replace(" ", "") for line in reading.lines] == ["58"]

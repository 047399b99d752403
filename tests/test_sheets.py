"""A sheet on a desk: found, and seen from straight above."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from mnistry import Dataset, load_mnist, read
from mnistry.corners import Corners, complete_corners, find_corners, flatten_sheet
from mnistry.sheets import cover_desk, find_sheet
from mnistry.synthesis import make_page

CORNERS = np.array([(150, 90), (700, 130), (660, 560), (110, 500)], np.float64)


def lay(sheet: np.ndarray, corners: np.ndarray = CORNERS, desk: int = 60) -> np.ndarray:
    """A photo, 800 x 650, of a sheet with these corners on a desk."""
    rng = np.random.default_rng(0)
    height, width = sheet.shape
    target = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float32)
    seen = cv2.getPerspectiveTransform(target, corners.astype(np.float32))
    ground = np.clip(rng.normal(desk, 4, (650, 800)), 0, 255).astype(np.uint8)
    cv2.warpPerspective(sheet, seen, (800, 650), dst=ground, borderMode=cv2.BORDER_TRANSPARENT)
    return cv2.GaussianBlur(ground, (0, 0), 0.8)


def find(photo: np.ndarray) -> Corners | None:
    """The corners of the sheet in a photo, if there is one with all of them in it."""
    sheet = find_sheet(photo)
    return None if sheet is None else find_corners(sheet, photo.shape)


def write(text: str = "4071") -> np.ndarray:
    """Paper, 500 x 700, with MNIST digits on it, 84 pixels high."""
    _, test = load_mnist()
    paper = np.full((500, 700), 215, np.uint8)
    for place, digit in enumerate(text):
        image = test.images[np.flatnonzero(test.labels == int(digit))[0]]
        large = cv2.resize(image, (110, 110), interpolation=cv2.INTER_CUBIC)
        x = 90 + 130 * place
        field = paper[190:300, x : x + 110]
        field[:] = (field * (1 - large / 255 * 0.8)).astype(np.uint8)
    return paper


def test_the_corners_of_a_sheet_are_found() -> None:
    found = find(lay(write()))
    assert found is not None
    np.testing.assert_allclose(found, CORNERS, atol=6)


@pytest.mark.parametrize("desk", [60, 215, 200])
def test_only_a_sheet_that_stands_out_is_taken(desk: int) -> None:
    assert (find_sheet(lay(write(), desk=desk)) is not None) == (desk == 60)


def test_a_picture_of_paper_alone_has_no_sheet() -> None:
    assert find_sheet(write()) is None
    assert find_sheet(255 - write()) is None
    assert find_sheet(np.full((50, 50), 255, np.uint8)) is None
    assert find_sheet(np.full((1, 3000), 255, np.uint8)) is None


def test_a_flattened_sheet_looks_as_it_was_written() -> None:
    paper = write()
    flat, to_picture = flatten_sheet(lay(paper), CORNERS)
    inset = 0.012
    expected = cv2.resize(
        paper[round(500 * inset) : round(500 * (1 - inset)), round(700 * inset) : round(700 * (1 - inset))],
        flat.shape[::-1],
    )
    assert np.abs(flat.astype(float) - expected).mean() < 8
    corner = to_picture @ (0, 0, 1)
    np.testing.assert_allclose(corner[:2] / corner[2], CORNERS[0], atol=15)


def test_digits_on_a_sheet_on_a_desk_are_read_with_boxes_in_the_photo() -> None:
    reading = read(lay(write("4071")))
    assert reading.text.replace(" ", "") == "4071"
    for digit in reading.lines[0].digits:
        x, y, width, height = digit.box
        assert 200 < x < 620
        assert 200 < y < 400
        assert 40 < height < 130
        assert width < 110


def test_writing_on_pages_without_a_desk_is_left_alone() -> None:
    _, test = load_mnist()
    drawings = [make_page(test, seed, "easy", "line", scene="paint").image for seed in range(10)]
    assert all(find_sheet(cv2.cvtColor(drawing, cv2.COLOR_RGB2GRAY)) is None for drawing in drawings)


# Two corners, one corner and three corners of the sheet lie outside the picture.
CUT = [
    [(-40, 90), (860, 130), (840, 560), (-60, 500)],
    [(150, -60), (900, 30), (700, 560), (90, 500)],
    [(-80, -50), (850, -30), (900, 700), (-60, 560)],
]


@pytest.mark.parametrize("corners", CUT)
def test_digits_on_a_sheet_that_reaches_out_of_the_picture_are_read(corners) -> None:
    photo = lay(write("4071"), np.array(corners, np.float64))
    sheet = find_sheet(photo)
    assert sheet is not None
    assert find_corners(sheet, photo.shape) is None
    covered = cover_desk(photo, sheet)
    assert covered.min() > 20  # ink
    assert np.percentile(covered, 2) > 150  # and no desk
    assert read(photo).text.replace(" ", "") == "4071"


def test_a_shadow_is_no_desk() -> None:
    shadow = np.ones((500, 700), np.float32)
    cv2.fillPoly(shadow, [np.array([(450, 0), (700, 0), (700, 500), (380, 500)])], 0.55)
    photo = (write("4071") * cv2.GaussianBlur(shadow, (0, 0), 18)).astype(np.uint8)
    assert find_sheet(photo) is None
    assert read(photo).text.replace(" ", "") == "4071"


def test_a_bold_digit_is_no_sheet() -> None:
    picture = np.full((300, 200), 15, np.uint8)
    cv2.rectangle(picture, (50, 0), (150, 299), 240, -1)  # a 1 that fills its picture
    assert find_sheet(picture) is None
    assert find_sheet(np.full((200, 200), 90, np.uint8)) is None


def test_a_digit_at_the_border_is_no_desk() -> None:
    picture = np.full((240, 280), 245, np.uint8)
    picture[:, :30] = 20  # a 1 that fills its side of the picture
    cv2.polylines(picture, [np.array([(110, 30), (250, 30), (160, 220)])], False, 20, 30, cv2.LINE_AA)
    assert find_sheet(picture) is None
    assert read(picture, single=False).text == "17"


def shine(
    photo: np.ndarray, light: list[tuple[int, int]], shade: float, softness_px: float = 12
) -> np.ndarray:
    """The photo with a shadow on all but a polygon."""
    factor = np.full(photo.shape, shade, np.float32)
    cv2.fillPoly(factor, [np.array(light)], 1)
    return (photo * cv2.GaussianBlur(factor, (0, 0), softness_px)).astype(np.uint8)


LIGHTS = [
    [(0, 0), (420, 0), (360, 650), (0, 650)],  # a shadow that divides the sheet
    [(0, 0), (800, 0), (800, 300), (0, 220)],
]


@pytest.mark.parametrize("light", LIGHTS)
def test_a_sheet_is_found_though_the_desk_in_the_light_is_as_bright_as_the_sheet_in_the_shade(light) -> None:
    photo = shine(lay(write("4071"), desk=105), light, 0.5)
    found = find(photo)
    assert found is not None
    np.testing.assert_allclose(found, CORNERS, atol=6)
    assert read(photo).text.replace(" ", "") == "4071"


def test_a_sharp_beam_of_light_on_a_page_hides_no_digit_beside_it() -> None:
    photo = shine(write("4071"), [(330, 0), (700, 0), (700, 500), (340, 500)], 0.6, softness_px=1.5)
    assert find_sheet(photo) is None
    assert read(photo, expect=4).text.replace(" ", "") == "4071"


@pytest.mark.parametrize("width", [12, 40])
def test_the_hole_of_a_0_is_no_sheet(width: int) -> None:
    picture = np.full((300, 280), 250, np.uint8)
    cv2.ellipse(picture, (140, 150), (85, 110), 0, 0, 360, 20, width)
    assert find_sheet(picture) is None
    assert read(picture).text == "0"


@pytest.mark.parametrize("width", [40, 70, 90])
def test_a_bold_round_digit_is_no_sheet(width: int) -> None:
    picture = np.full((300, 280), 8, np.uint8)
    cv2.ellipse(picture, (140, 150), (60, 80), 0, 0, 360, 250, width)
    assert find_sheet(picture) is None


def test_what_is_left_of_a_desk_where_the_sheet_leaves_the_picture_is_no_1() -> None:
    # The left edge leaves the picture at an acute angle.
    corners = [(-30, -60), (850, -30), (900, 700), (80, 700)]
    for shift in (-20, 0, 20):
        photo = lay(write("4071"), np.add(corners, (shift, 0)), desk=40)
        assert read(photo).text.replace(" ", "") == "4071", shift


@pytest.mark.parametrize("grain", [5, 8])
def test_a_sheet_on_wood_is_found_and_one_that_is_small_too(grain: int) -> None:
    rng = np.random.default_rng(3)
    photo = lay(write("4071"), desk=100).astype(np.float32)
    streaks = cv2.resize(rng.normal(0, 1, (330, 16)).astype(np.float32), (800, 650))
    on_desk = np.ones(photo.shape, np.uint8)
    cv2.fillPoly(on_desk, [CORNERS.astype(np.int32)], 0)
    photo = np.clip(photo + grain * streaks * on_desk, 0, 255).astype(np.uint8)
    found = find(photo)
    assert found is not None
    np.testing.assert_allclose(found, CORNERS, atol=6)
    wide = cv2.copyMakeBorder(photo, 300, 400, 500, 500, cv2.BORDER_REFLECT)
    wide[:300], wide[950:] = 100, 100  # or the sheet would be mirrored
    wide[:, :500], wide[:, 1300:] = 100, 100
    assert find(wide) is not None
    assert read(wide).text.replace(" ", "") == "4071"


def test_what_lies_beside_a_whole_sheet_does_not_hide_it() -> None:
    photo = lay(write("4071"))
    cv2.line(photo, (30, 560), (90, 640), 240, 14)  # a white pen,
    cv2.line(photo, (730, 300), (780, 560), 8, 14)  # a black one,
    for place in range(5):  # and keys
        cv2.rectangle(photo, (300 + 50 * place, 590), (335 + 50 * place, 630), 15, -1)
    assert find(photo) is not None
    assert read(photo).text.replace(" ", "") == "4071"


def test_a_large_sheet_with_one_small_digit_is_found() -> None:
    paper = np.full((1000, 1300), 220, np.uint8)
    cv2.polylines(paper, [np.array([(640, 480), (662, 480), (650, 512)])], False, 60, 3, cv2.LINE_AA)
    photo = lay(paper, CORNERS)
    assert find(photo) is not None
    assert read(photo).text == "7"


def test_of_several_sheets_none_hides_the_others() -> None:
    upper = np.array([(100, 40), (700, 50), (690, 290), (95, 280)], np.float64)
    photo = lay(write("4071"), upper)
    photo[325:] = lay(write("5982"), upper)[:325]
    assert find_sheet(photo) is None


@pytest.mark.parametrize(("desk", "grain"), [(130, 16), (70, 8)])  # gray levels
@pytest.mark.parametrize("corners", CUT[:2])
def test_wood_around_a_sheet_that_reaches_out_of_the_picture_is_covered(corners, desk, grain) -> None:
    rng = np.random.default_rng(3)
    corners = np.array(corners, np.float64)
    photo = lay(write("4071"), corners, desk=desk).astype(np.float32)
    streaks = cv2.resize(rng.normal(0, 1, (330, 16)).astype(np.float32), (800, 650))
    on_desk = np.ones(photo.shape, np.uint8)
    cv2.fillPoly(on_desk, [corners.astype(np.int32)], 0)
    photo = np.clip(photo + grain * streaks * on_desk, 0, 255).astype(np.uint8)
    assert find_sheet(photo) is not None
    assert read(photo).text.replace(" ", "") == "4071"


def test_the_tail_of_a_desk_along_the_border_is_covered_too() -> None:
    rows, columns = np.indices((320, 320))
    width = 20 * (rows - 150) / 169  # of a desk that becomes thinner and thinner along the left border
    photo = np.where(columns < width, 40, 220).astype(np.uint8)
    sheet = (columns >= width) | (rows < 172)  # its tail is too thin to be found
    covered = cover_desk(photo, sheet)
    assert covered[160:].min() > 150


def test_the_grain_of_a_dark_desk_is_no_writing() -> None:
    train, _ = load_mnist()
    kept = Dataset(train.images[-5000:], train.labels[-5000:], "MNIST")
    page = make_page(kept, 710023, "medium", "lines")  # on cloth of 30 gray levels
    sheet = find_sheet(cv2.cvtColor(page.image, cv2.COLOR_RGB2GRAY))
    assert sheet is not None
    assert 0.8 < sheet.mean() < 0.9


# Corners of sheets that reach out of the picture of 800 x 650: below, on the right, below and on the right,
# with only a corner outside, and on both sides.
OUTSIDE = {
    "below": [(120, 90), (690, 130), (660, 840), (70, 800)],
    "right": [(150, 90), (1100, 110), (1100, 560), (130, 540)],
    "corner": [(150, 90), (1000, 120), (980, 850), (120, 820)],
    "one corner": [(150, 60), (720, 90), (860, 600), (110, 560)],
    "both sides": [(-250, 90), (1100, 120), (1090, 570), (-260, 540)],
}


@pytest.mark.parametrize("where", OUTSIDE)
def test_a_ruled_sheet_that_reaches_out_of_the_picture_is_seen_from_above(where: str) -> None:
    """With its rules, its margin and its digits: nothing else is read."""
    corners = np.array(OUTSIDE[where], np.float64)
    paper = np.full((900, 1200), 225, np.uint8)
    paper[60:560, 120:820] = (write() * (225 / 215)).astype(np.uint8)
    for y in range(70, 900, 75):
        cv2.line(paper, (0, y), (1200, y), 175, 2)
    cv2.line(paper, (100, 0), (100, 900), 175, 2)
    if where == "both sides":
        paper = np.roll(paper, 250, axis=1)
    photo = lay(paper, corners)
    assert find(photo) is None  # not all of them
    reading = read(photo)
    assert reading.text.replace(" ", "") == "4071"
    boxes = [digit.box for line in reading.lines for digit in line.digits]
    inside = cv2.convexHull(corners.astype(np.float32))
    for x, y, width, height in boxes:
        assert cv2.pointPolygonTest(inside, (x + width / 2, y + height / 2), False) > 0
        assert photo[y : y + height, x : x + width].min() < 120


@pytest.mark.parametrize("where", ["below", "right", "corner", "one corner"])
def test_the_corners_outside_a_picture_are_completed(where: str) -> None:
    photo = lay(write(), np.array(OUTSIDE[where], np.float64))
    sheet = find_sheet(photo)
    assert sheet is not None
    corners = complete_corners(sheet, photo.shape)
    assert corners is not None
    np.testing.assert_allclose(corners[0], OUTSIDE[where][0], atol=8)
    quad = corners.astype(np.float32)
    rows, columns = np.nonzero(cv2.resize(sheet.view(np.uint8), (800, 650), interpolation=cv2.INTER_NEAREST))
    for place in np.random.default_rng(0).permutation(len(rows))[:200]:  # all that is seen is inside
        assert cv2.pointPolygonTest(quad, (float(columns[place]), float(rows[place])), True) > -8


def test_a_sheet_with_one_side_in_the_picture_is_not_turned() -> None:
    sheet = np.zeros((240, 320), np.uint8)
    cv2.fillPoly(sheet, [np.array([(0, 80), (319, 10), (319, 239), (0, 239)])], 1)
    assert complete_corners(sheet.view(np.bool_), (650, 800)) is None

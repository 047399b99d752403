from __future__ import annotations

import subprocess
import sys

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drawing import draw_seven
from mnistry import ImageError, imaging, load_mnist, read
from mnistry.imaging import find_even_level, find_polarity
from mnistry.light import flatten_paper
from mnistry.paper import find_page_ink
from mnistry.segmentation import paint_marks
from mnistry.writing import SHORTEST_PX, find_writing, flatten_pages


def find_marks_ink(
    picture: np.ndarray, invert: bool | None = None, name: str = ""
) -> tuple[np.ndarray, int, int]:
    """The ink of all marks of a picture in one, and where on the page it begins (left, top)."""
    lines = find_writing(flatten_pages(picture)[0].gray, invert, name)
    ink, (left, top) = paint_marks([mark for line in lines for mark in line])
    return ink, left, top


def find_ink(picture: np.ndarray, invert: bool | None = None, name: str = "") -> np.ndarray:
    """The ink of a picture that is large enough to be read as it is, as large as the picture."""
    assert max(picture.shape) >= SHORTEST_PX
    marked, left, top = find_marks_ink(picture, invert, name)
    ink = np.zeros_like(picture)
    ink[top : top + len(marked), left : left + marked.shape[1]] = marked
    return ink


def prepare(picture: np.ndarray, invert: bool | None = None) -> np.ndarray:
    """All of a picture as one digit."""
    return imaging.center_digit(find_marks_ink(picture, invert)[0])


def center_of_mass(image: np.ndarray) -> tuple[float, float]:
    rows, columns = np.indices(image.shape)
    return float(np.average(rows, weights=image)), float(np.average(columns, weights=image))


def difference(images: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Mean absolute difference of each pair, in gray levels."""
    return np.abs(images.astype(float) - others).mean(axis=(1, 2))


@pytest.fixture(scope="module")
def digits() -> np.ndarray:
    _, test = load_mnist()
    return test.images[:200]


# ---- loading ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("ink", [0, 90, 200])
def test_polarity_is_found_from_the_border(ink: int) -> None:
    for seven, light in ((draw_seven(ink=ink, paper=255), False), (draw_seven(ink=255, paper=ink), True)):
        assert find_polarity(seven, find_even_level(seven)) == light


def test_polarity_can_be_forced() -> None:
    seven = draw_seven()
    np.testing.assert_array_equal(find_ink(seven, invert=False), find_ink(seven))
    np.testing.assert_array_equal(find_ink(255 - seven, invert=True), find_ink(seven))
    assert not np.array_equal(find_ink(seven, invert=True), find_ink(seven))


def test_a_drawing_keeps_its_soft_edges() -> None:
    seven = draw_seven()
    ink, drawn = find_ink(seven), 255 - seven.astype(int)
    np.testing.assert_array_equal(ink[drawn > 240], 255)
    np.testing.assert_array_equal(ink[drawn < 15], 0)
    soft = (drawn > 60) & (drawn < 200)
    assert ((ink[soft] > 0) & (ink[soft] < 255)).mean() > 0.9


def test_light_shadow_and_grain_of_the_paper_vanish() -> None:
    rng = np.random.default_rng(0)
    rows, columns = np.indices((300, 240))
    light = 0.9 - 0.5 * columns / 240 - 0.15 * (rows / 300) ** 2
    ink = draw_seven(300, 240, ink=255, paper=0) / 255
    photo = (255 * light * (1 - 0.8 * ink) + rng.normal(0, 4, ink.shape)).clip(0, 255).astype(np.uint8)
    found = find_ink(photo)
    near = cv2.dilate((ink > 0).astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    assert found[~near].max() < imaging.EDGE_LEVEL
    assert (found[~near] > 0).mean() < 0.05
    assert found[ink == 1].min() > 128


def test_specks_go_and_a_separate_bar_stays() -> None:
    picture = np.full((200, 160), 255, np.uint8)
    cv2.line(picture, (60, 60), (60, 160), 0, 8)
    cv2.line(picture, (75, 50), (115, 45), 0, 8)  # as the top bar of a 5
    clean = picture.copy()
    cv2.circle(picture, (20, 20), 3, 0, -1)
    picture[190, 150] = 0
    np.testing.assert_array_equal(find_ink(picture), find_ink(clean))
    assert imaging.find_box(find_ink(clean)) == cv2.boundingRect(255 - clean)


@pytest.mark.parametrize("shape", [(1, 1), (1, 100_000), (2, 3), (480, 640)])
@pytest.mark.parametrize("level", [0, 200, 255])
def test_blank_paper_has_no_ink(shape: tuple[int, int], level: int) -> None:
    with pytest.raises(ImageError, match="no ink found"):
        prepare(np.full(shape, level, np.uint8))


@pytest.mark.parametrize("sigma", [2, 8, 16, 30])
def test_grain_alone_is_no_ink(sigma: float) -> None:
    noise = np.random.default_rng(0).normal(170, sigma, (300, 400)).clip(0, 255).astype(np.uint8)
    with pytest.raises(ImageError, match="no ink found"):
        find_ink(noise)


@pytest.mark.parametrize("blur", [0.0, 3.0])
@pytest.mark.parametrize("shape", [(300, 1600), (300, 300), (1600, 2), (4, 1600)])
def test_grain_of_any_size_is_no_ink(shape: tuple[int, int], blur: float) -> None:
    noise = np.random.default_rng(0).normal(size=shape)
    noise = cv2.GaussianBlur(noise, (0, 0), blur) if blur else noise
    page = (128 + 20 * noise / noise.std()).clip(0, 255).astype(np.uint8)
    with pytest.raises(ImageError, match="no ink"):
        read(page)


def test_light_alone_is_no_ink() -> None:
    rows, columns = np.indices((300, 400)) / 400
    for light in (
        230 - 150 * columns,
        60 + 100 * columns + 60 * rows,
        220 - 80 * ((rows - 0.4) ** 2 + columns**2),
        200 - 120 * columns**3,
        230 - 150 / (1 + np.exp(-8 * (rows + columns - 0.8))),
    ):
        with pytest.raises(ImageError, match="no ink found"):
            find_ink(light.astype(np.uint8))


def test_a_long_strip_of_paper_has_ink() -> None:
    strip = np.full((60, 1600), 230, np.uint8)
    for x in range(20, 1560, 60):
        cv2.line(strip, (x + 8, 12), (x, 48), 30, 5, cv2.LINE_AA)
    assert find_ink(strip)[12:48].max() == 255


def test_faint_ink_is_refused_in_words_that_help() -> None:
    seven = draw_seven(480, 640, ink=201, paper=214)
    with pytest.raises(ImageError) as caught:
        find_ink(seven, name="'seven.jpg' (480 x 640)")
    assert str(caught.value) == (
        "no ink found in 'seven.jpg' (480 x 640): a contrast of 13 gray levels once the light is evened out, "
        "where at least 20 are needed. Photograph the digits in better light, or crop the picture to the "
        "paper"
    )


@given(
    shape=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    pixels=st.lists(st.tuples(st.integers(0, 39), st.integers(0, 39), st.integers(0, 255)), max_size=40),
    paper=st.integers(0, 255),
)
@settings(max_examples=300, deadline=None)
def test_any_picture_gives_a_digit_or_says_that_there_is_none(
    shape: tuple[int, int], pixels: list[tuple[int, int, int]], paper: int
) -> None:
    picture = np.full(shape, paper, np.uint8)
    for row, column, level in pixels:
        picture[row % shape[0], column % shape[1] :] = level
    try:
        image = prepare(picture)
    except ImageError:
        return
    assert image.max() > 0


# ---- one digit --------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(30, 24), (200, 160), (90, 400), (2000, 1600)])
def test_a_drawn_seven_comes_out_centred(size: tuple[int, int]) -> None:
    image = prepare(draw_seven(*size, pen_px=max(2, min(size) // 12)))
    assert image.shape == (28, 28)
    assert image.dtype == np.uint8
    row, column = center_of_mass(image)
    assert row == pytest.approx(14, abs=0.6)
    assert column == pytest.approx(14, abs=0.6)
    *_, width, height = imaging.find_box(image)
    assert max(width, height) in (19, 20, 21)
    assert image.max() > 240


def test_the_aspect_is_kept() -> None:
    bar = np.zeros((100, 40), np.uint8)
    bar[10:90, 10:30] = 255
    *_, width, height = imaging.find_box(imaging.center_digit(bar))
    assert (width, height) == (5, 20)


def test_gray_levels_are_made_by_averaging() -> None:
    checks = np.indices((200, 200)).sum(axis=0) % 2 * np.uint8(255)
    image = imaging.center_digit(checks.astype(np.uint8))
    assert np.abs(image[8:20, 8:20].astype(int) - 127).max() <= 3


def test_a_hair_line_on_a_large_canvas_does_not_fade() -> None:
    hair = prepare(draw_seven(600, 480, pen_px=2))
    pen = prepare(draw_seven(600, 480, pen_px=30))
    assert hair.max() > 200
    assert difference(hair[None], pen[None]) < 15


def test_mnist_digits_come_through_as_they_are(digits: np.ndarray) -> None:
    result = np.stack([prepare(digit) for digit in digits])
    # Smooth enlarging and averaging back alone cost 5 gray levels; a shift by one pixel costs 15.
    assert np.median(difference(result, digits)) < 7
    inverted = np.stack([prepare(255 - digit) for digit in digits])
    np.testing.assert_allclose(inverted.astype(int), result, atol=1)


def on_paper(digit: np.ndarray, scale: int, interpolation: int, rng: np.random.Generator) -> np.ndarray:
    """The digit enlarged, dark on a larger sheet of gray paper, at a random place."""
    ink = cv2.resize(digit, None, fx=scale, fy=scale, interpolation=interpolation) / 255
    top, left, bottom, right = rng.integers(0, 14 * scale, 4)
    return np.rint(200 - 160 * np.pad(ink, ((top, bottom), (left, right)))).astype(np.uint8)


@pytest.mark.parametrize("scale", [3, 10, 30])
def test_mnist_digits_enlarged_on_paper_come_back(digits: np.ndarray, scale: int) -> None:
    rng = np.random.default_rng(scale)
    sample = digits[: 600 // scale]
    exact = np.stack([prepare(on_paper(digit, scale, cv2.INTER_NEAREST, rng)) for digit in sample])
    assert np.median(difference(exact, sample)) < 7
    smooth = np.stack([prepare(on_paper(digit, scale, cv2.INTER_LINEAR, rng)) for digit in sample])
    assert difference(smooth, sample).mean() < 10


def test_importing_imaging_loads_neither_opencv_nor_pillow() -> None:
    program = "import sys, mnistry.imaging, mnistry.reader; print({'cv2', 'PIL'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"


def test_paper_that_is_even_to_the_last_pixel_is_known() -> None:
    drawing = np.full((60, 80), 250, np.uint8)
    assert find_even_level(drawing) == 250
    drawing[20:40, 30:50] = 20
    assert find_even_level(drawing) == 250
    assert find_even_level(255 - drawing) == 5
    noisy = drawing + np.random.default_rng(0).integers(0, 5, drawing.shape, np.uint8)
    assert find_even_level(noisy) is None  # a photo
    drawing[:, :10] = 180  # a frame, or a desk
    assert find_even_level(drawing) is None


def test_a_form_with_white_fields_is_no_drawing_on_even_paper() -> None:
    form = np.full((200, 300), 225, np.uint8)
    form[60:140, 40:260] = 255
    cv2.putText(form, "1", (120, 130), cv2.FONT_HERSHEY_SIMPLEX, 2.4, 20, 5)
    assert find_even_level(form) is None
    assert not find_polarity(form, find_even_level(form))


def test_a_shadow_on_paper_that_is_white_else_is_no_drawing_on_even_paper() -> None:
    page = np.full((300, 300), 255.0)
    rows, columns = np.indices(page.shape)
    page -= 90 * np.exp(-((rows - 150) ** 2 + (columns - 150) ** 2) / 60**2)
    cv2.line(page, (150, 100), (150, 200), 20, 8)
    page = page.clip(0, 255).astype(np.uint8)
    assert find_even_level(page) is None
    ink = find_page_ink(page).ink
    assert ink[150, 150] > 200
    assert ink[150, 190] == 0


def test_a_brush_as_wide_as_the_windows_is_not_taken_for_the_paper_of_a_drawing() -> None:
    drawing = np.full((280, 280), 5, np.uint8)
    drawing[60:230, 60:230] = 250
    np.testing.assert_array_equal(flatten_paper(drawing, True), drawing - np.float32(5))


@pytest.mark.parametrize("invert", [False, True])
@pytest.mark.parametrize("pen", [2, 30, 90])
def test_drawings_have_their_polarity_however_wide_the_brush(pen: int, invert: bool) -> None:
    drawing = np.full((280, 280), 255, np.uint8)
    cv2.line(drawing, (140, 60), (140, 220), 0, pen)
    drawing = 255 - drawing if invert else drawing
    assert find_polarity(drawing, find_even_level(drawing)) == invert
    ink = find_page_ink(drawing).ink
    assert ink[140, 140] == 255
    assert ink[10, 10] == 0


@pytest.mark.parametrize("noise", [4, 8, 14])
def test_a_thin_stroke_in_much_grain_is_all_the_ink_there_is(noise: int) -> None:
    page = np.full((700, 900), 150.0)
    cv2.polylines(page, [np.array([(400, 300), (470, 300), (425, 420)])], False, 90, 9, cv2.LINE_AA)
    stroke = page < 120
    page = (page + np.random.default_rng(0).normal(0, noise, page.shape)).clip(0, 255).astype(np.uint8)
    ink = find_page_ink(page).ink >= 96
    near = cv2.dilate(stroke.astype(np.uint8), np.ones((15, 15), np.uint8)) > 0
    assert (ink & ~near).sum() < 0.25 * stroke.sum()  # a few specks
    assert ink[stroke].mean() > 0.95
    assert read(page).text == "7"

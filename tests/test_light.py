"""Light and shadow: read through, and never read."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from mnistry import load_mnist, read
from mnistry.errors import ImageError
from mnistry.imaging import find_polarity
from mnistry.light import flatten_paper
from mnistry.sheets import find_sheet

HEIGHT, WIDTH = 700, 1000
SHADOWS = {
    "half": [(420, 0), (1000, 0), (1000, 700), (250, 700)],
    "corner": [(700, 0), (1000, 0), (1000, 500)],
    "level": [(0, 300), (1000, 380), (1000, 700), (0, 700)],
}


def make_paper(paper: str, shadow: str | None, softness_px: float, dark: float = 0.75) -> np.ndarray:
    """Paper, (700, 1000), with the sharp edge of a shadow across it and the grain of a camera."""
    picture = np.full((HEIGHT, WIDTH), 225, np.float32)
    for y in range(40, HEIGHT, 60) if paper != "plain" else ():
        cv2.line(picture, (0, y), (WIDTH, y), 190, 1, cv2.LINE_AA)
    for x in range(30, WIDTH, 60) if paper == "squared" else ():
        cv2.line(picture, (x, 0), (x, HEIGHT), 190, 1, cv2.LINE_AA)
    return shade(picture, shadow, softness_px, dark)


def shade(picture: np.ndarray, shadow: str | None, softness_px: float, dark: float) -> np.ndarray:
    light = np.ones((HEIGHT, WIDTH), np.float32)
    if shadow is not None:
        cv2.fillPoly(light, [np.array(SHADOWS[shadow])], dark)
    grain = np.random.default_rng(5).normal(0, 2, light.shape)
    return np.clip(picture * cv2.GaussianBlur(light, (0, 0), softness_px) + grain, 0, 255).astype(np.uint8)


def write(text: str, x: int, y: int, height_px: int = 110, ink: int = 60) -> np.ndarray:
    """How much of the light paper keeps, (700, 1000), where MNIST digits are written on it."""
    _, test = load_mnist()
    kept = np.ones((HEIGHT, WIDTH), np.float32)
    for place, digit in enumerate(text):
        image = test.images[np.flatnonzero(test.labels == int(digit))[1]]
        large = cv2.resize(image, (height_px, height_px), interpolation=cv2.INTER_CUBIC)
        left = x + round(place * height_px)
        kept[y : y + height_px, left : left + height_px] = 1 - (1 - ink / 225) * large / 255
    return kept


@pytest.mark.parametrize("softness_px", [2, 8])
@pytest.mark.parametrize("shadow", SHADOWS)
@pytest.mark.parametrize("paper", ["plain", "ruled", "squared"])
def test_blank_paper_has_no_ink_where_a_shadow_ends(paper: str, shadow: str, softness_px: float) -> None:
    with pytest.raises(ImageError, match="no ink found"):
        print(read(make_paper(paper, shadow, softness_px)).text)


@pytest.mark.parametrize("shadow", SHADOWS)
@pytest.mark.parametrize("paper", ["plain", "ruled", "squared"])
def test_digits_on_both_sides_of_the_edge_of_a_shadow_are_read(paper: str, shadow: str) -> None:
    written = make_paper(paper, None, 1) * write("40718", 200, 250)
    picture = shade(written, shadow, 2, 0.65)
    assert read(picture, single=False).text == "40718"


@pytest.mark.parametrize(("paper", "shadow"), [("plain", "level"), ("ruled", "half"), ("squared", "corner")])
def test_a_single_digit_is_read_beside_the_edge_of_a_shadow(paper: str, shadow: str) -> None:
    picture = shade(make_paper(paper, None, 1) * write("2", 120, 180), shadow, 3, 0.65)
    assert read(picture, single=True).text == "2"


def test_a_bit_of_the_desk_along_the_border_is_no_digit() -> None:
    picture = make_paper("plain", None, 1) * write("4071", 200, 250)
    cv2.fillPoly(
        picture, [np.array([(999, 260), (999, 370), (980, 370)])], 60
    )  # a wedge as high as the digits
    assert read(picture.astype(np.uint8)).text == "4071"


def test_of_one_digit_beside_marks_that_are_none_the_digit_is_taken() -> None:
    picture = (255 * write("5", 60, 100, 300)).astype(np.uint8)
    cv2.putText(picture, "Mewx", (450, 330), cv2.FONT_HERSHEY_SIMPLEX, 5, 0, 9, cv2.LINE_AA)
    assert read(picture, single=True).text == "5"


@pytest.mark.parametrize("text", ["407", "4"])
def test_what_is_written_across_an_edge_or_beyond_it_is_on_the_same_page(text: str) -> None:
    """In the light there is more writing, and the shadow is as dark as a desk."""
    written = 225 * write("53107", 40, 100) * write(text, 330, 330) * write("2907", 60, 520)
    picture = shade(written, "half", 2, 0.55)
    assert find_sheet(picture) is None
    assert read(picture).text.splitlines()[1].replace(" ", "") == text


@pytest.mark.parametrize("level", [190, 160])
def test_blank_squared_paper_has_no_ink_however_dark_its_lines_are(level: int) -> None:
    picture = make_paper("plain", None, 1)
    for x in range(30, WIDTH, 60):
        cv2.line(picture, (x, 0), (x, HEIGHT), level, 2)
    for y in range(40, HEIGHT, 60):
        cv2.line(picture, (0, y), (WIDTH, y), level, 2)
    with pytest.raises(ImageError, match="lines and borders"):
        print(read(picture).text)


@pytest.mark.parametrize("count", [1, 2, 7])
def test_1s_as_high_as_the_picture_are_no_printed_lines(count: int) -> None:
    picture = np.full((300, 60 + 40 * count), 255, np.uint8)
    for place in range(count):
        cv2.line(picture, (50 + 40 * place, 0), (44 + 40 * place, 299), 0, 10, cv2.LINE_AA)
    assert set(read(picture).text) == {"1"}


def test_a_1_along_the_border_is_no_bit_of_the_desk() -> None:
    picture = make_paper("plain", None, 1) * write("4071", 100, 250)
    cv2.line(picture, (4, 265), (2, 345), 60, 12)
    assert read(picture.astype(np.uint8)).text.replace(" ", "") == "14071"


def test_a_bold_digit_on_squared_paper_is_no_shadow() -> None:
    picture = make_paper("squared", None, 1)
    cv2.polylines(picture, [np.array([(330, 160), (640, 160), (440, 560)])], False, 40, 75)
    raised = flatten_paper(picture)
    assert raised[160, 330:640].min() > 100
    assert read(picture).text == "7"


def test_a_stroke_along_the_border_of_a_page_is_ink() -> None:
    picture = make_paper("plain", None, 1)
    cv2.line(picture, (300, 6), (700, 6), 40, 13)  # the upper part of a 7
    assert flatten_paper(picture)[6, 320:680].min() > 100


def test_where_it_is_hardly_known_ink_is_dark() -> None:
    """A wide shadow is more of the picture than thin writing: then what is lighter may be the paper."""
    picture = np.full((100, 100), 120, np.uint8)
    picture[10:20, 10:90] = 60
    picture[60:72, 10:90] = 182
    assert not find_polarity(picture, None)
    picture[80:92, 10:90] = 182
    assert find_polarity(picture, None)


def test_a_stripe_of_shadow_across_a_blank_page_is_no_digit() -> None:
    for single in (None, True):
        for softness_px in (2.0, 8.0):
            page = np.full((400, 640), 235, np.float32)
            stripe = np.zeros_like(page)
            cv2.line(stripe, (250, -20), (330, 420), 1.0, 60)
            page *= 1 - 0.2 * cv2.GaussianBlur(stripe, (0, 0), softness_px)
            with pytest.raises(ImageError, match="no ink found"):
                read(page.astype(np.uint8), single=single)


def test_a_dark_1_from_border_to_border_is_read() -> None:
    page = np.full((400, 640), 235, np.uint8)
    cv2.line(page, (290, -20), (310, 420), 40, 50, cv2.LINE_AA)
    assert read(cv2.GaussianBlur(page, (0, 0), 1.5)).text == "1"


def test_a_few_digits_among_dark_letters_are_read_and_among_faint_specks_are_none() -> None:
    def scatter(ink: int) -> np.ndarray:
        page = np.rint(225 * write("1", 455, 195, 90, ink)).astype(np.uint8)
        rng = np.random.default_rng(4)
        for y in range(60, 660, 60):
            for x in range(80, 940, 90):
                if abs(x - 500) > 90 or abs(y - 240) > 120:
                    cv2.circle(page, (x, y), int(rng.integers(9, 12)), ink, -1)
        return page

    assert "1" in read(scatter(70)).text
    with pytest.raises(ImageError, match="marks look like digits, and with a contrast of"):
        read(scatter(200))

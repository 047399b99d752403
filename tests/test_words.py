"""Words beside and around numbers are refused, also where their letters look like digits."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from mnistry import load_mnist, read


def write(rows: list[tuple[str, str, int]], height: int, scale: float) -> np.ndarray:
    """A page with a row each of a printed word, of digits of MNIST and where these begin, x."""
    _, test = load_mnist()
    ink = np.zeros((height, 760), np.uint8)
    for number, (word, digits, left) in enumerate(rows):
        top = 30 + 130 * number
        cv2.putText(ink, word, (30, top + 75), cv2.FONT_HERSHEY_SIMPLEX, scale, 255, 4, cv2.LINE_AA)
        for place, digit in enumerate(digits):
            image = test.images[np.flatnonzero(test.labels == int(digit))[2]]
            field = ink[top : top + 100, left + 75 * place : left + 75 * place + 100]
            np.maximum(field, cv2.resize(image, (100, 100), interpolation=cv2.INTER_CUBIC), out=field)
    return 255 - ink


@pytest.mark.parametrize("word", ["Food", "Look", "Colour", "Door", "total"])
@pytest.mark.parametrize("scale", [0.9, 1.6])
def test_letters_like_digits_in_a_word_beside_a_number_are_refused(word: str, scale: float) -> None:
    assert read(write([(word, "47358", 330)], 170, scale)).text.replace(" ", "") == "47358"


def test_a_pattern_takes_its_number_alone_out_of_an_address() -> None:
    rows = [("Anna Lee", "", 0), ("Hill Road", "", 0), ("Boston", "", 0), ("", "52417", 30)]
    page = write(rows, 560, 2.0)
    reading = read(page, pattern=r"\d{5}")
    assert reading.text.strip().replace(" ", "") == "52417"
    assert [line.text for line in reading.lines if line.text] == ["52417"]


@pytest.mark.parametrize("density", [0.0005, 0.002, 0.008])
def test_specks_of_a_scan_in_black_and_white_change_nothing(density: float) -> None:
    page = np.where(write([("", "47358", 40), ("", "206419", 60)], 500, 1.0) < 128, 0, 255).astype(np.uint8)
    page[np.random.default_rng(0).random(page.shape) < density] = 0
    assert read(page).text.replace(" ", "") == "47358\n206419"

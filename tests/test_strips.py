"""Strips to learn reading lines from: their truth is the truth."""

from __future__ import annotations

import numpy as np
import pytest

from mnistry import load_mnist
from mnistry.sequences import HEIGHT_PX
from mnistry.synthesis import make_page
from mnistry.synthesis.strips import ABSENT, MOST_DIGITS, WIDTH_PX, cut_lines, distort_strips, make_strips


@pytest.fixture(scope="module")
def digits():
    return load_mnist()[1]


@pytest.mark.slow
def test_strips_are_a_function_of_the_seed(digits):
    strips, labels = make_strips(digits, 40, 3)
    again, labels_again = make_strips(digits, 40, 3)
    np.testing.assert_array_equal(strips, again)
    np.testing.assert_array_equal(labels, labels_again)
    assert strips.shape == (40, HEIGHT_PX, WIDTH_PX)
    assert labels.shape == (40, MOST_DIGITS)
    assert not np.array_equal(strips, make_strips(digits, 40, 4)[0])
    assert strips.any(axis=(1, 2)).all()  # each has ink


@pytest.mark.slow
def test_labels_end_where_they_end(digits):
    _, labels = make_strips(digits, 60, 5)
    for row in labels:
        count = int((row != ABSENT).sum())
        assert (row[:count] >= 0).all()
        assert (row[count:] == ABSENT).all()
    assert len({int((row != ABSENT).sum()) for row in labels}) > 4


@pytest.mark.parametrize("seed", range(4))
def test_a_line_cut_out_of_a_page_has_the_digits_that_were_written(seed, digits):
    page = make_page(digits, seed, "easy", "line")
    lines = list(cut_lines(page, np.random.default_rng(seed)))
    texts = ["".join(map(str, labels)) for _, labels in lines]
    assert page.text in texts
    assert all(not text for text in texts if text != page.text)


def test_signs_are_no_labels(digits):
    page = make_page(digits, 1, "easy", "expression", rows=["12+34"])
    lines = list(cut_lines(page, np.random.default_rng(0)))
    assert [labels for _, labels in lines if labels] == [[1, 2, 3, 4]]


def test_distorted_strips_keep_their_ink_inside(digits):
    strips, _ = make_strips(digits, 8, 6)
    strips[:, :, -40:] = 0
    strips[0, 10:40, : WIDTH_PX - 4] = 255  # as wide as a line may be
    again = np.concatenate([distort_strips(strips, np.random.default_rng(seed)) for seed in range(30)])
    assert again.shape == (240, HEIGHT_PX, WIDTH_PX)
    assert again.dtype == np.uint8
    ink = again.sum(axis=(1, 2)) / np.tile(strips.sum(axis=(1, 2)), 30)
    assert 0.3 < ink.min() < 0.95 < ink.max() < 4.0  # hair lines are made thicker too
    # What was farthest right is still there, whatever stretched and slanted it.
    ends = np.zeros((1, HEIGHT_PX, WIDTH_PX), np.uint8)
    ends[:, 10:38, : WIDTH_PX - 6] = 30
    ends[:, 10:38, WIDTH_PX - 16 : WIDTH_PX - 6] = 255
    moved = np.concatenate([distort_strips(ends, np.random.default_rng(seed)) for seed in range(200)])
    columns = (moved[:, 12:36] > 110).sum(axis=2)  # of the bright mark, row by row
    assert np.quantile(columns, 0.01) >= 5


def test_distortion_is_a_function_of_strips_and_seed(digits):
    strips, _ = make_strips(digits, 5, 8)
    once, again = (distort_strips(strips, np.random.default_rng(1)) for _ in range(2))
    np.testing.assert_array_equal(once, again)
    assert not np.array_equal(once, distort_strips(strips, np.random.default_rng(2)))
    assert distort_strips(strips[:0], np.random.default_rng(0)).shape == (0, HEIGHT_PX, WIDTH_PX)

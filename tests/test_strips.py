"""Strips to learn reading lines from: their truth is the truth."""

from __future__ import annotations

import numpy as np
import pytest

from mnistry import load_mnist
from mnistry.sequences import HEIGHT_PX
from mnistry.synthesis import make_page
from mnistry.synthesis.strips import ABSENT, MOST_DIGITS, WIDTH_PX, cut_lines, make_strips


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

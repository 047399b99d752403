"""Strips to learn reading lines from: their truth is the truth."""

from __future__ import annotations

import numpy as np
import pytest

from mnistry import load_mnist
from mnistry.judging import rank_likely
from mnistry.sequences import HEIGHT_PX, LineNetworks
from mnistry.synthesis import make_letters, make_page, words
from mnistry.synthesis.alone import NO_DIGITS, cut_marks
from mnistry.synthesis.composing import BASE_PX, compose_line
from mnistry.synthesis.outliers import draw_outliers
from mnistry.synthesis.shapes import SIGN
from mnistry.synthesis.strips import ABSENT, MOST_DIGITS, WIDTH_PX, cut_lines, distort_strips, make_strips
from mnistry.synthesis.words import compose_word


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
    assert 0.2 < ink.min() < 0.95 < ink.max() < 4.0  # hair lines are made thicker too
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


def test_a_mark_alone_is_a_digit_with_its_label_or_none(digits):
    rng = np.random.default_rng(3)
    others = (ink for ink, _ in draw_outliers(digits, 200, NO_DIGITS, 5))
    lines = [line for _ in range(80) for line in cut_marks(digits, others, rng)]
    read = LineNetworks()
    labelled = [(ink, labels) for ink, labels in lines if labels]
    assert all(len(labels) == 1 for _, labels in labelled)
    right = sum(rank_likely(list(read(ink)))[0] == tuple(labels) for ink, labels in labelled)
    assert right >= 0.9 * len(labelled) >= 15
    bare = [ink for ink, labels in lines if not labels]
    empty = sum(rank_likely(list(read(ink)))[0] == () for ink in bare)
    assert empty >= 0.9 * len(bare) >= 30


def test_slashes_part_the_digits_of_a_line_and_are_none(digits):
    rng = np.random.default_rng(0)
    for _ in range(30):
        _, layers = compose_line(digits.images, digits.labels, rng, most=8, slashes=True)
        slashes = [number for number, layer in enumerate(layers) if layer.label == SIGN]
        assert slashes
        assert 2 <= len(layers) - len(slashes) <= 8
        leaning = 0
        for number in slashes:
            rows, columns = np.nonzero(layers[number].ink > 100)
            leaning += columns[rows < np.median(rows)].mean() > columns[rows > np.median(rows)].mean()
        assert leaning == len(slashes)


def test_low_letters_are_lower_than_others_and_some_hang_below_the_line(monkeypatch):
    monkeypatch.setattr(words, "KNOWN", 0.0)  # portion of words that have other letters
    letters = {name: make_letters(name, 4, 1) for name in "aLp"}
    tops, bottoms = {}, {}
    for name, images in letters.items():
        drawn = [compose_word({name: images}, np.random.default_rng(seed), 3, 3) for seed in range(40)]
        rows = [np.flatnonzero((word > 100).sum(axis=1) > 3) for word in drawn]
        tops[name] = np.median([found[0] for found in rows])
        bottoms[name] = np.median([found[-1] for found in rows])
    assert tops["a"] > tops["L"] + 8
    assert abs(bottoms["a"] - BASE_PX) < 8
    assert bottoms["p"] > BASE_PX + 8

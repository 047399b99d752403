"""What the reader cuts out of made-up pages, as training images."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from mnistry import Dataset, load_mnist
from mnistry.classifier import Classifier
from mnistry.synthesis import cuttings
from mnistry.synthesis.cameras import shade
from mnistry.synthesis.cuttings import make_blank, make_cuttings
from mnistry.synthesis.shapes import SIGN

Cuttings = tuple[NDArray[np.uint8], NDArray[np.uint8]]


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load_mnist()[1]


@pytest.fixture(scope="module")
def cut(digits: Dataset) -> Cuttings:
    return make_cuttings(digits, 60, seed=1)


def test_cuttings_are_images_of_digits_and_of_what_is_none(cut: Cuttings) -> None:
    images, labels = cut
    assert images.shape == (len(labels), 28, 28)
    assert images.dtype == labels.dtype == np.uint8
    assert set(np.unique(labels)) == {*range(10), SIGN}
    assert 0.1 < (labels == SIGN).mean() < 0.6
    assert 4 * 60 < (labels != SIGN).sum() < 8 * 60


def test_cuttings_show_what_their_labels_say(cut: Cuttings) -> None:
    images, labels = cut
    known = labels != SIGN
    probabilities = Classifier().predict(images).probabilities
    assert (probabilities.argmax(axis=1) == labels)[known].mean() > 0.95
    assert probabilities[known].sum(axis=1).mean() > 0.9
    assert probabilities[~known].sum(axis=1).mean() < 0.3


def test_the_seed_alone_decides_what_is_cut(digits: Dataset, cut: Cuttings) -> None:
    again, other = make_cuttings(digits, 10, seed=1), make_cuttings(digits, 10, seed=2)
    assert all(np.array_equal(part[: len(first)], first) for part, first in zip(cut, again, strict=True))
    assert not np.array_equal(again[0][:20], other[0][:20])


def test_blank_pages_have_no_digits(digits: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuttings, "BLANK", 1.0)
    _, labels = make_cuttings(digits, 30, seed=3)
    assert len(labels) > 10  # shadows, the rests of printed lines
    assert (labels == SIGN).all()


def test_no_pages_give_no_cuttings(digits: Dataset) -> None:
    images, labels = make_cuttings(digits, 0, seed=1)
    assert images.shape == (0, 28, 28)
    assert labels.shape == (0,)


def test_a_blank_page_is_large_enough_to_be_one() -> None:
    (least_height, least_width), (height, width) = cuttings.BLANK_SHAPES
    for seed in range(8):
        page = make_blank(np.random.default_rng(seed))
        assert page.dtype == np.uint8
        assert least_height <= page.shape[0] < height
        assert least_width <= page.shape[1] < width


def test_a_shadow_darkens_a_part_of_a_page_alike_up_to_its_edge() -> None:
    page = np.full((300, 400, 3), 200, np.uint8)
    kinds = set()
    for seed in range(12):
        shaded = shade(np.random.default_rng(seed), page)
        assert shaded.shape == page.shape
        assert shaded.max() <= 200
        dark = shaded[:, :, 0] < 200 * 0.96
        kinds.add(cv2.connectedComponents((~dark).view(np.uint8))[0])
        deep = cv2.erode(dark.view(np.uint8), np.ones((91, 91), np.uint8)) > 0
        if deep.any():
            assert np.ptp(shaded[deep].astype(int)) <= 4
    assert len(kinds) > 1  # a band parts the page in two, a half plane and a wedge do not

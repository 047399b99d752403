"""A narrow mark alone on its line is read uncut, as it would be if it were cut."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from mnistry import load_mnist
from mnistry.classifier import Classifier
from mnistry.decoding import find_paths
from mnistry.strips import cut_lines
from mnistry.writing import find_writing


def predict(images: np.ndarray) -> np.ndarray:
    return Classifier().predict(images).probabilities


def draw(images: np.ndarray, height: int = 90) -> np.ndarray:
    """Images below each other, dark on light, each a line of its own."""
    rows = [cv2.resize(image, (height, height), interpolation=cv2.INTER_CUBIC) for image in images]
    column = np.vstack([np.pad(row, ((40, 40), (120, 120))) for row in rows])
    return 255 - np.asarray(column, np.uint8)


@pytest.mark.parametrize("digit", range(10))
def test_a_narrow_mark_is_read_as_if_it_were_cut(digit: int) -> None:
    _, digits = load_mnist()
    lines = find_writing(draw(digits.images[digits.labels == digit][:12]))
    uncut, cut = (
        [find_paths(line)[0] for line in cut_lines(lines, predict, thoroughly=thoroughly)[1]]
        for thoroughly in (False, True)
    )
    assert [path.labels for path in uncut] == [path.labels for path in cut]
    for one, other in zip(uncut, cut, strict=True):
        confidences = [[part.confidence for part in path.segments] for path in (one, other)]
        assert np.allclose(*confidences, atol=0.05)


def test_what_is_known_of_a_line_is_looked_for_in_its_parts() -> None:
    """A pattern may ask for two digits where there seems to be one."""
    _, digits = load_mnist()
    lines = find_writing(draw(digits.images[digits.labels == 9][:1]))
    _, (quick,) = cut_lines(lines, predict)
    _, (thorough,) = cut_lines(lines, predict, thoroughly=True)
    assert len(quick.segments) == 1 < len(thorough.segments)


def test_touching_digits_are_cut() -> None:
    _, digits = load_mnist()
    two = [image[:, image.max(axis=0) > 60] for image in digits.images[digits.labels == 2][:2]]
    pair = np.hstack([two[0], two[1]])
    pair[20:23, two[0].shape[1] - 4 : two[0].shape[1] + 4] = 255
    large = cv2.resize(pair, None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC)
    _, (line,) = cut_lines(find_writing(255 - np.pad(large, 60)), predict)
    assert find_paths(line)[0].labels == (2, 2)

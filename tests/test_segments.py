"""Drawn digits and the segments of lines, as training images."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from mnistry import load_mnist
from mnistry.metrics import softmax
from mnistry.synthesis import composing, forms
from mnistry.synthesis.composing import compose_line
from mnistry.synthesis.forms import choose_hand, draw_forms
from mnistry.synthesis.segments import make_segments
from mnistry.synthesis.shapes import FORMS, SIGN, Stroke, parse_form

pytestmark = pytest.mark.slow

LABELS = np.repeat(np.arange(10, dtype=np.uint8), 12)


@pytest.fixture(scope="module")
def drawn() -> NDArray[np.uint8]:
    return draw_forms(LABELS, seed=1)


def test_a_drawing_is_a_digit_in_the_form_of_mnist(drawn: NDArray[np.uint8]) -> None:
    assert drawn.shape == (120, 28, 28)
    assert drawn.dtype == np.uint8
    rows, columns = np.indices((28, 28))
    weights = drawn.reshape(120, -1) / drawn.reshape(120, -1).sum(axis=1, keepdims=True)
    assert np.abs(weights @ rows.ravel() - 14).max() < 1.5
    assert np.abs(weights @ columns.ravel() - 14).max() < 1.5


def test_drawings_differ_and_the_seed_alone_decides(drawn: NDArray[np.uint8]) -> None:
    assert len(np.unique(drawn.reshape(120, -1), axis=0)) == 120
    assert np.array_equal(draw_forms(LABELS, seed=1), drawn)


def test_there_are_forms_of_every_digit_and_of_signs() -> None:
    assert sorted(FORMS) == [*range(10), SIGN]


def test_a_form_is_read_from_its_text() -> None:
    bar, bow, ring = parse_form("0,5 85,3; ~10,-2 50,100 115,0; @50,50,42,25,-90,90 60,20")
    assert bar == (False, [(0, 0.05), (0.85, 0.03)])
    assert bow == (True, [(0.1, -0.02), (0.5, 1), (1.15, 0)])
    assert not ring[0]
    np.testing.assert_allclose(ring[1][0], (0.5, 0.25), atol=1e-9)  # from above its middle
    np.testing.assert_allclose(ring[1][-2:], [(0.5, 0.75), (0.6, 0.2)], atol=1e-9)  # clockwise to below it
    assert max(x for x, _ in ring[1]) == pytest.approx(0.92, abs=0.01)


def test_digits_of_a_drawn_line_have_the_forms_of_one_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn_as: list[object] = []
    draw_as = forms.draw_as

    def note(form: list[Stroke], rng: np.random.Generator) -> NDArray[np.uint8]:
        drawn_as.append(form)
        return draw_as(form, rng)

    monkeypatch.setattr(composing, "draw_as", note)
    train, _ = load_mnist()
    for seed in range(40):
        drawn_as.clear()
        fives = np.flatnonzero(train.labels[:500] == 5)
        compose_line(train.images[fives], train.labels[fives], np.random.default_rng(seed))
        assert all(form is drawn_as[0] and form in FORMS[5] for form in drawn_as)
    hands = [choose_hand(np.random.default_rng(seed)) for seed in range(50)]
    assert all(hand.keys() == FORMS.keys() for hand in hands)
    assert len({id(hand[5]) for hand in hands}) > 8


def test_drawings_of_a_digit_are_like_each_other(drawn: NDArray[np.uint8]) -> None:
    other = draw_forms(np.repeat(np.arange(10, dtype=np.uint8), 60), seed=2).reshape(600, -1).astype(float)
    labels = np.repeat(np.arange(10), 60)
    distances = ((drawn.reshape(120, 1, -1).astype(float) - other) ** 2).sum(axis=2)
    nearest = labels[distances.argmin(axis=1)]
    assert (nearest == LABELS).mean() > 0.8


def test_segments_of_lines_hold_digits_and_what_is_none(drawn: NDArray[np.uint8]) -> None:
    images, labels = make_segments(drawn, LABELS, lines=25, seed=3)
    assert images.shape == (len(labels), 28, 28)
    assert images.dtype == labels.dtype == np.uint8
    assert set(np.unique(labels)) <= set(range(11))
    assert 0.15 < (labels == SIGN).mean() < 0.75
    assert images.reshape(len(images), -1).max(axis=1).min() > 0


def test_a_segment_with_a_digits_label_looks_like_that_digit(drawn: NDArray[np.uint8]) -> None:
    images, labels = make_segments(drawn, LABELS, lines=40, seed=4)
    kept = images[labels < SIGN].reshape(-1, 784).astype(float)
    library = np.tile(LABELS, 12)
    known = draw_forms(library, seed=5).reshape(-1, 784).astype(float)
    likeness = kept @ known.T / np.outer(np.linalg.norm(kept, axis=1), np.linalg.norm(known, axis=1))
    nearest = library[softmax(likeness).argmax(axis=1)]
    assert (nearest == labels[labels < SIGN]).mean() > 0.75


def test_a_line_is_the_sum_of_its_layers(drawn: NDArray[np.uint8]) -> None:
    rng = np.random.default_rng(6)
    for _ in range(10):
        ink, layers = compose_line(drawn, LABELS, rng)
        assert 1 <= len(layers) <= 7
        covered = np.max([layer.ink for layer in layers], axis=0) > 200
        assert (ink[covered] > 40).mean() > 0.8


def test_no_lines_give_no_segments(drawn: NDArray[np.uint8]) -> None:
    images, labels = make_segments(drawn, LABELS, lines=0, seed=0)
    assert images.shape == (0, 28, 28)
    assert labels.shape == (0,)


def test_a_run_of_zeros_ends_a_line_or_nearly_so() -> None:
    rng = np.random.default_rng(3)
    digits = load_mnist()[0]
    endings = []
    for _ in range(20):
        _, layers = compose_line(digits.images, digits.labels, rng, most=8, run=True)
        text = "".join(str(layer.label) for layer in layers if layer.label != SIGN)
        assert "0" in text
        assert len(text) <= 8
        endings.append(text.endswith("00"))
    assert sum(endings) > 10

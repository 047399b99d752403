"""A line as a whole: probabilities of texts, and the networks that give them."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from mnistry import load_mnist, sequences
from mnistry.errors import ModelError
from mnistry.sequences import (
    HEIGHT_PX,
    PADDING_PX,
    SCALE,
    LineNetworks,
    condense,
    find_boundaries,
    judge_places,
    list_likely,
    score_labels,
    shrink_strip,
)
from mnistry.synthesis.composing import compose_line


def spell(classes: tuple[int, ...]) -> tuple[int, ...]:
    """The digits that the classes of all steps spell: repeated ones merged, blanks left out."""
    return tuple(c - 1 for c, before in zip(classes, (0, *classes), strict=False) if c not in (0, before))


def test_a_text_is_as_probable_as_all_ways_to_spell_it_together() -> None:
    rng = np.random.default_rng(0)
    steps = rng.random((5, 11))
    steps[:, 4:] = 0  # three digits are enough
    steps /= steps.sum(axis=1, keepdims=True)
    expected: dict[tuple[int, ...], float] = {}
    for classes in product(range(4), repeat=5):
        text = spell(classes)
        expected[text] = expected.get(text, 0.0) + float(np.prod(steps[range(5), classes]))
    with np.errstate(divide="ignore"):
        found = np.exp(score_labels(np.log(steps), list(expected)))
    assert sum(expected.values()) == pytest.approx(1)
    np.testing.assert_allclose(found, list(expected.values()), atol=1e-12)


def test_the_likeliest_texts_are_found() -> None:
    rng = np.random.default_rng(1)
    steps = np.full((12, 11), 0.002)
    for step, digit in enumerate([0, 0, 5, 5, 0, 5, 0, 8, 0, 0, 3, 0]):
        steps[step, digit] = 1 + rng.random()
    steps[7, 9] = 0.9  # an 8, or rather a 7
    steps /= steps.sum(axis=1, keepdims=True)
    found = list_likely(np.log(steps), 4)
    scores = score_labels(np.log(steps), found)
    assert found[:2] == [(4, 4, 7, 2), (4, 4, 8, 2)]
    assert len(set(found)) == 4
    assert list(scores) == sorted(scores, reverse=True)


def test_a_text_too_long_for_the_steps_is_impossible() -> None:
    steps = np.log(np.full((3, 11), 1 / 11))
    assert score_labels(steps, [(1, 1, 1)]) == -np.inf
    assert score_labels(steps, []).shape == (0,)


@pytest.mark.parametrize("labels", [(3,), (1, 1), (2, 0, 2), (5, 5, 5, 1), (0, 1, 2, 3, 4, 5)])
@pytest.mark.parametrize("steps", [6, 17])
def test_a_place_is_judged_as_by_trying_everything_there(labels, steps):
    rng = np.random.default_rng(steps)
    answers = rng.normal(0, 1.5, (steps, 11))
    answers -= np.logaddexp.reduce(answers, axis=1, keepdims=True)
    for place, found in enumerate(judge_places(answers, labels)):
        texts = [(*labels[:place], digit, *labels[place + 1 :]) for digit in range(10)]
        texts.append((*labels[:place], *labels[place + 1 :]))
        expected = np.exp(score_labels(answers, texts))
        np.testing.assert_allclose(found, expected / expected.sum(), rtol=1e-9)


def test_condensed_steps_tell_the_same_of_texts() -> None:
    rng = np.random.default_rng(2)
    answers = np.full((90, 11), np.log(1e-6))
    answers[:, 0] = np.log(1 - 1e-5)
    answers[[10, 40, 41, 80]] = np.log(rng.dirichlet(np.ones(11), 4))
    condensed = condense(answers)
    assert condensed.shape == (8, 11)
    texts = [(1,), (3, 3), (4, 2, 7), (4, 2)]
    change = score_labels(answers, texts) - score_labels(condensed, texts)
    np.testing.assert_allclose(change, change[0], atol=2e-3)
    np.testing.assert_allclose(judge_places(answers, (4, 2)), judge_places(condensed, (4, 2)), atol=2e-3)


def test_a_digit_begins_between_where_it_and_the_one_before_are_seen():
    ink = np.zeros((128, 400), np.uint8)
    ink[40:90, 50:350] = 255
    steps = round((300 + 16) * SCALE + PADDING_PX) // 2  # of two columns
    answers = np.full((steps, 11), np.log(0.01))
    answers[:, 0] = np.log(0.9)
    for step, digit in ((8, 4), (9, 4), (30, 4), (52, 7)):
        answers[step] = np.log(0.001)
        answers[step, digit + 1] = np.log(0.99)
    found = find_boundaries(ink, answers, (4, 4, 7))
    middles = [42 + (first + second + 1) / 2 * 2 / SCALE for first, second in ((9, 30), (30, 52))]
    assert found == pytest.approx(middles, abs=2)


def test_of_wide_gaps_the_networks_see_little() -> None:
    networks = LineNetworks()
    _, test = load_mnist()
    digits = [
        np.kron(test.images[np.flatnonzero(test.labels == label)[0]], np.ones((3, 3))) for label in (4, 7, 2)
    ]
    near, far = np.zeros((128, 300), np.uint8), np.zeros((128, 900), np.uint8)
    for ink, steps in ((near, (20, 90, 160)), (far, (20, 400, 800))):
        for x, digit in zip(steps, digits, strict=True):
            ink[22:106, x : x + 84] = np.maximum(ink[22:106, x : x + 84], digit)
    for of_near, of_far in zip(networks(near), networks(far), strict=True):
        assert len(of_far) < 1.5 * len(of_near)
        assert list_likely(of_far, 1) == list_likely(of_near, 1) == [(4, 7, 2)]
        # And it is known where they were: between the digits.
        first, second = find_boundaries(far, of_far, (4, 7, 2))
        assert 80 < first < 424
        assert 460 < second < 824


def test_a_faint_mark_is_no_gap_and_an_empty_strip_has_one_boundary() -> None:
    ink = np.zeros((128, 600), np.uint8)
    for x, level in ((40, 200), (290, 55), (540, 200)):
        ink[34:96, x : x + 30] = level
    strip = shrink_strip(ink)
    assert (strip[:, sequences._list_shown(strip)] > 40).any(axis=0).sum() == (strip > 40).any(axis=0).sum()
    assert find_boundaries(np.zeros((128, 100), np.uint8), np.full((16, 11), -2.4), (1, 2)) == [0]


def test_a_strip_is_cut_to_its_ink() -> None:
    ink = np.zeros((128, 500), np.uint8)
    ink[40:90, 200:300] = 255
    assert shrink_strip(ink).shape == pytest.approx((HEIGHT_PX, 116 * SCALE), abs=1)
    assert shrink_strip(np.zeros((128, 500), np.uint8)).shape == (HEIGHT_PX, 0)
    assert LineNetworks()(np.zeros((128, 500), np.uint8)).shape == (3, 16, 11)


def test_each_shipped_network_tells_the_truth_from_a_near_miss() -> None:
    _, test = load_mnist()
    networks, rng = LineNetworks(), np.random.default_rng(5)
    right = np.zeros(3, int)
    for _ in range(60):
        ink, layers = compose_line(test.images, test.labels, rng)
        truth = tuple(layer.label for layer in layers if layer.label < 10)
        other = ((truth[0] + 1 + int(rng.integers(9))) % 10, *truth[1:])
        longer, shorter = (*truth, 1), truth[:-1]
        texts = [other, truth, longer, shorter]
        right += [int(np.argmax(score_labels(answers, texts))) == 1 for answers in networks(ink)]
    assert (right >= 55).all()


def test_a_damaged_file_is_refused(tmp_path) -> None:
    (tmp_path / "lines.onnx").write_bytes(b"no network")
    with pytest.raises(ModelError, match=r"networks for lines .*it was not written by mnistry"):
        LineNetworks(tmp_path / "lines.onnx")

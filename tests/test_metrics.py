"""The metrics agree with scikit-learn, SciPy and results worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnistry import metrics

RNG = np.random.default_rng(7)
LABELS = RNG.integers(0, 10, 500).astype(np.uint8)
LOGITS = (RNG.normal(0, 2, (500, 10)) + 3 * np.eye(10)[LABELS]).astype(np.float32)
PREDICTED = LOGITS.argmax(axis=1).astype(np.uint8)


def test_accuracy_is_the_share_of_right_answers() -> None:
    assert metrics.accuracy([0, 1, 2, 3], [0, 1, 2, 0]) == 0.75


def test_accuracy_agrees_with_scikit_learn() -> None:
    from sklearn.metrics import accuracy_score

    assert metrics.accuracy(LABELS, PREDICTED) == pytest.approx(accuracy_score(LABELS, PREDICTED))


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [
        # Newcombe, "Two-sided confidence intervals for the single proportion", 1998, table I, method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_interval_gives_published_values(successes: int, n: int, low: float, high: float) -> None:
    assert metrics.wilson_interval(successes, n) == pytest.approx((low, high), abs=5e-5)


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 100_000), st.data(), st.floats(0.5, 0.999))
def test_wilson_interval_agrees_with_scipy(n: int, data: st.DataObject, confidence: float) -> None:
    from scipy.stats import binomtest

    successes = data.draw(st.integers(0, n))
    low, high = metrics.wilson_interval(successes, n, confidence)
    expected = binomtest(successes, n).proportion_ci(confidence, method="wilson")
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=1e-9)
    assert 0 <= low <= successes / n <= high <= 1


def test_wilson_interval_is_exact_at_both_ends() -> None:
    assert metrics.wilson_interval(0, 10_000)[0] == 0
    assert metrics.wilson_interval(10_000, 10_000)[1] == 1
    assert 0 < metrics.wilson_interval(1, 1)[0] < 1


@pytest.mark.parametrize(("successes", "n"), [(0, 0), (-1, 5), (6, 5)])
def test_wilson_interval_refuses_impossible_counts(successes: int, n: int) -> None:
    with pytest.raises(ValueError, match="expected 0 <= successes <= n"):
        metrics.wilson_interval(successes, n)


@pytest.mark.parametrize("confidence", [0, 1, 95])
def test_wilson_interval_refuses_a_confidence_outside_0_to_1(confidence: float) -> None:
    with pytest.raises(ValueError, match="confidence"):
        metrics.wilson_interval(1, 2, confidence)


def test_confusion_matrix_has_the_truth_in_rows() -> None:
    matrix = metrics.confusion_matrix([0, 0, 2], [1, 0, 2], 3)
    assert matrix.tolist() == [[1, 1, 0], [0, 0, 0], [0, 0, 1]]


def test_confusion_matrix_of_uint8_labels_does_not_overflow() -> None:
    matrix = metrics.confusion_matrix(np.full(3, 250, np.uint8), np.full(3, 255, np.uint8), 256)
    assert matrix[250, 255] == 3
    assert matrix.sum() == 3


def test_confusion_matrix_agrees_with_scikit_learn() -> None:
    from sklearn.metrics import confusion_matrix

    expected = confusion_matrix(LABELS, PREDICTED, labels=range(10))
    np.testing.assert_array_equal(metrics.confusion_matrix(LABELS, PREDICTED, 10), expected)


def test_precision_recall_f1_agree_with_scikit_learn_also_where_undefined() -> None:
    from sklearn.metrics import precision_recall_fscore_support

    # Of 12 classes, 10 is never answered and 11 has neither images nor answers.
    labels = np.append(LABELS, [10, 10])
    predicted = np.append(PREDICTED, [0, 1])
    got = metrics.precision_recall_f1(metrics.confusion_matrix(labels, predicted, 12))
    expected = precision_recall_fscore_support(labels, predicted, labels=range(12), zero_division=0)[:3]
    np.testing.assert_allclose(got, expected)
    assert got[0][10] == got[2][11] == 0


def test_softmax_agrees_with_scipy() -> None:
    from scipy.special import log_softmax, softmax

    np.testing.assert_allclose(metrics.softmax(LOGITS), softmax(LOGITS.astype(float), axis=1))
    np.testing.assert_allclose(metrics.log_softmax(LOGITS), log_softmax(LOGITS.astype(float), axis=1))


def test_softmax_survives_huge_logits() -> None:
    rows = np.array([[1e30, 0.0, -1e30], [-5000.0, -5001.0, -9000.0]])
    probabilities = metrics.softmax(rows)
    assert probabilities[0].tolist() == [1, 0, 0]
    assert probabilities[1, 0] == pytest.approx(1 / (1 + math.exp(-1)))
    assert metrics.log_softmax(rows)[1, 2] == pytest.approx(-4000 - math.log1p(math.exp(-1)))


def test_softmax_does_not_change_its_argument() -> None:
    rows = np.ones((2, 3))
    metrics.softmax(rows)
    assert (rows == 1).all()


def test_nll_agrees_with_scikit_learn() -> None:
    from sklearn.metrics import log_loss

    expected = log_loss(LABELS, metrics.softmax(LOGITS), labels=range(10))
    assert metrics.nll(LABELS, LOGITS) == pytest.approx(expected)


def test_nll_of_equal_logits_is_the_logarithm_of_the_number_of_classes() -> None:
    assert metrics.nll([3, 9], np.zeros((2, 10))) == pytest.approx(math.log(10))


def test_brier_is_0_when_sure_and_right_and_2_when_sure_and_wrong() -> None:
    sure = np.eye(10)
    assert metrics.brier(np.arange(10), sure) == 0
    assert metrics.brier((np.arange(10) + 1) % 10, sure) == 2


def test_brier_agrees_with_its_binary_form_in_scikit_learn() -> None:
    from sklearn.metrics import brier_score_loss

    labels = RNG.integers(0, 2, 200)
    second = RNG.uniform(0, 1, 200)
    two_classes = metrics.brier(labels, np.column_stack([1 - second, second]))
    assert two_classes == pytest.approx(2 * brier_score_loss(labels, second))


def test_ece_of_two_bins_worked_out_by_hand() -> None:
    # Bin (0.5, 0.6]: confidence 0.6, both right: gap 0.4. Bin (0.9, 1]: confidence 0.95, half right: 0.45.
    probabilities = [[0.6, 0.4], [0.4, 0.6], [0.95, 0.05], [0.05, 0.95]]
    assert metrics.ece([0, 1, 0, 0], probabilities, bins=10) == pytest.approx((2 * 0.4 + 2 * 0.45) / 4)


def test_ece_weighs_the_bins_by_their_images_and_puts_an_upper_edge_inside() -> None:
    # 0.75 belongs to the bin (0.5, 0.75], not to (0.75, 1]: there it would cancel against the second image.
    probabilities = [[0.75, 0.25], [0.8, 0.2]]
    assert metrics.ece([1, 0], probabilities, bins=4) == pytest.approx((0.75 + 0.2) / 2)


def test_ece_agrees_with_a_plain_loop_over_the_bins() -> None:
    probabilities = metrics.softmax(LOGITS)
    confidence, right = probabilities.max(axis=1), PREDICTED == LABELS
    total = 0.0
    for i in range(15):
        inside = (confidence > i / 15) & (confidence <= (i + 1) / 15)
        if inside.any():
            total += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    assert metrics.ece(LABELS, probabilities) == pytest.approx(total)


def test_ece_is_0_for_a_sure_and_perfect_classifier() -> None:
    assert metrics.ece(np.arange(10), np.eye(10)) == 0


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 400), st.integers(0, 400))
def test_mcnemar_agrees_with_the_exact_binomial_test_of_scipy(only_a: int, only_b: int) -> None:
    from scipy.stats import binomtest

    labels = np.zeros(only_a + only_b + 5, np.uint8)
    a, b = labels.copy(), labels.copy()
    b[:only_a] = 1
    a[only_a : only_a + only_b] = 1
    n = only_a + only_b
    expected = binomtest(only_a, n).pvalue if n else 1.0
    assert metrics.mcnemar(labels, a, b) == pytest.approx(expected)
    assert metrics.mcnemar(labels, b, a) == metrics.mcnemar(labels, a, b)


def test_mcnemar_ignores_images_that_both_read_wrongly_in_different_ways() -> None:
    assert metrics.mcnemar([0, 0, 0], [1, 1, 1], [2, 2, 2]) == 1


def test_mcnemar_stays_finite_for_many_images() -> None:
    labels = np.zeros(100_000, np.uint8)
    a, b = labels.copy(), labels.copy()
    a[:50_200], b[50_200:] = 1, 1
    # Normal approximation with continuity correction: (400 - 1) / sqrt(100,000) = 1.2617
    assert metrics.mcnemar(labels, a, b) == pytest.approx(
        math.erfc(399 / math.sqrt(1e5) / math.sqrt(2)), rel=1e-3
    )


@pytest.mark.parametrize(
    ("labels", "predicted"), [([0, 1], [0]), ([], []), ([[0, 1]], [[0, 1]]), ([0, 1], [[0, 1], [1, 0]])]
)
def test_labels_and_predicted_must_have_one_length(labels: list[int], predicted: list[int]) -> None:
    with pytest.raises(ValueError, match="same shape"):
        metrics.accuracy(labels, predicted)
    with pytest.raises(ValueError, match="same shape"):
        metrics.confusion_matrix(labels, predicted, 2)
    with pytest.raises(ValueError, match="same shape"):
        metrics.mcnemar(labels, labels, predicted)


def test_class_numbers_must_be_integers() -> None:
    with pytest.raises(ValueError, match="integer class numbers"):
        metrics.accuracy([0, 1], [0.2, 0.8])
    with pytest.raises(ValueError, match="integer class numbers"):
        metrics.nll([0.0, 1.0], np.zeros((2, 10)))


@pytest.mark.parametrize("labels", [[-1, 0], [0, 10]])
def test_a_label_outside_the_classes_is_refused(labels: list[int]) -> None:
    probabilities = np.full((2, 10), 0.1)
    for measure in (metrics.nll, metrics.brier, metrics.ece):
        with pytest.raises(ValueError, match=r"labels must lie in 0\.\.9"):
            measure(labels, probabilities)
    with pytest.raises(ValueError, match="predicted must lie in"):
        metrics.confusion_matrix([0, 0], labels, 10)


def test_rows_must_be_as_many_as_labels() -> None:
    for measure in (metrics.nll, metrics.brier, metrics.ece):
        with pytest.raises(ValueError, match=r"labels must have shape \(n,\)"):
            measure([0, 1, 2], np.full((2, 10), 0.1))
        with pytest.raises(ValueError, match="must have shape"):
            measure([0, 1], np.full(2, 0.5))


def test_logits_are_refused_where_probabilities_are_expected() -> None:
    for measure in (metrics.brier, metrics.ece):
        with pytest.raises(ValueError, match=r"softmax\(logits\)"):
            measure(LABELS, LOGITS)
    with pytest.raises(ValueError, match="bins"):
        metrics.ece(LABELS, metrics.softmax(LOGITS), bins=0)


def test_a_confusion_matrix_that_is_not_square_is_refused() -> None:
    with pytest.raises(ValueError, match="square"):
        metrics.precision_recall_f1(np.zeros((2, 3)))

"""Evaluation of a plain function images -> logits: no model and no Keras."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from mnistry import metrics
from mnistry.dataset import Dataset
from mnistry.errors import ModelError
from mnistry.evaluation import Evaluation, Mistake, evaluate

N = 257
RNG = np.random.default_rng(3)
LABELS = RNG.integers(0, 10, N).astype(np.uint8)
LOGITS = (RNG.normal(0, 2, (N, 10)) + 4 * np.eye(10)[LABELS]).astype(np.float32)


def make_dataset(labels: np.ndarray = LABELS, class_names: tuple[str, ...] = tuple("0123456789")) -> Dataset:
    """Images whose first two pixels are their own number, so that a double can look its answer up."""
    images = np.zeros((len(labels), 28, 28), np.uint8)
    images[:, 0, 0], images[:, 0, 1] = np.divmod(np.arange(len(labels)), 256)
    return Dataset(images, labels, "made up", class_names)


def look_up(images: np.ndarray) -> np.ndarray:
    return LOGITS[images[:, 0, 0].astype(int) * 256 + images[:, 0, 1]]


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    return evaluate(look_up, make_dataset())


def test_evaluation_agrees_with_scikit_learn(evaluation: Evaluation) -> None:
    from sklearn.metrics import accuracy_score, confusion_matrix, log_loss, precision_recall_fscore_support

    predicted = LOGITS.argmax(axis=1)
    assert 0.5 < evaluation.accuracy < 1
    assert evaluation.accuracy == accuracy_score(LABELS, predicted)
    assert evaluation.errors == np.sum(predicted != LABELS)
    assert evaluation.nll == pytest.approx(log_loss(LABELS, evaluation.probabilities, labels=range(10)))
    np.testing.assert_array_equal(evaluation.confusion_matrix, confusion_matrix(LABELS, predicted))
    precision, recall, f1, support = precision_recall_fscore_support(LABELS, predicted)
    np.testing.assert_allclose(evaluation.precision, precision)
    np.testing.assert_allclose(evaluation.recall, recall)
    np.testing.assert_allclose(evaluation.f1, f1)
    np.testing.assert_array_equal(evaluation.support, support)


def test_evaluation_holds_the_metrics_of_the_logits(evaluation: Evaluation) -> None:
    probabilities = metrics.softmax(LOGITS)
    right = N - evaluation.errors
    assert evaluation.n == N
    assert evaluation.accuracy_interval == metrics.wilson_interval(right, N)
    assert evaluation.brier == metrics.brier(LABELS, probabilities)
    assert evaluation.ece == metrics.ece(LABELS, probabilities)
    np.testing.assert_array_equal(evaluation.probabilities, probabilities)
    np.testing.assert_array_equal(evaluation.predicted, LOGITS.argmax(axis=1))
    assert evaluation.predicted.dtype == np.uint8
    assert evaluation.dataset_name == "made up"


@pytest.mark.parametrize("batch_size", [1, 100, 256, 257, 5000])
def test_the_batch_size_changes_nothing(evaluation: Evaluation, batch_size: int) -> None:
    sizes: list[int] = []

    def classify(images: np.ndarray) -> np.ndarray:
        sizes.append(len(images))
        return look_up(images)

    other = evaluate(classify, make_dataset(), batch_size=batch_size)
    assert sum(sizes) == N
    assert max(sizes) == min(batch_size, N)
    assert other.to_dict() == evaluation.to_dict()
    np.testing.assert_array_equal(other.probabilities, evaluation.probabilities)


def test_mistakes_are_all_wrong_answers_with_the_most_confident_first(evaluation: Evaluation) -> None:
    predicted = LOGITS.argmax(axis=1)
    assert {m.index for m in evaluation.mistakes} == set(np.flatnonzero(predicted != LABELS))
    confidences = [m.confidence for m in evaluation.mistakes]
    assert confidences == sorted(confidences, reverse=True)
    for mistake in evaluation.mistakes:
        assert mistake.label == LABELS[mistake.index]
        assert mistake.predicted == predicted[mistake.index]
        assert mistake.confidence == evaluation.probabilities[mistake.index].max()


def test_to_dict_survives_json_unchanged(evaluation: Evaluation) -> None:
    as_dict = evaluation.to_dict()
    assert json.loads(json.dumps(as_dict, allow_nan=False)) == as_dict
    assert as_dict["accuracy"] == evaluation.accuracy
    assert as_dict["classes"][3]["support"] == np.sum(LABELS == 3)
    assert as_dict["mistakes"][0]["index"] == evaluation.mistakes[0].index
    assert "probabilities" not in as_dict


def test_to_dict_lists_at_most_100_mistakes_but_counts_all() -> None:
    always_zero = evaluate(
        lambda images: np.tile(np.eye(10, dtype=np.float32)[0], (len(images), 1)), make_dataset()
    )
    as_dict = always_zero.to_dict()
    assert as_dict["errors"] == len(always_zero.mistakes) > 200
    assert len(as_dict["mistakes"]) == 100


def test_the_text_shows_the_figures_aligned(evaluation: Evaluation) -> None:
    text = str(evaluation)
    assert text.startswith(f"made up: 257 images, {evaluation.errors} wrong")
    assert f"accuracy  {evaluation.accuracy:.2%}" in text
    assert f"{evaluation.accuracy_interval[0]:.2%} to {evaluation.accuracy_interval[1]:.2%}" in text
    assert f"{evaluation.nll:.4f}" in text
    lines = text.splitlines()
    header = next(i for i, line in enumerate(lines) if line.startswith("class"))
    table = lines[header : header + 11]
    assert {len(line) for line in table} == {len(lines[header])}
    assert table[4].split() == [
        "3",
        str(evaluation.support[3]),
        f"{evaluation.precision[3]:.2%}",
        f"{evaluation.recall[3]:.2%}",
        f"{evaluation.f1[3]:.2%}",
    ]
    assert max(map(len, lines)) <= 80


def test_the_text_names_the_most_frequent_confusion_first() -> None:
    names = ("cat", "dog", "ocelot")
    dataset = make_dataset(np.array([0, 0, 0, 1, 2], np.uint8), names)
    answers = np.eye(3, dtype=np.float32)[[2, 2, 0, 0, 2]]
    evaluation = evaluate(lambda images: answers, dataset)
    assert evaluation.confusions() == [(0, 2, 2), (1, 0, 1)]
    first, second = str(evaluation).splitlines()[-2:]
    assert first.split() == ["cat", "read", "as", "ocelot", "2", "times,", "66.67%", "of", "its", "images"]
    assert second.startswith("dog")


def test_a_perfect_classifier_has_no_mistakes_and_no_confusions() -> None:
    evaluation = evaluate(
        lambda images: 50 * np.eye(10, dtype=np.float32)[look_up(images).argmax(1)],
        make_dataset(LOGITS.argmax(axis=1).astype(np.uint8)),
    )
    assert evaluation.accuracy == 1
    assert evaluation.accuracy_interval[1] == 1
    assert evaluation.mistakes == ()
    assert "confusions" not in str(evaluation)


def test_a_class_without_images_counts_as_0_and_not_as_nan() -> None:
    evaluation = evaluate(
        lambda images: np.eye(10, dtype=np.float32)[[1, 1]], make_dataset(np.array([1, 1], np.uint8))
    )
    assert evaluation.precision.tolist() == evaluation.recall.tolist() == np.eye(10)[1].tolist()
    assert evaluation.support.sum() == 2


@pytest.mark.parametrize("shape", [(1000, 10), (N, 11), (N,), (N, 10, 1)])
def test_logits_of_the_wrong_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ModelError, match=r"expected \(257, 10\)"):
        evaluate(lambda images: np.zeros(shape, np.float32), make_dataset())


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_logits_that_are_not_finite_are_refused_and_the_image_is_named(bad: float) -> None:
    def classify(images: np.ndarray) -> np.ndarray:
        logits = look_up(images).copy()
        logits[images[:, 0, 1] == 130, 4] = bad
        return logits

    with pytest.raises(ModelError, match=r"1 of 57 images .*first: image 130\b"):
        evaluate(classify, make_dataset().take(157), batch_size=100)


def test_a_batch_size_of_0_is_refused() -> None:
    with pytest.raises(ValueError, match="batch_size 0"):
        evaluate(look_up, make_dataset(), batch_size=0)


def test_an_evaluation_and_its_mistakes_cannot_be_changed(evaluation: Evaluation) -> None:
    with pytest.raises(AttributeError):
        evaluation.accuracy = 1.0  # type: ignore[misc]
    with pytest.raises(AttributeError):
        Mistake(0, 1, 2, 0.5).label = 3  # type: ignore[misc]


def test_evaluation_loads_neither_keras_nor_matplotlib() -> None:
    code = "import sys, mnistry.evaluation; print({'keras', 'jax', 'matplotlib'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"

"""Numbers that say how good a classifier is: plain functions of arrays, nothing but NumPy.

Everywhere: `labels` and `predicted` are integer class numbers of shape (n,), `logits` are real numbers
and `probabilities` are numbers in 0..1 that sum to 1 in every row, both of shape (n, classes).
Shapes that do not fit together, no images at all, or class numbers out of range are a ValueError.
"""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


def accuracy(labels: npt.ArrayLike, predicted: npt.ArrayLike) -> float:
    """The share of right answers, 0..1.

    Raises:
        ValueError: the shapes differ, there are no images, or a class number is no integer.
    """
    true, answers = _check_classes(labels, predicted)
    return float(np.mean(true == answers))


def wilson_interval(successes: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """The interval (low, high), within 0..1, that holds a share of which `successes` of `n` were seen.

    It stays honest near 0 and 1, where the usual "plus or minus" interval collapses or leaves 0..1.

    Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference", 1927.

    Raises:
        ValueError: not 0 <= successes <= n, n below 1, or a confidence that is not between 0 and 1.
    """
    if n < 1 or not 0 <= successes <= n:
        raise ValueError(f"got {successes} successes of {n}; expected 0 <= successes <= n and n >= 1")
    if not 0 < confidence < 1:
        raise ValueError(f"got confidence {confidence}; expected a number between 0 and 1, such as 0.95")
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share = successes / n
    centre = share + z**2 / (2 * n)
    half_width = z * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    scale = 1 + z**2 / n
    # Both ends are exact here on paper; rounding would leave 1e-19 in place of 0.
    low = 0.0 if successes == 0 else (centre - half_width) / scale
    high = 1.0 if successes == n else (centre + half_width) / scale
    return low, high


def confusion_matrix(labels: npt.ArrayLike, predicted: npt.ArrayLike, num_classes: int) -> Integers:
    """How often each class (row) was given each answer (column): counts, int64 (classes, classes).

    Raises:
        ValueError: as `accuracy`, or a class number is not below `num_classes`.
    """
    true, answers = _check_classes(labels, predicted)
    for name, numbers in (("labels", true), ("predicted", answers)):
        _check_range(name, numbers, num_classes)
    pairs = np.bincount(true * num_classes + answers, minlength=num_classes**2)
    return pairs.reshape(num_classes, num_classes)


def precision_recall_f1(matrix: npt.ArrayLike) -> tuple[Floats, Floats, Floats]:
    """Precision, recall and F1 of each class of a confusion matrix, each float64 (classes,), 0..1.

    Precision: how many of the answers "c" are right. Recall: how many of the images of class c are found.
    F1: their harmonic mean. Where one is undefined (a class never answered, or without images) it is 0.

    Raises:
        ValueError: the matrix is not square.
    """
    counts = np.asarray(matrix, np.float64)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1]:
        raise ValueError(f"a confusion matrix is square, got shape {counts.shape}")
    right, answered, present = np.diag(counts), counts.sum(axis=0), counts.sum(axis=1)
    return _divide(right, answered), _divide(right, present), _divide(2 * right, answered + present)


def log_softmax(logits: npt.ArrayLike) -> Floats:
    """The logarithms of the probabilities, float64 (n, classes), exact for logits of any size.

    Raises:
        ValueError: the logits have another shape than (n, classes).
    """
    rows = np.asarray(logits, np.float64)
    if rows.ndim != 2 or rows.shape[1] == 0:
        raise ValueError(f"logits must have shape (n, classes), got {rows.shape}")
    shifted = rows - rows.max(axis=1, keepdims=True)  # exp can no longer overflow
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))


def softmax(logits: npt.ArrayLike) -> Floats:
    """The probabilities, float64 (n, classes), 0..1, with rows that sum to 1.

    Raises:
        ValueError: the logits have another shape than (n, classes).
    """
    return np.asarray(np.exp(log_softmax(logits)))


def nll(labels: npt.ArrayLike, logits: npt.ArrayLike) -> float:
    """The mean negative log-likelihood in nats, 0 or more: the cross-entropy that training makes small.

    Raises:
        ValueError: shapes or class numbers do not fit together, or there are no images.
    """
    true, log_probabilities = _check_rows(labels, log_softmax(logits), "logits")
    return float(-np.mean(log_probabilities[np.arange(len(true)), true]))


def brier(labels: npt.ArrayLike, probabilities: npt.ArrayLike) -> float:
    """The Brier score, 0 (sure and right) .. 2 (sure and wrong).

    The squared distance between the probabilities and the truth, summed over classes, averaged over images.

    Source: G. W. Brier, "Verification of forecasts expressed in terms of probability", 1950.

    Raises:
        ValueError: shapes or class numbers do not fit together, there are no images, or rows are no
            probabilities.
    """
    true, rows = _check_rows(labels, _check_probabilities(probabilities), "probabilities")
    distance = rows.copy()
    distance[np.arange(len(true)), true] -= 1
    return float(np.mean(np.sum(distance**2, axis=1)))


def ece(labels: npt.ArrayLike, probabilities: npt.ArrayLike, bins: int = 15) -> float:
    """The expected calibration error, 0..1: how far confidence and accuracy lie apart.

    Images are put into `bins` equally wide bins by their confidence (the largest probability); the gap
    between mean confidence and accuracy is averaged over the bins, weighted by their images.

    Source: Guo et al., "On calibration of modern neural networks", 2017.

    Raises:
        ValueError: as `brier`, or fewer than 1 bin.
    """
    gaps, bin_of_image = calibration_gaps(labels, probabilities, bins)
    return float(np.abs(np.bincount(bin_of_image, weights=gaps)).sum() / len(gaps))


def calibration_gaps(
    labels: npt.ArrayLike, probabilities: npt.ArrayLike, bins: int
) -> tuple[Floats, Integers]:
    """What `ece` adds up: of each image, being right (1 or 0) minus its confidence, and its bin.

    Float64 (n,), -1..1, and int64 (n,), 0..bins - 1.

    Raises:
        ValueError: as `ece`.
    """
    if bins < 1:
        raise ValueError(f"got {bins} bins; expected at least 1")
    true, rows = _check_rows(labels, _check_probabilities(probabilities), "probabilities")
    confidence = rows.max(axis=1)
    right = rows.argmax(axis=1) == true
    inner_edges = np.linspace(0, 1, bins + 1)[1:-1]
    return right - confidence, np.digitize(confidence, inner_edges, right=True)  # a bin holds its upper edge


def mcnemar(labels: npt.ArrayLike, predicted_a: npt.ArrayLike, predicted_b: npt.ArrayLike) -> float:
    """The two-sided p value, 0..1, of "classifiers a and b are equally often right" on the same images.

    Only the images count on which exactly one of the two is right; under the hypothesis each is a fair
    coin, and the exact binomial probability is taken. With no such image it is 1.

    Source: Q. McNemar, "Note on the sampling error of the difference between correlated proportions", 1947.

    Raises:
        ValueError: as `accuracy`.
    """
    true, a = _check_classes(labels, predicted_a)
    _, b = _check_classes(labels, predicted_b)
    only_a = int(np.sum((a == true) & (b != true)))
    only_b = int(np.sum((b == true) & (a != true)))
    n, fewer = only_a + only_b, min(only_a, only_b)
    # log of n-choose-k for k = 0..fewer, minus n log 2: in logarithms, because 2**n overflows at n = 1,024.
    k = np.arange(1, fewer + 1)
    log_terms = np.concatenate([[0.0], np.cumsum(np.log((n - k + 1) / k))]) - n * math.log(2)
    return min(1.0, float(2 * np.exp(log_terms).sum()))


def _divide(numerator: Floats, denominator: Floats) -> Floats:
    return np.divide(numerator, denominator, out=np.zeros_like(numerator), where=denominator > 0)


def _check_classes(labels: npt.ArrayLike, predicted: npt.ArrayLike) -> tuple[Integers, Integers]:
    true, answers = np.asarray(labels), np.asarray(predicted)
    if true.ndim != 1 or true.shape != answers.shape or len(true) == 0:
        raise ValueError(
            "labels and predicted must have the same shape (n,) with n >= 1, "
            f"got {true.shape} and {answers.shape}"
        )
    if true.dtype.kind not in "iu" or answers.dtype.kind not in "iu":
        raise ValueError(
            f"labels and predicted must be integer class numbers, got {true.dtype} and {answers.dtype}"
        )
    return true.astype(np.int64), answers.astype(np.int64)


def _check_rows(labels: npt.ArrayLike, rows: Floats, name: str) -> tuple[Integers, Floats]:
    true = np.asarray(labels)
    if true.ndim != 1 or len(true) != len(rows) or len(true) == 0:
        raise ValueError(
            f"labels must have shape (n,) and {name} (n, classes) with n >= 1, "
            f"got {true.shape} and {rows.shape}"
        )
    if true.dtype.kind not in "iu":
        raise ValueError(f"labels must be integer class numbers, got {true.dtype}")
    _check_range("labels", true, rows.shape[1])
    return true.astype(np.int64), rows


def _check_range(name: str, numbers: npt.NDArray[np.integer], num_classes: int) -> None:
    low, high = int(numbers.min()), int(numbers.max())
    if low < 0 or high >= num_classes:
        raise ValueError(f"{name} must lie in 0..{num_classes - 1}, got {low}..{high}")


def _check_probabilities(probabilities: npt.ArrayLike) -> Floats:
    rows = np.asarray(probabilities, np.float64)
    if rows.ndim != 2 or rows.shape[1] == 0:
        raise ValueError(f"probabilities must have shape (n, classes), got {rows.shape}")
    # Logits given in place of probabilities would yield a plausible but meaningless number.
    if not (np.all(rows >= 0) and np.allclose(rows.sum(axis=1), 1, rtol=0, atol=1e-3)):
        raise ValueError(
            "probabilities must be 0 or more and sum to 1 in every row; softmax(logits) makes them"
        )
    return rows

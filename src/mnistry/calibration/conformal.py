"""The confidence below which to refuse, and sets that hold the truth, as often as was asked for."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from mnistry import metrics
from mnistry.metrics import Floats


def fit_threshold(confidences: npt.ArrayLike, coverage: float) -> float:
    """The largest confidence to demand so that at least a share `coverage` of images like these reach it.

    Of n confidences it is the k-th largest, k = ceil((n + 1) * coverage): then a new image of the same
    kind reaches it with a probability of at least `coverage`, not only those at hand. If n is too small
    for that (k > n), it is 0: everything is accepted.

    Args:
        confidences: numbers in 0..1, (n,).
        coverage: share to accept, above 0 and at most 1.

    Raises:
        ValueError: one of them is out of its range.

    Source: V. Vovk, A. Gammerman and G. Shafer, "Algorithmic learning in a random world", 2005.
    """
    numbers = np.asarray(confidences, np.float64)
    if numbers.ndim != 1 or len(numbers) == 0 or not np.all((numbers >= 0) & (numbers <= 1)):
        raise ValueError(f"confidences must be numbers in 0..1 of shape (n,), n >= 1; got {numbers.shape}")
    return _fit_quantile(numbers, coverage)


def risk_coverage(
    labels: npt.ArrayLike, predicted: npt.ArrayLike, confidences: npt.ArrayLike
) -> tuple[Floats, Floats, Floats]:
    """What each threshold would buy: (thresholds, coverages, risks), each float64 (m,), 0..1.

    `coverages[i]` of the images have a confidence of at least `thresholds[i]`, and a share `risks[i]` of
    those is answered wrongly. Thresholds fall, one per distinct confidence; the last coverage is 1.

    Raises:
        ValueError: the three differ in length, or a confidence is out of 0..1.

    Source: R. El-Yaniv and Y. Wiener, "On the foundations of noise-free selective classification", 2010.
    """
    metrics.accuracy(labels, predicted)  # checks both
    wrong = np.asarray(labels) != np.asarray(predicted)
    numbers = np.asarray(confidences, np.float64)
    if numbers.shape != wrong.shape or not np.all((numbers >= 0) & (numbers <= 1)):
        raise ValueError(f"confidences must be {len(wrong)} numbers in 0..1, got shape {numbers.shape}")
    order = np.argsort(-numbers, kind="stable")
    falling = numbers[order]
    # Images of one confidence are accepted together: only the last of each is a point of the curve.
    last = np.flatnonzero(np.append(np.diff(falling) != 0, True))
    accepted = last + 1
    return falling[last], accepted / len(wrong), np.cumsum(wrong[order])[last] / accepted


def fit_conformal(labels: npt.ArrayLike, probabilities: npt.ArrayLike, coverage: float) -> Floats:
    """The smallest probability with which each class is in a prediction set: float64 (classes,), 0..1.

    Split-conformal, class by class (Mondrian): of new images of class c, whatever c is, at least a share
    `coverage` get a set that holds c, if they are of the same kind as these. Too few images of a class
    to promise that, ceil((n + 1) * coverage) > n, give 0: the class is in every set.

    Raises:
        ValueError: labels and probabilities do not fit together, or `coverage` is out of its range.

    Source: Vovk et al., "Algorithmic learning in a random world", 2005; M. Sadinle, J. Lei and
    L. Wasserman, "Least ambiguous set-valued classifiers with bounded error levels", 2019.
    """
    rows = np.asarray(probabilities, np.float64)
    metrics.brier(labels, rows)  # checks labels, shapes and that these are probabilities
    true = np.asarray(labels)
    return np.array([_fit_quantile(rows[true == c, c], coverage) for c in range(rows.shape[1])])


def prediction_sets(probabilities: npt.ArrayLike, thresholds: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    """Which classes an image may be: bool (n, classes), with the thresholds of `fit_conformal`.

    More than one class: the image is ambiguous. None: it is unlike the images of every class.

    Raises:
        ValueError: there is not one threshold a class.
    """
    rows, least = np.asarray(probabilities, np.float64), np.asarray(thresholds, np.float64)
    if rows.ndim != 2 or least.shape != rows.shape[1:]:
        raise ValueError(
            "probabilities must have shape (n, classes) and thresholds (classes,), "
            f"got {rows.shape} and {least.shape}"
        )
    return np.asarray(rows >= least)


def _fit_quantile(scores: Floats, coverage: float) -> float:
    if not 0 < coverage <= 1:
        raise ValueError(f"got coverage {coverage}; expected a share above 0 and at most 1, such as 0.99")
    n = len(scores)
    k = math.ceil((n + 1) * coverage - 1e-9)  # 0.07 * 100 is a little more than 7
    return float(np.sort(scores)[n - k]) if k <= n else 0.0

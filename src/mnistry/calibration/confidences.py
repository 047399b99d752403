"""Confidences that mean what they say: the temperature that makes them so, and how far off they are."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from mnistry import metrics
from mnistry.metrics import Floats

LOWEST_TEMPERATURE, HIGHEST_TEMPERATURE = 0.01, 100.0
BISECTIONS = 26  # of a range of 10,000 to 1: leaves a relative error of 1e-7


def fit_temperature(labels: npt.ArrayLike, logits: npt.ArrayLike) -> float:
    """The number to divide logits by that makes their mean negative log-likelihood least, 0.01..100.

    Dividing keeps the order of the logits, hence every answer. With no wrong answer the likelihood
    grows all the way down to temperature 0, which n images cannot justify; so the temperature may fall
    below 1 only until the mean confidence is (n + 1) / (n + 2), Laplace's rule of succession for n right
    answers of n. Logits that are already surer are left as they are.

    Raises:
        ValueError: logits are not finite, or labels and logits do not fit together.

    Source: Guo et al., "On calibration of modern neural networks", 2017.
    """
    rows = np.asarray(logits, np.float64)
    if not np.isfinite(rows).all():
        raise ValueError("logits must be finite, got NaN or infinity")
    metrics.nll(labels, rows)  # checks labels and shapes
    n, true = len(rows), np.asarray(labels)
    # Moving a row changes no probability; without it the slope of large logits would drown in rounding.
    rows = rows - rows.max(axis=1, keepdims=True)
    of_truth = rows[np.arange(n), true].mean()

    def slope(temperature: float) -> float:
        """The derivative of the likelihood by 1 / temperature: it falls, and crosses 0 at the optimum."""
        return float((metrics.softmax(rows / temperature) * rows).sum() / n - of_truth)

    def excess(temperature: float) -> float:
        return float(metrics.softmax(rows / temperature).max(axis=1).mean()) - (n + 1) / (n + 2)

    at_1 = slope(1.0)
    if at_1 == 0:  # already best; also where all logits are equal and every temperature is
        return 1.0
    if at_1 > 0:  # too sure
        return _bisect(slope, 1.0, HIGHEST_TEMPERATURE)
    lowest = _bisect(excess, LOWEST_TEMPERATURE, 1.0)
    return _bisect(slope, lowest, HIGHEST_TEMPERATURE)


def ece_with_interval(
    labels: npt.ArrayLike,
    probabilities: npt.ArrayLike,
    *,
    rng: np.random.Generator,
    bins: int = 15,
    confidence: float = 0.95,
    resamples: int = 1000,
) -> tuple[float, float, float]:
    """The expected calibration error and the interval that holds it: (ece, low, high), each 0..1.

    The ECE adds up absolute gaps, so chance only ever enlarges it: that of n images is larger than the
    truth, and that of their resamples larger still. The percentiles of the resamples would therefore
    miss the truth nearly always when the classifier is well calibrated. So they are mirrored at the ECE
    (the basic bootstrap), and `low` is 0 if chance alone would make gaps as large as those seen.
    With fewer than about ten wrong answers the interval is too short: chance has not shown itself yet.

    Args:
        labels: integers (n,).
        probabilities: (n, classes).
        rng: draws the resamples.
        bins: number of equally wide bins, as in `metrics.ece`.
        confidence: how often the interval should hold the truth, between 0 and 1.
        resamples: how many, 1 or more.

    Raises:
        ValueError: `confidence` or `resamples` is out of its range, or labels and probabilities do not fit.

    Source: B. Efron and R. Tibshirani, "An introduction to the bootstrap", 1993; for `low`: J. Bröcker and
    L. Smith, "Increasing the reliability of reliability diagrams", 2007.
    """
    if not 0 < confidence < 1 or resamples < 1:
        raise ValueError(
            f"got confidence {confidence} and {resamples} resamples; expected a confidence between 0 and 1, "
            "such as 0.95, and at least 1 resample"
        )
    error = metrics.ece(labels, probabilities, bins)
    gaps, bin_of_image = metrics.calibration_gaps(labels, probabilities, bins)
    n = len(gaps)
    by_bin = np.argsort(bin_of_image, kind="stable")  # then the sums of a resample are those of slices
    gaps = gaps[by_bin]
    starts = np.unique(bin_of_image[by_bin], return_index=True)[1]

    def add_gaps(images: npt.NDArray[np.int64]) -> Floats:
        return np.asarray(np.add.reduceat(np.bincount(images, minlength=n) * gaps, starts) / n)

    seen = add_gaps(np.arange(n))
    drawn = np.stack([add_gaps(rng.integers(0, n, n)) for _ in range(resamples)])
    outside = (1 - confidence) / 2
    few, many = np.quantile(np.abs(drawn).sum(axis=1), [outside, 1 - outside])
    by_chance = np.quantile(np.abs(drawn - seen).sum(axis=1), confidence)
    low = 0.0 if error <= by_chance else min(error, max(0.0, 2 * error - float(many)))
    high = min(1.0, max(error, 2 * error - float(few)))
    return error, low, high


def _bisect(falling: Callable[[float], float], low: float, high: float) -> float:
    """The temperature in low..high at which `falling` crosses 0, or the end that is nearest to it."""
    middle = low
    for _ in range(BISECTIONS):
        middle = math.sqrt(low * high)
        if falling(middle) > 0:
            low = middle
        else:
            high = middle
    return middle

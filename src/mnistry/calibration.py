"""Confidences that mean what they say, a threshold below which to refuse, and sets that hold the truth.

Everything is fitted on validation data: never on images the model was trained on, nor on the test set.
`labels`, `logits` and `probabilities` are as in `metrics`: integers (n,), real numbers (n, classes), and
numbers in 0..1 with rows that sum to 1. A confidence is the largest probability of a row. Shapes that
do not fit, no images at all, NaN, or class numbers out of range are a ValueError.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mnistry import metrics
from mnistry.errors import ModelError

Floats = npt.NDArray[np.float64]

LOWEST_TEMPERATURE, HIGHEST_TEMPERATURE = 0.01, 100.0
BISECTIONS = 26  # of a range of 10,000 to 1: leaves a relative error of 1e-7


@dataclass(frozen=True)
class Calibration:
    """What turns logits into calibrated answers. Shares and probabilities are 0..1.

    An image is accepted if its largest probability is at least `threshold`; class c is in its prediction
    set if its probability is at least `conformal_thresholds[c]`.

    Attributes:
        temperature: logits are divided by it; above 1 makes the classifier less sure.
        threshold: the smallest confidence that is accepted.
        coverage: share of images to accept, and share of each class whose sets hold the true class.
        conformal_thresholds: (classes,), the smallest probability with which a class is in a set.
        ece_before: expected calibration error at temperature 1, 15 bins.
        ece_before_interval: its 95 % interval (low, high).
        ece_after: the same at `temperature`. It is measured on the images that the temperature was fitted
            on, which flatters it a little; what counts is the ECE on test data.
        ece_after_interval: its 95 % interval.
        n: number of validation images.

    Raises:
        ValueError: a number lies outside its range.
    """

    temperature: float
    threshold: float
    coverage: float
    conformal_thresholds: tuple[float, ...]
    ece_before: float
    ece_before_interval: tuple[float, float]
    ece_after: float
    ece_after_interval: tuple[float, float]
    n: int

    def __post_init__(self) -> None:
        """Check the ranges."""
        shares = {
            "threshold": (self.threshold,),
            "coverage": (self.coverage,),
            "conformal_thresholds": self.conformal_thresholds,
            "ece_before": (self.ece_before, *self.ece_before_interval),
            "ece_after": (self.ece_after, *self.ece_after_interval),
        }
        for name, numbers in shares.items():
            if not numbers or not all(0 <= number <= 1 for number in numbers):
                raise ValueError(f"{name} is {getattr(self, name)}; expected 0..1")
        if not 0 < self.temperature < math.inf:
            raise ValueError(f"temperature is {self.temperature}; expected a finite number above 0")
        if self.n < 1:
            raise ValueError(f"n is {self.n}; expected at least 1 image")

    def apply(self, logits: npt.ArrayLike) -> Floats:
        """The calibrated probabilities of `logits` (n, classes): float64 (n, classes)."""
        rows = np.asarray(logits, np.float64)
        if rows.ndim != 2 or rows.shape[1] != len(self.conformal_thresholds):
            raise ValueError(
                f"this calibration is of {len(self.conformal_thresholds)} classes; logits of shape "
                f"(n, {len(self.conformal_thresholds)}) expected, got {rows.shape}"
            )
        return metrics.softmax(rows / self.temperature)

    def to_dict(self) -> dict[str, Any]:
        """Everything in plain Python types, ready for JSON."""
        return {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Calibration:
        """The calibration that `to_dict` wrote; entries it does not know are left aside.

        Raises:
            ModelError: an entry is missing, is no number, or lies outside its range.
        """
        try:
            before_low, before_high = map(float, values["ece_before_interval"])
            after_low, after_high = map(float, values["ece_after_interval"])
            return cls(
                temperature=float(values["temperature"]),
                threshold=float(values["threshold"]),
                coverage=float(values["coverage"]),
                conformal_thresholds=tuple(map(float, values["conformal_thresholds"])),
                ece_before=float(values["ece_before"]),
                ece_before_interval=(before_low, before_high),
                ece_after=float(values["ece_after"]),
                ece_after_interval=(after_low, after_high),
                n=int(values["n"]),
            )
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            reason = f"there is no entry {error}" if isinstance(error, KeyError) else str(error)
            raise ModelError(
                f"the stored calibration cannot be used: {reason}. What Calibration.to_dict() writes was "
                "expected; train or export the model again."
            ) from error


def calibrate(
    classify: Callable[[Any], Any], calibration: Calibration | None
) -> Callable[[Any], npt.NDArray[np.float32]]:
    """The function images -> logits / temperature, whose softmax is calibrated; None changes nothing."""
    temperature = np.float32(1.0 if calibration is None else calibration.temperature)
    return lambda images: np.asarray(classify(images), np.float32) / temperature


def fit_calibration(
    labels: npt.ArrayLike, logits: npt.ArrayLike, *, coverage: float = 0.99, seed: int = 0
) -> Calibration:
    """Temperature, threshold and conformal thresholds from validation data; all other figures with them.

    Args:
        labels: integers (n,).
        logits: real numbers (n, classes).
        coverage: share of images to accept, and of each class to hold in the prediction sets, 0..1.
        seed: of the resamples behind the intervals; it changes nothing else.
    """
    rng = np.random.default_rng(seed)
    temperature = fit_temperature(labels, logits)
    before = metrics.softmax(logits)
    after = metrics.softmax(np.asarray(logits, np.float64) / temperature)
    ece_before, *before_interval = ece_with_interval(labels, before, rng=rng)
    ece_after, *after_interval = ece_with_interval(labels, after, rng=rng)
    return Calibration(
        temperature=temperature,
        threshold=fit_threshold(after.max(axis=1), coverage),
        coverage=coverage,
        conformal_thresholds=tuple(fit_conformal(labels, after, coverage).tolist()),
        ece_before=ece_before,
        ece_before_interval=(before_interval[0], before_interval[1]),
        ece_after=ece_after,
        ece_after_interval=(after_interval[0], after_interval[1]),
        n=len(after),
    )


def fit_temperature(labels: npt.ArrayLike, logits: npt.ArrayLike) -> float:
    """The number to divide logits by that makes their mean negative log-likelihood least, 0.01..100.

    Dividing keeps the order of the logits, hence every answer. With no wrong answer the likelihood
    grows all the way down to temperature 0, which n images cannot justify; so the temperature may fall
    below 1 only until the mean confidence is (n + 1) / (n + 2), Laplace's rule of succession for n right
    answers of n. Logits that are already surer are left as they are.

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

    Source: B. Efron and R. Tibshirani, "An introduction to the bootstrap", 1993; for `low`: J. Bröcker and
    L. Smith, "Increasing the reliability of reliability diagrams", 2007.
    """
    if not 0 < confidence < 1 or resamples < 1:
        raise ValueError(
            f"got confidence {confidence} and {resamples} resamples; expected a confidence between 0 and 1, "
            "such as 0.95, and at least 1 resample"
        )
    error = metrics.ece(labels, probabilities, bins)
    rows = np.asarray(probabilities, np.float64)
    n = len(rows)
    bin_of_image = np.digitize(rows.max(axis=1), np.linspace(0, 1, bins + 1)[1:-1], right=True)
    by_bin = np.argsort(bin_of_image, kind="stable")  # then the sums of a resample are those of slices
    gap = ((rows.argmax(axis=1) == np.asarray(labels)) - rows.max(axis=1))[by_bin]
    starts = np.unique(bin_of_image[by_bin], return_index=True)[1]

    def add_gaps(images: npt.NDArray[np.int64]) -> Floats:
        return np.asarray(np.add.reduceat(np.bincount(images, minlength=n) * gap, starts) / n)

    seen = add_gaps(np.arange(n))
    drawn = np.stack([add_gaps(rng.integers(0, n, n)) for _ in range(resamples)])
    outside = (1 - confidence) / 2
    few, many = np.quantile(np.abs(drawn).sum(axis=1), [outside, 1 - outside])
    by_chance = np.quantile(np.abs(drawn - seen).sum(axis=1), confidence)
    low = 0.0 if error <= by_chance else min(error, max(0.0, 2 * error - float(many)))
    high = min(1.0, max(error, 2 * error - float(few)))
    return error, low, high


def fit_threshold(confidences: npt.ArrayLike, coverage: float) -> float:
    """The largest confidence to demand so that at least a share `coverage` of images like these reach it.

    Of n confidences it is the k-th largest, k = ceil((n + 1) * coverage): then a new image of the same
    kind reaches it with a probability of at least `coverage`, not only those at hand. If n is too small
    for that (k > n), it is 0: everything is accepted.

    Args:
        confidences: numbers in 0..1, (n,).
        coverage: share to accept, above 0 and at most 1.

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

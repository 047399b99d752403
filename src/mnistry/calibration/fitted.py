"""`Calibration`: everything that was fitted on the validation images of a training, in one value."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mnistry import metrics
from mnistry.calibration.confidences import ece_with_interval, fit_temperature
from mnistry.calibration.conformal import fit_conformal, fit_threshold
from mnistry.errors import ModelError
from mnistry.metrics import Floats


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

    Raises:
        ValueError: labels and logits do not fit together, logits are not finite, or `coverage`
            is out of its range.
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

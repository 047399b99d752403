"""Confidences that mean what they say, a threshold below which to refuse, and sets that hold the truth.

Everything is fitted on validation data: never on images the model was trained on, nor on the test set.
`labels`, `logits` and `probabilities` are as in `metrics`: integers (n,), real numbers (n, classes), and
numbers in 0..1 with rows that sum to 1. A confidence is the largest probability of a row. Shapes that
do not fit, no images at all, NaN, or class numbers out of range are a ValueError.
"""

from __future__ import annotations

from mnistry.calibration.confidences import (
    BISECTIONS,
    HIGHEST_TEMPERATURE,
    LOWEST_TEMPERATURE,
    ece_with_interval,
    fit_temperature,
)
from mnistry.calibration.conformal import fit_conformal, fit_threshold, prediction_sets, risk_coverage
from mnistry.calibration.fitted import Calibration, calibrate, fit_calibration

__all__ = [
    "BISECTIONS",
    "HIGHEST_TEMPERATURE",
    "LOWEST_TEMPERATURE",
    "Calibration",
    "calibrate",
    "ece_with_interval",
    "fit_calibration",
    "fit_conformal",
    "fit_temperature",
    "fit_threshold",
    "prediction_sets",
    "risk_coverage",
]

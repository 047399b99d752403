"""What a picture says: a Reading of lines of digits."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnistry.imaging import Box

DIGIT_NAMES = tuple("0123456789")
NUM_ALTERNATIVES = 3


@dataclass(frozen=True)
class Digit:
    """One digit that was read.

    Attributes:
        label: name of the most probable class, "7".
        box: (x, y, width, height) in pixels of the upright picture, from its upper left corner.
        confidence: probability of `label`, 0..1: the softmax of the logits, calibrated if the classifier is.
        alternatives: the next most probable (label, probability), at most NUM_ALTERNATIVES.
        accepted: whether the confidence reaches the threshold.
        image: (28, 28) uint8, what the classifier saw.
    """

    label: str
    box: Box
    confidence: float
    alternatives: tuple[tuple[str, float], ...]
    accepted: bool
    image: NDArray[np.uint8] = field(repr=False, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the image, ready for JSON."""
        return {
            "label": self.label,
            "box": list(self.box),
            "confidence": self.confidence,
            "accepted": self.accepted,
            "alternatives": [list(alternative) for alternative in self.alternatives],
        }


@dataclass(frozen=True)
class Line:
    """Digits that stand beside each other, from left to right."""

    digits: tuple[Digit, ...]

    @property
    def text(self) -> str:
        """The accepted digits in one string; class names longer than a character are set apart by a space."""
        labels = [digit.label for digit in self.digits if digit.accepted]
        return (" " if any(len(label) > 1 for label in labels) else "").join(labels)

    def to_dict(self) -> dict[str, Any]:
        """Return the line and its digits, ready for JSON."""
        return {"text": self.text, "digits": [digit.to_dict() for digit in self.digits]}


@dataclass(frozen=True)
class Reading:
    """What a picture says.

    Attributes:
        file: the picture's path, or <stdin>, <array>, <bytes>, <image>.
        lines: from top to bottom; none if the picture could not be read.
        size: (height, width) in pixels of the upright picture; None if it could not be loaded.
        error: why the picture could not be read; None if it could.
    """

    file: str
    lines: tuple[Line, ...]
    size: tuple[int, int] | None
    error: str | None = None

    @property
    def text(self) -> str:
        """The accepted digits, a newline between lines."""
        return "\n".join(line.text for line in self.lines)

    def to_dict(self) -> dict[str, Any]:
        """Return the reading, ready for JSON; `size` is [height, width], a `box` [x, y, width, height]."""
        return {
            "file": self.file,
            "size": None if self.size is None else list(self.size),
            "text": self.text,
            "lines": [line.to_dict() for line in self.lines],
            "error": self.error,
        }

"""What a picture says: a Reading of lines of digits."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnistry.imaging import Box

DIGIT_NAMES = tuple("0123456789")
NUM_ALTERNATIVES = 3
WIDE_GAP = 0.8  # between two digits, in their median height: there a space was meant


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
    """Digits that stand beside each other, from left to right.

    Attributes:
        digits: accepted or not.
        free_text: what the line would say without the pattern that it had to match; None without one.
    """

    digits: tuple[Digit, ...]
    free_text: str | None = None

    @property
    def text(self) -> str:
        """The accepted digits in one string, with a space where a gap is wide or names are long."""
        accepted = [digit for digit in self.digits if digit.accepted]
        if not accepted:
            return ""
        long_names = any(len(digit.label) > 1 for digit in accepted)
        wide = WIDE_GAP * float(np.median([digit.box[3] for digit in accepted]))
        text = accepted[0].label
        for left, right in pairwise(accepted):
            apart = right.box[0] - (left.box[0] + left.box[2]) > wide
            text += (" " if apart or long_names else "") + right.label
        return text

    def to_dict(self) -> dict[str, Any]:
        """Return the line and its digits, ready for JSON."""
        free = {} if self.free_text is None else {"free_text": self.free_text}
        return {"text": self.text, **free, "digits": [digit.to_dict() for digit in self.digits]}


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

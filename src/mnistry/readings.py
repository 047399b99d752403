"""What a picture says: a Reading of lines of digits."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mnistry.imaging import Box
from mnistry.looks import FIRST, Look
from mnistry.pictures import Source, load_colours

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DIGIT_NAMES = tuple("0123456789")
NUM_ALTERNATIVES = 3
SHOWN_PX = 2000  # longest side of a picture that is shown
WIDE_GAP = 0.8  # between two digits, in their median height: there a space was meant,
WIDER = 1.8  # if it is so many times the median gap of a line whose
FEW_GAPS = 3  # or more gaps are all larger than
LOOSE_GAP = 0.25
NARROW = 0.5  # of that height: what is less wide counts as so wide
LARGE = 0.5  # of that height: what is less high and less wide and refused is a dot


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
        crowded: whether all marks of the picture were taken for one digit, though they are too many or too
            far apart for one.
        free: where nothing matches the pattern: of each digit, whether it would be accepted without.
        look: how the page was looked at that says so.
    """

    digits: tuple[Digit, ...]
    free_text: str | None = None
    crowded: bool = False
    free: tuple[bool, ...] = ()
    look: Look = field(default=FIRST, repr=False, compare=False)

    @property
    def mismatched(self) -> bool:
        """Whether nothing was accepted because no reading matches the pattern."""
        return self.free_text is not None and not any(digit.accepted for digit in self.digits)

    @property
    def text(self) -> str:
        """The accepted digits in one string, with a space where a gap is wide or names are long.

        Where digits stand far apart all along the line, only a gap wider than the others is one, or one in
        which something refused stands that is no dot. A thin 1 counts as wide as others, or evenly written
        digits would have wide gaps beside it.
        """
        accepted = [digit for digit in self.digits if digit.accepted]
        if not accepted:
            return ""
        long_names = any(len(digit.label) > 1 for digit in accepted)
        height = float(np.median([digit.box[3] for digit in accepted]))
        large = [digit for digit in self.digits if digit.accepted or max(digit.box[2:]) > LARGE * height]
        places = [place for place, digit in enumerate(large) if digit.accepted]
        lacking = [max(0.0, NARROW * height - digit.box[2]) / 2 for digit in accepted]
        gaps = np.array([right.box[0] - left.box[0] - left.box[2] for left, right in pairwise(accepted)])
        closer = gaps - np.array([left + right for left, right in pairwise(lacking)])
        beside = np.array([right == left + 1 for left, right in pairwise(places)], np.bool_)
        apart = _find_wide(gaps, height, beside) & _find_wide(closer, height, beside)
        text = accepted[0].label
        for digit, wide in zip(accepted[1:], apart.tolist(), strict=True):
            text += (" " if wide or long_names else "") + digit.label
        return text

    def to_dict(self) -> dict[str, Any]:
        """Return the line and its digits, ready for JSON."""
        free = {} if self.free_text is None else {"free_text": self.free_text}
        return {"text": self.text, **free, "digits": [digit.to_dict() for digit in self.digits]}


def _find_wide(
    gaps: NDArray[np.floating[Any]], height: float, beside: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Return which gaps of a line are spaces; `beside` where nothing refused stands in them."""
    wide = WIDE_GAP * height
    loose = len(gaps) >= FEW_GAPS and float(gaps.min()) > LOOSE_GAP * height
    usual = max(wide, WIDER * float(np.median(gaps))) if loose else wide
    return np.asarray(gaps > np.where(beside, usual, wide), np.bool_)


@dataclass(frozen=True)
class Reading:
    """What a picture says.

    Attributes:
        file: the picture's path, or <stdin>, <array>, <bytes>, <image>.
        lines: from top to bottom; none if the picture could not be read.
        size: (height, width) in pixels of the upright picture; None if it could not be loaded.
        error: why the picture could not be read; None if it could.
        page: its number, from 1, in a file with several; None in others.
        source: what was read, to show it.
    """

    file: str
    lines: tuple[Line, ...]
    size: tuple[int, int] | None
    error: str | None = None
    page: int | None = None
    source: Source | None = field(default=None, repr=False, compare=False)

    @property
    def text(self) -> str:
        """The accepted digits, a newline between the lines that have any."""
        return "\n".join(line.text for line in self.lines if line.text)

    @property
    def name(self) -> str:
        """The file, with the page where there are several."""
        return self.file if self.page is None else f"{self.file}, page {self.page}"

    def __str__(self) -> str:
        """The text, or why there is none."""
        return self.text if self.error is None else f"error: {self.error}"

    def plot(self, figure: Figure | None = None) -> Figure:
        """Draw the boxes, answers and confidences on the picture, and beside it what the network saw.

        Raises:
            ImageError: the picture cannot be loaded (any more).
            ValueError: the reading does not know its picture.
        """
        from mnistry.plots.readings import plot_reading

        if self.source is None:
            raise ValueError(f"the reading of {self.name} does not know its picture")
        picture, size = load_colours(self.source, SHOWN_PX, self.page or 1)
        text = " / ".join(
            line.text or (f"{line.free_text or 'no digit'}: no match" if line.mismatched else "no digit")
            for line in self.lines
        )
        return plot_reading(picture, self.lines, size=size, title=text, figure=figure)

    def show(self) -> None:
        """Show what `plot` draws: in a notebook below the cell, else in a window."""
        import matplotlib.pyplot as plt

        self.plot()
        plt.show()

    def to_dict(self) -> dict[str, Any]:
        """Return the reading, ready for JSON; `size` is [height, width], a `box` [x, y, width, height]."""
        page = {} if self.page is None else {"page": self.page}
        return {
            "file": self.file,
            **page,
            "size": None if self.size is None else list(self.size),
            "text": self.text,
            "lines": [line.to_dict() for line in self.lines],
            "error": self.error,
        }

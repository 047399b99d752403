"""What a picture says: a Reading of lines of digits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations, pairwise
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
LARGE = 0.5  # of that height: what is less high and less wide and refused is a dot, of which one above the
# other are a sign, and so is
DASH = 0.3, 0.6  # what is so wide, of that height, and so high at most, of its width
STACKED = 0.2  # of it, which points above each other are apart across, at most
SIGN_GAP, POINTS_GAP = 0.2, 0.1  # between digits with a sign between them, and with such points
COMMA_WIDTH = 0.4  # of it, so wide at most is a comma
BETWEEN = 0.6  # of its width a sign is between both digits
TOP = 0.25  # of it: what is higher up is a bar that a digit has lost
GROUP_GAP, GROUP_TIMES = 0.6, 3.0  # so wide, and so many times the widest of all that are narrower,
LEAST_GAP = 0.12  # or of this, is a gap between groups of digits


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
        cell: the number of the cell of a table that it is in, from 1 on; 0 where it is in none.
    """

    label: str
    box: Box
    confidence: float
    alternatives: tuple[tuple[str, float], ...]
    accepted: bool
    image: NDArray[np.uint8] = field(repr=False, compare=False)
    cell: int = field(default=0, repr=False, compare=False)

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

        Where digits stand far apart all along the line, only a gap wider than the others is one. A sign parts
        digits, too, but a point or a comma; so does a line of a table. A thin 1 counts as wide as others, or
        evenly written digits would have wide gaps beside it.
        """
        accepted = [digit for digit in self.digits if digit.accepted]
        if not accepted:
            return ""
        long_names = any(len(digit.label) > 1 for digit in accepted)
        text = accepted[0].label
        for digit, wide in zip(accepted[1:], self._find_spaces(accepted), strict=True):
            text += (" " if wide or long_names else "") + digit.label
        return text

    def _find_spaces(self, accepted: Sequence[Digit]) -> list[bool]:
        """Return which gaps between accepted digits are spaces."""
        height = float(np.median([digit.box[3] for digit in accepted]))
        boxes = np.array([digit.box for digit in accepted], np.float64)
        gaps = boxes[1:, 0] - (boxes[:-1, 0] + boxes[:-1, 2])
        lacking = (NARROW * height - boxes[:, 2]).clip(0) / 2
        closer = gaps - lacking[:-1] - lacking[1:]
        places = [place for place, digit in enumerate(self.digits) if digit.accepted]
        between = [self.digits[left + 1 : right] for left, right in pairwise(places)]
        signs = np.array(
            [
                _is_sign([mark.box for mark in marks], np.stack(sides), height)
                for marks, sides in zip(between, pairwise(boxes), strict=True)
            ],
            np.bool_,
        )
        bare = np.array([not marks for marks in between], np.bool_)
        spaces = _find_wide(gaps, height) & _find_wide(closer, height)
        spaces |= bare & _find_groups(closer, height)
        spaces |= np.array([0 < left.cell != right.cell > 0 for left, right in pairwise(accepted)], np.bool_)
        return [bool(space) for space in spaces | signs]

    def to_dict(self) -> dict[str, Any]:
        """Return the line and its digits, ready for JSON."""
        free = {} if self.free_text is None else {"free_text": self.free_text}
        return {"text": self.text, **free, "digits": [digit.to_dict() for digit in self.digits]}


def _find_wide(gaps: NDArray[np.floating[Any]], height: float) -> NDArray[np.bool_]:
    """Return which gaps of a line are as wide as spaces, by themselves and among the others."""
    loose = len(gaps) >= FEW_GAPS and float(gaps.min()) > LOOSE_GAP * height
    usual = WIDER * float(np.median(gaps)) if loose else 0.0
    return np.asarray(gaps > max(WIDE_GAP * height, usual), np.bool_)


def _find_groups(gaps: NDArray[np.floating[Any]], height: float) -> NDArray[np.bool_]:
    """Return which gaps of a line part groups of digits: less wide ones, but most gaps are far narrower."""
    narrow = gaps[gaps < GROUP_GAP * height]
    if len(gaps) < FEW_GAPS or 2 * len(narrow) < len(gaps):
        return np.zeros(len(gaps), np.bool_)
    usual = max(float(narrow.max()), LEAST_GAP * height)
    return np.asarray(gaps >= max(GROUP_GAP * height, GROUP_TIMES * usual), np.bool_)


def _is_sign(marks: Sequence[Box], sides: NDArray[np.float64], height: float) -> bool:
    """Return whether what is refused between two digits is a sign, and no point, comma or loose bar.

    Such as a large mark, a dash, or points above each other.

    Args:
        marks: their boxes.
        sides: the boxes of both digits, (2, 4).
        height: of the line's digits.
    """
    top, bottom = float(sides[:, 1].mean()), float((sides[:, 1] + sides[:, 3]).mean())
    left, right = float(sides[0, 0] + sides[0, 2]), float(sides[1, 0])
    level = [
        box
        for box in marks
        if min(right, box[0] + box[2]) - max(left, box[0]) >= BETWEEN * box[2]
        and not box[1] + box[3] / 2 < top + TOP * height  # a bar
        and not (  # a comma
            box[1] > top + (bottom - top) / 2 and box[1] + box[3] > bottom and box[2] <= COMMA_WIDTH * height
        )
    ]
    large = any(max(box[2:]) > LARGE * height for box in level)
    dash = any(box[2] >= DASH[0] * height and box[3] <= DASH[1] * box[2] for box in level)
    stacked = any(
        max(one[0], other[0]) - min(one[0] + one[2], other[0] + other[2]) < STACKED * height
        and max(one[1], other[1]) > min(one[1] + one[3], other[1] + other[3])
        for one, other in combinations(marks, 2)
    )
    gap = right - left
    return ((large or dash) and gap > SIGN_GAP * height) or (stacked and gap > POINTS_GAP * height)


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

"""What several looks at a page say together: where one is in doubt, what is said most often is taken."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from mnistry.imaging import Box
from mnistry.looks import Look
from mnistry.pictures import Gray
from mnistry.readings import Line
from mnistry.segmentation import Mark

MOST_AGAIN = 24  # marks of all pages that are looked at again, as every look takes as long as the first,
CERTAIN = 0.9  # where one is accepted with less confidence,
SURELY_NONE = 0.01  # or refused with more, or none is accepted
LOOKS = 5  # in all
FAINTER, DARKER = 0.85, 1.3  # darkness of two of them,
COARSER = 0.8  # size of one,
SMOOTHER = 0.03  # and blur of one, of the highest mark's height
LARGE_PX = 500_000  # of a page, of which only a part is looked at again,
MARGIN = 1.0  # of the highest mark's height around all

Answer: TypeAlias = tuple[tuple[str, ...], ...]  # the accepted digits of each line that has any


def is_doubtful(lines: Sequence[Line], most: int = MOST_AGAIN) -> bool:
    """Return whether a page has several marks, at most so many, of which one is doubtful."""
    digits = [digit for line in lines for digit in line.digits]
    read = any(digit.accepted for digit in digits)
    return 1 < len(digits) <= most and any(
        digit.confidence < CERTAIN if digit.accepted else not read or digit.confidence >= SURELY_NONE
        for digit in digits
    )


def list_looks(page: Gray, found: Sequence[Sequence[Mark]]) -> list[Look]:
    """Return the other looks at a page on which these marks were found, of a large one at where they are."""
    boxes = np.array([mark.box for line in found for mark in line])
    highest = int(boxes[:, 3].max())
    part = _surround(boxes, round(MARGIN * highest), page) if page.size >= LARGE_PX else None
    return [
        Look("again, where fainter ink counts", darkness=FAINTER, part=part),
        Look("again, where only darker ink counts", darkness=DARKER, part=part),
        Look("again, coarser", size=COARSER, part=part),
        Look("again, smoother", blur_px=SMOOTHER * highest, part=part),
    ]


def _surround(boxes: np.ndarray, margin: int, page: Gray) -> Box:
    """Return the box around some, and as much on each side as is on the page of a margin."""
    left, top = (boxes[:, :2].min(axis=0) - margin).clip(0).tolist()
    right, bottom = (boxes[:, :2] + boxes[:, 2:]).max(axis=0).tolist()
    right, bottom = min(right + margin, page.shape[1]), min(bottom + margin, page.shape[0])
    return left, top, right - left, bottom - top


def list_accepted(lines: Sequence[Line]) -> Answer:
    """Return the answer that a look's lines are."""
    accepted = (tuple(digit.label for digit in line.digits if digit.accepted) for line in lines)
    return tuple(labels for labels in accepted if labels)


def is_settled(answers: Sequence[Answer]) -> bool:
    """Return whether more than half of all LOOKS gave the same of the answers so far."""
    return max(Counter(answers).values()) > LOOKS / 2


def choose_most(answers: Sequence[Answer]) -> int:
    """Return the number of the first answer that is given most often; the first one of all, in a tie."""
    counts = Counter(answers)
    return max(range(len(answers)), key=lambda index: (counts[answers[index]], -index))

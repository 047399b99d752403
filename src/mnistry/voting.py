"""What several looks at a page say together: where the first is in doubt, what most of them say is taken."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence

import numpy as np

from mnistry.looks import OTHERS
from mnistry.readings import Line
from mnistry.segmentation import Mark
from mnistry.writing import Page

MOST_AGAIN = 24  # marks of a page that is looked at again, as every look takes as long as the first,
CERTAIN = 0.9  # if there is one that is refused, or accepted with less confidence
LARGE_PX = 500_000  # of a page, of which only a part is looked at again,
MARGIN = 1.0  # of the highest mark's height around all


def is_doubtful(lines: Sequence[Line]) -> bool:
    """Return whether a page has several marks, and not too many, of which one is doubtful."""
    digits = [digit for line in lines for digit in line.digits]
    return 1 < len(digits) <= MOST_AGAIN and any(
        not digit.accepted or digit.confidence < CERTAIN for digit in digits
    )


def list_accepted(lines: Sequence[Line]) -> tuple[tuple[str, ...], ...]:
    """Return the accepted digits of each line that has any."""
    accepted = (tuple(digit.label for digit in line.digits if digit.accepted) for line in lines)
    return tuple(labels for labels in accepted if labels)


def is_settled(answers: Sequence[Hashable]) -> bool:
    """Return whether one of the answers so far is that of most looks, whatever the others will say."""
    return max(Counter(answers).values()) > (1 + len(OTHERS)) / 2


def choose_most(answers: Sequence[Hashable]) -> int:
    """Return the number of the first answer that is given most often; the first one of all, in a tie."""
    counts = Counter(answers)
    return max(range(len(answers)), key=lambda index: (counts[answers[index]], -index))


def crop(page: Page, found: Sequence[Sequence[Mark]]) -> Page:
    """Return the part of a large page that has all marks; a small page as it is."""
    if page.gray.size < LARGE_PX:
        return page
    boxes = np.array([mark.box for line in found for mark in line])
    margin = round(MARGIN * boxes[:, 3].max())
    left, top = (boxes[:, :2].min(axis=0) - margin).clip(0).tolist()
    right, bottom = ((boxes[:, :2] + boxes[:, 2:]).max(axis=0) + margin).tolist()
    to_page = np.array([[1.0, 0.0, left], [0.0, 1.0, top], [0.0, 0.0, 1.0]])
    part = np.ascontiguousarray(page.gray[top:bottom, left:right])
    return Page(part, page.to_picture @ to_page)

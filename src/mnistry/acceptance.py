"""Which marks of a line that was put together are accepted as digits."""

from __future__ import annotations

import numpy as np

from mnistry.decoding import Path
from mnistry.imaging import find_box, measure_stroke
from mnistry.pictures import Gray
from mnistry.words import list_letters

HALF = 128  # level, from which a pixel is in a shape; its stroke's width, by area, is
SOLID = 0.5  # of its shorter side where it is solid: of 8,546 MNIST test digits that are no bar 0.48 at most;
BAR = 2  # times as long as broad is a stroke by itself,
TALL = 3  # and times as high as broad a bar
COMPANY, COMPANY_PORTION, COMPANY_ODDS = 2, 0.6, 6.0  # see `accept`
VOUCHED = (
    0.85  # probability, for who sees the line uncut, of a digit among others that is as thick as a shape
)


def accept(path: Path, threshold: float) -> list[bool]:
    """Return for every segment whether it is accepted as a digit.

    It is where a digit is likelier than none, reaches the threshold and is made of strokes. In the company
    of at least COMPANY accepted digits, which are most of the line, it may be COMPANY_ODDS times less likely,
    and need not be made of strokes where who sees the line uncut is sure of it.
    And in a word of letters none is, unless who sees the line uncut is sure of it: the l of "hello" is no 1.
    Nor is a doubtful one behind a letter, beside other words: the g of "7 kg" is no 9.
    """
    confident = [segment.digit and segment.confidence >= segment.none for segment in path.segments]
    digits = sum(segment.digit for segment in path.segments)
    accepted = []
    for segment, alone in zip(path.segments, confident, strict=True):
        others = sum(confident) - alone
        helped = others >= COMPANY and others >= COMPANY_PORTION * (digits - 1)
        enough = alone or (segment.digit and helped and COMPANY_ODDS * segment.confidence >= segment.none)
        vouched = helped and segment.seen >= VOUCHED
        shape = vouched or not is_solid(segment.image)
        accepted.append(enough and segment.confidence >= threshold and shape)
    refused = list_letters(
        path.segments, [one or other for one, other in zip(confident, accepted, strict=True)]
    )
    return [answer and index not in refused for index, answer in enumerate(accepted)]


def is_solid(image: Gray) -> bool:
    """Return whether a mark is a filled shape, not made of strokes: nearly as thick as broad, and no bar.

    Args:
        image: (28, 28) uint8, as the classifier sees it.
    """
    ink = np.where(image >= HALF, image, 0).astype(np.uint8)
    _, _, width, height = find_box(ink)
    shorter, longer = min(width, height), max(width, height)
    if longer >= BAR * shorter:
        return False
    return measure_stroke(np.pad(ink, 1)) >= SOLID * shorter

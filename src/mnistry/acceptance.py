"""Which marks of a line that was put together are accepted as digits."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from mnistry.decoding import Path
from mnistry.imaging import Box, find_box, measure_stroke
from mnistry.pictures import Gray
from mnistry.segments import Segment
from mnistry.straightening import STRIP_PX

HALF = 128  # level, from which a pixel is in a shape; its stroke's width, by area, is
SOLID = 0.5  # of its shorter side where it is solid: of 8,546 MNIST test digits that are no bar 0.48 at most;
BAR = 2  # times as long as broad is a stroke by itself,
TALL = 3  # and times as high as broad a bar
COMPANY, COMPANY_PORTION, COMPANY_ODDS = 2, 0.6, 6.0  # see `accept`
WORD_GAP = 0.6  # digits' heights, between words
LETTERS = 3  # so many marks
LETTER_PORTION = 0.45  # of at least this portion of the highest one's height may be a word,
REFUSED_PORTION = 0.2  # and are if this portion of them is no digit
JOINED = 1.15  # digits' heights: what is refused and so broad is two letters,
WORD_PORTION = 0.4  # and so many are together with the doubts about the others;
BESIDE_LETTERS = 0.65  # geometric mean of probabilities, from which a word beside one of letters is none
VOUCHED = (0.85, 0.999)  # probability of each of its digits, for who sees the line uncut, from which it is no
# word: where at most half of its marks are no digit, as in a sum, and where more are; and of a digit among
# others, from which that may be as thick as a filled shape


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
        vouched = helped and segment.seen >= VOUCHED[0]
        shape = vouched or not is_solid(segment.image)
        accepted.append(enough and segment.confidence >= threshold and shape)
    words = split_words([segment.box for segment in path.segments])
    letters = [
        word
        for word in words
        if _is_of_letters(
            [path.segments[index] for index in word],
            [confident[index] or accepted[index] for index in word],
        )
    ]
    if sum(map(len, letters)) > LETTERS:  # and not a number that is torn
        letters += [word for word in words if _is_doubtful([path.segments[index] for index in word])]
    letters += [
        word
        for word in words
        if len(words) > 1
        and _is_unit(
            [path.segments[index] for index in word],
            [confident[index] or accepted[index] for index in word],
        )
    ]
    refused = {index for word in letters for index in word}
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


def _is_doubtful(word: Sequence[Segment]) -> bool:
    """Return whether who sees the digits of a word, or who sees its line, is not sure of them all in all."""
    sure = [min(segment.confidence, segment.seen or 1.0) for segment in word if segment.digit]
    return math.prod(sure) < BESIDE_LETTERS ** len(sure)


def _is_of_letters(word: Sequence[Segment], likely: Sequence[bool]) -> bool:
    """Return whether enough marks of a word are no likely digits, with the doubts of who sees it uncut.

    Not where that one is sure of all that are likely, nor where less than REFUSED_PORTION are no digits. A
    broad mark that is no digit counts as two letters.
    """
    large = _list_large(word, likely)
    refused = sum(1 + (segment.box[2] > JOINED * STRIP_PX) for segment, answer in large if not answer)
    letters = refused + sum(answer for _, answer in large)
    doubts = refused + sum(1 - segment.seen for segment, answer in large if answer and segment.seen)
    most = 2 * refused > letters
    # Beside so many letters a bar, that may be one too, vouches for nothing.
    seen = [
        segment.seen
        for segment, answer in zip(word, likely, strict=True)
        if answer and not (most and segment.box[3] >= TALL * segment.box[2])
    ]
    sure = bool(seen) and min(seen) >= VOUCHED[most]
    few = letters < LETTERS or refused < REFUSED_PORTION * letters
    return not few and not sure and doubts >= WORD_PORTION * letters


def _list_large(word: Sequence[Segment], likely: Sequence[bool]) -> list[tuple[Segment, bool]]:
    """Return the marks of a word that may be letters, and whether each is a likely digit.

    Signs that were found (see `signs`), of which no digit is at all probable, are no letters.
    """
    least = LETTER_PORTION * max(segment.box[3] for segment in word)
    return [
        (segment, answer)
        for segment, answer in zip(word, likely, strict=True)
        if segment.box[3] >= least and segment.confidence > 0
    ]


def _is_unit(word: Sequence[Segment], likely: Sequence[bool]) -> bool:
    """Return whether of two marks the first is no digit, and high, and the other doubtful, as of kg."""
    large = _list_large(word, likely)
    answers = [answer for _, answer in large]
    if answers != [False, True]:
        return False
    (letter, _), (digit, _) = large
    return letter.box[3] >= digit.box[3] and _is_doubtful([digit])


def split_words(boxes: Sequence[Box], gap: float = WORD_GAP) -> list[list[int]]:
    """Return the numbers of the marks of a line with these boxes in its strip, parted where gaps are wider.

    The gap is in digits' heights.
    """
    words: list[list[int]] = []
    right = -math.inf
    for index, (x, _, width, _) in enumerate(boxes):
        if x - right > gap * STRIP_PX:
            words.append([])
        words[-1].append(index)
        right = max(right, x + width)
    return words

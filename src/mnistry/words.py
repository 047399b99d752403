"""The words of a line: which are letters, or drawings, though some of these look like digits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby, pairwise

from mnistry.decoding import Path
from mnistry.imaging import Box
from mnistry.segments import Segment
from mnistry.straightening import STRIP_PX

WORD_GAP, FAR = 0.6, 2.0  # digits' heights, between words, and between those that say less of each other
CLOSE_GAP, SURE = 0.3, 0.85  # between a word and a number, and the geometric mean of its probabilities
LETTERS = 3  # so many marks
LETTER_PORTION = 0.45  # of at least this portion of the highest one's height may be a word,
REFUSED_PORTION = 0.2  # and are if this portion of them is no digit
JOINED = 1.15  # digits' heights: what is refused and so broad is two letters,
WORD_PORTION = 0.4  # and so many are together with the doubts about the others;
DOUBTFUL = 0.65  # geometric mean of probabilities, up to which digits are doubtful: so they are no number
BESIDE_LETTERS = 0.75  # near to a word of letters, or to as many marks that are none, they need so much
VOUCHED = (0.85, 0.999)  # probability of each of its digits, for who sees the line uncut, from which it is no
# word: where at most half of its marks are no digit, as in a sum, and where more are
SUM_DIGITS, FAIR = 3, 0.75  # of a sum, at least, and the geometric mean of their probabilities
TALL = 3  # times as high as broad is a bar


def list_letters(segments: Sequence[Segment], likely: Sequence[bool]) -> set[int]:
    """Return the numbers of the segments of a line that are letters or parts of a drawing, or may be.

    Args:
        segments: from left to right.
        likely: whether each is a likely digit.
    """
    boxes = [segment.box for segment in segments]

    def take(word: Sequence[int]) -> tuple[list[Segment], list[bool]]:
        return [segments[index] for index in word], [likely[index] for index in word]

    words = _part_words(segments, likely)
    letters = [word for word in words if is_of_letters(*take(word))]
    if sum(map(len, letters)) > LETTERS:  # and not a number that is torn
        groups = [group for group in split_words(boxes, FAR) if any(word[0] in group for word in letters)]
        near = {index for group in groups for index in group}
        letters += [
            word
            for word in words
            if is_doubtful(take(word)[0], BESIDE_LETTERS if word[0] in near else DOUBTFUL)
        ]
    letters += [group for group in split_words(boxes, FAR) if is_drawing(*take(group))]
    letters += [word for word in words if len(words) > 1 and is_unit(*take(word))]
    return {index for word in letters for index in word}


def list_numbers(path: Path) -> list[tuple[int, int]]:
    """Return the numbers of the first and of the last segment of what is between words of letters, if any."""
    likely = [segment.digit and segment.confidence >= segment.none for segment in path.segments]
    found: list[tuple[int, int]] = []
    numbers, letters = False, False
    for word in _part_words(path.segments, likely):
        of_letters = is_of_letters(
            [path.segments[index] for index in word], [likely[index] for index in word]
        )
        letters |= of_letters
        if not of_letters:
            found.append((found.pop()[0] if numbers else word[0], word[-1]))
        numbers = not of_letters
    return found if letters else []


def _part_words(segments: Sequence[Segment], likely: Sequence[bool]) -> list[list[int]]:
    """Return the numbers of the segments of each word; a sure number close to one is a word of its own."""
    words: list[list[int]] = []
    for word in split_words([segment.box for segment in segments]):
        close = split_words([segments[index].box for index in word], CLOSE_GAP)
        parts = [[word[place] for place in places] for places in close]
        joined = False  # to what comes next
        for digits, run in groupby(parts, lambda part: all(likely[index] for index in part)):
            part = [index for places in run for index in places]
            number = digits and len(part) > 1 and not is_doubtful([segments[index] for index in part], SURE)
            if joined and not number:
                words[-1] += part
            else:
                words.append(part)
            joined = not number
    return words


def is_doubtful(word: Sequence[Segment], least: float = DOUBTFUL) -> bool:
    """Return whether who sees the digits of a word, or who sees its line, is not sure of them all in all."""
    sure = [min(segment.confidence, segment.seen or 1.0) for segment in word if segment.digit]
    return math.prod(sure) < least ** len(sure)


def is_of_letters(word: Sequence[Segment], likely: Sequence[bool]) -> bool:
    """Return whether enough marks of a word are no likely digits, with the doubts of who sees it uncut.

    Not where that one is sure of all that are likely, nor where less than REFUSED_PORTION are no digits, nor
    in a sum. A broad mark that is no digit counts as two letters.
    """
    large = _list_large(word, likely)
    if _is_sum(large):
        return False
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


def _is_sum(marks: Sequence[tuple[Segment, bool]]) -> bool:
    """Return whether marks, each a likely digit or not, are fair digits with single signs between them."""
    digits = [segment for segment, answer in marks if answer]
    if len(digits) < SUM_DIGITS or not (marks[0][1] and marks[-1][1]):
        return False
    signs_apart = all(one or other for (_, one), (_, other) in pairwise(marks))
    return signs_apart and math.prod(digit.confidence for digit in digits) >= FAIR ** len(digits)


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


def is_drawing(group: Sequence[Segment], likely: Sequence[bool]) -> bool:
    """Return whether marks are a drawing: at least half of the large ones no digits, and no number sure."""
    answers = [answer for _, answer in _list_large(group, likely)]
    numbers = [
        [group[index].confidence for index in word if likely[index]] for word in _part_words(group, likely)
    ]
    doubtful = all(math.prod(sure) < BESIDE_LETTERS ** len(sure) for sure in numbers if sure)
    return doubtful and 2 * sum(answers) <= len(answers)


def is_unit(word: Sequence[Segment], likely: Sequence[bool]) -> bool:
    """Return whether of two marks the first is no digit, and high, and the other doubtful, as of kg."""
    large = _list_large(word, likely)
    answers = [answer for _, answer in large]
    if answers != [False, True]:
        return False
    (letter, _), (digit, _) = large
    return letter.box[3] >= digit.box[3] and is_doubtful([digit])


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

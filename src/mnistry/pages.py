"""Read a page: gray -> ink -> lines -> pieces -> digits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from mnistry.acceptance import accept
from mnistry.blanks import check_crowd, check_written
from mnistry.decoding import Path, Predict
from mnistry.errors import CrowdedError, ImageError
from mnistry.imaging import center_digit
from mnistry.judging import judge_alone
from mnistry.lines import Options, find_lines
from mnistry.looks import FIRST, Look, look_at
from mnistry.matching import choose_fitting
from mnistry.paper import measure_contrast
from mnistry.pictures import Gray
from mnistry.placing import to_digit
from mnistry.plates import list_plates
from mnistry.readings import Digit, Line
from mnistry.segmentation import MOST_MARKS, Mark, find_typical_height, paint_marks
from mnistry.segments import LEAST, Segment
from mnistry.slopes import SMALL_PORTION
from mnistry.straightening import Strip, straighten
from mnistry.strips import cut_lines
from mnistry.voting import (
    MOST_AGAIN,
    choose_most,
    is_doubtful,
    is_settled,
    list_accepted,
    list_looks,
)
from mnistry.writing import Homography, Page, find_writing, flatten_pages

MOST_PARTS = 3  # of a broken digit
WIDEST = 1.3  # of one digit: width per height
SURE = 0.9  # confidence of a digit that is none's part, where what it would be with the rest is no digit
SURE_BESIDE = 0.75  # of the only digit beside marks that are none, where there is one
PLAIN = ("0", "1")  # what rings and strokes look like


def read_page(
    gray: Gray, options: Options, *, size: tuple[int, int] | None = None, name: str = ""
) -> list[Line]:
    """Return the lines of digits on a page, from top to bottom.

    Args:
        gray: the upright picture, (height, width) uint8.
        options: how to read it.
        size: (height, width) in pixels that the boxes count in; by default those of `gray`.
        name: what an error calls the picture.

    Raises:
        ImageError: no ink is found.
    """
    return [line for page in _read_pages(gray, options, size, name, MOST_AGAIN) for line in page.lines]


class _Read(NamedTuple):
    """A page that was read: its lines of digits, the marks of each, and the page's way to the picture."""

    lines: list[Line]
    found: list[list[Mark]]
    to_picture: Homography


def _read_pages(
    gray: Gray, options: Options, size: tuple[int, int] | None, name: str, most_again: int = 0
) -> list[_Read]:
    """Return what was read of each sheet in a picture that has any writing; the others are left out.

    What is doubtful is looked at again, where the sheets have at most `most_again` marks together.

    Raises:
        CrowdedError: one sheet has more marks than a page of digits, or all together have.
        ImageError: none has any writing.
    """
    size = size or (gray.shape[0], gray.shape[1])
    read: list[_Read] = []
    errors: list[ImageError] = []
    for page in flatten_pages(gray, size):
        try:
            found = _read_sheet(page, options, size, name, most_again)
            read += found
            most_again -= sum(_count_marks(part.lines) for part in found)
        except CrowdedError:
            raise
        except ImageError as error:
            errors.append(error)
        if sum(len(line) for sheet in read for line in sheet.found) > MOST_MARKS:
            raise CrowdedError(
                f"{name or 'the picture'} has sheets with more than {MOST_MARKS:,} marks together. "
                "Crop it to some of them"
            )
    if not read:
        raise errors[0]
    return read


def _read_sheet(page: Page, options: Options, size: tuple[int, int], name: str, most: int) -> list[_Read]:
    """Return what was read of one sheet; errors as for `find_writing`, and where nobody has written.

    Where there is no digit but on dark plates, it is what was read of these. Where it is doubtful, and of at
    most so many marks, it is what several looks say most often.
    """

    def contrast() -> float:
        return measure_contrast(page.gray, options.invert)

    try:
        read = _look_and_read(page, FIRST, options, size, name)
    except CrowdedError as error:
        check_crowd(error, contrast, name)
        raise
    plates = [] if _count_accepted(read.lines) else _read_plates(page, read, options, size, name)
    if plates:
        return plates
    if options.pattern is None:
        check_written(read.lines, size, contrast, name)
    if not is_doubtful(read.lines, most):
        return [read]
    reads, answers = [read], [list_accepted(read.lines)]
    for look in list_looks(page.gray, read.found):
        try:
            seen = _look_and_read(page, look, options, size, name)
        except ImageError:
            continue
        reads.append(seen)
        answers.append(list_accepted(seen.lines))
        if is_settled(answers):
            break
    return [reads[choose_most(answers)]]


def _read_plates(page: Page, read: _Read, options: Options, size: tuple[int, int], name: str) -> list[_Read]:
    """Return what was read of the plates among the marks that were read, of which that is sure."""
    found = []
    for alone, look in list_plates(page, read.found) if options.invert is None else ():
        try:
            seen = _look_and_read(alone, look, options, size, name)
        except ImageError:
            continue
        digits = [digit for line in seen.lines for digit in line.digits]
        accepted = [digit for digit in digits if digit.accepted]
        plain = all(digit.label in PLAIN for digit in accepted)
        if 2 * len(accepted) >= len(digits) and not plain and all(d.confidence >= SURE for d in accepted):
            found.append(seen)
    return found


def _look_and_read(page: Page, look: Look, options: Options, size: tuple[int, int], name: str) -> _Read:
    """Return what one look at a sheet says; errors as for `find_writing`."""
    gray, to_page = look_at(page.gray, look)
    to_picture = page.to_picture @ to_page
    found = find_writing(gray, options.invert, name, darkness=look.darkness)
    lines = _read_lines(found, options, to_picture, size, name)
    return _Read([replace(line, look=look) for line in lines], found, to_picture)


def _read_lines(
    found: Sequence[Sequence[Mark]],
    options: Options,
    to_picture: Homography,
    size: tuple[int, int],
    name: str,
) -> list[Line]:
    """Return the lines of digits that lines of marks are; `to_picture` maps the page's (x, y, 1)."""
    strips, lines = cut_lines(found, options.predict, name, thoroughly=options.pattern is not None)
    paths, matches = find_lines(lines, [strip.ink for strip in strips], options)
    if options.pattern is None:
        marks = [mark for line in found for mark in line]
        whole = _read_whole(marks, options.predict) if 1 < _count(paths) <= MOST_PARTS else None
        if whole is not None and whole[0].price < sum(path.price for path in paths):
            path = _judge_whole(*whole, options)
            if any(accept(path, 0.0)) or not any(any(accept(part, SURE)) for part in paths):
                paths, strips = [path], [whole[1]]

    def describe(index: int, path: Path, accepted: Sequence[bool]) -> tuple[Digit, ...]:
        marks = found[index] if len(paths) == len(found) else ()
        return tuple(
            to_digit(segment, strips[index], to_picture, size, accept, options.class_names, marks)
            for segment, accept in zip(path.segments, accepted, strict=True)
        )

    answers = [
        Line(describe(index, path, accept(path, options.threshold))) for index, path in enumerate(paths)
    ]
    if options.pattern is not None:
        chosen = choose_fitting(
            paths,
            [[digit.accepted for digit in answer.digits] for answer in answers],
            matches,
            options.fits,
        )
        answers = [
            Line(
                describe(index, fitting.path, fitting.accepted),
                free_text=answer.text,
                free=() if any(fitting.accepted) else tuple(digit.accepted for digit in answer.digits),
            )
            for index, (fitting, answer) in enumerate(zip(chosen, answers, strict=True))
        ]
    small = _find_small(found) if len(answers) == len(found) else [False] * len(answers)
    return [
        answer
        for answer, little in zip(answers, small, strict=True)
        if answer.digits and not (little and not _is_sure(answer))
    ]


def _find_small(lines: Sequence[Sequence[Mark]]) -> list[bool]:
    """Return which lines are too small for the others, so that their marks may as well be print or dirt."""
    typical = find_typical_height(np.array([mark.box for line in lines for mark in line], np.int32))
    return [max(mark.box[3] for mark in line) < SMALL_PORTION * typical for line in lines]


def _is_sure(line: Line) -> bool:
    """Return whether a line is several digits, not all strokes and rings, and sure of all.

    What is far less high does not count.
    """
    highest = max(digit.box[3] for digit in line.digits)
    large = [digit for digit in line.digits if 2 * digit.box[3] >= highest]
    digits = any(digit.label not in PLAIN for digit in large)
    return digits and len(large) > 1 and all(digit.accepted and digit.confidence >= SURE for digit in large)


def _count(paths: Sequence[Path]) -> int:
    return sum(len(path.segments) for path in paths)


def read_single(gray: Gray, options: Options, *, size: tuple[int, int] | None = None, name: str = "") -> Line:
    """Return the one digit of a picture that holds exactly one; arguments and errors as for `read_page`.

    Of several sheets it is on the first that has any. Where the page has one digit and nothing else that
    counts, it is that; else all its ink is taken for one, and where that is none, it is the one that is
    surely accepted beside marks that are not, if there is just one.
    """
    size = size or (gray.shape[0], gray.shape[1])
    pages = _read_pages(gray, options, size, name)
    lines, found, to_picture = next((page for page in pages if _count_accepted(page.lines)), pages[0])
    if _count_marks(lines) == 1:
        return lines[0]
    path, strip = _see_whole([mark for line in found for mark in line], options.predict)
    path = _judge_whole(path, strip, options)
    (accepted,) = accept(path, options.threshold)
    digits = [digit for line in lines for digit in line.digits if digit.accepted]
    if len(digits) == 1 and not accepted and digits[0].confidence >= SURE_BESIDE:
        return Line(tuple(digits))
    digit = to_digit(path.segments[0], strip, to_picture, size, accepted, options.class_names)
    count = _count_marks(lines)
    return Line((digit,), crowded=count > MOST_PARTS or (count > 1 and _is_wide(path)))


def _read_whole(marks: Sequence[Mark], predict: Predict) -> tuple[Path, Strip] | None:
    """Return all marks of a page as one digit, broken as it may be; None where they are too wide for one."""
    path, strip = _see_whole(marks, predict)
    return None if _is_wide(path) else (path, strip)


def _judge_whole(path: Path, strip: Strip, options: Options) -> Path:
    """Return the only segment of a path, all of its strip's ink, with the say of those who see lines."""
    mark = Mark((0, 0, strip.ink.shape[1], strip.ink.shape[0]), strip.ink)
    return judge_alone(path, straighten([mark]).ink, options.see_line)


def _is_wide(path: Path) -> bool:
    """Return whether the only segment of a path is too wide for one digit."""
    _, _, width, height = path.segments[0].box
    return width > WIDEST * height


def _count_marks(lines: Sequence[Line]) -> int:
    return sum(len(line.digits) for line in lines)


def _count_accepted(lines: Sequence[Line]) -> int:
    return sum(digit.accepted for line in lines for digit in line.digits)


def _see_whole(marks: Sequence[Mark], predict: Predict) -> tuple[Path, Strip]:
    """Return all marks of a page as one segment, on a strip of its own."""
    ink, (left, top) = paint_marks(marks)
    image = center_digit(ink)
    probabilities = np.asarray(predict(image[None])[0], np.float64)
    segment = Segment(0, 1, (0, 0, ink.shape[1], ink.shape[0]), image, probabilities)
    strip = Strip(ink, np.array([[1.0, 0.0, left], [0.0, 1.0, top]]))
    return Path((segment,), -math.log(max(LEAST, segment.confidence))), strip

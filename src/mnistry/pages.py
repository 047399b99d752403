"""Read a page: gray -> ink -> lines -> pieces -> digits."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from mnistry.cutting import cut_pieces
from mnistry.decoding import LEAST, Predict, Segment, classify_segments, find_best_path
from mnistry.errors import ImageError
from mnistry.imaging import EDGE_LEVEL, Box, center_digit, measure_stroke
from mnistry.paper import enlarge, find_page_ink
from mnistry.patterns import find_best_match
from mnistry.pictures import Gray, shrink
from mnistry.readings import DIGIT_NAMES, NUM_ALTERNATIVES, Digit, Line
from mnistry.segmentation import Mark, Piece, Strip, find_marks, group_lines, paint_marks, straighten

LONGEST_PX = 1600
SHORTEST_PX = 200  # smaller pictures are enlarged first
LEAST_PX = 10  # length of the largest mark on a page that holds any writing
MOST_PIXELS = 40_000_000  # of all strips of a page: 1,000 digits have 13,000,000
MOST_PIECES = 5000  # of a page: 1,000 digits have 3,600
ROUNDING = 1e-6  # pixels
MOST_PARTS = 3  # of a broken digit
NEVER = 2.0  # no confidence reaches it
WIDEST = 1.3  # of one digit: width per height


@dataclass(frozen=True)
class Options:
    """How to read a page.

    Attributes:
        predict: images -> probabilities (see `decoding`).
        invert: True for light ink on dark paper, False for dark on light, None to find out.
        threshold: confidence, 0..1, from which a digit is accepted.
        class_names: what to call the classes.
        pattern: what the digits of every line are known to match: the most probable reading that does is
            accepted whatever its confidence, and where none does, nothing is. `Line.free_text` then has what
            would have been read without it.
    """

    predict: Predict
    invert: bool | None = None
    threshold: float = 0.0
    class_names: Sequence[str] = DIGIT_NAMES
    pattern: re.Pattern[str] | None = None


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
    size = size or (gray.shape[0], gray.shape[1])
    marks, scale = _find_writing(gray, options.invert, size, name)
    return _read_marks(marks, options, scale, size, name)


def _read_marks(
    marks: Sequence[Mark], options: Options, scale: tuple[float, float], size: tuple[int, int], name: str
) -> list[Line]:
    """Return the lines that the marks of a page make; `scale` leads from its (x, y) to the picture's."""
    predict, pattern = options.predict, options.pattern
    strips, widths, pieces = _cut_lines(group_lines(marks), name)
    offered = classify_segments(pieces, predict, name)
    found = [find_best_path(*line) for line in zip(pieces, offered, widths, strict=True)]
    paths = [path for path, _ in found]
    total = sum(price for _, price in found)
    whole = _read_whole(marks, predict) if 1 < sum(map(len, paths)) <= MOST_PARTS else None
    if pattern is None and whole is not None and -np.log(max(LEAST, whole[0].probabilities.max())) < total:
        strips, paths = [whole[1]], [[whole[0]]]

    def describe(path: Sequence[Segment], strip: Strip, least: float) -> tuple[Digit, ...]:
        return tuple(_to_digit(segment, strip, scale, size, least, options.class_names) for segment in path)

    lines = [
        Line(describe(path, strip, options.threshold)) for path, strip in zip(paths, strips, strict=True)
    ]
    if pattern is not None:
        for index, line in enumerate(zip(pieces, offered, widths, strict=True)):
            match = find_best_match(*line, pattern, options.class_names)
            path, least = (paths[index], NEVER) if match is None else (match[0], 0.0)
            lines[index] = Line(describe(path, strips[index], least), free_text=lines[index].text)
    return [line for line in lines if line.digits]


def _cut_lines(
    lines: Sequence[Sequence[Mark]], name: str
) -> tuple[list[Strip], list[float], list[list[Piece]]]:
    """Return the strip of each line, the width of its strokes, and its pieces.

    Raises:
        ImageError: together the strips are larger than those of any page of digits, or there are more pieces.
    """
    strips: list[Strip] = []
    widths: list[float] = []
    pieces: list[list[Piece]] = []
    pixels = parts = 0
    for line in lines:
        strips.append(straighten(line))
        widths.append(max(2.0, measure_stroke(strips[-1].ink)))
        pieces.append(cut_pieces(strips[-1].ink, widths[-1]))
        pixels += strips[-1].ink.size
        parts += len(pieces[-1])
        if pixels > MOST_PIXELS or parts > MOST_PIECES:
            raise ImageError(
                f"{name or 'the picture'} has marks far longer than digits, such as rules, or more of them "
                f"than a page of digits ({len(lines):,} lines). Crop it to the digits"
            )
    return strips, widths, pieces


def read_single(gray: Gray, options: Options, *, size: tuple[int, int] | None = None, name: str = "") -> Line:
    """Return the one digit of a picture that holds exactly one; arguments and errors as for `read_page`.

    Where the page has one digit and nothing else that counts, it is that; else all its ink is taken for one.
    It matches no pattern: `options.pattern` is left aside.
    """
    size = size or (gray.shape[0], gray.shape[1])
    marks, scale = _find_writing(gray, options.invert, size, name)
    lines = _read_marks(marks, replace(options, pattern=None), scale, size, name)
    if sum(len(line.digits) for line in lines) == 1:
        return lines[0]
    segment, strip = _see_whole(marks, options.predict)
    return Line((_to_digit(segment, strip, scale, size, options.threshold, options.class_names),))


def _find_writing(
    gray: Gray, invert: bool | None, size: tuple[int, int], name: str
) -> tuple[list[Mark], tuple[float, float]]:
    """Return the marks of a page, and what to multiply their (x, y) with for those in a picture of `size`.

    Raises:
        ImageError: there are none but grain, or more than can be read.
    """
    page = enlarge(shrink(gray, LONGEST_PX), SHORTEST_PX)
    marks = find_marks(find_page_ink(page, invert, name), name)
    if max((max(mark.box[2:]) for mark in marks), default=0) < LEAST_PX:
        raise ImageError(
            f"no ink found in {name or 'the picture'}: nothing on it is larger than {LEAST_PX} pixels, so "
            "what stands out is the grain of the paper. Photograph the digits from nearer or in better light"
        )
    return marks, (size[1] / page.shape[1], size[0] / page.shape[0])


def _read_whole(marks: Sequence[Mark], predict: Predict) -> tuple[Segment, Strip] | None:
    """Return all marks of a page as one digit, broken as it may be; None where they are too wide for one."""
    segment, strip = _see_whole(marks, predict)
    return (segment, strip) if segment.box[2] <= WIDEST * segment.box[3] else None


def _see_whole(marks: Sequence[Mark], predict: Predict) -> tuple[Segment, Strip]:
    """Return all marks of a page as one segment, on a strip of its own."""
    ink, (left, top) = paint_marks(marks)
    image = center_digit(ink)
    probabilities = np.asarray(predict(image[None])[0], np.float64)
    box = (0, 0, ink.shape[1], ink.shape[0])
    return Segment(0, 1, box, image, probabilities), Strip(ink, np.array([[1.0, 0.0, left], [0.0, 1.0, top]]))


def _to_digit(
    segment: Segment,
    strip: Strip,
    scale: tuple[float, float],
    shape: tuple[int, ...],
    threshold: float,
    class_names: Sequence[str],
) -> Digit:
    order = np.argsort(-segment.probabilities, kind="stable")
    ranked = [(class_names[index], float(segment.probabilities[index])) for index in order]
    label, confidence = ranked[0]
    none = 1 - float(segment.probabilities.sum())  # that it is no digit at all
    return Digit(
        label=label,
        box=_box_on_page(segment, strip, scale, shape),
        confidence=confidence,
        alternatives=tuple(ranked[1 : 1 + NUM_ALTERNATIVES]),
        accepted=segment.digit and confidence >= max(threshold, none),
        image=segment.image,
    )


def _box_on_page(segment: Segment, strip: Strip, scale: tuple[float, float], shape: tuple[int, ...]) -> Box:
    """Return the upright box in the full picture around the ink of a segment of the strip."""
    x, y, width, height = segment.box
    rows, columns = np.nonzero(strip.ink[y : y + height, x : x + width] >= EDGE_LEVEL)
    if len(rows) == 0:
        rows, columns = np.array([0, height - 1]), np.array([0, width - 1])
    scaled = strip.to_page * np.array(scale)[:, None]
    centres = scaled @ np.array([columns + x + 0.5, rows + y + 0.5, np.ones(len(rows))])
    half = np.abs(scaled[:, :2]).sum(axis=1) / 2  # of a pixel of the strip
    low = np.floor(centres.min(axis=1) - half + ROUNDING).astype(int).clip(0)
    high = np.minimum(np.ceil(centres.max(axis=1) + half - ROUNDING).astype(int), (shape[1], shape[0]))
    return int(low[0]), int(low[1]), int(max(1, high[0] - low[0])), int(max(1, high[1] - low[1]))

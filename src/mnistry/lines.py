"""Lines that were cut, read: each by itself, without its signs, and numbers apart from words beside them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from mnistry.brackets import find_list_brackets
from mnistry.cutting import join
from mnistry.decoding import Path, Predict, find_paths
from mnistry.imaging import Box
from mnistry.judging import SeeLine, choose, is_one_mark
from mnistry.patterns import find_matches
from mnistry.pictures import Gray
from mnistry.readings import DIGIT_NAMES
from mnistry.segments import CutLine, Segment
from mnistry.signs import find_apart, find_compared, find_signs, leave_out
from mnistry.straightening import MARGIN_PX, STRIP_PX
from mnistry.words import list_numbers

LARGE = 0.6  # of the highest mark's height has a digit of its number, and a sign less
WAYS = 16  # to read a line, between which what sees it uncut decides too


@dataclass(frozen=True)
class Options:
    """How to read a page.

    Attributes:
        predict: images -> probabilities (see `decoding`).
        invert: True for light ink on dark paper, False for dark on light, None to find out.
        threshold: confidence, 0..1, from which a digit is accepted.
        class_names: what to call the classes.
        pattern: what the digits of every line are known to match: the most probable reading that does is
            accepted whatever its confidence, unless it is far less probable than the free one, or the line
            seems to be words beside one that fits; where none does, nothing is. `Line.free_text` then has
            what would have been read without it.
        see_line: the ink of a line, or of all that may be one broken digit -> what the networks say that see
            it uncut (see `judging.SeeLine`); None without them.
    """

    predict: Predict
    invert: bool | None = None
    threshold: float = 0.0
    class_names: Sequence[str] = DIGIT_NAMES
    pattern: re.Pattern[str] | None = None
    see_line: SeeLine | None = None

    def fits(self, labels: Sequence[int]) -> bool:
        """Return whether these labels match the pattern, if there is one."""
        text = "".join(self.class_names[label] for label in labels)
        return self.pattern is None or self.pattern.fullmatch(text) is not None


def find_lines(
    lines: Sequence[CutLine], inks: Sequence[Gray], options: Options
) -> tuple[list[Path], list[Path | None]]:
    """Return the best way to read each line of a page, and the best that fits the pattern, if there is one.

    Which pieces their segments are of is not said: a line may have been cut again, or read in parts.

    Args:
        lines: cut.
        inks: of their strips, (128, any) uint8.
        options: how to read them.
    """
    ways = [_find_path(line, ink, options) for line, ink in zip(lines, inks, strict=True)]
    listed = find_list_brackets([path for path, _ in ways], [line for _, line in ways])
    paths: list[Path] = []
    matches: list[Path | None] = []
    for index, (path, line) in enumerate(ways):
        ink, whole = inks[index], (lines[index], inks[index])
        apart = [*find_apart(path, line), *listed.get(index, [])]
        signs = [*apart, *find_compared(path, line, ink, apart)]
        if signs:
            whole = leave_out(signs, line, ink)
            path, _ = _find_path(*whole, options)
        matches.append(_find_match(*whole, options))
        paths.append(_read_apart(path, *leave_out(apart, line, ink), options))
    return paths, matches


def _read_apart(path: Path, line: CutLine, ink: Gray, options: Options) -> Path:
    """Return a path on which the numbers beside words are read as if these were not there.

    Args:
        path: the best one through all of the line without its signs.
        line: without the signs that are told by what they are, and not by how other marks stand.
        ink: of its strip.
        options: how to read it.
    """
    segments = list(path.segments)
    for first, last in list_numbers(path)[::-1]:
        boxes = [segment.box for segment in segments[first : last + 1]]
        left, right = min(box[0] for box in boxes), max(box[0] + box[2] for box in boxes)
        part = line.take(left, right)
        if part.pieces:
            heights = np.array([box[3] for box in boxes])
            high = float(np.median(heights[heights >= LARGE * heights.max()]))
            segments[first : last + 1] = _read_number(part, STRIP_PX / high, options)
    return path._replace(segments=tuple(segments))


def _read_number(part: CutLine, size: float, options: Options) -> Sequence[Segment]:
    """Return the segments of the best way to read a part of a line, without its signs.

    It is read where it is so many times as large and its digits as high as in a line of its own: beside low
    letters they are higher, and the networks that see lines hardly know them so.
    """
    top = min(piece.box[1] for piece in part.pieces)
    down_px = MARGIN_PX - round(size * top)
    part = part.resize(size, down_px)
    ink, (x, y, width, height) = join(part.pieces)
    shown = np.zeros((max(STRIP_PX + 2 * MARGIN_PX, y + height), x + width + MARGIN_PX), np.uint8)
    shown[y : y + height, x : x + width] = ink
    path, part = _find_path(part, shown, options)
    signs = find_signs(path, part, shown)
    if signs:
        path, _ = _find_path(*leave_out(signs, part, shown), options)
    return [replace(segment, box=_resize_box(segment.box, size, down_px)) for segment in path.segments]


def _resize_box(box: Box, size: float, down_px: int) -> Box:
    """Return a box in a strip that is so many times as large and moved down, as it is in the strip."""
    x, y, width, height = box
    return (
        round(x / size),
        round((y - down_px) / size),
        max(1, round(width / size)),
        max(1, round(height / size)),
    )


def _find_path(line: CutLine, ink: Gray, options: Options) -> tuple[Path, CutLine]:
    """Return the best way to read a line of this ink, whatever its digits match, and how it was cut."""
    paths = find_paths(line)
    if options.see_line and not is_one_mark(paths[0]):
        paths = find_paths(line, WAYS)
    return choose(paths, line, ink, options.predict, options.see_line, lambda labels: True)


def _find_match(line: CutLine, ink: Gray, options: Options) -> Path | None:
    """Return the best way to read a line of this ink as the pattern has it; None where there is none."""
    if options.pattern is None:
        return None
    ways = find_matches(line, options.pattern, options.class_names, WAYS)
    if not ways:
        return None
    return choose(ways, line, ink, options.predict, options.see_line, options.fits)[0]

"""What is printed to write on: rules, boxes, tables and underlines are taken away, strokes across them stay.

`ink` is (height, width) uint8, bright on 0. Nothing here knows what a digit is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mnistry.pictures import Gray, shrink
from mnistry.pixels import find_connected

RULE_LEVEL = 40  # of ink
RULE_COPY_PX = 400  # longest side of the copy on which rules are found
SLOPE_STEP = 0.005  # rows a column
RULE_SLOPES = np.arange(-40, 41) * SLOPE_STEP
RULE_THICKNESS = 0.05  # of the picture's side, at most
RULE_COVER = 0.8  # of its way from border to border a rule is ink,
COARSE_COVER = 0.7  # and on a small copy, as its slope lies between two that are tried
LEAST_LEFT = 0.15  # of the ink, after rules were taken away
LEAST_RULED_PX = 240  # height of a page with a margin: what is less high is cut out of one, as from a cheque
RULED = 3  # level lines: then an upright one is the margin's, and may end before the border
MANY_RULES = 6  # from border to border nobody writes

RULE_END = 1 / 30  # of the picture's side: a rule ends there
FRAME_END = 1 / 8  # of a box's side: the lines of one that is turned end there
MARK_LEVEL = 96  # of the ink, from which neighbouring pixels are connected
LEAST_FRAME_PX = 24  # height of a box that digits stand in
BAND = 0.2  # of a box's height and width, along its sides: there its outline lies
OUTLINED = 0.85  # of each side has ink in that band
CONTENT_HEIGHT = 0.35  # of a box's: so high is a mark, if anything is written in it
ROW_HEIGHT, ROW_MARKS = 0.04, 3  # or so many marks so high, of a table, or of several rows in a box
LEAST_CONTENT = 0.03  # of underlined writing's area is ink that is not the line
MOST_FRAMES = 1000  # marks of that size on a page, and
MOST_FRAMED = 4  # times the page's area, their boxes together
LIKE = 1.4  # times as high, at most, an empty box is as one that something is written in
UNDERLINED = 2.5  # widths per height, from which a mark on a level line is underlined writing


class Rule(NamedTuple):
    """A line in a picture that was sheared by `slope` rows a column: from row `top` to before `bottom`."""

    slope: float
    top: int
    bottom: int


def remove_rules(ink: Gray, least_left: float = LEAST_LEFT) -> Gray:
    """Return the ink without printed lines that go from border to border, level or upright.

    Strokes that cross a line stay whole: where the ink goes on across the line, the line stays too. A single
    upright line may be a 1 as high as the picture, and stays, but on ruled paper. Where less than a portion
    `least_left` of the ink would be left, the lines are the writing, and all stays.
    """
    level = _find_rules(ink)
    ruled = len(level) >= RULED and len(ink) >= LEAST_RULED_PX
    upright = _find_rules(np.ascontiguousarray(ink.T), FRAME_END if ruled else RULE_END)
    result = _erase(ink, level, upright if ruled or len(upright) >= 2 else [])
    return result if result.sum(dtype=np.int64) >= least_left * ink.sum(dtype=np.int64) else ink


def measure_pitch(ink: Gray) -> float:
    """Return how far apart printed lines are, in pixels: level ones, or squares; 0 where there are none.

    They are printed where many go from border to border. Upright ones alone may be 1s as high as the picture.
    """
    level, upright = (_list_parallel(_find_rules(side)) for side in (ink, np.ascontiguousarray(ink.T)))
    if len(level) < MANY_RULES and min(len(level), len(upright)) < MANY_RULES // 2:
        return 0.0
    return float(np.median(np.diff(level)))


def _list_parallel(rules: Sequence[Rule]) -> list[float]:
    """Return the middle rows, in order, of the lines that have the slope of most."""
    if not rules:
        return []
    ((slope, _),) = Counter(rule.slope for rule in rules).most_common(1)
    return sorted((rule.top + rule.bottom) / 2 for rule in rules if rule.slope == slope)


def remove_frames(ink: Gray) -> Gray:
    """Return the ink without boxes and tables around the writing, and without lines that it stands on.

    A box is taken away where something is written in it, and empty ones like it with it: alone, a rectangle
    may be a 0.
    """
    labels, stats = find_connected(ink >= MARK_LEVEL)
    full: list[tuple[tuple[slice, slice], Gray]] = []
    empty: list[tuple[tuple[slice, slice], Gray]] = []
    large = np.flatnonzero(stats[:, 2:4].min(axis=1) >= LEAST_FRAME_PX / 4)
    large = large[large > 0]
    if len(large) > MOST_FRAMES or stats[large, 2:4].prod(axis=1).sum() > MOST_FRAMED * ink.size:
        return ink  # that is no form, and would take long
    for label in large.tolist():
        x, y, width, height, _ = stats[label].tolist()
        inside = (slice(y, y + height), slice(x, x + width))
        mark = labels[inside] == label
        sides = _find_sides(mark)
        if min(width, height) >= LEAST_FRAME_PX and all(sides):
            lines = _find_lines(np.where(mark, ink[inside], np.uint8(0)), 2, 2)
            if lines is None:
                continue
            down, across = height // 10, width // 10
            written = (ink[inside] >= MARK_LEVEL) & (lines == 0)
            written = written[down : height - down, across : width - across]
            (full if _is_written(written) else empty).append((inside, lines))
        elif width >= UNDERLINED * height and (sides[0] or sides[1]):
            lines = _find_lines(np.where(mark, ink[inside], np.uint8(0)), 1, 0)
            if lines is not None and (mark & (lines == 0)).mean() >= LEAST_CONTENT:
                full.append((inside, lines))
    if not full:
        return ink
    heights = [inside[0].stop - inside[0].start for inside, _ in full]
    result = ink.copy()
    for inside, lines in full + empty:
        height = inside[0].stop - inside[0].start
        if any(max(height, other) <= LIKE * min(height, other) for other in heights):
            result[inside][lines > 0] = 0
    return result


def _is_written(field: NDArray[np.bool_]) -> bool:
    """Return whether what is inside a box has a mark as high as a digit would be, or several smaller ones."""
    _, stats = find_connected(field)
    heights = stats[1:, 3]
    rows = heights >= max(LEAST_FRAME_PX / 4, ROW_HEIGHT * len(field))
    return bool((heights >= CONTENT_HEIGHT * len(field)).any() or np.count_nonzero(rows) >= ROW_MARKS)


def _find_sides(mark: NDArray[np.bool_]) -> tuple[bool, bool, bool, bool]:
    """Return whether a mark has ink along all of its upper, lower, left and right side."""
    rows, columns = (max(1, round(BAND * side)) for side in mark.shape)
    bands = (mark[:rows].any(0), mark[-rows:].any(0), mark[:, :columns].any(1), mark[:, -columns:].any(1))
    upper, lower, left, right = (bool(band.mean() >= OUTLINED) for band in bands)
    return upper, lower, left, right


def _find_lines(mark: Gray, level: int, upright: int) -> Gray | None:
    """Return where a mark has lines from side to side, 1 or 0; None unless so many level and upright ones."""
    slopes = [rule.slope for rule in _find_rules(mark, FRAME_END)]
    if len(slopes) < level:
        return None
    # A box that is turned is made level first: its upright lines do not reach from row to row else.
    slope = float(np.median(slopes))
    margin = int(abs(slope) * mark.shape[1] / 2) + 1
    straight = _shear(np.pad(mark, ((margin, margin), (0, 0))), slope)
    inked = np.flatnonzero(straight.max(axis=1) >= MARK_LEVEL)
    rows = slice(int(inked[0]), int(inked[-1]) + 1)
    box = straight[rows]
    level_rules = _find_rules(box, FRAME_END)
    upright_rules = _find_rules(np.ascontiguousarray(box.T), FRAME_END) if upright else []
    if len(level_rules) < level or len(upright_rules) < upright:
        return None
    taken = np.zeros_like(straight)
    taken[rows] = (box > 0) & (_erase(box, level_rules, upright_rules) == 0)
    return _shear(taken, -slope)[margin : len(taken) - margin]


def _find_rules(ink: Gray, end_portion: float = RULE_END) -> list[Rule]:
    """Return the lines that are nearly parallel to the rows and go on from border to border.

    They begin and end within `end_portion` of the width from the borders.
    """
    small = (shrink(ink, RULE_COPY_PX) >= RULE_LEVEL // 2).astype(np.uint8)
    end = max(2, round(ink.shape[1] * end_portion))
    found = []
    for coarse in _find_rule_slopes(small):
        slope, mask = _refine(ink, coarse)
        for top, bottom in _list_runs(mask.mean(axis=1) >= RULE_COVER):
            rule = mask[top:bottom]
            thin = bottom - top <= RULE_THICKNESS * ink.shape[1]
            if thin and rule[:, :end].any() and rule[:, -end:].any():
                found.append(Rule(slope, top, bottom))
    return found


def _refine(ink: Gray, coarse: float) -> tuple[float, NDArray[np.bool_]]:
    """Return the slope near a coarse one at which lines stay in their rows, and the mask of the sheared ink.

    From one slope to the next the ends of a line move by about a pixel: a thin line must stay in its rows.
    """
    steps = max(1, round(SLOPE_STEP / 2 * ink.shape[1] / 2))
    best = (-1.0, coarse, np.zeros(ink.shape, np.bool_))
    for step in sorted(range(-steps, steps + 1), key=abs):  # of equals, the nearest
        slope = coarse + step / steps * SLOPE_STEP / 2
        mask = _shear(ink, slope) >= RULE_LEVEL
        covers = mask.mean(axis=1)
        score = float((covers[covers >= RULE_COVER] ** 2).sum())  # squares: the most where lines stay in rows
        best = max(best, (score, slope, mask), key=lambda found: found[0])
    return best[1:]


def _erase(ink: Gray, level: Sequence[Rule], upright: Sequence[Rule]) -> Gray:
    """Return the ink without these lines, level ones and, of its transpose, upright ones."""
    # Where two lines cross, each goes on across the other; the dot that stays is taken the second time, when
    # only what goes on further is a stroke.
    for reach in (1, 2) if level and upright else (1,):
        taken = _cover(ink, level, reach) | _cover(np.ascontiguousarray(ink.T), upright, reach).T
        ink = np.where(taken > 0, 0, ink).astype(np.uint8)
    return ink


def _cover(ink: Gray, rules: Sequence[Rule], reach: int) -> Gray:
    """Return where the lines run, 1 or 0, but for the places where strokes cross them.

    A stroke goes on above or below a line by `reach` times a little more than half the line's width.
    """
    import cv2

    taken = np.zeros_like(ink)
    for slope in sorted({rule.slope for rule in rules}):
        mask = (_shear(ink, slope) >= RULE_LEVEL).astype(np.uint8)
        found = np.zeros_like(ink)
        for _, top, bottom in (rule for rule in rules if rule.slope == slope):
            # How far the ink goes on above and below the rule in every column.
            margin = reach * round((bottom - top) / 2 + 1)
            first, last = max(0, top - margin), min(len(mask), bottom + margin)
            above = mask[first:top][::-1].cumprod(axis=0).sum(axis=0)
            below = mask[bottom:last].cumprod(axis=0).sum(axis=0)
            alone = ((above < margin) & (below < margin)).astype(np.uint8)[None]
            found[first:last] |= np.asarray(cv2.erode(alone, np.ones((1, 3), np.uint8)), np.uint8)
        taken |= _shear(found, -slope)
    return taken


def _find_rule_slopes(small: Gray) -> list[float]:
    """Return the slopes, rows a column, at which some row of a small mask may be a rule."""
    if (small.max(axis=0) > 0).mean() < RULE_COVER:
        return []  # no row can be, however it is sheared
    covers = [float(_shear(small, slope).mean(axis=1).max()) for slope in RULE_SLOPES]
    return [
        float(slope)
        for index, slope in enumerate(RULE_SLOPES)
        if covers[index] >= COARSE_COVER and covers[index] == max(covers[max(0, index - 3) : index + 4])
    ]


def _shear(ink: Gray, slope: float) -> Gray:
    """Return the picture with what falls by `slope` rows a column made level; its middle column stays."""
    import cv2

    matrix = np.array([[1, 0, 0], [-slope, 1, slope * ink.shape[1] / 2]])
    return np.asarray(cv2.warpAffine(ink, matrix, ink.shape[::-1], flags=cv2.INTER_NEAREST))


def _list_runs(flags: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return (start, stop) of every run of True."""
    steps = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return [(int(start), int(stop)) for start, stop in steps.reshape(-1, 2)]

"""Lines printed to write on, from border to border: they are taken away, strokes across them stay.

`ink` is (height, width) uint8, bright on 0. Nothing here knows what a digit is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mnistry.pictures import Gray, shrink

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
    level = find_rules(ink)
    ruled = len(level) >= RULED and len(ink) >= LEAST_RULED_PX
    upright = find_rules(np.ascontiguousarray(ink.T), FRAME_END if ruled else RULE_END)
    result = erase(ink, level, upright if ruled or _lie_apart(upright) else [])
    return result if result.sum(dtype=np.int64) >= least_left * ink.sum(dtype=np.int64) else ink


def _lie_apart(rules: Sequence[Rule]) -> bool:
    """Return whether the lines are several: a bowed stroke is found at two slopes, in one place."""
    return any(
        abs(one.top + one.bottom - other.top - other.bottom) > one.bottom - one.top + other.bottom - other.top
        for one, other in pairwise(sorted(rules, key=lambda rule: rule.top + rule.bottom))
    )


def measure_pitch(ink: Gray) -> float:
    """Return how far apart printed lines are, in pixels: level ones, or squares; 0 where there are none.

    They are printed where many go from border to border. Upright ones alone may be 1s as high as the picture.
    """
    level, upright = (_list_parallel(find_rules(side)) for side in (ink, np.ascontiguousarray(ink.T)))
    if len(level) < MANY_RULES and min(len(level), len(upright)) < MANY_RULES // 2:
        return 0.0
    return float(np.median(np.diff(level)))


def _list_parallel(rules: Sequence[Rule]) -> list[float]:
    """Return the middle rows, in order, of the lines that have the slope of most."""
    if not rules:
        return []
    ((slope, _),) = Counter(rule.slope for rule in rules).most_common(1)
    return sorted((rule.top + rule.bottom) / 2 for rule in rules if rule.slope == slope)


def find_rules(ink: Gray, end_portion: float = RULE_END) -> list[Rule]:
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
        mask = shear(ink, slope) >= RULE_LEVEL
        covers = mask.mean(axis=1)
        score = float((covers[covers >= RULE_COVER] ** 2).sum())  # squares: the most where lines stay in rows
        best = max(best, (score, slope, mask), key=lambda found: found[0])
    return best[1:]


def measure_rule(ink: Gray, rule: Rule) -> float:
    """Return the thickness of the ink along a line, in pixels: the median, as strokes cross it."""
    mask = shear(ink, rule.slope) >= RULE_LEVEL
    inside = mask[rule.top : rule.bottom].sum(axis=0)
    above = mask[: rule.top][::-1].cumprod(axis=0).sum(axis=0)
    below = mask[rule.bottom :].cumprod(axis=0).sum(axis=0)
    return float(np.median((inside + above + below)[inside > 0]))


def erase(ink: Gray, level: Sequence[Rule], upright: Sequence[Rule]) -> Gray:
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
        mask = (shear(ink, slope) >= RULE_LEVEL).astype(np.uint8)
        found = np.zeros_like(ink)
        for _, top, bottom in (rule for rule in rules if rule.slope == slope):
            # How far the ink goes on above and below the rule in every column.
            margin = reach * round((bottom - top) / 2 + 1)
            first, last = max(0, top - margin), min(len(mask), bottom + margin)
            above = mask[first:top][::-1].cumprod(axis=0).sum(axis=0)
            below = mask[bottom:last].cumprod(axis=0).sum(axis=0)
            alone = ((above < margin) & (below < margin)).astype(np.uint8)[None]
            found[first:last] |= np.asarray(cv2.erode(alone, np.ones((1, 3), np.uint8)), np.uint8)
        taken |= shear(found, -slope)
    return taken


def _find_rule_slopes(small: Gray) -> list[float]:
    """Return the slopes, rows a column, at which some row of a small mask may be a rule."""
    if (small.max(axis=0) > 0).mean() < RULE_COVER:
        return []  # no row can be, however it is sheared
    covers = [float(shear(small, slope).mean(axis=1).max()) for slope in RULE_SLOPES]
    return [
        float(slope)
        for index, slope in enumerate(RULE_SLOPES)
        if covers[index] >= COARSE_COVER and covers[index] == max(covers[max(0, index - 3) : index + 4])
    ]


def shear(ink: Gray, slope: float) -> Gray:
    """Return the picture with what falls by `slope` rows a column made level; its middle column stays."""
    import cv2

    matrix = np.array([[1, 0, 0], [-slope, 1, slope * ink.shape[1] / 2]])
    return np.asarray(cv2.warpAffine(ink, matrix, ink.shape[::-1], flags=cv2.INTER_NEAREST))


def _list_runs(flags: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return (start, stop) of every run of True."""
    steps = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return [(int(start), int(stop)) for start, stop in steps.reshape(-1, 2)]

"""The lines that boxes and tables are made of, and lines that writing stands on, in a mark that has some.

    find_sides     on which sides a mark has ink all along
    find_lines     straight lines from side to side
    find_crossed   the thin lines of a box that digits touch or cross

`mark` is (height, width), bool or bright on 0. Nothing here knows what a digit is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from mnistry.pictures import Gray
from mnistry.pixels import find_connected, quantile
from mnistry.rules import FRAME_END, MARK_LEVEL, RULE_THICKNESS, Rule, erase, find_rules, measure_rule, shear

LEAST_FRAME_PX = 24  # height of a box that digits stand in
CONTENT_HEIGHT = 0.35  # of a box's: so high is a mark, if anything is written in it
BAND = 0.2  # of a box's height and width, along its sides: there its outline lies
OUTLINED = 0.85  # of each side has ink in that band
ALL_SIDES = 2.6  # of the four together have, where digits cross a side, or it is faint in parts
STEM = 1.5  # times as thick as is usual, and a pixel or two more, are lines at most
ONE_ROW = 0.6  # of half its height from the middle, at least, are all level lines of a row of boxes
BENT = 0.005  # of its length a long line leaves its rows
MOST_LINE = 0.25  # of a box's shorter side is the thickness of its lines
MOST_LINE_PX = 40  # and of it, at most
LINE = 1.2  # times as thick, and two pixels more, is a stroke that is none of them,
LEAST_STROKE = 4  # times as long as that, where it is no crossing of two lines,
STROKE = 0.25  # and of the box's height inside it
SEEN = 0.5  # of two sides no digit covers

Place: TypeAlias = tuple[slice, slice]  # rows and columns of a picture


def find_sides(mark: NDArray[np.bool_]) -> tuple[bool, bool, bool, bool]:
    """Return whether a mark has ink along all of its upper, lower, left and right side."""
    upper, lower, left, right = (cover >= OUTLINED for cover in _cover_sides(mark))
    return upper, lower, left, right


def _cover_sides(mark: NDArray[np.bool_]) -> tuple[float, float, float, float]:
    """Return the portions of the upper, lower, left and right side along which a mark has ink."""
    bands = zip(_cut_bands(mark), (0, 0, 1, 1), strict=True)
    upper, lower, left, right = (float(band.any(axis).mean()) for band, axis in bands)
    return upper, lower, left, right


def _cut_bands(mark: NDArray[np.bool_]) -> list[NDArray[np.bool_]]:
    """Return what is along the upper, lower, left and right side of a mark."""
    rows, columns = (max(1, round(BAND * side)) for side in mark.shape)
    return [mark[:rows], mark[-rows:], mark[:, :columns], mark[:, -columns:]]


def find_lines(mark: Gray, level: int, upright: int) -> Gray | None:
    """Return where a mark has lines from side to side, 1 or 0; None unless so many level and upright ones."""
    slopes = [rule.slope for rule in find_rules(mark, FRAME_END)]
    if len(slopes) < level:
        return None
    # A box that is turned is made level first: its upright lines do not reach from row to row else.
    slope = float(np.median(slopes))
    margin = int(abs(slope) * mark.shape[1] / 2) + 1
    straight = shear(np.pad(mark, ((margin, margin), (0, 0))), slope)
    inked = np.flatnonzero(straight.max(axis=1) >= MARK_LEVEL)
    rows = slice(int(inked[0]), int(inked[-1]) + 1)
    box = straight[rows]
    level_rules = _list_lines(box)
    upright_rules = _list_lines(np.ascontiguousarray(box.T)) if upright else []
    if all(abs((rule.top + rule.bottom) / len(box) - 1) > ONE_ROW for rule in level_rules):
        upright_rules = _leave_stems(np.ascontiguousarray(box.T), upright_rules)
    if len(level_rules) < level or len(upright_rules) < upright:
        return None
    taken = np.zeros_like(straight)
    taken[rows] = (box > 0) & (erase(box, level_rules, upright_rules) == 0)
    return shear(taken, -slope)[margin : len(taken) - margin]


def _list_lines(box: Gray) -> list[Rule]:
    """Return the lines from side to side that are no row through thicker strokes, as where two 8s touch."""
    rules, length = find_rules(box, FRAME_END), box.shape[1]

    def most(rule: Rule) -> float:
        return float(STEM * max(rule.bottom - rule.top, RULE_THICKNESS * length) + 2 + BENT * length)

    return [rule for rule in rules if measure_rule(box, rule) <= most(rule)]


def _leave_stems(sideways: Gray, rules: Sequence[Rule]) -> list[Rule]:
    """Return the upright lines of a row of boxes, lying on its side, without the stems of 1s as high as it.

    These are thicker than the lines.
    """
    thicknesses = [measure_rule(sideways, rule) for rule in rules]
    most = STEM * float(np.median(thicknesses)) + 1 if rules else 0.0
    return [rule for rule, thickness in zip(rules, thicknesses, strict=True) if thickness <= most]


def find_crossed(mark: NDArray[np.bool_]) -> tuple[Place, Gray] | None:
    """Return where in a mark there is a box whose lines thicker strokes touch or cross, and these lines.

    They are 1, all else there 0. None where a mark is nothing of the kind, or nothing in it is thicker.
    """
    import cv2

    counts = [band.sum(axis) for band, axis in zip(_cut_bands(mark), (0, 0, 1, 1), strict=True)]
    size = int(LINE * min(quantile(count[count > 0], 0.25) for count in counts if count.any()) + 2)
    if size > min(MOST_LINE * min(mark.shape), MOST_LINE_PX):
        return None
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    eroded = cv2.erode(np.pad(mark.view(np.uint8), size), kernel)
    if not eroded.any():
        return None
    opened = cv2.dilate(eroded, kernel)
    around = np.ones((size // 2 * 2 + 1,) * 2, np.uint8)
    strokes, thick = (part[size:-size, size:-size] > 0 for part in (opened, cv2.dilate(opened, around)))
    labels, stats = find_connected(mark & ~thick)
    long = 1 + np.flatnonzero(stats[1:, 2:4].max(axis=1) >= LEAST_FRAME_PX / 2)
    if not len(long):
        return None
    left, top = stats[long, :2].min(axis=0).tolist()
    right, bottom = (stats[long, :2] + stats[long, 2:4]).max(axis=0).tolist()
    place = (slice(top, bottom), slice(left, right))
    thin = np.isin(labels[place], long)
    if min(thin.shape) < LEAST_FRAME_PX or sum(_cover_sides(mark[place])) < ALL_SIDES:
        return None
    rows, columns = (round(BAND * side) for side in thin.shape)
    _, stats = find_connected(strokes[place][rows:-rows, columns:-columns])
    least = max(STROKE * len(thin), LEAST_STROKE * size)
    straight = find_lines(mark[place] * np.uint8(255), 1, 1)
    if stats[1:, 3].max(initial=0) < least or straight is None:
        return None
    upper, lower, start, end = _cover_sides(thin)
    if min(max(upper, lower), max(start, end)) < SEEN:
        return None
    lines = np.asarray(cv2.dilate(thin.view(np.uint8), np.ones((3, 3), np.uint8)), np.uint8)
    lines[mark[place] & thick[place]] = 0
    # A digit that is as thin is written in a box too.
    labels, stats = find_connected(thin & (cv2.dilate(straight, np.ones((5, 5), np.uint8)) == 0))
    digits = np.flatnonzero((stats[:, 3] >= CONTENT_HEIGHT * len(thin)) & (stats[:, 2] >= 2 * size))
    lines[np.isin(labels, digits[digits > 0])] = 0
    return place, lines

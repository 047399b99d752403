"""Paper of any form on a dark desk: round corners, torn pieces, a thumb over the edge, several sheets.

`sheets` goes by straight sides; these are told by what is around them, which is far darker than they are and
next to all that the picture's border shows, without light writing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mnistry.corners import Sheet, trace
from mnistry.pictures import Gray
from mnistry.pixels import quantile
from mnistry.sheets import (
    LEAST_INK,
    MENDED_PX,
    NEARLY,
    RING_PX,
    clear,
    copy_small,
    find_dark,
    list_parts,
    measure_steps,
)

LEAST_SCRAP = 0.05  # of the picture
LEAST_STEP, USUAL_STEP = 30, 50  # gray levels by which it is brighter, nearly everywhere and in the median
BORDER_STEP, BRIGHT_BORDER = 25, 0.1  # so much darker is the picture's border, but for such a portion
FILLED = 0.9  # of its convex hull
LITTLE_INK, MOST_INK = 0.13, 0.3  # of the scrap: light writing on a dark page has wider gaps
INK_LEVEL = 0.6  # of the paper's: what is darker is ink, or a gap, however wide
SEVERAL = 4  # so many marks are writing: the counters of bold digits that touch are fewer. It also is paper
SQUARE = (
    0.88  # if it fills so much of the rectangle around it, as a digit does not, and has one mark less, or
)
HOLLOW = 0.85  # one that fills at most so much of its convex hull, as a counter does not
LEAST_MARK_PX = 5  # of the copy, longer side
MOST_SCRAPS = 6
STROKE_PX = 15  # of the copy: light strokes beside the scraps are not wider,
LIGHT = 0.8  # have at least this portion of the paper's level, and
MOST_LIGHT = 0.2  # of the pixels of the writing on it, if all that is read is on the scraps
SAME_ROW = 0.5  # of a scrap's height, from its middle to the other's


def find_scraps(gray: Gray) -> list[Sheet]:
    """Return where paper with writing lies on a dark desk, in reading order; none overlaps another.

    Each is (height, width) bool, of a copy as `sheets.find_sheet` has it.
    """
    small = copy_small(gray)
    rim = np.concatenate([small[0], small[-1], small[:, 0], small[:, -1]])
    darkest_paper = quantile(rim, 1 - BRIGHT_BORDER) + BORDER_STEP
    if min(small.shape) <= 2 * RING_PX[1] or (small > darkest_paper).mean() < LEAST_SCRAP:
        return []
    paper = clear(small)
    _, dark = find_dark(small, paper)
    scraps: list[Sheet] = []
    for part in list_parts(paper, LEAST_SCRAP / 2):
        if part.mean() < LEAST_SCRAP or any((part & other).any() for other in scraps):
            continue
        marks = _find_marks(small, dark, part)
        if _is_scrap(small, part, marks, darkest_paper):
            scraps.append(part)
    written = sum(float(_find_marks(small, dark, scrap).sum()) for scrap in scraps)
    if not scraps or len(scraps) > MOST_SCRAPS or _measure_light(small, scraps) > MOST_LIGHT * written:
        return []
    return _sort(scraps)


def _measure_light(small: Gray, scraps: list[Sheet]) -> float:
    """Return how many pixels beside the scraps have light strokes, as on a board: they are read, too."""
    import cv2

    covered = np.zeros(small.shape, np.uint8)
    for scrap in scraps:
        covered |= scrap.view(np.uint8)
    opened = cv2.morphologyEx(small, cv2.MORPH_OPEN, np.ones((STROKE_PX, STROKE_PX), np.uint8))
    # As light as the paper, or nearly: fingers are less.
    light = small > LIGHT * np.median(small[covered > 0])
    light &= small > opened + np.float32(LEAST_STEP)
    beside = cv2.dilate(covered, np.ones((MENDED_PX, MENDED_PX), np.uint8)) == 0
    return float((light & beside).sum())


def _find_marks(small: Gray, dark: NDArray[np.bool_], scrap: Sheet) -> NDArray[np.bool_]:
    """Return where is writing on a scrap, away from its outline, or a gap in it."""
    import cv2

    inside = cv2.erode(scrap.view(np.uint8), np.ones((MENDED_PX, MENDED_PX), np.uint8)) > 0
    return (dark | (small < INK_LEVEL * np.median(small[scrap]))) & inside


def _is_scrap(small: Gray, scrap: Sheet, marks: NDArray[np.bool_], darkest_paper: float) -> bool:
    """Return whether a part of the picture is paper with writing, and no bold digit with its counters."""
    import cv2

    outline = trace(scrap.view(np.uint8))
    if cv2.contourArea(outline) < FILLED * cv2.contourArea(cv2.convexHull(outline)):
        return False
    written = marks.sum() / scrap.sum()
    if np.median(small[scrap]) < darkest_paper or not LEAST_INK <= written <= MOST_INK:
        return False
    steps = measure_steps(small, scrap)
    if not len(steps) or np.percentile(steps, NEARLY) < LEAST_STEP or np.median(steps) < USUAL_STEP:
        return False
    outlines, _ = cv2.findContours(marks.view(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    large = [mark for mark in outlines if max(cv2.boundingRect(mark)[2:]) >= LEAST_MARK_PX]
    hollow = any(cv2.contourArea(mark) < HOLLOW * cv2.contourArea(cv2.convexHull(mark)) for mark in large)
    square = cv2.contourArea(outline) >= SQUARE * np.prod(cv2.minAreaRect(outline)[1])
    # More ink than a bold digit's counters have needs more marks, or paper that surely is no digit.
    several = len(large) >= (SEVERAL if written <= LITTLE_INK else 2 * SEVERAL)
    return several or bool(square and (hollow or len(large) >= SEVERAL - 1))


def _sort(scraps: list[Sheet]) -> list[Sheet]:
    """Return scraps from top to bottom, and those beside each other from left to right."""
    places = []
    for scrap in scraps:
        rows, columns = np.nonzero(scrap)
        places.append((float(rows.mean()), float(columns.mean()), int(np.ptp(rows)) + 1, scrap))
    places.sort(key=lambda place: place[0])
    ordered: list[Sheet] = []
    while places:
        middle, _, height, _ = places[0]
        row = [place for place in places if place[0] - middle <= SAME_ROW * height]
        ordered += [scrap for *_, scrap in sorted(row, key=lambda place: place[1])]
        places = places[len(row) :]
    return ordered

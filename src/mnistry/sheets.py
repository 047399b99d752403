"""A sheet of paper that lies on something else: where it is, and what it looks like from straight above.

A sheet is the one large, bright part of a picture with straight edges. If all of its four corners are in
the picture, it is cut out; if not, what it lies on is covered with paper. Where there is none that is
certain, the picture is taken as it is.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnistry.imaging import measure_stroke
from mnistry.pictures import Gray, shrink
from mnistry.pixels import find_connected

Corners = NDArray[np.float64]

COPY_PX = 320  # longest side of the copy on which the sheet is found
LEAST_STEP = 45  # gray levels between the sheet and what it lies on, both in the mean
MOST_SPREAD = 0.5  # of that step: the standard deviation on either side
INSIDE = 0.01  # of the longest side, at least, the corners lie within the picture: a shadow has none there
LEAST_AREA, MOST_AREA = 0.25, 0.96  # of the picture
FILLED = 0.96  # of the four corners' area the sheet fills, writing and all
CLOSING = 1 / 12  # of the copy's longest side: strokes up to this wide do not divide a sheet
CORNER_TOLERANCE = 0.03  # of the outline's length
LEAST_ANGLE_DEG = 50.0
INSET = 0.012  # of the sheet's sides: its edge and its shadow are left out
LEAST_SHEET, LEAST_DESK = 0.3, 0.01  # of the picture, of a sheet that is not in it as a whole and around it
LEAST_INK, INK_STEP = 0.001, 12  # of the sheet is darker by so many levels than the paper around
CONVEX = 0.985  # of its convex hull it fills
DESK_SPREAD = 0.25  # of the step between sheet and desk: the standard deviation of the desk
DESK_STROKES = 2.0  # widths of the strokes on the sheet that it reaches into the picture, at least
EDGE_PX = 5  # of the copy, over which at least half of that step is gone: a shadow's edge is softer
RIM_PX = 3  # of the copy, that are covered along the sheet's edge


def find_sheet(gray: Gray) -> Corners | None:
    """Return the corners of the sheet in a picture, (4, 2) float64: x and y, clockwise from the upper left.

    None where the picture shows no sheet as a whole, or shows nothing else.
    """
    import cv2

    small, bright, closed = _find_bright(gray)
    if bright[[0, 0, -1, -1], [0, -1, 0, -1]].all() or bright.mean() < LEAST_AREA / 2:
        return None
    outlines, _ = cv2.findContours(closed, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    outline = max(outlines, key=cv2.contourArea)
    portion = cv2.contourArea(outline) / small.size
    if not LEAST_AREA < portion < MOST_AREA:
        return None
    corners = _find_corners(outline)
    rim = INSIDE * max(small.shape)
    last = np.array(small.shape[::-1]) - 1 - rim
    if corners is None or (corners < rim).any() or (corners > last).any():
        return None
    if cv2.contourArea(outline) < FILLED * cv2.contourArea(corners.astype(np.float32)):
        return None
    inside = np.zeros(small.shape, np.uint8)
    cv2.fillPoly(inside, [np.rint(corners).astype(np.int32)], 1)
    sheet, around = small[inside == 1].astype(np.float64), small[inside == 0].astype(np.float64)
    step = float(np.median(sheet)) - float(np.median(around)) if around.size else 0.0
    if step < LEAST_STEP or around.std() > MOST_SPREAD * step:
        return None
    scale = np.array([gray.shape[1] / small.shape[1], gray.shape[0] / small.shape[0]])
    return np.asarray((corners + 0.5) * scale - 0.5, np.float64)


def _find_bright(gray: Gray) -> tuple[Gray, NDArray[np.bool_], Gray]:
    """Return a small copy of a picture, what is bright on it, and that with the writing on it, 0 and 1."""
    import cv2

    small = np.asarray(cv2.GaussianBlur(shrink(gray, COPY_PX), (0, 0), 1.5), np.uint8)
    level, _ = cv2.threshold(small, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    bright = small > level
    window = max(3, round(CLOSING * max(small.shape)) | 1)
    # The border is no paper: else a sheet that ends before it would grow onto it.
    wide = np.pad(bright.view(np.uint8), window)
    closed = cv2.morphologyEx(wide, cv2.MORPH_CLOSE, np.ones((window, window), np.uint8))
    return small, bright, np.ascontiguousarray(closed[window:-window, window:-window], np.uint8)


def cover_desk(gray: Gray) -> Gray:
    """Return a picture with what a bright sheet lies on covered, as if the paper went on there.

    For sheets of which a part is outside the picture. Where nothing is certain, the picture is returned as it
    is.
    """
    import cv2

    small, bright, closed = _find_bright(gray)
    numbers, stats = find_connected(closed)
    if len(stats) == 1:
        return gray
    sheet = numbers == 1 + int(np.argmax(stats[1:, 4]))
    desk = _find_desk(sheet)
    if sheet.mean() < LEAST_SHEET or desk.mean() < LEAST_DESK:
        return gray
    outlines, _ = cv2.findContours((~desk).view(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    outline = max(outlines, key=cv2.contourArea)
    if cv2.contourArea(outline) < CONVEX * cv2.contourArea(cv2.convexHull(outline)):
        return gray
    paper = bright & ~desk
    step = float(np.median(small[paper])) - float(np.median(small[desk]))
    if step < LEAST_STEP or small[desk].std() > DESK_SPREAD * step:
        return gray
    change = cv2.morphologyEx(small, cv2.MORPH_GRADIENT, np.ones((EDGE_PX, EDGE_PX), np.uint8))
    edge = cv2.dilate(desk.view(np.uint8), np.ones((3, 3), np.uint8)).view(np.bool_) & ~desk
    inside = cv2.erode((~desk).view(np.uint8), np.ones((9, 9), np.uint8)).view(np.bool_)
    ink = cv2.morphologyEx(small, cv2.MORPH_BLACKHAT, np.ones((15, 15), np.uint8)) > INK_STEP
    if not inside.any() or np.median(change[edge]) < step / 2 or ink[inside].mean() < LEAST_INK:
        return gray
    reach_px = float(cv2.distanceTransform(desk.view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5).max())
    dark = inside & (small < float(np.median(small[paper])) - step / 2)
    if dark.any() and reach_px < DESK_STROKES * measure_stroke(dark * np.uint8(255)):
        return gray  # it may be a digit at the border
    return _fill(gray, small, desk, np.asarray(cv2.erode(paper.view(np.uint8), np.ones((5, 5))), np.uint8))


def _find_desk(sheet: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return what lies around a sheet: all outside of it that hangs together with the border."""
    numbers, _ = find_connected(~sheet)
    rim = np.unique(np.concatenate([numbers[0], numbers[-1], numbers[:, 0], numbers[:, -1]]))
    return np.asarray(np.isin(numbers, rim[rim > 0]), np.bool_)


def _fill(gray: Gray, small: Gray, desk: NDArray[np.bool_], paper: Gray) -> Gray:
    """Return the picture with the level of the nearest paper on the desk; all but `gray` is of the copy."""
    import cv2

    if not paper.any():
        return gray
    _, nearest = cv2.distanceTransformWithLabels(
        1 - paper, cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    levels = np.zeros(int(nearest.max()) + 1, np.uint8)
    levels[nearest[paper > 0]] = small[paper > 0]
    size = gray.shape[::-1]
    covered = cv2.dilate(desk.view(np.uint8), np.ones((2 * RIM_PX + 1, 2 * RIM_PX + 1), np.uint8))
    mask = cv2.resize(covered, size, interpolation=cv2.INTER_NEAREST) > 0
    # Smooth, for else the paper would have stripes.
    filled = cv2.GaussianBlur(np.where(covered > 0, levels[nearest], small), (0, 0), 4)
    return np.asarray(
        np.where(mask, cv2.resize(filled, size, interpolation=cv2.INTER_LINEAR), gray), np.uint8
    )


def _find_corners(outline: NDArray[Any]) -> Corners | None:
    """Return four corners that an outline has, clockwise from the upper left; None where it has not four."""
    import cv2

    hull = cv2.convexHull(outline)
    tolerance = CORNER_TOLERANCE * cv2.arcLength(hull, True)
    found = cv2.approxPolyDP(hull, tolerance, True)[:, 0].astype(np.float64)
    if len(found) != 4:
        return None
    sides = np.roll(found, -1, axis=0) - found
    lengths = np.hypot(*sides.T)
    before = np.roll(sides, 1, axis=0)
    cosines = np.abs((sides * before).sum(axis=1)) / (lengths * np.roll(lengths, 1))
    if cosines.max() > np.cos(np.radians(LEAST_ANGLE_DEG)):
        return None
    if sides[0, 0] * sides[1, 1] - sides[0, 1] * sides[1, 0] < 0:  # counter-clockwise, as y points down
        found = found[::-1]
    return np.roll(found, -int(np.argmin(found.sum(axis=1))), axis=0)


def flatten_sheet(gray: Gray, corners: Corners) -> tuple[Gray, NDArray[np.float64]]:
    """Return the sheet alone from straight above, and the (3, 3) homography from it to the picture."""
    import cv2

    across = max(np.hypot(*(corners[1] - corners[0])), np.hypot(*(corners[2] - corners[3])))
    down = max(np.hypot(*(corners[3] - corners[0])), np.hypot(*(corners[2] - corners[1])))
    width, height = max(2, round(across)), max(2, round(down))
    left, top = INSET * width, INSET * height
    target = np.array(
        [(-left, -top), (width + left, -top), (width + left, height + top), (-left, height + top)], np.float32
    )
    to_picture = cv2.getPerspectiveTransform(target, corners.astype(np.float32))
    flat = cv2.warpPerspective(
        gray,
        to_picture,
        (width, height),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(flat, np.uint8), np.asarray(to_picture, np.float64)

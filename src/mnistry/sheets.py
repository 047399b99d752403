"""A sheet of paper that lies on something else: where it is, and what it looks like from straight above.

A sheet is the one large, bright, four-cornered part of a picture. Where there is none that is certain, the
picture is taken as it is.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnistry.pictures import Gray, shrink

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


def find_sheet(gray: Gray) -> Corners | None:
    """Return the corners of the sheet in a picture, (4, 2) float64: x and y, clockwise from the upper left.

    None where the picture shows no sheet as a whole, or shows nothing else.
    """
    import cv2

    small = cv2.GaussianBlur(shrink(gray, COPY_PX), (0, 0), 1.5)
    level, _ = cv2.threshold(small, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    bright = small > level
    if bright[[0, 0, -1, -1], [0, -1, 0, -1]].all() or bright.mean() < LEAST_AREA / 2:
        return None
    window = max(3, round(CLOSING * max(small.shape)) | 1)
    # The border is no paper: else a sheet that ends before it would grow onto it.
    wide = np.pad(bright.view(np.uint8), window)
    closed = cv2.morphologyEx(wide, cv2.MORPH_CLOSE, np.ones((window, window), np.uint8))
    outlines, _ = cv2.findContours(
        closed[window:-window, window:-window], cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
    )
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

"""The corners of a sheet of paper in a picture, and what it looks like from straight above.

find_corners      the sheet -> its four corners, if the picture has them all
complete_corners  where it reaches out of the picture: about where they would be
flatten_sheet     the sheet alone, as seen from straight above
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mnistry.pictures import Gray

Corners: TypeAlias = NDArray[np.float64]
Side: TypeAlias = tuple[NDArray[np.float64], NDArray[np.float64]]  # a point of it, and its unit vector
Sheet: TypeAlias = NDArray[np.bool_]  # of a copy whose longest side has sheets.COPY_PX at most

LEAST_FLAT = 0.08  # of the picture has a sheet with four corners
INSIDE = 0.01  # of the longest side, at least, the corners lie within the picture
CORNER_TOLERANCE = 0.03  # of the outline's length
LEAST_ANGLE_DEG = 50.0
OUTWARD = np.array([[0, -1], [1, 0], [0, 1], [-1, 0]])  # from the upper, right, lower and left side
SIDE_TOLERANCE = 0.015  # of the outline's length
LEAST_SIDE = 0.1  # of the picture's longest side is what counts as a side,
LEAST_SIDES = 2  # of which there must be so many: a single one may be a shadow's
MOST_COMPLETED = 1.5  # times the area that the picture shows
INSET = 0.012  # of the sheet's sides: its edge and its shadow are left out


def trace(part: Gray) -> NDArray[Any]:
    """Return the outline around the largest part that is 1 in a picture."""
    import cv2

    outlines, _ = cv2.findContours(part, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return np.asarray(max(outlines, key=cv2.contourArea))


def find_corners(sheet: Sheet, shape: tuple[int, ...]) -> Corners | None:
    """Return the corners of a sheet in a picture of this shape, (4, 2): x and y, clockwise from upper left.

    None where the picture does not have all four, or the sheet is none with four corners.
    """
    corners = _simplify(trace(sheet.view(np.uint8)))
    rim = INSIDE * max(sheet.shape)
    last = np.array(sheet.shape[::-1]) - 1 - rim
    if corners is None or (corners < rim).any() or (corners > last).any() or sheet.mean() < LEAST_FLAT:
        return None
    scale = np.array([shape[1] / sheet.shape[1], shape[0] / sheet.shape[0]])
    return np.asarray((corners + 0.5) * scale - 0.5, np.float64)


def _simplify(outline: NDArray[Any]) -> Corners | None:
    """Return four corners that an outline has, clockwise from the upper left; None where it has not four."""
    import cv2

    hull = cv2.convexHull(outline)
    tolerance = CORNER_TOLERANCE * cv2.arcLength(hull, True)
    found = cv2.approxPolyDP(hull, tolerance, True)[:, 0].astype(np.float64)
    if len(found) != 4:
        return None
    if not _is_square_enough(found):
        return None
    sides = np.roll(found, -1, axis=0) - found
    if sides[0, 0] * sides[1, 1] - sides[0, 1] * sides[1, 0] < 0:  # counter-clockwise, as y points down
        found = found[::-1]
    return np.roll(found, -int(np.argmin(found.sum(axis=1))), axis=0)


def _is_square_enough(corners: Corners) -> bool:
    """Return whether no angle of a quadrilateral is too acute or too obtuse for a sheet seen from above."""
    sides = np.roll(corners, -1, axis=0) - corners
    lengths = np.hypot(*sides.T)
    cosines = np.abs((sides * np.roll(sides, 1, axis=0)).sum(axis=1)) / (lengths * np.roll(lengths, 1))
    return bool(cosines.max() <= np.cos(np.radians(LEAST_ANGLE_DEG)))


def complete_corners(sheet: Sheet, shape: tuple[int, ...]) -> Corners | None:
    """Return where a sheet's corners would be, some of which the picture does not show; as `find_corners`.

    A side that lies outside is taken to be parallel to the one opposite, or at right angles to those beside,
    and so far out that all that the picture shows of the sheet is inside. None where that is no sheet with
    four corners, or the picture shows only one of its sides.
    """
    import cv2

    hull = cv2.convexHull(trace(sheet.view(np.uint8)))
    corners = cv2.approxPolyDP(hull, SIDE_TOLERANCE * cv2.arcLength(hull, True), True)[:, 0].astype(
        np.float64
    )
    sides = _name_sides(corners, sheet.shape)
    if len(sides) < LEAST_SIDES:
        return None
    points = hull[:, 0].astype(np.float64)
    for side in range(4):
        if side in sides:
            continue
        if (side + 2) % 4 in sides:
            along = sides[(side + 2) % 4][1]
        else:
            beside = [sides[other][1] for other in ((side + 1) % 4, (side + 3) % 4) if other in sides]
            across = np.sum([way * np.sign(way @ beside[0]) for way in beside], axis=0)
            along = np.array([-across[1], across[0]]) / np.hypot(*across)
        out = np.array([-along[1], along[0]])
        out *= np.sign(out @ OUTWARD[side]) or 1.0
        sides[side] = points[np.argmax(points @ out)] + INSET * max(sheet.shape) * out, along
    found = [_cross(sides[side], sides[(side + 1) % 4]) for side in (3, 0, 1, 2)]
    if any(corner is None for corner in found):
        return None
    quad = np.array(found)
    if not _is_square_enough(quad) or cv2.contourArea(quad.astype(np.float32)) > MOST_COMPLETED * sheet.sum():
        return None
    scale = np.array([shape[1] / sheet.shape[1], shape[0] / sheet.shape[0]])
    return np.asarray((quad + 0.5) * scale - 0.5, np.float64)


def _name_sides(corners: Corners, shape: tuple[int, ...]) -> dict[int, Side]:
    """Return the sides of a polygon that do not lie along the picture's border, by their places in OUTWARD.

    Empty where two have the same place.
    """
    last = np.array(shape[::-1]) - 1
    rim = INSIDE * max(shape)
    middle = corners.mean(axis=0)
    sides: dict[int, Side] = {}
    for start, stop in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        along = stop - start
        length = float(np.hypot(*along))
        at_border = ((start <= rim) & (stop <= rim)) | ((start >= last - rim) & (stop >= last - rim))
        if length < LEAST_SIDE * max(shape) or at_border.any():
            continue
        out = np.array([along[1], -along[0]]) / length
        out *= np.sign(out @ (start - middle)) or 1.0
        place = int(np.argmax(OUTWARD @ out))
        if place in sides:
            return {}
        sides[place] = start, along / length
    return sides


def _cross(one: Side, other: Side) -> NDArray[np.float64] | None:
    """Return where two lines cross; None where they hardly do."""
    (start, along), (begin, way) = one, other
    matrix = np.column_stack([along, -way])
    if abs(np.linalg.det(matrix)) < np.sin(np.radians(LEAST_ANGLE_DEG)):
        return None
    return np.asarray(start + along * np.linalg.solve(matrix, begin - start)[0], np.float64)


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

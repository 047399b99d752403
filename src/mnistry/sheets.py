"""A sheet of paper that lies on something else: where it is.

    find_sheet      gray -> the sheet, on a small copy of the picture
    cover_desk      what a sheet lies on, covered with paper, where its sides cannot be told
    cover_tools     a pen that lies across a sheet's edge, covered likewise
    cover_outside   what a sheet does not show that reaches out of the picture, covered likewise

A sheet is a large part of a picture that is as convex as paper and, all along its outline, brighter than
what lies beside it by a step, which neither writing nor printed lines cross. It need not be brighter than a
desk in another light. Where nothing is certain there is no sheet.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from mnistry.corners import LEAST_FLAT, Sheet, find_corners, trace
from mnistry.imaging import measure_stroke
from mnistry.pictures import Gray, shrink
from mnistry.pixels import find_connected

COPY_PX = 320  # longest side of the copy on which the sheet is found
SOFTENING_PX = 1.0  # of the copy, standard deviation
STROKES = 1 / 22  # of the copy's longest side: writing up to this wide does not divide a sheet
SLOPES = (14, 28)  # gray levels from pixel to pixel, one of which parts the sheet from what is around
LEAST_SHEET = 0.2  # of the picture; with its four corners in it, LEAST_FLAT
LEAST_DESK = 0.003  # of the picture
MENDED_PX = 9  # of the copy: notches and gaps of a sheet's outline
CONVEX = 0.97  # of its convex hull a sheet fills
BOWED, STRAIGHT = 0.02, 0.95  # of its length it may be bowed; of it a polygon within that fills so much
RING_PX = (2, 7)  # of the copy: so far from the outline it is compared on both sides,
ALONG_PX = 15  # in the mean over so many
LEAST_STEP, USUAL_STEP = 8, 25  # gray levels there, nearly everywhere and in the median
NEARLY = 5  # percent of the outline may have less
ACROSS_PX = (3, 4, 5)  # of the copy, from the outline: what lies there on both sides
ASLANT = 5  # pixels along the outline, a stroke across it moves meanwhile
ALIKE = 0.37  # is alike from this correlation on

LEAST_INK, INK_PORTION = 0.001, 0.1  # of the sheet is darker by such a portion of the paper around,
INK_STEP, STRONG_STEP = 12, 20  # and by so many gray levels; grain of a dark desk has less than the latter
GRAIN = 0.75  # times as deep as the writing on the sheet ink must be to count beside it;
MOST_INK = 0.2  # so much of it, for that on the sheet, may be there: more is writing, so it is paper, too
GRAINY = 0.3  # of the portion of such ink in all that is dark, on the sheet: with less it is grain of wood
BROAD = 1 / 6  # of the copy's longest side: the widest strokes that a digit along the border has
DESK_STROKES = 2.0  # widths of the strokes on the sheet that it reaches into the picture, at least
TOOL_PX = 3  # of the copy, width of what lies across a sheet's edge
RIM_PX = 3  # of the copy, that are covered along the sheet's edge,
ACUTE_PX = 20  # and along the picture's border where the edge leaves it: what is left there looks like a 1


def find_sheet(gray: Gray) -> Sheet | None:
    """Return where a sheet is, or a part of one, on a copy of the picture; None where there is none for sure.

    None also where the picture shows nothing but the sheet.
    """
    small = copy_small(gray)
    darkest = min(float(side.min()) for side in (small[0], small[-1], small[:, 0], small[:, -1]))
    if min(small.shape) <= 2 * RING_PX[1] or (small >= darkest + LEAST_STEP).mean() < LEAST_FLAT:
        return None  # as most drawings: quick
    paper = clear(small)
    found: list[tuple[float, Sheet]] = []
    for sheet in list_parts(paper, LEAST_FLAT / 2):
        whole = find_corners(sheet, small.shape) is not None
        if sheet.mean() < LEAST_SHEET and not whole:
            continue
        certainty = _measure_outline(small, sheet)
        if not certainty or _runs_across(small, paper, sheet):
            continue
        # With its four corners in the picture it is beyond doubt.
        if whole or not _is_doubtful(small, paper, sheet):
            found.append((certainty, sheet))
    best = max(found, key=lambda pair: pair[0], default=(0.0, None))[1]
    # Of several sheets none is the page.
    return best if best is not None and all((best & other).any() for _, other in found) else None


def copy_small(gray: Gray) -> Gray:
    """Return a small copy of a picture, a little softened."""
    import cv2

    return np.asarray(cv2.GaussianBlur(shrink(gray, COPY_PX), (0, 0), SOFTENING_PX), np.uint8)


def clear(small: Gray) -> Gray:
    """Return what is left of a copy without the writing on it."""
    return _close(small, max(5, round(STROKES * max(small.shape)) | 1))


def _close(levels: Gray, window: int) -> Gray:
    """Close with a square window, as if all were dark beyond the border: what is dark along it stays so."""
    import cv2

    wide = cv2.morphologyEx(np.pad(levels, window), cv2.MORPH_CLOSE, np.ones((window, window), np.uint8))
    return np.ascontiguousarray(wide[window:-window, window:-window], np.uint8)


def list_parts(paper: Gray, least: float) -> Iterator[Sheet]:
    """Yield the parts of a copy without writing that a slope parts from the rest, each with all inside it.

    Args:
        paper: (height, width) uint8, as `clear` gives it.
        least: portion of it that they have at least.
    """
    import cv2

    slope = cv2.morphologyEx(paper, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    for steepest in SLOPES:
        numbers, stats = find_connected(slope < steepest)
        for number in 1 + np.flatnonzero(stats[1:, 4] >= least * paper.size):
            yield _fill_outline(numbers == number)


def _fill_outline(part: NDArray[np.bool_]) -> Sheet:
    """Return a part of the picture with the edge around it and all that is inside."""
    import cv2

    grown = cv2.dilate(part.view(np.uint8), np.ones((3, 3), np.uint8))
    grown = _close(np.asarray(grown, np.uint8), MENDED_PX)
    filled = np.zeros_like(grown)
    cv2.drawContours(filled, [trace(grown)], -1, 1, -1)
    return filled.view(np.bool_)


def _measure_outline(small: Gray, sheet: Sheet) -> float:
    """Return the length of a sheet's outline, times the gray levels that nearly all of it is a step of.

    0 where it is no sheet: not convex, its sides not straight, or the step too small.
    """
    import cv2

    desk = ~sheet
    outline = trace(sheet.view(np.uint8))
    hull = cv2.convexHull(outline)
    area, simple = cv2.contourArea(hull), cv2.approxPolyDP(hull, BOWED * cv2.arcLength(hull, True), True)
    if desk.mean() < LEAST_DESK or cv2.contourArea(outline) < CONVEX * area:
        return 0.0
    if cv2.contourArea(simple) < STRAIGHT * area:
        return 0.0
    steps = measure_steps(small, sheet)
    least = float(np.percentile(steps, NEARLY)) if len(steps) else 0.0
    return least * len(steps) if least >= LEAST_STEP and np.median(steps) >= USUAL_STEP else 0.0


def measure_steps(small: Gray, sheet: Sheet) -> NDArray[np.float32]:
    """Return by how many gray levels a sheet is brighter than what is beside it, all along its outline."""
    import cv2

    desk = ~sheet
    levels = small.astype(np.float32)
    sides, everywhere = [], (cv2.dilate(sheet.view(np.uint8), np.ones((3, 3), np.uint8)) > 0) & desk
    for side in (sheet, desk):
        depth = cv2.distanceTransform(side.view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
        ring = ((depth > RING_PX[0]) & (depth < RING_PX[1])).astype(np.float32)
        near = cv2.boxFilter(ring, -1, (ALONG_PX, ALONG_PX), normalize=False)
        everywhere &= near > 0.5
        total = cv2.boxFilter(levels * ring, -1, (ALONG_PX, ALONG_PX), normalize=False)
        sides.append(total / np.maximum(near, 0.5))
    inside, outside = (side[everywhere] for side in sides)
    return np.asarray(inside - outside, np.float32)


def _runs_across(small: Gray, paper: Gray, sheet: Sheet) -> bool:
    """Return whether strokes or printed lines run across a sheet's outline: then it is a shadow's.

    They do where what is darker than the paper on one side is so at the same places on the other.
    """
    import cv2

    depth, _ = find_dark(small, paper)
    inside, outside = (
        cv2.distanceTransform(side.view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5) for side in (sheet, ~sheet)
    )
    # Which way is in, from the outline as a whole.
    into = cv2.GaussianBlur(inside - outside, (0, 0), ACROSS_PX[0])
    slopes = np.stack([cv2.Sobel(into, cv2.CV_32F, 1, 0), cv2.Sobel(into, cv2.CV_32F, 0, 1)])
    columns, rows = trace(sheet.view(np.uint8))[:, 0].T
    way = slopes[:, rows, columns] / np.maximum(np.hypot(*slopes[:, rows, columns]), 1e-6)
    last = np.array(small.shape[::-1], np.float32)[:, None] - 1
    outline, rim = np.stack([columns, rows]), ACROSS_PX[0]
    # Along the border the sheet is on both sides.
    seen = ((outline >= rim) & (outline <= last - rim)).all(axis=0)
    beside = []
    for side in (1, -1):
        levels = np.zeros(len(rows), np.float32)
        for distance in ACROSS_PX:
            places = np.asarray(outline + way * (side * distance), np.float32)
            seen &= ((places >= 0) & (places <= last)).all(axis=0)
            levels += cv2.remap(depth, places[0], places[1], cv2.INTER_LINEAR).ravel()
        beside.append(cv2.dilate(levels[None], np.ones((1, ASLANT), np.uint8))[0])
    one, other = (levels[seen] - levels[seen].mean() if seen.any() else levels for levels in beside)
    return float(one @ other) > ALIKE * float(np.linalg.norm(one) * np.linalg.norm(other))


def find_dark(small: Gray, paper: Gray) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return by which portion of the paper around a copy is darker, and where that is as if by ink."""
    depth = np.asarray((paper - small.astype(np.float32)) / np.maximum(paper, 1), np.float32)
    return depth, (depth > INK_PORTION) & (paper > small + np.float32(INK_STEP))


def _is_doubtful(small: Gray, paper: Gray, sheet: Sheet) -> bool:
    """Return whether a part of the picture may be something else than a sheet that reaches out of it.

    It must have some writing, and what is beside it must not have about as much: that would be paper in the
    shade. And what is beside it must be more than a stroke along the border.
    """
    import cv2

    depth, ink = find_dark(small, paper)
    margin = np.ones((MENDED_PX, MENDED_PX), np.uint8)
    inside = cv2.erode(sheet.view(np.uint8), margin).view(np.bool_)
    outside = cv2.erode((~sheet).view(np.uint8), margin).view(np.bool_)
    if not inside.any() or ink[inside].mean() < LEAST_INK:
        return True
    # The grain of wood is fainter than writing, as a portion of what is around.
    strong = ink & (depth > GRAIN * np.percentile(depth[inside & ink], 90))
    strong &= paper > small + np.float32(STRONG_STEP)
    written, beside = strong[inside].mean(), strong[outside].mean() if outside.any() else 0.0
    if beside > MOST_INK * written and beside * ink[inside].mean() > GRAINY * written * ink[outside].mean():
        return True
    reach_px = float(cv2.distanceTransform((~sheet).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5).max())
    paper = _close(small, round(BROAD * max(small.shape)) | 1)
    broad = inside & (small < paper - np.maximum(INK_STEP, INK_PORTION * paper))
    return reach_px < DESK_STROKES * measure_stroke(broad * np.uint8(255))


def cover_outside(flat: Gray, to_picture: NDArray[np.float64], shape: tuple[int, ...]) -> Gray:
    """Return a flattened sheet with what lies outside the picture covered, as if the paper went on there.

    Args:
        flat: the sheet.
        to_picture: (3, 3), from its (x, y, 1) to those of the picture.
        shape: (height, width) of the picture.
    """
    import cv2

    size = flat.shape[::-1]
    seen = cv2.warpPerspective(np.ones(shape, np.uint8), to_picture, size, flags=cv2.WARP_INVERSE_MAP)
    small = shrink(np.asarray(255 * seen, np.uint8), COPY_PX) == 255
    return flat if small.all() else cover_desk(flat, small)


def cover_desk(gray: Gray, sheet: Sheet) -> Gray:
    """Return a picture with what a sheet lies on covered, as if the paper went on there."""
    small = copy_small(gray)
    return _fill(gray, small, ~sheet, _find_blank(small, sheet))


def _find_blank(small: Gray, sheet: Sheet) -> Gray:
    """Return where a sheet shows paper without writing, 1 or 0."""
    import cv2

    blank = small >= (1 - INK_PORTION) * clear(small)
    inner = cv2.erode(sheet.view(np.uint8), np.ones((MENDED_PX, MENDED_PX), np.uint8)) > 0
    return (inner & blank).view(np.uint8)


def cover_tools(gray: Gray, sheet: Sheet) -> Gray:
    """Return a picture with what lies on a sheet and reaches beyond it covered: a pen, no printed line."""
    import cv2

    small = copy_small(gray)
    dark = find_dark(small, clear(small))[1] & sheet
    outline = cv2.erode(sheet.view(np.uint8), np.ones((2 * RIM_PX + 1, 2 * RIM_PX + 1), np.uint8)) == 0
    numbers, _ = find_connected(dark)
    reaching = np.unique(numbers[outline & dark])
    tools = [number for number in reaching.tolist() if _is_tool(outline & (numbers == number))]
    if not tools:
        return gray
    return _fill(gray, small, np.isin(numbers, tools), _find_blank(small, sheet))


def _is_tool(contact: NDArray[np.bool_]) -> bool:
    """Return whether a mark reaches a sheet's outline at one place, and is no thin line there."""
    _, stats = find_connected(contact)
    return len(stats) == 2 and int(stats[1, 4]) >= TOOL_PX * RIM_PX


def _grow(mask: Gray, across_px: int, down_px: int) -> Gray:
    """Return what is 1 in a mask, so many pixels wider to the left and right, up and down."""
    import cv2

    return np.asarray(cv2.dilate(mask, np.ones((2 * down_px + 1, 2 * across_px + 1), np.uint8)), np.uint8)


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
    covered = _grow(desk.view(np.uint8), RIM_PX, RIM_PX)
    aside, down = _grow(covered, ACUTE_PX, 0), _grow(covered, 0, ACUTE_PX)
    for rim in (slice(RIM_PX), slice(-RIM_PX, None)):
        covered[rim] |= aside[rim]
        covered[:, rim] |= down[:, rim]
    mask = cv2.resize(covered, size, interpolation=cv2.INTER_NEAREST) > 0
    # Smooth, for else the paper would have stripes.
    filled = cv2.GaussianBlur(np.where(covered > 0, levels[nearest], small), (0, 0), 4)
    return np.asarray(
        np.where(mask, cv2.resize(filled, size, interpolation=cv2.INTER_LINEAR), gray), np.uint8
    )

"""Plates: dark shapes on lighter ground, on which the writing is light, as house numbers are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from mnistry.looks import Look
from mnistry.pixels import find_connected
from mnistry.segmentation import Mark
from mnistry.writing import Page

FILLED = 0.6  # of a plate's box is dark,
LARGE = 0.02  # and of the page is its box, at least
LEAST_PX = 40  # and so high and wide it is
LEVEL = 64  # of ink: what is darker is the plate, faint as it may be where it is broad
RIM = 0.01  # of the plate's shorter side, along its outline, belongs to neither: it is blurred
ALONG = 0.5  # of what is light lies within twice that of the outline, if it is the wall
WALL = 0.95  # of what is in its box is not as light as the wall, or the digits


def list_plates(page: Page, found: Sequence[Sequence[Mark]]) -> Iterator[tuple[Page, Look]]:
    """Yield a look at each plate among the marks that were found on a page, and the page for it.

    There what lies around the plate is as dark as it is, so that its outline is no writing.
    """
    import cv2

    height, width = page.gray.shape
    for mark in (mark for line in found for mark in line):
        dark = mark.ink >= LEVEL
        x, y, across, down = mark.box
        if min(across, down) < LEAST_PX or across * down < LARGE * height * width or dark.mean() < FILLED:
            continue
        outline = cv2.convexHull(np.argwhere(dark)[:, ::-1].astype(np.int32))
        inside = np.zeros((down, across), np.uint8)
        cv2.fillConvexPoly(inside, outline, 1)
        gray = page.gray.copy()
        plate = gray[y : y + down, x : x + across]
        level = float(np.median(plate[dark]))
        # What is light and lies along the outline, or outside it, is the wall, or what is blurred between.
        light = plate > (level + float(np.quantile(plate, WALL))) / 2
        size = 2 * max(1, round(RIM * min(across, down))) + 1
        outside, rim = (_widen(inside == 0, width) for width in (size, 2 * size))
        labels, stats = find_connected(light)
        along = np.bincount(labels[rim], minlength=len(stats))
        outside |= np.isin(labels, 1 + np.flatnonzero(along[1:] >= ALONG * stats[1:, 4]))
        plate[_widen(outside, size)] = level
        yield Page(gray, page.to_picture), Look("as a dark plate with light writing", part=mark.box)


def _widen(mask: NDArray[np.bool_], size: int) -> NDArray[np.bool_]:
    """Return a mask as all beyond its border were in it, and what a window of this size reaches from it."""
    import cv2

    wide = cv2.dilate(np.pad(mask, 1, constant_values=True).view(np.uint8), np.ones((size, size), np.uint8))
    return np.asarray(wide[1:-1, 1:-1] > 0)

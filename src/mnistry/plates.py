"""Plates: dark shapes on lighter ground, on which the writing is light, as house numbers are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from mnistry.looks import Look
from mnistry.segmentation import Mark
from mnistry.writing import Page

FILLED = 0.6  # of a plate's box is dark,
LARGE = 0.02  # and of the page is its box, at least
LEAST_PX = 40  # and so high and wide it is
LEVEL = 64  # of ink: what is darker is the plate, faint as it may be where it is broad
RIM = 0.02  # of the plate's shorter side, along its outline, belongs to neither: it is blurred


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
        rim_px = 2 * max(1, round(RIM * min(across, down))) + 1
        kept = cv2.erode(np.pad(inside, 1), np.ones((rim_px, rim_px), np.uint8))[1:-1, 1:-1]
        gray = page.gray.copy()
        plate = gray[y : y + down, x : x + across]
        plate[kept == 0] = np.median(plate[dark])
        yield Page(gray, page.to_picture), Look("as a dark plate with light writing", part=mark.box)

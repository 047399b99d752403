"""A page as it is, and at other looks: a part of it, fainter ink or only darker one, coarser, smoother.

Thin and faint strokes, and what is printed on the paper, are there at one look and not at another.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mnistry.imaging import Box
from mnistry.pictures import Gray


class Look(NamedTuple):
    """How a page is looked at.

    Attributes:
        name: what it is called, after "looked at".
        darkness: from which a pixel is ink, see `paper.find_threshold`.
        size: of the page, for one.
        blur_px: standard deviation of a Gaussian, in pixels of the look.
        part: (x, y, width, height) of the page that is seen; None for all of it.
    """

    name: str
    darkness: float = 1.0
    size: float = 1.0
    blur_px: float = 0.0
    part: Box | None = None


FIRST = Look("as it is")


def look_at(page: Gray, look: Look) -> tuple[Gray, NDArray[np.float64]]:
    """Return what is seen of a page, (height, width) uint8, and its map to the page: (3, 3), of (x, y, 1)."""
    import cv2

    x, y, width, height = look.part or (0, 0, page.shape[1], page.shape[0])
    seen = np.ascontiguousarray(page[y : y + height, x : x + width])
    if look.size != 1:
        size = (max(1, round(width * look.size)), max(1, round(height * look.size)))
        seen = np.asarray(cv2.resize(seen, size, interpolation=cv2.INTER_AREA), np.uint8)
    if look.blur_px:
        seen = np.asarray(cv2.GaussianBlur(seen, (0, 0), look.blur_px), np.uint8)
    to_page = np.array([[width / seen.shape[1], 0, x], [0, height / seen.shape[0], y], [0, 0, 1.0]])
    return seen, to_page

"""Several looks at one page: fainter ink counts, or only darker one; coarser, smoother.

Thin and faint strokes, and what is printed on the paper, are there at one look and not at another.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mnistry.pictures import Gray


class Look(NamedTuple):
    """How a page is looked at.

    Attributes:
        name: what it is called, after "looked at".
        darkness: from which a pixel is ink, see `paper.find_threshold`.
        size: of the page, for one.
        blur: standard deviation of a Gaussian, of the page's shorter side.
    """

    name: str
    darkness: float = 1.0
    size: float = 1.0
    blur: float = 0.0


FIRST = Look("as it is")
OTHERS = (
    Look("again, where fainter ink counts", darkness=0.85),
    Look("again, where only darker ink counts", darkness=1.3),
    Look("again, coarser", size=0.8),
    Look("again, smoother", blur=0.01),
)


def look_at(page: Gray, look: Look) -> Gray:
    """Return the page, (height, width) uint8, coarser and smoother as the look is."""
    import cv2

    if look.size != 1:
        page = np.asarray(
            cv2.resize(page, None, fx=look.size, fy=look.size, interpolation=cv2.INTER_AREA), np.uint8
        )
    if look.blur:
        page = np.asarray(cv2.GaussianBlur(page, (0, 0), look.blur * min(page.shape)), np.uint8)
    return page

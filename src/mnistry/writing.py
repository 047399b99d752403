"""Where the writing is in a picture: the page as seen from straight above, and its lines of marks."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from mnistry.corners import complete_corners, find_corners, flatten_sheet
from mnistry.errors import ImageError
from mnistry.grouping import LEAST_HEIGHT_PX, group_lines
from mnistry.paper import enlarge, find_page_ink
from mnistry.pictures import Gray, shrink
from mnistry.segmentation import Mark, find_marks
from mnistry.sheets import cover_desk, cover_outside, find_sheet

LONGEST_PX = 1600
SHORTEST_PX = 200  # smaller pictures are enlarged first
LEAST_DESK_PX = 100  # shorter side of a picture with a desk on it: what is smaller is a cutting
LEAST_PX = 10  # length of the largest mark on a page that holds any writing

Homography: TypeAlias = NDArray[np.float64]  # (3, 3), of (x, y, 1)


def flatten_page(gray: Gray) -> tuple[Gray, Homography]:
    """Return the page that is read, and the (3, 3) map from its (x, y, 1) to those of the picture `gray`.

    A large picture is made smaller, a small one larger; of a sheet on a desk only the sheet is left, as seen
    from straight above, or, if it is not in the picture as a whole, as it is. In a cutting of fewer pixels
    than LEAST_DESK_PX no sheet is looked for.
    """
    page = enlarge(shrink(gray, LONGEST_PX), SHORTEST_PX)
    to_picture = np.diag([gray.shape[1] / page.shape[1], gray.shape[0] / page.shape[0], 1.0])
    sheet = find_sheet(page) if min(gray.shape) >= LEAST_DESK_PX else None
    if sheet is None:
        return page, to_picture
    corners = find_corners(sheet, page.shape)
    whole = corners is not None
    if corners is None:
        corners = complete_corners(sheet, page.shape)
    if corners is None:
        return cover_desk(page, sheet), to_picture
    flat, to_page = flatten_sheet(page, corners)
    return flat if whole else cover_outside(flat, to_page, page.shape), to_picture @ to_page


def find_writing(
    gray: Gray, invert: bool | None, size: tuple[int, int], name: str
) -> tuple[list[list[Mark]], Homography]:
    """Return a page's lines of marks, and the map from their (x, y, 1) to those in a picture of `size`.

    Raises:
        ImageError: there are none but grain, or more than can be read.
    """
    page, to_picture = flatten_page(gray)
    marks = find_marks(find_page_ink(page, invert, name), name)
    if not marks:
        raise ImageError(
            f"no ink found in {name or 'the picture'}: all that stands out are lines and borders. "
            "Crop it to the digits"
        )
    lines = group_lines(marks)
    if max((max(mark.box[2:]) for line in lines for mark in line), default=0) < LEAST_PX:
        raise ImageError(
            f"no ink found in {name or 'the picture'}: nothing on it is both {LEAST_HEIGHT_PX} pixels high "
            f"and {LEAST_PX} long, so what stands out is the grain of the paper, or left of printed lines. "
            "Photograph the digits from nearer or in better light"
        )
    return lines, np.diag([size[1] / gray.shape[1], size[0] / gray.shape[0], 1.0]) @ to_picture

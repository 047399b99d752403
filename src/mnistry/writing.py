"""Where the writing is in a picture: its pages as seen from straight above, and their lines of marks."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mnistry.corners import Sheet, complete_corners, find_corners, flatten_sheet
from mnistry.errors import ImageError
from mnistry.grouping import LEAST_HEIGHT_PX, group_lines
from mnistry.paper import enlarge, find_page_ink
from mnistry.pictures import Gray, shrink
from mnistry.scraps import find_scraps
from mnistry.segmentation import Mark, find_marks
from mnistry.sheets import cover_desk, cover_outside, cover_tools, find_sheet

LONGEST_PX = 1600
SHORTEST_PX = 200  # smaller pictures are enlarged first
LEAST_DESK_PX = 100  # shorter side of a picture with a desk on it: what is smaller is a cutting
LEAST_PX = 10  # length of the largest mark on a page that holds any writing

Homography: TypeAlias = NDArray[np.float64]  # (3, 3), of (x, y, 1)


class Page(NamedTuple):
    """What is read: a sheet from straight above, and the map from its (x, y, 1) to those of the picture."""

    gray: Gray
    to_picture: Homography


def flatten_pages(gray: Gray, size: tuple[int, int] | None = None) -> list[Page]:
    """Return the pages that are read of a picture: one, unless there are several sheets on a dark desk.

    A large picture is made smaller, a small one larger; of a sheet on a desk only the sheet is left, as seen
    from straight above, or, if its corners cannot be told, as it is, with the desk covered. In a cutting of
    fewer pixels than LEAST_DESK_PX no sheet is looked for.

    Args:
        gray: the picture, (height, width) uint8.
        size: (height, width) in pixels that the maps go to; by default those of `gray`.
    """
    page = enlarge(shrink(gray, LONGEST_PX), SHORTEST_PX)
    height, width = size or (gray.shape[0], gray.shape[1])
    to_picture = np.diag([width / page.shape[1], height / page.shape[0], 1.0])
    if min(gray.shape) < LEAST_DESK_PX:
        return [Page(page, to_picture)]
    sheet = find_sheet(page)
    if sheet is not None:
        flat, to_page = _flatten(page, sheet)
        return [Page(flat, to_picture @ to_page)]
    pages = []
    for scrap in find_scraps(page):
        covered, corners = cover_desk(cover_tools(page, scrap), scrap), find_corners(scrap, page.shape)
        flat, to_page = (covered, np.eye(3)) if corners is None else flatten_sheet(covered, corners)
        pages.append(Page(flat, to_picture @ to_page))
    return pages or [Page(page, to_picture)]


def _flatten(page: Gray, sheet: Sheet) -> tuple[Gray, Homography]:
    """Return a sheet from straight above, or else with what it lies on covered, and its map to the page."""
    page = cover_tools(page, sheet)
    corners = find_corners(sheet, page.shape)
    whole = corners is not None
    if corners is None:
        corners = complete_corners(sheet, page.shape)
    if corners is None:
        return cover_desk(page, sheet), np.eye(3)
    flat, to_page = flatten_sheet(page, corners)
    return flat if whole else cover_outside(flat, to_page, page.shape), to_page


def find_writing(
    page: Gray, invert: bool | None = None, name: str = "", *, darkness: float = 1.0
) -> list[list[Mark]]:
    """Return a page's lines of marks; arguments as for `paper.find_page_ink`.

    Raises:
        ImageError: there are none but grain, or more than can be read.
    """
    ink, cells = find_page_ink(page, invert, name, darkness=darkness)
    marks = find_marks(ink, name, cells)
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
    return lines

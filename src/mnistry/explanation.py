"""Pictures of what the reader did: the answers drawn on the photo, and a panel for every step.

draw_overlay   the photo with boxes, labels and confidences; refused marks in another colour
draw_steps     photo, ink, every line upright with its pieces coloured, and what the network saw
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mnistry.cutting import cut_pieces
from mnistry.imaging import measure_stroke
from mnistry.pages import LONGEST_PX, SHORTEST_PX
from mnistry.paper import enlarge, find_page_ink
from mnistry.pictures import Gray, shrink
from mnistry.segmentation import find_marks, group_lines, straighten

if TYPE_CHECKING:
    from mnistry.readings import Digit, Line

Picture = NDArray[np.uint8]

ACCEPTED, REFUSED = (0, 140, 60), (210, 40, 40)  # RGB
PANEL_PX = 1000  # width of the picture of the steps
OVERLAY_PX = 1200  # longest side of the overlay, which is enlarged or made smaller to about that
TILE_PX = 56  # of one digit as the network saw it
BACKGROUND = 90


def draw_overlay(gray: Gray, lines: Sequence[Line], size: tuple[int, int] | None = None) -> Picture:
    """Return the photo with what was read, (height, width, 3) uint8 RGB.

    Args:
        gray: the upright picture, (height, width) uint8.
        lines: what was read.
        size: (height, width) in pixels that the boxes count in; by default those of `gray`.
    """
    import cv2

    height, width = size or gray.shape
    page = enlarge(shrink(gray, OVERLAY_PX), OVERLAY_PX)
    picture = np.asarray(cv2.cvtColor(page, cv2.COLOR_GRAY2RGB), np.uint8)
    across, down = page.shape[1] / width, page.shape[0] / height
    for digit in (digit for line in lines for digit in line.digits):
        x, y, columns, rows = digit.box
        first, last = (
            (round(x * across), round(y * down)),
            (round((x + columns) * across), round((y + rows) * down)),
        )
        colour = ACCEPTED if digit.accepted else REFUSED
        cv2.rectangle(picture, first, last, colour, 2)
        text = f"{digit.label} {digit.confidence:.2f}" if digit.accepted else "?"
        place = (first[0], max(14, first[1] - 5))
        cv2.putText(picture, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.55, colour, 2, cv2.LINE_AA)
    return picture


def draw_steps(gray: Gray, lines: Sequence[Line], invert: bool | None = None) -> Picture:
    """Return the steps one below the other, (height, PANEL_PX, 3) uint8 RGB.

    They are the page, its ink, every line made upright with each piece in a colour of its own, and the
    28 x 28 images that the network saw, with its answers; a red answer was refused.

    Raises:
        ImageError: there is no ink.
    """
    import cv2

    page = enlarge(shrink(gray, LONGEST_PX), SHORTEST_PX)
    ink = find_page_ink(page, invert)
    panels = [cv2.cvtColor(page, cv2.COLOR_GRAY2RGB), cv2.cvtColor(ink, cv2.COLOR_GRAY2RGB)]
    panels += [_colour_pieces(straighten(marks).ink) for marks in group_lines(find_marks(ink))]
    panels += [_show_seen(line.digits) for line in lines]
    return np.vstack([_fit(np.asarray(panel, np.uint8)) for panel in panels])


def _colour_pieces(strip: Gray) -> Picture:
    picture = np.zeros((*strip.shape, 3), np.uint8)
    rng = np.random.default_rng(0)
    for piece in cut_pieces(strip, max(2.0, measure_stroke(strip))):
        x, y, width, height = piece.box
        colour = rng.uniform(0.3, 1, 3)
        field = picture[y : y + height, x : x + width]
        np.maximum(field, (piece.ink[:, :, None] * colour).astype(np.uint8), out=field)
    return picture


def _show_seen(digits: Sequence[Digit]) -> Picture:
    import cv2

    tiles = []
    for digit in digits:
        large = cv2.resize(digit.image, (TILE_PX, TILE_PX), interpolation=cv2.INTER_NEAREST)
        tile = np.full((TILE_PX + 18, TILE_PX + 4, 3), BACKGROUND, np.uint8)
        tile[:TILE_PX, :TILE_PX] = large[:, :, None]
        colour = (255, 255, 255) if digit.accepted else (255, 110, 110)
        text = f"{digit.label} {digit.confidence:.2f}"
        cv2.putText(tile, text, (1, TILE_PX + 13), cv2.FONT_HERSHEY_SIMPLEX, 0.4, colour, 1, cv2.LINE_AA)
        tiles.append(tile)
    return np.hstack(tiles)


def _fit(panel: Picture) -> Picture:
    """Return the panel made PANEL_PX wide: smaller where it is wider, else with a margin."""
    panel = shrink(panel, PANEL_PX)
    panel = panel[:, :PANEL_PX]
    return np.pad(panel, ((0, 6), (0, PANEL_PX - panel.shape[1]), (0, 0)), constant_values=BACKGROUND)

"""Signs that stand among digits, drawn with the strokes of a hand."""

from __future__ import annotations

import functools

import cv2
import numpy as np

from mnistry.synthesis.glyphs import FINE, GRID, MARGIN_PX, Glyphs, trace_masks

SIGNS = ".,-+*/=:()#"

# Strokes as lists of (x, y) in a field where a digit reaches from y = 0 to y = 20 and the line is at 20.
_STROKES: dict[str, list[list[tuple[float, float]]]] = {
    ".": [[(10, 18.6), (10.4, 19)]],
    ",": [[(10.6, 18), (10.4, 20), (8.8, 22.5)]],
    "-": [[(5, 11), (15, 10.6)]],
    "+": [[(4, 11), (16, 11)], [(10, 5), (10, 17)]],
    # As people write "times".
    "*": [[(4.5, 5.5), (15.5, 16.5)], [(15, 5), (5, 17)]],
    "/": [[(15, 0), (5, 20)]],
    "=": [[(4.5, 8), (15.5, 7.6)], [(4.5, 13.5), (15.5, 13)]],
    ":": [[(10, 8), (10.4, 8.4)], [(10, 17), (10.4, 17.4)]],
    "(": [[(13, -1), (9.5, 4), (8, 10), (9.5, 16), (13, 21)]],
    ")": [[(7, -1), (10.5, 4), (12, 10), (10.5, 16), (7, 21)]],
    "#": [[(8, 2), (5.5, 18)], [(14.5, 2), (12, 18)], [(3, 7), (17, 7)], [(2.5, 13), (16.5, 13)]],
}


@functools.cache
def trace_signs() -> Glyphs:
    """Return the shapes of all SIGNS, in that order."""
    masks = np.zeros((len(SIGNS), GRID, GRID), np.uint8)
    for mask, sign in zip(masks, SIGNS, strict=True):
        for stroke in _STROKES[sign]:
            points = (np.array(stroke) + 4 + MARGIN_PX) * FINE
            cv2.polylines(mask, [np.rint(points).astype(np.int32)], False, 255, round(2.2 * FINE))
    return trace_masks(masks)

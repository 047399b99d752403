"""Letters and signs as the strokes of a hand, and which of them have the shape of a digit."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from mnistry.synthesis.glyphs import FINE, GRID, MARGIN_PX, Mask

# (k, 2) float, x and y in a field in which a digit reaches from (0, 0) to (20, 20)
Stroke = NDArray[np.float64]

# Marks with the shape of a digit. No classifier can tell them apart by shape alone, and one taught to refuse
# them refuses real digits, so they are no outliers; words, places or sizes must settle what they are.
LOOKALIKES = {
    **dict.fromkeys("OoDQ°", "0"),  # Q: zeros end in a tail, too
    **dict.fromkeys("Iil|!/\\^',", "1"),  # a comma, enlarged, is a slanted 1: only its size tells
    **dict.fromkeys("Zz?", "2"),  # a question mark without its point
    **dict.fromkeys("}", "3"),
    **dict.fromkeys("Yy", "4"),  # fours that are open above
    **dict.fromkeys("Ss$", "5"),
    **dict.fromkeys("bG", "6"),
    **dict.fromkeys(">]¬", "7"),
    **dict.fromkeys("B&", "8"),
    **dict.fromkeys("gq", "9"),
}
LETTERS = "ACEFHJKLMNPRTUVWXacdefhjkmnprtuvwx"  # the others are LOOKALIKES

# Strokes are separated by ';'; those that begin with '~' are curves through their points.
_WRITTEN = {
    "A": "1 20 9 0 18 20; 4 13 15 13",
    "C": "~17 4 11 0 4 3 2 10 4 17 11 20 17 17",
    "E": "16 0 3 0 3 20 17 20; 3 10 14 10",
    "F": "16 0 3 0 3 20; 3 9 13 9",
    "H": "2 0 2 20; 17 0 17 20; 2 10 17 10",
    "J": "~14 0 14 12 12 19 6 20 2 15",
    "K": "3 0 3 20; 16 0 3 11 17 20",
    "L": "4 0 4 20 17 20",
    "M": "1 20 3 0 10 13 17 0 19 20",
    "N": "2 20 2 0 17 20 17 0",
    "P": "3 20 3 0; ~3 0 13 0 17 5 13 10 3 11",
    "R": "3 20 3 0; ~3 0 13 0 16 5 13 10 3 10; 8 10 18 20",
    "T": "0 0 20 0; 10 0 10 20",
    "U": "~2 0 2 13 6 19 10 20 14 19 18 13 18 0",
    "V": "1 0 9 20 19 0",
    "W": "0 0 5 20 10 5 15 20 20 0",
    "X": "2 0 18 20; 18 0 2 20",
    "a": "~15 3 9 0 3 5 2 13 6 20 12 18 15 10 15 3; ~15 1 15 14 19 20",
    "c": "~16 4 10 0 4 4 3 12 8 20 16 17",
    "d": "~14 9 8 7 3 11 3 17 8 20 14 16; 15 0 15 20",
    "e": "~3 10 16 9 14 2 9 0 4 4 3 12 8 19 17 17",
    "f": "~16 2 12 0 9 4 8 20; 3 9 14 9",
    "h": "3 0 3 20; ~3 12 9 8 14 11 15 20",
    "j": "~11 6 11 15 9 20 4 19; 11 0.5 11.4 1",
    "k": "4 0 4 20; 14 7 4 14 15 20",
    "m": "1 20 1 5; ~1 9 5 4 9 8 9 20; ~9 9 14 4 18 8 18 20",
    "n": "3 20 3 3; ~3 8 9 2 15 6 16 20",
    "p": "4 20 4 0; ~4 3 11 0 16 4 14 10 8 12 4 9",
    "r": "5 20 5 2; ~5 8 9 3 15 2",
    "t": "~9 0 9 16 12 20 16 18; 3 6 15 6",
    "u": "~3 1 3 13 6 19 12 18 16 11; 16 1 16 20",
    "v": "2 2 9 20 17 2",
    "w": "~1 2 3 16 6 20 10 12 14 20 17 16 19 2",
    "x": "3 2 16 20; 16 2 3 20",
    "+": "3 10 17 10; 10 3 10 17",
    "-": "2 10 18 10",
    "=": "3 7 17 7; 3 13 17 13",
    "*": "10 2 10 18; 3 6 17 14; 17 6 3 14",
    "×": "3 3 17 17; 17 3 3 17",
    "÷": "2 10 18 10; 10 4 10.5 4.5; 10 15.5 10.5 16",
    "(": "~14 0 8 5 6 10 8 15 14 20",
    ")": "~6 0 12 5 14 10 12 15 6 20",
    "<": "17 2 3 10 17 18",
    "[": "15 0 6 0 6 20 15 20",
    "{": "~15 0 10 2 10 8 5 10 10 12 10 18 15 20",
    "#": "7 0 4 20; 15 0 12 20; 1 7 19 7; 0 13 18 13",
    "%": "17 0 3 20; ~5 1 2 3.5 5 6 8 3.5 5 1; ~15 14 12 16.5 15 19 18 16.5 15 14",
    "€": "~18 3 12 0 6 4 5 10 6 16 12 20 18 17; 1 8 13 8; 1 12 12 12",
    "@": "~13 7 9 6 7 10 9 13 13 12 13 7; ~13 6 13 13 17 13 18 8 14 1 7 1 2 6 2 13 7 19 14 18",
    "~": "~1 12 5 7 10 10 15 13 19 8",
    "π": "1 5 5 3 19 3; 7 3 5 18; ~14 3 13 14 15 18 18 17",
    ":": "10 3 10.5 3.5; 10 16 10.5 16.5",
    '"': "6 2 6 12; 14 2 14 12",
}
OUTLIER_SIGNS = "".join(
    character for character in _WRITTEN if not character.isascii() or not character.isalpha()
)


def write_character(character: str) -> list[Stroke]:
    """Return the strokes of a letter of LETTERS or of a sign of OUTLIER_SIGNS."""
    return [parse_stroke(text) for text in _WRITTEN[character].split(";")]


def parse_stroke(text: str) -> Stroke:
    """Return the points of "x y x y ...", or of the curve through them if the text begins with '~'."""
    points = np.array(text.strip().lstrip("~").split(), float).reshape(-1, 2)
    return bend(points) if text.strip().startswith("~") else points


def bend(points: Stroke, closed: bool = False) -> Stroke:
    """Return a smooth curve through the points (Catmull and Rom 1974), eight steps from one to the next."""
    ends = (points[-1:], points[:2]) if closed else (points[:1], points[-1:])
    around = np.concatenate([ends[0], points, ends[1]])
    before, start, end, after = around[:-3], around[1:-2], around[2:-1], around[3:]
    t = np.arange(8)[:, None, None] / 8
    curve = start + 0.5 * t * (
        end
        - before
        + t * (2 * before - 5 * start + 4 * end - after + t * (3 * (start - end) + after - before))
    )
    return np.concatenate([curve.transpose(1, 0, 2).reshape(-1, 2), end[-1:]])


def draw_strokes(strokes: list[Stroke]) -> Mask:
    """Return the strokes on the grid of `glyphs`, (GRID, GRID) uint8, as wide as MNIST's."""
    mask = np.zeros((GRID, GRID), np.uint8)
    for stroke in strokes:
        points = (stroke + 4 + MARGIN_PX) * FINE * 16  # in 1/16 of a grid point
        cv2.polylines(mask, [np.rint(points).astype(np.int32)], False, 255, 2 * FINE, cv2.LINE_8, 4)
    return mask

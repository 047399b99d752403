"""A row of digits and signs as a hand writes it: one beside the other, apart or touching."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mnistry.synthesis import pens
from mnistry.synthesis.glyphs import DIGIT_GRID, GRID, Field, Glyphs
from mnistry.synthesis.pens import Pen
from mnistry.synthesis.signs import SIGNS, trace_signs

INK_COVER = 0.3  # a pixel that is covered by more than this belongs to a mark


@dataclass
class Written:
    """A mark on a sheet, movable until the ink is laid.

    Attributes:
        label: the digit or the sign.
        index: of the digit's image in the data set; -1 for a sign.
        cover: (height, width) float32 in 0..1, how much of each pixel the pen covers, without empty margins.
        left: column of the sheet where `cover` begins.
        top: row of the sheet where `cover` begins.
    """

    label: str
    index: int
    cover: Field
    left: int
    top: int

    @property
    def right(self) -> int:
        """The first column behind the mark."""
        return self.left + int(self.cover.shape[1])

    @property
    def bottom(self) -> int:
        """The first row below the mark."""
        return self.top + int(self.cover.shape[0])

    def find_hull(self) -> NDArray[np.float64]:
        """Return the corners (n, 2) of the convex hull of the mark's ink, x and y on the sheet."""
        rows, columns = np.nonzero(self.cover >= 0.4 * self.cover.max())
        hull = cv2.convexHull(np.column_stack([columns, rows]).astype(np.int32))[:, 0]
        return np.asarray(hull + np.array([self.left, self.top]), np.float64)


@dataclass(frozen=True)
class Hand:
    """How somebody writes: digits of a height in pixels, with gaps as portions of that height."""

    pen: Pen
    height_px: float
    gap: float
    touching: float  # portion of neighbouring digits that touch


def write_row(
    rng: np.random.Generator, row: str, glyphs: Glyphs, indices: list[int], hand: Hand
) -> list[Written]:
    """Return the marks of one row from left to right, the first at column 0, with the baseline at row 0.

    Args:
        rng: of sizes, slant and places.
        row: digits, spaces and signs.
        glyphs: the shapes of the row's digits, in order.
        indices: of their images in the data set.
        hand: how they are written.
    """
    height_px = hand.height_px
    slant, size_spread, drift = rng.normal(0, 0.06), rng.uniform(0.02, 0.08), rng.uniform(0, 0.05)
    marks: list[Written] = []
    blank, number = 0.0, 0
    for character in row:
        if character == " ":
            blank = rng.uniform(0.9, 1.5)
            continue
        is_digit = character.isdigit()
        size_px = height_px * float(np.exp(rng.normal(0, size_spread)))
        if is_digit:
            cover, base = _write_digit(rng, glyphs, number, hand.pen, size_px, slant)
            number += 1
        else:
            cover, base = _write_sign(rng, character, hand.pen, size_px, slant)
        index = indices[number - 1] if is_digit else -1
        mark = Written(character, index, cover, 0, round(rng.normal(0, drift) * height_px) - base)
        if marks:
            both_digits = is_digit and marks[-1].label.isdigit()
            if both_digits and not blank and rng.random() < hand.touching:
                wanted = -rng.uniform(0, 0.6) * hand.pen.width * height_px - 1
            elif character in ".,":
                wanted = 0.08 * height_px + 2
            else:
                beside_sign = 0.0 if both_digits or blank else 0.25
                wanted = (hand.gap * rng.uniform(0.7, 1.3) + blank + beside_sign) * height_px + 2
            mark.left = round(wanted - measure_gap(marks[-1], mark))
        marks.append(mark)
        blank = 0.0
    return marks


def _write_digit(
    rng: np.random.Generator, glyphs: Glyphs, number: int, pen: Pen, size_px: float, slant: float
) -> tuple[Field, int]:
    """Return the cover of a digit, cut to its ink, and the row of the baseline in it: its lower edge."""
    rows = np.flatnonzero((glyphs.outline[number] < 0).any(axis=1))
    tall = rows[-1] - rows[0] + 1
    # MNIST scales the longer side to 20, so a wide digit is lower there than its writer made it.
    scale = size_px / DIGIT_GRID * min(DIGIT_GRID / tall, 1.3)
    cover, _ = _write_mark(rng, glyphs, number, pen, scale, slant)
    return cover, cover.shape[0]


def _write_sign(
    rng: np.random.Generator, sign: str, pen: Pen, size_px: float, slant: float
) -> tuple[Field, int]:
    """Return the cover of a sign, cut to its ink, and the row of the baseline in it."""
    scale = size_px / DIGIT_GRID
    cover, middle = _write_mark(rng, trace_signs(), SIGNS.index(sign), pen, scale, slant)
    return cover, round(middle + DIGIT_GRID / 2 * scale)


def _write_mark(
    rng: np.random.Generator, glyphs: Glyphs, number: int, pen: Pen, scale: float, slant: float
) -> tuple[Field, float]:
    """Return the cover of one mark, cut to its ink, and the row in it of the middle of the shape's field."""
    side = int(np.ceil(GRID * scale * (1 + abs(slant)))) + 4
    turn = rng.normal(0, 0.03)
    to_grid = np.linalg.inv(
        scale * np.array([[np.cos(turn), -slant - np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    )
    to_grid = np.column_stack([to_grid, GRID / 2 - to_grid @ [side / 2, side / 2]])
    cover = pens.write(glyphs, number, pen, to_grid.astype(np.float64), (side, side))
    if cover.max() <= 0.02:  # a point that falls between the pixels
        cover[side // 2, side // 2] = 1.0
    ink = cover > 0.02
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    return cover[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], side / 2 - rows[0]


def measure_gap(before: Written, after: Written) -> float:
    """Return the least horizontal distance in pixels between the ink of two marks where they stand.

    Rows a little above and below count too, so marks that pass each other diagonally are not taken for apart.
    """
    top, bottom = min(before.top, after.top), max(before.bottom, after.bottom)
    right, left = np.full(bottom - top, -np.inf, np.float32), np.full(bottom - top, np.inf, np.float32)
    ink = before.cover > INK_COVER
    ends = before.right - ink[:, ::-1].argmax(axis=1)
    right[before.top - top : before.bottom - top] = np.where(ink.any(axis=1), ends, -np.inf)
    ink = after.cover > INK_COVER
    starts = after.left + ink.argmax(axis=1)
    left[after.top - top : after.bottom - top] = np.where(ink.any(axis=1), starts, np.inf)
    near = max(3, len(before.cover) // 8 | 1)
    gap = float((left - cv2.dilate(right[:, None], np.ones((near, 1), np.uint8))[:, 0]).min())
    if gap > 1e6:  # OpenCV's infinity: one stands wholly above the other
        return float(after.left - before.right)
    return gap


def lay_row(rng: np.random.Generator, sheet: Field, marks: list[Written], pen: Pen) -> None:
    """Lay the ink of a row on (height, width, 3) float32 at once, so that strokes that cross add nothing."""
    top, left = min(mark.top for mark in marks), min(mark.left for mark in marks)
    bottom, right = max(mark.bottom for mark in marks), max(mark.right for mark in marks)
    cover = np.zeros((bottom - top, right - left), np.float32)
    for mark in marks:
        part = cover[mark.top - top : mark.bottom - top, mark.left - left : mark.right - left]
        np.maximum(part, mark.cover, out=part)
    pens.lay_ink(sheet, cover, pen, (top, left), rng)

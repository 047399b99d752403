"""Words as they stand on a line: no digits, though some of their letters look like one."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from mnistry.pictures import Gray
from mnistry.synthesis.composing import Glyph, choose_pen, lay, set_out, write_glyph
from mnistry.synthesis.shapes import SIGN

LOW_LETTERS, HANGING_LETTERS = "acemnorsuvwxz", "gpqy"
LOW, UNEQUAL = (0.5, 0.75), 0.7  # height of the low ones, and portion of words that have them
NARROWEST = 0.7  # of their width, to which they are made smaller
HANGING = 0.8  # of what others reach above the low ones, hanging ones reach below the line
KNOWN = 0.5  # portion of the words that are of these; the others are random letters
_KNOWN = """
    Milk Bread Eggs Total Sum Room Page Phone Tel Fax Zip Date Time Name Order Price Paid Cash Tax Net
    Box Bus Line Seat Gate Floor Street Road Hall Soll Ist Nein Milch Brot Eier Summe Datum Uhr Raum
    Preis Zahl see you soon hello good food look book pool zoo shop door tool loss boss lesson goose bill
    sells oil ill lil sol los dos ole bob dog log solo also oslo bio ego kilo lol geo go so do is to of
    in on at kg cm km ml No Nr St Mr Dr Pos pcs size class score goals Lisa Bob Zoe Olga Silo Ziel Glas
    Gips Geld
"""
WORDS = tuple(_KNOWN.split())


def compose_word(
    letters: Mapping[str, NDArray[np.uint8]], rng: np.random.Generator, fewest: int = 3, most: int = 8
) -> Gray:
    """Return the worn ink of a word of so many letters, (`composing.HEIGHT_PX`, any) uint8.

    Args:
        letters: (n, 28, 28) uint8 images of every letter from A to Z and a to z.
        rng: of everything that is random.
        fewest: number of letters, at least,
        most: and at most.
    """
    pen, slant = choose_pen(rng)
    known = [word for word in WORDS if fewest <= len(word) <= most]
    if known and rng.random() < KNOWN:
        word = str(rng.choice(known))
        word = str(rng.choice([word, word.lower(), word.upper()], p=[0.4, 0.4, 0.2]))
    else:
        word = "".join(rng.choice(list(letters), rng.integers(fewest, most + 1)))
    low = rng.uniform(*LOW) if rng.random() < UNEQUAL else None
    glyphs = []
    for letter in word:
        images = letters[letter]
        glyph = write_glyph(images[rng.integers(len(images))], pen, slant, rng)
        glyphs.append(_set_height(letter, glyph, low))
    return lay(set_out(glyphs, rng, (), pen), pen, rng)


def _set_height(letter: str, ink: Gray, low: float | None) -> Glyph:
    """Return a letter as high as it is where low ones are so many times as high as the others.

    For None all are of one height, and stand where chance has them.
    """
    if low is None or letter not in LOW_LETTERS + HANGING_LETTERS:
        return Glyph(SIGN, ink, None if low is None else 0.0)
    height = low if letter in LOW_LETTERS else low + HANGING * (1 - low)
    size = (max(3, round(ink.shape[1] * max(height, NARROWEST))), max(3, round(len(ink) * height)))
    small = np.asarray(cv2.resize(ink, size, interpolation=cv2.INTER_AREA), np.uint8)
    return Glyph(SIGN, small, 1 - low / height)

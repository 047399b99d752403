"""Training data for reading a line as a whole: strips of composed lines, and the digits on them."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from mnistry.pictures import Gray
from mnistry.sequences import HEIGHT_PX, shrink_strip
from mnistry.synthesis.forms import SIGN
from mnistry.synthesis.segments import compose_line

WIDTH_PX = 256
MOST_DIGITS = 8
ABSENT = -1  # in the labels, after the last digit
COARSE_LINES = 0.25  # portion of lines from a picture with few pixels,
COARSE = (0.12, 0.3)  # of theirs for one of ours


def make_strips(
    images: NDArray[np.uint8], labels: NDArray[np.uint8], count: int, seed: int
) -> tuple[NDArray[np.uint8], NDArray[np.int8]]:
    """Return strips as `sequences.shrink_strip` makes them, and their digits from left to right.

    Strips are (count, HEIGHT_PX, WIDTH_PX) uint8, digits (count, MOST_DIGITS) int8 and ABSENT at the end.

    Args:
        images: the digits that lines are composed of, (m, 28, 28) uint8, 255 = ink.
        labels: what they are, (m,) uint8.
        count: how many strips.
        seed: of everything that is random.
    """
    rng = np.random.default_rng(seed)
    strips = np.zeros((count, HEIGHT_PX, WIDTH_PX), np.uint8)
    texts = np.full((count, MOST_DIGITS), ABSENT, np.int8)
    made = 0
    while made < count:
        ink, layers = compose_line(images, labels, rng, most=MOST_DIGITS)
        strip = shrink_strip(_coarsen(ink, rng) if rng.random() < COARSE_LINES else ink)
        if not 0 < strip.shape[1] <= WIDTH_PX:
            continue
        digits = [layer.label for layer in layers if layer.label != SIGN]
        strips[made, :, : strip.shape[1]] = strip
        texts[made, : len(digits)] = digits
        made += 1
    return strips, texts


def _coarsen(ink: Gray, rng: np.random.Generator) -> Gray:
    """Return the ink as a picture shows it whose digits are 8 to 20 pixels high."""
    portion = rng.uniform(*COARSE)
    coarse = cv2.resize(ink, None, fx=portion, fy=portion, interpolation=cv2.INTER_AREA)
    coarse = np.clip(coarse.astype(np.float32) * rng.uniform(1.0, 2.0), 0, 255)
    return np.asarray(
        cv2.resize(coarse.astype(np.uint8), ink.shape[::-1], interpolation=cv2.INTER_CUBIC), np.uint8
    )

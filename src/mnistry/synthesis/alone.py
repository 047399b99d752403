"""Marks that stand alone in a picture, digits and others, cut out as the reader does it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import cv2
import numpy as np

from mnistry.dataset import Dataset
from mnistry.errors import ImageError
from mnistry.imaging import find_box
from mnistry.pictures import Gray
from mnistry.straightening import STRIP_PX, straighten
from mnistry.synthesis.composing import BASE_PX, HEIGHT_PX, write_alone
from mnistry.writing import find_writing, flatten_pages

DIGITS = 0.35  # portion of single marks that are digits
# The others, and how often there are two or three of them; digits' halves and pairs are lines' own business.
NO_DIGITS = {"doodle": 0.52, "letter": 0.2, "sign": 0.12, "blob": 0.08, "texture": 0.04, "word": 0.04}
SEVERAL = 0.2
MARK_PX, PADDING = (36.0, 320.0), (0.1, 0.8)  # longer side of a mark, and what is around it, for its sides


def cut_marks(
    digits: Dataset, others: Iterator[Gray], rng: np.random.Generator
) -> Iterator[tuple[Gray, list[int]]]:
    """Yield the lines of a picture with a digit alone, and its label, or with a few other marks."""
    labels: list[int] = []
    if rng.random() < DIGITS:
        index = int(rng.integers(len(digits)))
        marks = [write_alone(digits.images[index], rng)]
        labels = [int(digits.labels[index])]
    else:
        marks = [next(others) for _ in range(rng.integers(2, 4) if rng.random() < SEVERAL else 1)]
    picture = _show_marks(marks, rng)
    try:
        lines = find_writing(flatten_pages(picture)[0].gray)
    except ImageError:
        return
    if not labels or len(lines) == 1:  # a digit that falls into several lines is not seen as a whole
        yield from ((straighten(line).ink, labels) for line in lines)


def _show_marks(marks: Sequence[Gray], rng: np.random.Generator) -> Gray:
    """Return a picture of marks side by side, each of about one size, dark on light."""
    longest = math.exp(rng.uniform(*np.log(MARK_PX)))
    parts = []
    for mark in marks:
        mark = _cut_out(mark)
        size = longest * rng.uniform(0.6, 1.0) / max(mark.shape)
        way = cv2.INTER_CUBIC if size > 1 else cv2.INTER_AREA
        mark = np.asarray(cv2.resize(mark, None, fx=size, fy=size, interpolation=way), np.uint8)
        around = [round(longest * rng.uniform(*PADDING)) for _ in range(2)]
        free = math.ceil(longest) - len(mark)
        above = int(rng.integers(0, free + 1))
        parts.append(np.pad(mark, ((above, free - above), around)))
    edge = round(longest * rng.uniform(*PADDING)) + 4
    ink = np.pad(np.hstack(parts), edge)
    if rng.random() < 0.5:
        ink = np.asarray(cv2.GaussianBlur(ink, (0, 0), rng.uniform(0.4, 0.015 * longest + 0.5)), np.uint8)
    grain = rng.normal(0, rng.uniform(0, 5), ink.shape)
    gray = rng.uniform(200, 255) - rng.uniform(0.5, 1.0) * ink + grain
    return np.asarray(gray.clip(0, 255), np.uint8)


def _cut_out(ink: Gray) -> Gray:
    x, y, width, height = find_box(ink)
    return ink[y : y + height, x : x + width]


def set_on_line(mark: Gray, rng: np.random.Generator) -> Gray:
    """Return a mark as a line of its own, about as high as digits are on a strip."""
    mark = _cut_out(mark)
    height = round(STRIP_PX * rng.uniform(0.8, 1.3))
    size = (max(1, round(mark.shape[1] * height / len(mark))), height)
    strip = np.zeros((HEIGHT_PX, size[0]), np.uint8)
    strip[BASE_PX - height : BASE_PX] = cv2.resize(mark, size, interpolation=cv2.INTER_AREA)
    return strip

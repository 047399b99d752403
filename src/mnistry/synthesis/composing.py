"""Lines of digits composed on a strip: set apart, touching or overlapping, with signs and worn ink."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from mnistry.imaging import EDGE_LEVEL, find_box, measure_stroke
from mnistry.pictures import Gray
from mnistry.straightening import MARGIN_PX, STRIP_PX
from mnistry.synthesis.forms import choose_hand, draw_as, draw_form
from mnistry.synthesis.shapes import FORMS, SIGN

HEIGHT_PX = STRIP_PX + 2 * MARGIN_PX
BASE_PX = MARGIN_PX + STRIP_PX  # the row on which digits stand
PEN_PX = 8.5  # of most hands
# How a slash leans, in columns a row, how high it is, in digits, and what of it is below the line.
SLASH_LEAN, SLASH_HEIGHT, SLASH_DROP = (0.12, 0.8), (0.95, 1.55), (0.0, 0.3)
DATES = [(2, 2, 2), (2, 2, 4), (1, 1, 2), (1, 2, 2), (2, 1, 2), (1, 1, 4), (1, 2, 4), (2, 1, 4), (4, 2, 2)]
DATED = 0.65  # portion of lines with slashes that are dates
DRAWN_LINES = 0.4  # portion of lines that are drawn from strokes


@dataclass(frozen=True)
class Layer:
    """One digit or sign of a line, alone on a strip."""

    label: int
    ink: Gray


class Glyph(NamedTuple):
    """One digit or sign as it is written, cut out; `drop` is the portion of it below the base line.

    Where that is None it stands there by chance, mostly about on the line.
    """

    label: int
    ink: Gray
    drop: float | None = None


def compose_line(
    images: NDArray[np.uint8],
    labels: NDArray[np.uint8],
    rng: np.random.Generator,
    most: int = 6,
    *,
    run: bool = False,
    slashes: bool = False,
) -> tuple[Gray, list[Layer]]:
    """Return the worn ink of a line of 1 to `most` digits, (HEIGHT_PX, any) uint8, and each digit alone.

    With `run` it ends, or nearly so, in zeros that were written in one go, as on cheques. With `slashes` its
    digits are in groups, as those of a date, with a slash between them; `most` is at least 2 then.
    """
    groups = _choose_groups(rng, most) if slashes else []
    count = sum(groups) or int(rng.integers(1, most + 1))
    chosen = rng.integers(0, len(images), count)
    zeros = np.flatnonzero(labels == 0)
    if len(zeros) and rng.random() < 0.25:  # amounts end with zeros
        ending = int(rng.integers(1, min(count, 3) + 1))
        chosen[-ending:] = rng.choice(zeros, ending)
    pen, slant = choose_pen(rng)
    hand = choose_hand(rng) if rng.random() < DRAWN_LINES else None
    glyphs = []
    for index in chosen.tolist():
        label = int(labels[index])
        image = draw_as(hand[label], rng) if hand and rng.random() < 0.8 else images[index]
        glyphs.append(Glyph(label, write_glyph(image, pen, slant, rng)))
    if rng.random() < 0.15 and not slashes:
        sign = Glyph(SIGN, write_glyph(draw_form(SIGN, rng), pen, slant, rng))
        glyphs.insert(int(rng.integers(0, count + 1)), sign)
    if slashes:
        lean, height = rng.uniform(*SLASH_LEAN) - slant, rng.uniform(*SLASH_HEIGHT)
        for end in list(accumulate(groups[:-1]))[::-1]:
            glyphs.insert(end, _write_slash(pen, lean, height, rng))
    joined, written = range(0), _write_run(pen, slant, rng) if run else []
    if run:
        behind = int(rng.integers(0, 3))  # digits, on some lines
        first = max(0, min(len(glyphs) - (behind if rng.random() < 0.3 else 0), most - 2))
        glyphs[first:] = [*written, *glyphs[first:]][: max(1, most - first)]
        joined = range(first + 1, first + len(written))
    layers = set_out(glyphs, rng, joined, pen)
    return lay(layers, pen, rng), layers


def _choose_groups(rng: np.random.Generator, most: int) -> list[int]:
    """Return how many digits stand before, between and behind the slashes of a line."""
    dates = [groups for groups in DATES if sum(groups) <= most]
    if dates and rng.random() < DATED:
        return list(dates[rng.integers(len(dates))])
    first = int(rng.integers(1, most))
    return [first, int(rng.integers(1, most - first + 1))]


def _write_slash(pen: float, lean: float, height: float, rng: np.random.Generator) -> Glyph:
    """Return a slash that leans so many columns a row to the right, so many digits high, or nearly so."""
    rows = STRIP_PX * height * float(np.exp(rng.normal(0, 0.06)))
    rows = round(min(rows, HEIGHT_PX - 2 * pen))
    shift = (lean + rng.normal(0, 0.04)) * rows
    along = np.linspace(0, 1, 12)
    x = along * shift + np.sin(np.pi * along) * rng.normal(0, 0.03) * rows
    x = x - x.min() + pen
    points = np.rint(np.column_stack([x, rows + pen - along * rows]) * 16).astype(np.int32)
    ink = np.zeros((round(rows + 2 * pen) + 1, round(x.max() + pen) + 1), np.uint8)
    width = max(1, round(pen * rng.uniform(0.6, 1.1)))
    cv2.polylines(ink, [points], False, 255, width, cv2.LINE_AA, 4)
    left, top, columns, rows = find_box(ink)
    return Glyph(SIGN, ink[top : top + rows, left : left + columns], rng.uniform(*SLASH_DROP))


def _write_run(pen: float, slant: float, rng: np.random.Generator) -> list[Glyph]:
    """Return two to four zeros as one hand writes them in a row: alike, and often small and flat."""
    form = FORMS[0][rng.integers(len(FORMS[0]))]
    height, width, shrinking = rng.uniform(0.45, 1.0), rng.uniform(0.8, 1.15), rng.uniform(0.85, 1.02)
    glyphs = []
    for number in range(rng.integers(2, 5)):
        glyph = write_glyph(draw_as(form, rng), pen, slant, rng)
        size = max(4, round(glyph.shape[1] * width * shrinking**number))
        high = max(8, round(glyph.shape[0] * height * shrinking**number))
        resized = cv2.resize(glyph, (size, high), interpolation=cv2.INTER_AREA)
        glyphs.append(Glyph(0, np.asarray(resized, np.uint8)))
    return glyphs


def write_alone(image: Gray, rng: np.random.Generator) -> Gray:
    """Return the ink of a digit, (28, 28) uint8, written by a hand and with a pen of its own, cut out."""
    return write_glyph(image, *choose_pen(rng), rng)


def choose_pen(rng: np.random.Generator) -> tuple[float, float]:
    """Return the width of a pen, in pixels of a strip, and the slant of the hand that holds it."""
    return PEN_PX * float(np.exp(rng.normal(0, 0.4))), float(rng.normal(0, 0.12))


def lay(layers: list[Layer], pen: float, rng: np.random.Generator) -> Gray:
    """Return the worn ink of some layers, with other marks beside them."""
    ink = _add_marks(layers, pen, rng)
    for layer in layers:
        np.maximum(ink, layer.ink, out=ink)
    return _wear(ink, rng)


def write_glyph(image: Gray, pen: float, slant: float, rng: np.random.Generator) -> Gray:
    """Return a 28 x 28 digit about STRIP_PX high, turned, slanted and written with such a pen, cut out."""
    large = cv2.resize(image, None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC)
    large = cv2.copyMakeBorder(large, 24, 24, 40, 40, cv2.BORDER_CONSTANT)
    middle = np.array([large.shape[1] / 2, large.shape[0] / 2])
    scale = STRIP_PX / 80 * float(np.exp(rng.normal(0, 0.1))) * (0.7 if rng.random() < 0.12 else 1.0)
    shear = scale * np.array([[np.exp(rng.normal(0, 0.12)), slant], [0, 1]])
    turn = np.vstack([cv2.getRotationMatrix2D(tuple(middle), rng.normal(0, 5), 1), [0, 0, 1]])
    matrix = (np.vstack([np.column_stack([shear, middle - shear @ middle]), [0, 0, 1]]) @ turn)[:2]
    written = cv2.warpAffine(large, matrix, large.shape[::-1])
    written = np.clip((written.astype(np.float32) - 70) * 2.2, 0, 255).astype(np.uint8)
    width = measure_stroke(written)
    extra = min(round(abs(pen - width)), 9 if pen > width else int(0.6 * width))
    if extra >= 1:
        tip = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (extra + 1, extra + 1))
        changed = (cv2.dilate if pen > width else cv2.erode)(written, tip)
        if changed.max() > 200 and changed.sum() > 0.25 * written.sum():  # not worn away
            written = changed
    x, y, columns, rows = find_box(np.asarray(written, np.uint8))
    return np.asarray(written[y : y + rows, x : x + columns], np.uint8)


def set_out(
    glyphs: list[Glyph],
    rng: np.random.Generator,
    joined: Container[int],
    pen: float,
) -> list[Layer]:
    """Return the glyphs side by side, each on a strip of its own: apart, touching or overlapping a little.

    Those whose number is in `joined` share the stroke of a pen of this width with the one before.
    """
    width = sum(glyph.ink.shape[1] for glyph in glyphs) + 80 * len(glyphs) + 160
    touching = rng.random()
    far = 10**6
    reach = np.full(HEIGHT_PX, -far)  # the last column, a row, that is taken
    left = 40
    layers: list[Layer] = []
    for number, (label, glyph, drop) in enumerate(glyphs):
        rows, columns = glyph.shape
        if drop is not None:
            lift = drop * rows + rng.normal(0, 2)
        else:
            stands = rng.random() < 0.8
            lift = rng.normal(0, 4) if stands else -rng.uniform(0, max(1, STRIP_PX - rows))
        top = int(np.clip(BASE_PX - rows + lift, 0, HEIGHT_PX - rows))
        ink = glyph >= EDGE_LEVEL
        begins = np.where(ink.any(axis=1), ink.argmax(axis=1), far)
        if layers:
            around = cv2.dilate(reach.astype(np.float64)[:, None], np.ones((7, 1), np.uint8))[:, 0]
            if number in joined:
                gap = -pen * rng.uniform(0.2, 1.4)
            else:
                gap = rng.normal(1, 4) if rng.random() < touching else rng.uniform(2, 0.4 * STRIP_PX)
            left = round(gap - float((begins - around[top : top + rows]).min()))
            left = min(max(left, int(reach.max() - 0.7 * columns), 2), width - columns - 45)
        strip = np.zeros((HEIGHT_PX, width), np.uint8)
        strip[top : top + rows, left : left + columns] = glyph
        layers.append(Layer(label, strip))
        ends = np.where(ink.any(axis=1), left + columns - ink[:, ::-1].argmax(axis=1), -far)
        reach[top : top + rows] = np.maximum(reach[top : top + rows], ends)
    return layers


def _add_marks(layers: list[Layer], pen: float, rng: np.random.Generator) -> Gray:
    """Return a strip with dots, dashes, a rule, a scribble or a ligature, or with none of them."""
    strip = np.zeros_like(layers[0].ink)
    right = max(int(np.flatnonzero(layer.ink.any(axis=0)).max(initial=0)) for layer in layers)

    def draw(*points: tuple[float, float], width: float = pen, level: float = 255) -> None:
        line = np.rint(np.array(points)).astype(np.int32)
        cv2.polylines(strip, [line], False, level, max(1, round(width)), cv2.LINE_AA)

    for _ in range(rng.integers(0, 3)):
        if rng.random() < 0.5:
            x, y = rng.uniform(45, right + 20), BASE_PX + rng.normal(-2, 5)
            draw((x, y), (x + rng.normal(0, 4), y + abs(rng.normal(0, 6))), width=pen * rng.uniform(0.7, 1.5))
    kind = rng.random()
    if kind < 0.2:
        x, y, length = right + rng.uniform(3, 25), BASE_PX - rng.uniform(15, 45), rng.uniform(15, 50)
        for row in range(2 if kind < 0.08 else 1):
            draw((x, y + 14 * row), (x + length, y + 14 * row + rng.normal(0, 5)))
    if rng.random() < 0.1:
        y = rng.choice([BASE_PX + rng.uniform(0, 15), MARGIN_PX - rng.uniform(0, 15)])
        draw(
            (0, y),
            (strip.shape[1], y + rng.normal(0, 4)),
            width=int(rng.integers(1, 4)),
            level=rng.uniform(100, 255),
        )
    if rng.random() < 0.15:
        steps = rng.normal(0, 14, (int(rng.integers(3, 6)), 2))
        draw(*(np.cumsum(steps, axis=0) + np.array([right + 25, BASE_PX - 32])).tolist())
    if len(layers) > 1 and rng.random() < 0.25:
        index = int(rng.integers(0, len(layers) - 1))
        before, after = np.argwhere(layers[index].ink > 150), np.argwhere(layers[index + 1].ink > 150)
        if len(before) and len(after):
            start, end = before[np.argmax(before[:, 1])], after[np.argmin(after[:, 1])]
            if np.hypot(*(start - end)) < 0.6 * STRIP_PX:
                draw(tuple(start[::-1]), tuple(end[::-1]), width=0.8 * pen)
    return strip


def _wear(ink: Gray, rng: np.random.Generator) -> Gray:
    """Return the ink blurred, faded in patches, or seen at a low resolution."""
    height, width = ink.shape
    worn: NDArray[Any] = ink.astype(np.float32)
    blur = float(rng.choice([0, 0.8, 1.5, 2.2, 3.0]))
    if blur:
        worn = (cv2.GaussianBlur(worn, (0, 0), blur) - rng.uniform(20, 70)) * rng.uniform(1.2, 2.2)
        worn = worn.clip(0, 255)
    if rng.random() < 0.5:
        patches = rng.normal(0, 0.25, (height // 8 + 1, width // 8 + 1)).astype(np.float32)
        worn *= 1 + cv2.resize(patches, (width, height), interpolation=cv2.INTER_CUBIC)
    if rng.random() < 0.3:
        portion = rng.uniform(0.25, 0.6)
        coarse = cv2.resize(worn, None, fx=portion, fy=portion, interpolation=cv2.INTER_AREA)
        worn = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.asarray(np.clip(worn, 0, 255), np.uint8)

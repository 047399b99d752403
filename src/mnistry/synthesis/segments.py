"""Training images for reading lines: what the segmentation of a line offers, with its truth.

A line is composed of digits, set apart, touching or overlapping, with dots, dashes, rules and worn ink. Then
it is cut and put together again as `decoding` does it. A segment that is one of the digits has its label; one
that is a part of a digit, or parts of several, has SIGN: no digit.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mnistry.cutting import cut_pieces, join
from mnistry.decoding import list_spans
from mnistry.imaging import EDGE_LEVEL, center_digit, find_box, measure_stroke
from mnistry.pictures import Gray
from mnistry.straightening import MARGIN_PX, STRIP_PX
from mnistry.synthesis.forms import choose_hand, draw_as, draw_form
from mnistry.synthesis.shapes import FORMS, SIGN

HEIGHT_PX = STRIP_PX + 2 * MARGIN_PX
BASE_PX = MARGIN_PX + STRIP_PX  # the row on which digits stand
SAME, OTHER = 0.8, 0.62  # overlap from which a segment is that digit, and below which it is none
MOST_OTHERS = 7  # segments of a line that are no digit
DRAWN_LINES = 0.4  # portion of lines that are drawn from strokes


@dataclass(frozen=True)
class Layer:
    """One digit or sign of a line, alone on a strip."""

    label: int
    ink: Gray


def make_segments(
    images: NDArray[np.uint8], labels: NDArray[np.uint8], lines: int, seed: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return the segments of so many lines: images (n, 28, 28) and labels (n,), uint8; SIGN for no digit.

    Args:
        images: the digits that lines are composed of, (m, 28, 28) uint8, 255 = ink.
        labels: what they are, (m,) uint8.
        lines: how many; about 18 segments come from each.
        seed: of everything that is random.
    """
    rng = np.random.default_rng(seed)
    found: list[tuple[Gray, int]] = []
    for _ in range(lines):
        ink, layers = compose_line(images, labels, rng)
        found += list_segments(ink, layers, rng)
    if not found:
        return np.zeros((0, 28, 28), np.uint8), np.zeros(0, np.uint8)
    return np.stack([image for image, _ in found]), np.array([label for _, label in found], np.uint8)


def list_segments(ink: Gray, layers: list[Layer], rng: np.random.Generator) -> list[tuple[Gray, int]]:
    """Return (image, label) of the segments of a strip; of those that are no digit, MOST_OTHERS at random."""
    pieces = cut_pieces(ink, max(2.0, measure_stroke(ink)))
    digits, others = [], []
    for start, stop in list_spans(pieces):
        segment, (x, y, width, height) = join(pieces[start:stop])
        mask = segment >= EDGE_LEVEL
        if not mask.any():
            continue
        inside = (slice(y, y + height), slice(x, x + width))
        overlaps = []
        for layer in layers:
            shared = int((mask & (layer.ink[inside] >= EDGE_LEVEL)).sum())
            overlaps.append(shared / (int(mask.sum()) + int((layer.ink >= EDGE_LEVEL).sum()) - shared))
        best = int(np.argmax(overlaps))
        label = layers[best].label
        if overlaps[best] >= SAME and label != SIGN:
            digits.append((segment, label))
        elif overlaps[best] < OTHER or label == SIGN:
            others.append((segment, SIGN))
    chosen = rng.permutation(len(others))[:MOST_OTHERS]
    return [
        (center_digit(segment), label) for segment, label in [*digits, *(others[index] for index in chosen)]
    ]


def compose_line(
    images: NDArray[np.uint8],
    labels: NDArray[np.uint8],
    rng: np.random.Generator,
    most: int = 6,
    *,
    run: bool = False,
) -> tuple[Gray, list[Layer]]:
    """Return the worn ink of a line of 1 to `most` digits, (HEIGHT_PX, any) uint8, and each digit alone.

    With `run` it ends, or nearly so, in zeros that were written in one go, as on cheques.
    """
    count = int(rng.integers(1, most + 1))
    chosen = rng.integers(0, len(images), count)
    zeros = np.flatnonzero(labels == 0)
    if len(zeros) and rng.random() < 0.25:  # amounts end with zeros
        ending = int(rng.integers(1, min(count, 3) + 1))
        chosen[-ending:] = rng.choice(zeros, ending)
    pen = 8.5 * float(np.exp(rng.normal(0, 0.4)))
    slant = float(rng.normal(0, 0.12))
    hand = choose_hand(rng) if rng.random() < DRAWN_LINES else None
    glyphs = []
    for index in chosen.tolist():
        label = int(labels[index])
        image = draw_as(hand[label], rng) if hand and rng.random() < 0.8 else images[index]
        glyphs.append((label, _write(image, pen, slant, rng)))
    if rng.random() < 0.15:
        glyphs.insert(int(rng.integers(0, count + 1)), (SIGN, _write(draw_form(SIGN, rng), pen, slant, rng)))
    joined, written = range(0), _write_run(pen, slant, rng) if run else []
    if run:
        behind = int(rng.integers(0, 3))  # digits, on some lines
        first = max(0, min(len(glyphs) - (behind if rng.random() < 0.3 else 0), most - 2))
        glyphs[first:] = [*written, *glyphs[first:]][: max(1, most - first)]
        joined = range(first + 1, first + len(written))
    layers = _set_out(glyphs, rng, joined, pen)
    return _lay(layers, pen, rng), layers


def _write_run(pen: float, slant: float, rng: np.random.Generator) -> list[tuple[int, Gray]]:
    """Return two to four zeros as one hand writes them in a row: alike, and often small and flat."""
    form = FORMS[0][rng.integers(len(FORMS[0]))]
    height, width, shrinking = rng.uniform(0.45, 1.0), rng.uniform(0.8, 1.15), rng.uniform(0.85, 1.02)
    glyphs = []
    for number in range(rng.integers(2, 5)):
        glyph = _write(draw_as(form, rng), pen, slant, rng)
        size = max(4, round(glyph.shape[1] * width * shrinking**number))
        high = max(8, round(glyph.shape[0] * height * shrinking**number))
        resized = cv2.resize(glyph, (size, high), interpolation=cv2.INTER_AREA)
        glyphs.append((0, np.asarray(resized, np.uint8)))
    return glyphs


def compose_word(
    letters: NDArray[np.uint8], rng: np.random.Generator, fewest: int = 3, most: int = 8
) -> Gray:
    """Return the worn ink of a word, (HEIGHT_PX, any) uint8, of so many letters out of (n, 28, 28) uint8."""
    pen = 8.5 * float(np.exp(rng.normal(0, 0.4)))
    slant = float(rng.normal(0, 0.12))
    chosen = letters[rng.integers(0, len(letters), rng.integers(fewest, most + 1))]
    glyphs = [(SIGN, _write(image, pen, slant, rng)) for image in chosen]
    return _lay(_set_out(glyphs, rng, (), pen), pen, rng)


def _lay(layers: list[Layer], pen: float, rng: np.random.Generator) -> Gray:
    """Return the worn ink of some layers, with other marks beside them."""
    ink = _add_marks(layers, pen, rng)
    for layer in layers:
        np.maximum(ink, layer.ink, out=ink)
    return _wear(ink, rng)


def _write(image: Gray, pen: float, slant: float, rng: np.random.Generator) -> Gray:
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


def _set_out(
    glyphs: list[tuple[int, Gray]],
    rng: np.random.Generator,
    joined: Container[int],
    pen: float,
) -> list[Layer]:
    """Return the glyphs side by side, each on a strip of its own: apart, touching or overlapping a little.

    Those whose number is in `joined` share the stroke of a pen of this width with the one before.
    """
    width = sum(glyph.shape[1] for _, glyph in glyphs) + 80 * len(glyphs) + 160
    touching = rng.random()
    far = 10**6
    reach = np.full(HEIGHT_PX, -far)  # the last column, a row, that is taken
    left = 40
    layers: list[Layer] = []
    for number, (label, glyph) in enumerate(glyphs):
        rows, columns = glyph.shape
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

"""Digits drawn from the strokes of `shapes`: each drawing bends, stretches, slants and rounds them anew."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from mnistry.imaging import center_digit
from mnistry.synthesis.shapes import FORMS, Stroke

DRAWN_PX = 80  # height of a drawing before it is made 28 x 28
PEN_PX = 9.0  # at that height; half to twice as much
BEND = 0.05  # standard deviation of the smooth deformation, in heights
SHAKE = 0.045  # at most, of the points
COARSE, COARSE_PX = 0.25, (9.0, 24.0)  # portion of drawings seen in few pixels, and their height in these


def draw_form(digit: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return one drawing of a digit, or of a sign for SIGN, (28, 28) uint8, 255 = ink."""
    return draw_as(FORMS[digit][rng.integers(len(FORMS[digit]))], rng)


def choose_hand(rng: np.random.Generator) -> dict[int, list[Stroke]]:
    """Return the form in which somebody writes each digit, all of one kind alike."""
    return {digit: forms[rng.integers(len(forms))] for digit, forms in FORMS.items()}


def draw_as(form: list[Stroke], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return one drawing of a form, one of FORMS, (28, 28) uint8, 255 = ink."""
    width = rng.uniform(0.5, 0.95) * DRAWN_PX
    slant = rng.normal(0.05, 0.18)
    pen = PEN_PX * float(np.exp(rng.normal(0, 0.35)))
    shake = rng.uniform(0.01, SHAKE)
    bend = rng.normal(0, BEND, (3, 3, 2)).astype(np.float32)
    picture = np.zeros((2 * DRAWN_PX, 2 * DRAWN_PX + 40), np.uint8)
    for is_round, points in form:
        line = _draw_line(np.array(points, np.float64), is_round, shake, rng)
        where = (line.clip(0, 1) * 2).astype(np.float32)[None]
        line += cv2.remap(bend, where[..., 0], where[..., 1], cv2.INTER_LINEAR)[0]
        x = (line[:, 0] * width) + slant * (0.5 - line[:, 1]) * DRAWN_PX + DRAWN_PX / 2 + 10
        y = line[:, 1] * DRAWN_PX + DRAWN_PX / 2
        sixteenths = np.rint(np.column_stack([x, y]) * 16).astype(np.int32)
        cv2.polylines(picture, [sixteenths], False, 255, max(1, round(pen)), cv2.LINE_AA, 4)
    if rng.random() < COARSE:
        portion = rng.uniform(*COARSE_PX) / DRAWN_PX
        coarse = cv2.resize(picture, None, fx=portion, fy=portion, interpolation=cv2.INTER_AREA)
        bright = np.clip(coarse.astype(np.float32) * rng.uniform(1.0, 1.8), 0, 255).astype(np.uint8)
        picture = np.asarray(cv2.resize(bright, picture.shape[::-1], interpolation=cv2.INTER_CUBIC), np.uint8)
    return center_digit(picture)


def _draw_line(
    points: NDArray[np.float64], is_round: bool, shake: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return many points along a stroke whose given points were shaken: bowed, rounded, or with corners."""
    shaken = points + rng.normal(0, shake * (0.35 if len(points) > 8 else 1), points.shape)
    if len(points) == 2:
        along = np.linspace(0, 1, 8)[:, None]
        step = shaken[1] - shaken[0]
        return np.asarray(
            shaken[0] + along * step + np.sin(np.pi * along) * rng.normal(0, 0.05) * step[::-1] * (-1, 1)
        )
    if is_round:
        return _smooth(shaken, 3)
    dense = np.vstack([np.linspace(a, b, 6, endpoint=False) for a, b in pairwise(shaken)])
    dense = np.vstack([dense, shaken[-1:]])
    return _smooth(dense, 2) if rng.random() < 0.6 else dense


def _smooth(points: NDArray[np.float64], times: int) -> NDArray[np.float64]:
    """Return the points with their corners cut off, again and again (Chaikin 1974)."""
    for _ in range(times):
        cut = np.empty((2 * len(points), 2))
        cut[0], cut[-1] = points[0], points[-1]
        cut[1:-1:2] = 0.75 * points[:-1] + 0.25 * points[1:]
        cut[2:-1:2] = 0.25 * points[:-1] + 0.75 * points[1:]
        points = cut
    return points


def draw_forms(labels: NDArray[np.uint8], seed: int) -> NDArray[np.uint8]:
    """Return a drawing for every label, (n, 28, 28) uint8; SIGN stands for a sign that is no digit."""
    rng = np.random.default_rng(seed)
    return (
        np.stack([draw_form(int(label), rng) for label in labels])
        if len(labels)
        else np.zeros((0, 28, 28), np.uint8)
    )

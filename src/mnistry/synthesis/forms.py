"""Digits drawn from strokes, in forms that are common in the world and rare in MNIST.

A 1 with a long flag or a foot, a crossed 7, an open 4, a 5 whose bar is far away, a slashed 0, a 9 like a p;
and signs that are no digits. Every form is a few strokes in a field of width 1 and height 1; each drawing
bends, stretches, slants and rounds them in its own way.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from mnistry.imaging import center_digit

Points: TypeAlias = Sequence[tuple[float, float]]
Stroke: TypeAlias = tuple[bool, Points]  # whether it is round or has corners; x to the right, y down

SIGN = 10  # what is no digit
DRAWN_PX = 80  # height of a drawing before it is made 28 x 28
PEN_PX = 9.0  # at that height; half to twice as much
BEND = 0.05  # standard deviation of the smooth deformation, in heights
SHAKE = 0.045  # at most, of the points


def _ring(
    x: float, y: float, width: float, height: float, start: float, end: float
) -> list[tuple[float, float]]:
    """Return points of an ellipse from one angle, in degrees clockwise from the right, to another."""
    angles = np.radians(np.linspace(start, end, 18))
    return [(x + width * float(np.cos(angle)), y + height * float(np.sin(angle))) for angle in angles]


def _round(*points: tuple[float, float]) -> Stroke:
    return True, points


def _sharp(*points: tuple[float, float]) -> Stroke:
    return False, points


FORMS: dict[int, list[list[Stroke]]] = {
    0: [
        [_round(*_ring(0.5, 0.5, 0.42, 0.5, -90, 270))],
        [_round(*_ring(0.5, 0.5, 0.42, 0.5, -60, 330))],
        [_round(*_ring(0.5, 0.5, 0.42, 0.5, -90, 270)), _sharp((0.85, 0.1), (0.15, 0.9))],
        [_round(*_ring(0.5, 0.5, 0.45, 0.45, -100, 280), (0.75, 0.05))],
        [_round((0.75, 0.08), *_ring(0.5, 0.52, 0.42, 0.46, -60, -420), (0.6, 0.2))],
        [_round((0.2, 0.1), (0.15, 0.95), (0.6, 0.95), (0.9, 0.5), (0.6, 0.05), (0.05, 0.05))],
    ],
    1: [
        [_sharp((0.2, 0.0), (0.2, 1))],
        [_sharp((0, 0.35), (0.42, 0), (0.4, 1))],
        [_sharp((0, 0.22), (0.3, 0), (0.3, 1))],
        [_sharp((0, 0.5), (0.5, 0), (0.48, 1))],
        [_sharp((0, 0.25), (0.35, 0), (0.35, 1)), _sharp((0.05, 1), (0.65, 1))],
        [_round((0, 0.6), (0.3, 0.3), (0.5, 0)), _sharp((0.5, 0), (0.45, 1))],
        [_sharp((0, 0.75), (0.6, 0), (0.5, 1))],
        [_sharp((0, 0.3), (0.4, 0), (0.4, 0.5), (0.42, 1)), _sharp((0.1, 0.98), (0.75, 1))],
    ],
    2: [
        [
            _round((0.05, 0.25), (0.2, 0.03), (0.6, 0.0), (0.85, 0.22), (0.7, 0.5), (0.3, 0.8), (0, 1)),
            _sharp((0, 1), (0.95, 1)),
        ],
        [
            _round(
                (0.05, 0.2),
                (0.4, 0),
                (0.8, 0.2),
                (0.6, 0.55),
                (0.2, 0.9),
                (0.05, 0.95),
                (0.15, 0.8),
                (0.35, 0.85),
                (0.6, 1),
                (0.95, 0.9),
            )
        ],
        [_sharp((0, 0.05), (0.8, 0.02)), _sharp((0.8, 0.02), (0, 1), (0.95, 0.98))],
        [
            _round(
                (0, 0.15), (0.4, 0.0), (0.8, 0.15), (0.7, 0.45), (0.35, 0.75), (0.0, 1), (0.4, 0.92), (1, 1)
            )
        ],
    ],
    3: [
        [
            _round((0.05, 0.12), (0.4, 0), (0.8, 0.12), (0.75, 0.36), (0.35, 0.46)),
            _round((0.35, 0.46), (0.8, 0.58), (0.85, 0.85), (0.45, 1), (0, 0.88)),
        ],
        [
            _sharp((0.05, 0.02), (0.85, 0.02), (0.38, 0.4)),
            _round((0.38, 0.4), (0.8, 0.5), (0.85, 0.85), (0.4, 1), (0, 0.88)),
        ],
        [
            _round(
                (0.0, 0.1),
                (0.5, 0),
                (0.8, 0.2),
                (0.3, 0.45),
                (0.25, 0.47),
                (0.8, 0.6),
                (0.8, 0.9),
                (0.3, 1),
                (0, 0.85),
            )
        ],
    ],
    4: [
        [_sharp((0.1, 0.05), (0.0, 0.6), (0.9, 0.6)), _sharp((0.65, 0.1), (0.6, 1))],
        [_sharp((0.6, 1), (0.65, 0), (0, 0.68), (0.95, 0.66))],
        [_sharp((0.35, 0), (0, 0.65), (0.95, 0.62)), _sharp((0.62, 0.3), (0.58, 1))],
        [
            _round((0.05, 0.0), (0.05, 0.35), (0.2, 0.52), (0.6, 0.5), (0.8, 0.35)),
            _sharp((0.85, 0), (0.75, 1)),
        ],
        [_round((0.1, 0.0), (0.05, 0.4), (0.4, 0.5), (0.75, 0.4)), _round((0.8, 0), (0.75, 0.5), (0.7, 1))],
    ],
    5: [
        [
            _sharp((0.85, 0.02), (0.2, 0.02), (0.12, 0.42)),
            _round((0.12, 0.42), (0.5, 0.36), (0.85, 0.55), (0.8, 0.85), (0.4, 1), (0, 0.9)),
        ],
        [
            _sharp((0.2, 0.0), (0.15, 0.42)),
            _round((0.15, 0.42), (0.55, 0.38), (0.85, 0.65), (0.6, 0.95), (0, 0.95)),
            _sharp((0.18, 0.02), (0.95, 0.0)),
        ],
        [_round((0.9, 0.0), (0.4, 0.05), (0.2, 0.25), (0.45, 0.45), (0.65, 0.65), (0.5, 0.92), (0, 0.95))],
        [
            _round((0.3, 0.05), (0.25, 0.4), (0.6, 0.5), (0.65, 0.75), (0.4, 0.98), (0, 0.92)),
            _sharp((0.3, 0.05), (1.15, -0.02)),
        ],
        [
            _round((0.25, 0.2), (0.3, 0.45), (0.5, 0.6), (0.45, 0.9), (0.2, 1), (0, 0.85)),
            _sharp((0.25, 0.2), (0.5, 0.05), (1.0, 0.0)),
        ],
        [
            _sharp((0.35, 0.05), (0.3, 0.4)),
            _round((0.3, 0.4), (0.55, 0.6), (0.45, 0.92), (0, 1)),
            _round((0.35, 0.06), (0.6, 0.0), (1.2, 0.02)),
        ],
        [
            _round((0.55, 0.0), (0.4, 0.3), (0.3, 0.5), (0.6, 0.55), (0.75, 0.75), (0.5, 0.98), (0.1, 0.95)),
            _sharp((0.05, 0.3), (0.95, 0.22)),
        ],
        [
            _sharp((0.45, 0.0), (0.3, 0.5)),
            _round((0.3, 0.5), (0.6, 0.45), (0.8, 0.7), (0.5, 1), (0.05, 0.95)),
            _sharp((0.0, 0.22), (0.95, 0.18)),
        ],
    ],
    6: [
        [
            _round(
                (0.75, 0.0),
                (0.3, 0.2),
                (0.05, 0.6),
                (0.15, 0.92),
                (0.5, 1),
                (0.8, 0.8),
                (0.7, 0.58),
                (0.35, 0.55),
                (0.08, 0.75),
            )
        ],
        [
            _round(
                (0.3, 0.0),
                (0.08, 0.4),
                (0.05, 0.75),
                (0.3, 1),
                (0.7, 0.95),
                (0.8, 0.7),
                (0.5, 0.55),
                (0.15, 0.65),
                (0.08, 0.8),
            )
        ],
        [_round((0.5, 0), (0.15, 0.45), (0.05, 0.8), (0.35, 1), (0.75, 0.85), (0.6, 0.62), (0.2, 0.75))],
    ],
    7: [
        [_sharp((0, 0.05), (0.85, 0.03), (0.35, 1))],
        [_sharp((0, 0.05), (0.85, 0.03), (0.4, 1)), _sharp((0.2, 0.5), (0.9, 0.48))],
        [_sharp((0.02, 0.2), (0.05, 0.03), (0.9, 0.05)), _round((0.9, 0.05), (0.5, 0.5), (0.4, 1))],
        [_sharp((0.02, 0.22), (0.06, 0.03), (0.85, 0.03), (0.4, 1)), _sharp((0.15, 0.52), (0.85, 0.5))],
        [
            _round((0, 0.12), (0.25, 0.0), (0.5, 0.1), (0.85, 0.02)),
            _round((0.85, 0.02), (0.55, 0.45), (0.4, 1)),
            _sharp((0.2, 0.55), (0.85, 0.45)),
        ],
        [
            _round((0, 0.12), (0.25, 0.0), (0.5, 0.1), (0.85, 0.02)),
            _round((0.85, 0.02), (0.55, 0.45), (0.4, 1)),
        ],
    ],
    8: [
        [
            _round(
                (0.75, 0.12),
                (0.4, 0.0),
                (0.15, 0.2),
                (0.45, 0.45),
                (0.8, 0.7),
                (0.5, 1),
                (0.1, 0.8),
                (0.4, 0.5),
                (0.75, 0.2),
                (0.7, 0.08),
            )
        ],
        [_round(*_ring(0.48, 0.24, 0.32, 0.24, -90, 270)), _round(*_ring(0.48, 0.74, 0.42, 0.26, -90, 270))],
        [
            _round(
                (0.5, 0.45),
                (0.15, 0.25),
                (0.45, 0),
                (0.8, 0.22),
                (0.45, 0.5),
                (0.1, 0.78),
                (0.45, 1),
                (0.85, 0.78),
                (0.5, 0.45),
            )
        ],
    ],
    9: [
        [_round(*_ring(0.42, 0.28, 0.38, 0.28, -30, -390)), _sharp((0.78, 0.2), (0.7, 1))],
        [
            _round(*_ring(0.42, 0.28, 0.38, 0.28, -20, -380)),
            _round((0.8, 0.2), (0.8, 0.6), (0.65, 0.95), (0.3, 1), (0.05, 0.9)),
        ],
        [
            _round(
                (0.75, 0.15),
                (0.4, 0.0),
                (0.08, 0.25),
                (0.3, 0.5),
                (0.7, 0.4),
                (0.78, 0.1),
                (0.7, 0.6),
                (0.45, 1),
            )
        ],
        [_round((0.3, 1), (0.28, 0.3), (0.4, 0.05), (0.75, 0.05), (0.8, 0.35), (0.55, 0.55), (0.3, 0.45))],
        [_round(*_ring(0.42, 0.25, 0.36, 0.25, 0, -360)), _round((0.78, 0.22), (0.7, 0.65), (0.35, 1))],
    ],
    SIGN: [
        [_sharp((0.5, 0.1), (0.5, 0.9)), _sharp((0.05, 0.5), (0.95, 0.5))],
        [_sharp((0.05, 0.05), (0.95, 0.95)), _sharp((0.95, 0.05), (0.05, 0.95))],
        [_sharp((0, 0.5), (1, 0.5))],
        [_sharp((0, 0.35), (1, 0.35)), _sharp((0, 0.65), (1, 0.65))],
        [_round((0.6, 0), (0.35, 0.25), (0.3, 0.5), (0.35, 0.75), (0.6, 1))],
        [_round((0.4, 0), (0.65, 0.25), (0.7, 0.5), (0.65, 0.75), (0.4, 1))],
        [_sharp((0.5, 0.2), (0.5, 0.8)), _sharp((0.2, 0.5), (0.8, 0.5))],
    ],
}


def draw_form(digit: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return one drawing of a digit, or of a sign for SIGN, (28, 28) uint8, 255 = ink."""
    return draw_as(FORMS[digit][rng.integers(len(FORMS[digit]))], rng)


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

"""What digits are written with: a pen's width, colour and edge, and how its ink lies on paper."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from mnistry.synthesis.glyphs import DIGIT_GRID, Field, Glyphs, draw, thin

THINNEST_PX = 1.4  # a camera sees of thinner strokes only a shade
Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Pen:
    """A pen.

    Attributes:
        name: what it is.
        colour: RGB of full ink, 0..255.
        width: of its strokes on average, as a portion of the digit's height.
        as_written: whether strokes swell and thin out as in the data set's image, or are all equally wide.
        opacity: of full ink, 0..1.
        soft_px: width of the edge between ink and paper.
        grain: how much of the ink the roughness of the paper keeps away, 0..1.
        pixels: no soft edges at all, as in a simple paint program.
    """

    name: str
    colour: Colour
    width: float = 0.1
    as_written: bool = False
    opacity: float = 1.0
    soft_px: float = 1.0
    grain: float = 0.0
    pixels: bool = False


def choose_pen(rng: np.random.Generator, scene: str, difficulty: str) -> Pen:
    """Return a pen that people use in this scene: see `papers.SCENES`."""
    hard = difficulty == "hard"
    if scene == "canvas":
        return _vary(
            rng, Pen("brush", _gray(rng, 185 if hard else 225, 255), soft_px=1.2), thin=0.025, pixels=0.3
        )
    if scene == "paint":
        colour = _gray(rng, 0, 70) if rng.random() < 0.7 else _colour(rng)
        return _vary(rng, Pen("paint", colour), thin=0.02, pixels=0.5)
    if scene == "board":
        colour = _gray(rng, 215, 245) if rng.random() < 0.8 else (240, 225, 130)
        pen = Pen("chalk", colour, opacity=rng.uniform(0.75, 0.95), soft_px=1.6, grain=rng.uniform(0.25, 0.6))
        return _vary(rng, pen, thin=0.05, pixels=0.0)
    if scene == "cheque":
        pen = Pen(
            "ballpoint",
            _gray(rng, 25, 80),
            opacity=rng.uniform(0.6, 1.0),
            soft_px=1.5,
            grain=rng.uniform(0, 0.3),
        )
        return _vary(rng, pen, thin=0.07, pixels=0.0)
    name = rng.choice(
        ["ballpoint", "fineliner", "marker", "pencil", "fountain pen"], p=[0.35, 0.2, 0.2, 0.12, 0.13]
    )
    faint = 0.12 if hard else 0.0
    if name == "marker":
        return Pen(
            name,
            _colour(rng),
            width=rng.uniform(0.09, 0.17),
            opacity=rng.uniform(0.75 - faint, 0.97),
            grain=0.08,
        )
    if name == "pencil":
        opacity = rng.uniform(0.62 - faint, 0.85)
        pen = Pen(name, _gray(rng, 50, 85), opacity=opacity, soft_px=1.5, grain=rng.uniform(0.3, 0.6))
    elif name == "ballpoint":
        pen = Pen(
            name, _blue_or_black(rng), opacity=rng.uniform(0.75 - faint, 0.95), grain=rng.uniform(0.05, 0.3)
        )
    else:
        pen = Pen(name, _blue_or_black(rng), opacity=rng.uniform(0.85 - faint, 1.0), soft_px=1.3, grain=0.05)
    return _vary(rng, pen, thin=0.03 if hard else 0.04, pixels=0.0)


def _vary(rng: np.random.Generator, pen: Pen, thin: float, pixels: float) -> Pen:
    """Return the pen with a random width from `thin` up, and with probability `pixels` no soft edges."""
    width = float(np.exp(rng.uniform(np.log(thin), np.log(0.16))))
    if rng.random() < pixels:
        return replace(pen, width=width, pixels=True)
    if rng.random() < 0.5:
        return replace(pen, width=max(width, 0.08), as_written=True)
    return replace(pen, width=width)


def _gray(rng: np.random.Generator, low: int, high: int) -> Colour:
    level = int(rng.integers(low, high + 1))
    return level, level, level


def _blue_or_black(rng: np.random.Generator) -> Colour:
    if rng.random() < 0.5:
        return _gray(rng, 15, 60)
    return int(rng.integers(10, 60)), int(rng.integers(25, 85)), int(rng.integers(110, 185))


def _colour(rng: np.random.Generator) -> Colour:
    palette = [
        (215, 40, 35),
        (30, 70, 180),
        (20, 120, 60),
        (35, 30, 40),
        (120, 40, 140),
        (225, 95, 25),
        (60, 65, 200),
    ]
    base = np.array(palette[rng.integers(len(palette))]) + rng.integers(-15, 16, 3)
    red, green, blue = (int(value) for value in base.clip(0, 255))
    return red, green, blue


def write(
    glyphs: Glyphs,
    number: int,
    pen: Pen,
    to_grid: NDArray[np.float64],
    shape: tuple[int, int],
    warp: Field | None = None,
) -> Field:
    """Return how much of each pixel the pen covers, (height, width) float32 in 0..1.

    Args:
        glyphs: shapes, of which `number` is written.
        number: index of the shape.
        pen: its width counts here, not its colour.
        to_grid: (2, 3) float64, (x, y, 1) of the picture -> (x, y) on the grid of the shape.
        shape: height and width in pixels.
        warp: distortion, see `glyphs.draw`.
    """
    points_px = float(np.sqrt(abs(np.linalg.det(to_grid[:, :2]))))  # grid points a pixel
    half = pen.width * DIGIT_GRID / 2  # of the stroke, in grid points
    if pen.as_written or glyphs.filled[number]:
        own = float(glyphs.half_widths[number])
        level = max(half - own, -0.35 * own)  # an outline that shrinks further loses its thin strokes
        distances = draw(glyphs.outline[number], to_grid, shape, warp) - level
        half = own + level
    else:
        distances = draw(glyphs.spine[number], to_grid, shape, warp) - half
    distances /= points_px
    if not pen.pixels:
        return np.asarray(np.clip(0.5 - distances / pen.soft_px, 0, 1), np.float32)
    half /= points_px
    mask = (distances + min(0.0, half - 0.75) < 0).astype(np.uint8)  # at least 1.5 pixels, or a line breaks
    return np.asarray(thin(mask) if half < 0.75 else mask, np.float32)


def lay_ink(
    paper: Field, cover: Field, pen: Pen, position: tuple[int, int], rng: np.random.Generator
) -> None:
    """Lay ink on `paper`, (height, width, 3) float32 in 0..255, in place.

    Args:
        paper: what is written on.
        cover: (h, w) float32 in 0..1, how much of each pixel the pen covers.
        pen: its colour, opacity and grain.
        position: row and column of the paper where `cover` begins; what reaches beyond the paper is cut.
        rng: of the grain.
    """
    top, left = position
    cut_top, cut_left = max(0, -top), max(0, -left)
    cover = cover[cut_top : paper.shape[0] - top, cut_left : paper.shape[1] - left]
    if not cover.size:
        return
    alpha = cover * pen.opacity
    if pen.grain:
        rough = rng.random(cover.shape, np.float32)
        slow = cv2.resize(
            rng.random((cover.shape[0] // 8 + 2, cover.shape[1] // 8 + 2), np.float32), cover.shape[::-1]
        )
        alpha = alpha * (1 - pen.grain * (0.6 * rough + 0.4 * slow))
    top, left = max(0, top), max(0, left)
    part = paper[top : top + cover.shape[0], left : left + cover.shape[1]]
    part += alpha[:, :, None] * (np.array(pen.colour, np.float32) - part)

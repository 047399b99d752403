"""What digits are written on: paper of many kinds, screens, boards, and the printed ground of a cheque."""

from __future__ import annotations

import cv2
import numpy as np

from mnistry.synthesis.glyphs import Field, Mask

# Where pictures come from. In "canvas" and "board" the ink is lighter than its ground.
SCENES = ("photo", "scan", "paint", "canvas", "board", "cheque")
LIGHT_ON_DARK = ("canvas", "board")
RULINGS = ("plain", "ruled", "squared", "dotted", "margin")


def lay_paper(
    rng: np.random.Generator,
    scene: str,
    difficulty: str,
    shape: tuple[int, int],
    pitch_px: float,
    phase_px: float,
) -> Field:
    """Return an empty sheet, (height, width, 3) float32 RGB in 0..255, evenly lit.

    Args:
        rng: of everything that is random about it.
        scene: one of SCENES.
        difficulty: "easy", "medium" or "hard"; an easy sheet is plain.
        shape: height and width in pixels.
        pitch_px: distance between the lines of writing, which ruled paper has too.
        phase_px: row of the first baseline.
    """
    if scene == "paint":
        level = 255 if rng.random() < 0.85 else int(rng.integers(225, 255))
        return np.full((*shape, 3), level, np.float32)
    if scene == "canvas":
        level = 0 if rng.random() < 0.7 else int(rng.integers(0, 45))
        return np.full((*shape, 3), level, np.float32)
    if scene == "board":
        colour = ((28, 50, 40), (35, 37, 38), (22, 60, 48), (40, 45, 55))[rng.integers(4)]
        sheet = np.full((*shape, 3), colour, np.float32)
        smears = make_noise(rng, shape, (shape[0] / 6, shape[1] / 3)) + make_noise(rng, shape, (3, 14))
        return np.asarray(sheet + np.clip(smears, -0.5, 3)[:, :, None] * rng.uniform(2, 6), np.float32)
    if scene == "cheque":
        return _print_cheque(rng, shape)

    base = rng.integers(222, 253) if scene == "photo" else rng.integers(243, 256)
    tint = rng.integers(-14, 3, 3) if rng.random() < 0.4 else rng.integers(-3, 3, 3)
    sheet8 = np.full((*shape, 3), np.clip(base + tint, 0, 255), np.uint8)
    if difficulty != "easy":
        ruling = rng.choice(RULINGS, p=[0.45, 0.22, 0.2, 0.06, 0.07])
        _rule(rng, sheet8, str(ruling), pitch_px, phase_px, hard=difficulty == "hard")
    sheet = sheet8.astype(np.float32)
    strength = rng.uniform(0.5, 2.5) if scene == "photo" else rng.uniform(0, 0.8)
    fibres = make_noise(rng, shape, (2, 2)) + 0.7 * make_noise(rng, shape, (18, 25))
    if difficulty == "hard" and scene == "photo" and rng.random() < 0.3:
        fibres += 2 * _crease(rng, shape)
    return np.asarray(sheet + strength * fibres[:, :, None], np.float32)


def make_noise(rng: np.random.Generator, shape: tuple[int, int], grain_px: tuple[float, float]) -> Field:
    """Return smooth noise, (height, width) float32, mean 0, deviation about 1, with lumps of `grain_px`."""
    height, width = (int(np.ceil(side / grain)) + 2 for side, grain in zip(shape, grain_px, strict=True))
    coarse = rng.standard_normal((height, width), np.float32)
    return np.asarray(cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_LINEAR), np.float32)


def _rule(
    rng: np.random.Generator, sheet: Mask, ruling: str, pitch_px: float, phase_px: float, hard: bool
) -> None:
    """Print lines on an (height, width, 3) uint8 sheet, in place."""
    if ruling == "plain":
        return
    height, width = sheet.shape[:2]
    depth = rng.uniform(25, 85) if hard else rng.uniform(12, 50)
    tone = np.array([(1, 0.75, 0.35), (1, 1, 1), (0.5, 1, 0.8), (0.4, 0.9, 1)][rng.integers(4)])
    paper = sheet[0, 0].astype(float)
    colour = tuple(float(value) for value in np.clip(paper - depth * tone, 0, 255))
    thick = 1 if pitch_px < 90 else int(rng.integers(1, 3))

    def line(
        start: tuple[float, float], end: tuple[float, float], colour: tuple[float, ...] = colour
    ) -> None:
        points = np.rint(np.array([start, end]) * 16).astype(int)  # 1/16 of a pixel
        cv2.line(sheet, tuple(points[0].tolist()), tuple(points[1].tolist()), colour, thick, cv2.LINE_AA, 4)

    below = phase_px + rng.uniform(0, 0.12) * pitch_px
    if ruling in ("ruled", "margin"):
        for y in np.arange(below % pitch_px, height, pitch_px):
            line((-9, y), (width + 9, y))
    if ruling == "margin":
        x = width * rng.uniform(0.02, 0.09)
        line(
            (x, -9),
            (x, height + 9),
            tuple(float(v) for v in np.clip(paper - depth * np.array([0.1, 0.9, 0.8]), 0, 255)),
        )
    if ruling in ("squared", "dotted"):
        side = max(pitch_px / int(rng.integers(2, 5)), 9.0)
        columns, rows = np.arange(rng.uniform(0, side), width, side), np.arange(below % side, height, side)
        if ruling == "dotted":
            for y in rows:
                for x in columns:
                    cv2.circle(sheet, (round(x), round(y)), thick, colour, -1, cv2.LINE_AA)
            return
        for y in rows:
            line((-9, y), (width + 9, y))
        for x in columns:
            line((x, -9), (x, height + 9))


def _crease(rng: np.random.Generator, shape: tuple[int, int]) -> Field:
    """Return the relief of a fold across the sheet: light on one side of it, dark on the other."""
    rows, columns = (np.linspace(0, 1, max(2, side // 3), dtype=np.float32) for side in shape)  # soft anyway
    angle = rng.uniform(0, np.pi)
    centre = rng.uniform(0.2, 0.8, 2)
    distance = (rows[:, None] - centre[0]) * (shape[0] * np.cos(angle)) + (columns - centre[1]) * (
        shape[1] * np.sin(angle)
    )
    reach = rng.uniform(0.02, 0.06) * max(shape)
    relief = np.sign(distance) * np.exp(-np.abs(distance) / reach) * rng.uniform(1, 4)
    return np.asarray(cv2.resize(relief.astype(np.float32), shape[::-1]), np.float32)


def _print_cheque(rng: np.random.Generator, shape: tuple[int, int]) -> Field:
    """Return the printed ground of an amount field: gray, with waves, arcs or a net of fine lines."""
    height, width = shape
    base = int(rng.integers(140, 228))
    sheet = np.full(shape, base, np.uint8)
    unit = max(2.0, height / rng.uniform(7, 22))  # distance of two printed lines
    x = np.linspace(-10, width + 10, 60)
    for _ in range(int(rng.integers(1, 4))):
        tone = int(np.clip(base + rng.choice([-1, -1, -1, 1]) * rng.integers(18, 55), 0, 255))
        slope, swing = float(rng.choice([0, 0, 0.15, -0.3, 0.8, -1.2])), rng.uniform(0, 2.5) * unit
        bend, wave = (
            rng.choice([0, 0, 1, -1]) * rng.uniform(0.3, 1) * height,
            rng.uniform(0.5, 4) * 2 * np.pi / width,
        )
        reach = abs(slope) * width + abs(bend) + swing + unit
        for number, y in enumerate(np.arange(-reach, height + reach, unit * rng.uniform(0.8, 1.6))):
            curve = y + slope * x + swing * np.sin(wave * x + 0.15 * number) + bend * (2 * x / width - 1) ** 2
            points = np.rint(np.stack([x, curve], 1) * 16).astype(np.int32)
            cv2.polylines(sheet, [points], False, tone, 1, cv2.LINE_AA, 4)
    dark = int(rng.integers(30, 110))
    if rng.random() < 0.35:  # the frame of the field, or a line to write on
        y = round(height * rng.uniform(0.86, 0.99))
        cv2.line(sheet, (0, y), (width, y + int(rng.integers(-1, 2))), dark, 1, cv2.LINE_AA)
    if rng.random() < 0.12:
        x0 = round(width * rng.uniform(0.0, 0.03))
        cv2.line(sheet, (x0, 0), (x0, height), dark, 1, cv2.LINE_AA)
    gray = sheet + make_noise(rng, shape, (1.5, 1.5)) * rng.uniform(1.5, 5)
    if rng.random() < 0.2:  # another part of the print begins inside the field
        gray[:, int(width * rng.uniform(0.4, 0.8)) :] += rng.uniform(10, 35)
    return np.repeat(gray[:, :, None], 3, axis=2).astype(np.float32)


def lay_desk(rng: np.random.Generator, shape: tuple[int, int]) -> Field:
    """Return what a sheet may lie on, (height, width, 3) float32 in 0..255: wood, cloth or stone."""
    colours = ((150, 105, 65), (95, 70, 50), (60, 62, 66), (120, 120, 118), (185, 150, 110), (40, 45, 60))
    colour = np.array(colours[rng.integers(len(colours))], np.float32) * rng.uniform(0.7, 1.1)
    half = (shape[0] // 2 + 1, shape[1] // 2 + 1)  # as it is a little out of focus
    grain = (
        make_noise(rng, half, (2, 45))
        + 0.6 * make_noise(rng, half, (15, 100))
        + 0.3 * make_noise(rng, half, (1, 1))
    )
    ground = (colour + grain[:, :, None] * rng.uniform(3, 9)).astype(np.float32)
    return np.asarray(cv2.resize(ground, shape[::-1]), np.float32)

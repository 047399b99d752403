"""How a sheet becomes a picture: turned and tilted, unevenly lit, blurred, grainy, and compressed."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from mnistry.synthesis.glyphs import Field, Mask
from mnistry.synthesis.papers import lay_desk, make_noise


def tilt(
    rng: np.random.Generator, centre: NDArray[np.float64], reach_px: float, difficulty: str
) -> NDArray[np.float64]:
    """Return how the camera sees the sheet: a (3, 3) homography of (x, y, 1).

    Args:
        rng: of the angles.
        centre: x and y of the point that stays where it is.
        reach_px: from one end of the writing to the other.
        difficulty: "easy", "medium" or "hard".
    """
    turn_deg, depth = {"easy": (1.0, 0.0), "medium": (3.0, 0.03), "hard": (7.0, 0.1)}[difficulty]
    angle = np.deg2rad(rng.uniform(-turn_deg, turn_deg))
    cosine, sine = np.cos(angle), np.sin(angle)
    away_x, away_y = rng.uniform(-depth, depth, 2) / reach_px * 2  # how much smaller the far end is
    to_centre = np.array([[1, 0, -centre[0]], [0, 1, -centre[1]], [0, 0, 1.0]])
    turn = np.array([[cosine, -sine, 0], [sine, cosine, 0], [away_x, away_y, 1.0]])
    return np.asarray(np.linalg.inv(to_centre) @ turn @ to_centre, np.float64)


def move(points: NDArray[np.float64], homography: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (n, 2) points (x, y) where the camera sees them."""
    seen = np.column_stack([points, np.ones(len(points))]) @ homography.T
    return np.asarray(seen[:, :2] / seen[:, 2:], np.float64)


def look(
    rng: np.random.Generator,
    sheet: Field,
    homography: NDArray[np.float64],
    shape: tuple[int, int],
    desk: bool,
) -> Field:
    """Return the sheet as the camera sees it, (height, width, 3) float32, with a desk around it or not."""
    size = shape[::-1]
    if not desk:
        seen = cv2.warpPerspective(sheet, homography, size, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(seen, np.float32)
    ground = lay_desk(rng, shape)
    cv2.warpPerspective(sheet, homography, size, dst=ground, borderMode=cv2.BORDER_TRANSPARENT)
    return ground


def light(rng: np.random.Generator, picture: Field, difficulty: str) -> Field:
    """Return the picture under a lamp: darker to one side and to the corners, with a shadow, and tinted."""
    shape = picture.shape[:2]
    small = (max(2, shape[0] // 16), max(2, shape[1] // 16))
    rows, columns = np.indices(small, np.float32)
    rows, columns = rows / (small[0] - 1) * 2 - 1, columns / (small[1] - 1) * 2 - 1
    slope, corner, depth = {"easy": (0.05, 0.02, 0.0), "medium": (0.16, 0.1, 0.3), "hard": (0.3, 0.2, 0.55)}[
        difficulty
    ]
    angle, strength = rng.uniform(0, 2 * np.pi), rng.uniform(0, slope)
    field = 1 - strength * (1 + np.cos(angle) * columns + np.sin(angle) * rows) / 2 * 1.4
    field -= rng.uniform(0, corner) * (rows**2 + columns**2) / 2
    if rng.random() < 0.45 and depth:  # of a hand, a head, a telephone
        centre, way = rng.uniform(-1, 1, 2), rng.uniform(0, 2 * np.pi)
        edge = (columns - centre[0]) * np.cos(way) + (rows - centre[1]) * np.sin(way)
        edge += 0.25 * make_noise(rng, small, (small[0] / 3, small[1] / 3))
        field *= 1 - rng.uniform(0.3, 1) * depth / (1 + np.exp(-edge / rng.uniform(0.02, 0.25)))
    field *= rng.uniform(0.92, 1.0) if difficulty == "easy" else rng.uniform(0.6, 1.02)
    field = np.maximum(field, 0.4)
    field *= max(1.0, 0.6 / float(field.mean()))  # a camera exposes a dark scene for longer
    warmth = rng.normal(0, 0.02 if difficulty != "hard" else 0.045)
    tint = np.array([1 + warmth, 1, 1 - 1.5 * warmth], np.float32)
    lamp = (field[:, :, None] * tint).astype(np.float32)
    return np.asarray(picture * cv2.resize(lamp, shape[::-1], interpolation=cv2.INTER_LINEAR), np.float32)


def shade(rng: np.random.Generator, picture: Mask) -> Mask:
    """Return the picture, (height, width, 3) uint8, with a shadow that has an edge, as of a book."""
    height, width = picture.shape[:2]
    rows, columns = np.indices((height, width), np.float32)
    x, y = rng.uniform(0.1, 0.9, 2) * (width, height)
    way = rng.uniform(0, 2 * np.pi)
    along = (columns - x) * np.cos(way) + (rows - y) * np.sin(way)
    shadow = along > 0
    kind = rng.choice(["half", "wedge", "band"])
    if kind == "wedge":
        way += rng.uniform(0.6, 2.2)
        shadow &= (columns - x) * np.cos(way) + (rows - y) * np.sin(way) > 0
    if kind == "band":
        shadow &= along < rng.uniform(0.05, 0.5) * max(width, height)
    softness = float(np.exp(rng.uniform(np.log(1.0), np.log(15.0))))
    field = cv2.GaussianBlur(shadow.astype(np.float32), (0, 0), softness)
    field = 1 - rng.uniform(0.08, 0.45) * field
    return np.asarray(np.clip(picture * field[:, :, None] + 0.5, 0, 255), np.uint8)


def expose(rng: np.random.Generator, picture: Field, difficulty: str, digit_px: float, scene: str) -> Mask:
    """Return the picture as a file holds it, (height, width, 3) uint8: out of focus, grainy, through JPEG.

    Args:
        rng: of everything.
        picture: (height, width, 3) float32 in 0..255.
        difficulty: "easy", "medium" or "hard".
        digit_px: height of the digits, of which blur takes at most a portion.
        scene: "photo" or "board" for a camera; "scan", which is sharp; "cheque": gray, with little noise.
    """
    easy, medium, hard = (0.012, 1.5, 90), (0.025, 5.0, 65), (0.04, 12.0, 30)
    blur, noise, quality = {"easy": easy, "medium": medium, "hard": hard}[difficulty]
    if scene != "scan":
        sigma = rng.uniform(0, blur) * digit_px
        if sigma > 0.25:
            picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), min(sigma, 4.0)), np.float32)
        if difficulty == "hard" and rng.random() < 0.2:
            picture = np.asarray(cv2.filter2D(picture, -1, _streak(rng, 0.07 * digit_px)), np.float32)
    noise *= {"scan": 0.3, "cheque": 0.5}.get(scene, 1.0)
    grain = rng.standard_normal(picture.shape[:2], np.float32)
    grain *= rng.uniform(0.2, 1) * noise
    # Saturates and rounds by itself, and adds the three channels at once.
    result = np.asarray(cv2.add(picture, cv2.merge([grain, grain, grain]), dtype=cv2.CV_8U), np.uint8)
    if scene == "cheque":
        result = np.repeat(result[:, :, :1], 3, axis=2)
    if rng.random() < 0.8:
        setting = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(quality, 96))]
        _, code = cv2.imencode(".jpg", cv2.cvtColor(result, cv2.COLOR_RGB2BGR), setting)
        decoded = np.asarray(cv2.imdecode(code, cv2.IMREAD_COLOR), np.uint8)
        result = np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), np.uint8)
    return result


def _streak(rng: np.random.Generator, length_px: float) -> Field:
    """Return the kernel of a hand that moved while the picture was taken."""
    reach = max(1, round(length_px))
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1), np.uint8)
    angle = rng.uniform(0, np.pi)
    tip = np.rint(np.array([np.cos(angle), np.sin(angle)]) * reach * 0.7).astype(int)
    start, end = tuple((reach - tip).tolist()), tuple((reach + tip).tolist())
    cv2.line(kernel, start, end, 255, 1, cv2.LINE_AA)
    return np.asarray(kernel / np.float32(kernel.sum()), np.float32)

"""Pictures that several test files draw."""

from __future__ import annotations

import io

import cv2
import numpy as np
from PIL import Image


def draw_seven(
    height: int = 200, width: int = 160, ink: int = 0, paper: int = 255, pen_px: int = 12
) -> np.ndarray:
    """A 7 in the lower left part of the picture."""
    picture = np.full((height, width), paper, np.uint8)
    corners = np.array([[0.1, 0.4], [0.5, 0.4], [0.2, 0.9]]) * [width, height]
    cv2.polylines(picture, [corners.round().astype(np.int32)], False, ink, pen_px, cv2.LINE_AA)
    return picture


def encode(picture: Image.Image | np.ndarray, format: str = "png", **options: object) -> bytes:
    if isinstance(picture, np.ndarray):
        picture = Image.fromarray(picture)
    buffer = io.BytesIO()
    picture.save(buffer, format, **options)
    return buffer.getvalue()

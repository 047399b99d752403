"""Pictures that several test files draw."""

from __future__ import annotations

import io

import cv2
import numpy as np
from PIL import Image

from mnistry import load_mnist


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


def write_rows(rows: list[tuple[str, str, int]], height: int, scale: float) -> np.ndarray:
    """A page with a row each of a printed word, of digits of MNIST and where these begin, x."""
    _, test = load_mnist()
    ink = np.zeros((height, 760), np.uint8)
    for number, (word, digits, left) in enumerate(rows):
        top = 30 + 130 * number
        cv2.putText(ink, word, (30, top + 75), cv2.FONT_HERSHEY_SIMPLEX, scale, 255, 4, cv2.LINE_AA)
        for place, digit in enumerate(digits):
            image = test.images[np.flatnonzero(test.labels == int(digit))[2]]
            field = ink[top : top + 100, left + 75 * place : left + 75 * place + 100]
            np.maximum(field, cv2.resize(image, (100, 100), interpolation=cv2.INTER_CUBIC), out=field)
    return 255 - ink

"""Arrays of pixels: checked, brought to 0..255, made smaller, and reduced to one gray scale."""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mnistry.errors import ImageError

Gray: TypeAlias = NDArray[np.uint8]

MAX_PIXELS = 120_000_000  # what is decoded within about 2 s on one core, and 500 MB
DEPTHS = (1, 255, 1023, 4095, 16383, 65535)  # the largest values of 1, 8, 10, 12, 14 and 16 bits
COLOURS_PX, AROUND_PX = 256, 31  # of the copy on which colours are looked at, and of what is around a stroke
LEAST_SEEN = 0.5  # of the contrast of strokes to what is around them, in gray
BAND_PIXELS = 4_000_000  # that are made smaller at a time


def find_connected(mask: NDArray[Any]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return what hangs together, over corners too: a number at every pixel, and the statistics of each.

    Args:
        mask: (height, width), bool or uint8 of 0 and 1.

    Returns:
        numbers, (height, width) int32, 0 where the mask is empty; and (n, 5) int32: left, top, width, height
        and area of each; the first row, for what is empty, is 0.
    """
    import cv2

    mask = np.asarray(mask, np.uint8)
    numbers = np.zeros(mask.shape, np.int32)
    left, top, width, height = cv2.boundingRect(mask)
    if not width:
        return numbers, np.zeros((1, 5), np.int32)
    inside = (slice(top, top + height), slice(left, left + width))  # most of the time goes into statistics
    # Of OpenCV's ways the one that is fastest with them.
    _, numbers[inside], stats, _ = cv2.connectedComponentsWithStatsWithAlgorithm(
        mask[inside], 8, cv2.CV_32S, cv2.CCL_BBDT
    )
    stats[0] = 0  # of what is empty: no box of its own
    stats[1:, :2] += (left, top)
    return numbers, np.asarray(stats, np.int32)


def too_large(received: str, most: int = MAX_PIXELS) -> ImageError:
    """Return the error to raise for a picture with more than `most` pixels."""
    return ImageError(
        f"it is too large: {received}; at most {most:,} pixels can be read. Make it smaller first"
    )


def shrink_array(pixels: NDArray[Any], longest_px: int | None) -> NDArray[Any]:
    """Return an array no side of which is much over `longest_px`; as it is where that is not asked for."""
    check_array(pixels)
    factor = 1 if longest_px is None else max(pixels.shape[:2]) // longest_px
    if factor < 2:
        return pixels
    if pixels.dtype == np.uint8 and longest_px is not None:
        return shrink(pixels, longest_px)
    # Values outside their range must not hide in an average.
    scale = find_scale(pixels.dtype, pixels.min(), pixels.max())
    height, width = pixels.shape[:2]
    return np.concatenate(
        [
            average(rescale(pixels[top:bottom], scale), factor)
            for top, bottom in list_bands(height, width, factor)
        ]
    )


def check_array(pixels: NDArray[Any]) -> None:
    """See that an array has the shape of one picture, not too many pixels, and numbers in it.

    Raises:
        ImageError: it has not.
    """
    if not (pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] in (1, 3, 4))):
        raise ImageError(
            f"its shape {pixels.shape} is not that of one picture; expected (height, width), "
            "(height, width, 3) or (height, width, 4)"
        )
    if pixels.size == 0:
        raise ImageError(f"it has no pixels (shape {pixels.shape}); expected at least one")
    if pixels.shape[0] * pixels.shape[1] > MAX_PIXELS:
        raise too_large(f"{pixels.shape[0]} x {pixels.shape[1]} pixels")
    if pixels.dtype.kind not in "buif":
        raise ImageError(f"its values are {pixels.dtype}; expected bool, integers or floats")


def to_uint8(pixels: NDArray[Any]) -> Gray:
    """Check an array's shape and values and scale them to 0..255; (h, w), (h, w, 3) or (h, w, 4)."""
    check_array(pixels)
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    if pixels.dtype == np.uint8:
        return pixels
    return rescale(pixels, find_scale(pixels.dtype, pixels.min(), pixels.max()))


def find_scale(dtype: np.dtype[Any], low: Any, high: Any) -> np.float32:
    """Return what to multiply values with that lie in low..high, to have them in 0..255.

    Integers are of the least usual depth that holds them: 1, 8, 10, 12, 14 or 16 bits.
    """
    if dtype == np.bool_:
        return np.float32(255)
    largest = 1 if dtype.kind == "f" else next((top for top in DEPTHS if high <= top), DEPTHS[-1])
    if not (low >= 0 and high <= largest):  # false for NaN too
        raise ImageError(
            f"its values lie in {low}..{high} ({dtype}); expected floats in 0..1, integers in "
            "0..255 or of 10 to 16 bits (0..65535 at most), and no NaN. Scale them first"
        )
    return np.float32(255 / largest)


def rescale(pixels: NDArray[Any], scale: np.float32) -> Gray:
    """Return the values times `scale` (see `find_scale`) as whole numbers, uint8."""
    return np.rint(pixels * scale).astype(np.uint8)


def list_bands(height: int, width: int, factor: int) -> list[tuple[int, int]]:
    """Return (top, bottom) of bands of some BAND_PIXELS, multiples of `factor` high; one for factor 1."""
    rows = height if factor == 1 else max(1, BAND_PIXELS // (width * factor)) * factor
    return [(top, min(top + rows, height)) for top in range(0, height, rows)]


def average(levels: Gray, factor: int) -> Gray:
    """Return the picture made smaller by a whole factor, rounded up."""
    return resize(levels, -(-levels.shape[1] // factor), -(-levels.shape[0] // factor))


def to_gray(pixels: Gray) -> Gray:
    """Lay alpha over white and reduce colours to the one gray scale that shows the ink best."""
    if pixels.ndim == 2:
        return pixels
    if pixels.shape[2] == 4:
        pixels = lay_over_paper(pixels)
    if (pixels[:, :, 0] == pixels[:, :, 1]).all() and (pixels[:, :, 1] == pixels[:, :, 2]).all():
        return np.ascontiguousarray(pixels[:, :, 0])
    import cv2

    # The direction is found on a small copy: averaged colours are free of sensor and JPEG colour noise.
    small = shrink(pixels, COLOURS_PX)
    direction, _ = _find_direction(small - np.median(small, axis=(0, 1)))
    # A note of another colour than its wall is no ink: what is written on it must be seen as well.
    _, ink = _find_direction(small - cv2.medianBlur(small, AROUND_PX).astype(np.float32))
    if np.abs(ink @ direction).sum() < LEAST_SEEN * np.linalg.norm(ink, axis=1).sum():
        direction, _ = _find_direction(ink)
    direction = direction * ((1 if direction.sum() >= 0 else -1) / np.abs(direction).sum())
    offset = -255 * direction[direction < 0].sum()
    return np.asarray(cv2.transform(pixels, np.append(direction, offset)[None]), np.uint8)


def _find_direction(deviations: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the unit vector in colour space along which strong deviations lie, and these."""
    deviations = deviations.reshape(-1, 3).astype(np.float32)
    strengths = np.abs(deviations).max(axis=1)
    strong = deviations[strengths >= strengths.max() / 2]
    return np.linalg.eigh(strong.T @ strong)[1][:, -1], strong  # of the largest eigenvalue; either sign


def lay_over_paper(rgba: Gray) -> Gray:
    """Lay a transparent picture over white, or over black where it holds nearly white ink and little else."""
    from PIL import Image

    if rgba[:, :, 3].min() == 255:
        return rgba[:, :, :3]
    small = shrink(rgba, 256).astype(np.float32)
    cover = small[:, :, 3:] / 255
    white_ink = 0 < cover.mean() < 0.5 and (small[:, :, :3] * cover).mean() > 192 * cover.mean()
    paper = Image.new("RGBA", (rgba.shape[1], rgba.shape[0]), "black" if white_ink else "white")
    paper.alpha_composite(Image.fromarray(rgba))
    return np.asarray(paper.convert("RGB"))


def shrink(pixels: Gray, longest_px: int) -> Gray:
    """Return the picture made smaller by area averaging until no side is longer than `longest_px`."""
    height, width = pixels.shape[:2]
    scale = min(1.0, longest_px / max(height, width))
    return resize(pixels, round(width * scale), round(height * scale))


def quantile(values: NDArray[Any], portion: float) -> float:
    """Return the value that a portion of all, 0..1, do not exceed, between two values by its share.

    As NumPy's, in a third of its time: it parts the values, which takes long where many are the same, as on
    paper, and sorting is vectorized.
    """
    ordered = np.sort(values, axis=None)
    place = portion * (ordered.size - 1)
    lower, upper = float(ordered[int(place)]), float(ordered[math.ceil(place)])
    return lower + (place - int(place)) * (upper - lower)


def resize(pixels: Gray, width: int, height: int) -> Gray:
    """Return the picture with a new size, at least 1 x 1: averaged to become smaller, else linear."""
    import cv2

    size = (max(1, width), max(1, height))
    smaller = size[0] < pixels.shape[1] or size[1] < pixels.shape[0]
    interpolation = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(pixels, size, interpolation=interpolation), np.uint8)

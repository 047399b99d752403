"""Light and shadow, and the tint of the paper, taken away from a page.

    flatten_paper   gray -> how far each pixel differs from the paper under it as ink does
      find_edges    where a picture is sharp: the outlines of strokes, not the rims of soft shadows

`gray` is (height, width) uint8. Nothing here knows what a digit is.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mnistry.imaging import find_even_level, find_polarity
from mnistry.pictures import Gray, shrink
from mnistry.pixels import quantile

Floats: TypeAlias = NDArray[np.float32]

SMALL_PX = 480  # longest side of the copy on which the paper is measured
WINDOW_PORTIONS = (
    1 / 24,
    1 / 12,
    1 / 6,
    1 / 3,
    2 / 3,
)  # of the shorter side: windows for the paper, tried in this order
EXPLAINED = 0.8  # a window is wide enough when its ink has so much of the sharp outlines that the best has
LEAST_STEP, STEP_PX = 10, 8  # gray levels and pixels of that copy: so much on so little is a shadow's edge
SMOOTHED = 1.0  # gray levels that smoothing may lower the paper: it must not blur the edge of a shadow
LEAST_PAGE_PX = 240  # shorter side of that copy: what is smaller may be cut out closely around digits
LEAST_CONTRAST = 20  # gray levels (of 255) between ink and paper
SAMPLED = 20_000  # pixels: enough for a median


def flatten_paper(gray: Gray, invert: bool | None = None) -> Floats:
    """Return how far each pixel differs from the paper under it as ink does, float32 gray levels.

    The paper is what is left of a picture with bright ink when it is opened with a window wider than the
    strokes. The narrowest window is taken whose ink has the picture's sharp outlines: the narrower it is,
    the better it follows light and shadow, but one narrower than the strokes takes them for paper. Where the
    paper is even, as in drawings, its level is known.

    Args:
        gray: the picture, (height, width) uint8.
        invert: True for light ink on dark paper, False for dark on light, None to find out.
    """
    import cv2

    level = find_even_level(gray)
    light_ink = find_polarity(gray, level) if invert is None else invert
    bright = gray if light_ink else 255 - gray
    if level is not None:
        raised = bright.astype(np.float32) - np.float32(level if light_ink else 255 - level)
        if raised.max() >= LEAST_CONTRAST:
            return raised
    levels = shrink(bright, SMALL_PX)
    small = levels.astype(np.float32)
    edges = find_edges(smooth(small))
    steps = cv2.morphologyEx(levels, cv2.MORPH_GRADIENT, np.ones((5, 5), np.uint8)).astype(np.float32)
    tried = WINDOW_PORTIONS[:-1] if min(levels.shape) >= LEAST_PAGE_PX else WINDOW_PORTIONS
    windows = [max(3, round(portion * min(small.shape)) | 1) for portion in tried]
    # An outline lies half a step above the paper; what is higher, beyond a shadow, counts no more.
    most = float((edges * (steps / 2)).sum())
    papers: list[Floats] = []
    portions: list[float] = []  # of `most`, that what is above each paper has
    for window in windows:
        papers.append(_open(levels, window))
        portions.append(float((edges * np.minimum(small - papers[-1], steps / 2)).sum()) / max(most, 1e-6))
        least = EXPLAINED * portions[-1]
        if portions[-1] >= EXPLAINED and all(portion < least for portion in portions[:-1]):
            break  # it is the first that has enough, whatever the wider ones have
    enough = EXPLAINED * max(0.0, *portions)
    best = next((index for index, portion in enumerate(portions) if portion >= enough), len(papers) - 1)
    # The next wider one, for places where strokes meet.
    wider = min(best + 1, len(windows) - 1)
    paper = papers[wider] if wider < len(papers) else _open(levels, windows[wider])
    everywhere = cv2.resize(paper, bright.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return np.asarray(bright - everywhere, np.float32)


def _open(levels: Gray, window: int) -> Floats:
    """Open with a square window, then smooth; in a page never to below a step, for a shadow may end there."""
    import cv2

    half, reach = window // 2, window // 4  # of the window to both sides, and of smoothing
    # Smoothing needs the dilated picture as far as it reaches, that the eroded one half a window further, and
    # so on: no more is computed. What a window looks at beyond `window` pixels outside counts for nothing.
    wide = _go_on(levels, window)
    eroded = _run_extremes(_pad(wide, reach + 2 * half - window, 255), window, np.minimum)
    opened = np.ascontiguousarray(_run_extremes(eroded, window, np.maximum))
    size = (2 * reach + 1, 2 * reach + 1)
    inside = (slice(reach, -reach or None), slice(reach, -reach or None))
    smoothed = cv2.boxFilter(opened, cv2.CV_32F, size)[inside]
    if min(levels.shape) < LEAST_PAGE_PX:
        return np.asarray(smoothed, np.float32)
    steps = cv2.dilate(opened, np.ones((3, 3), np.uint8))[inside]
    return np.asarray(np.maximum(smoothed, steps - np.float32(SMOOTHED)), np.float32)


def _go_on(levels: Gray, margin: int) -> Gray:
    """Return the picture as it might go on beyond its border, by `margin` pixels: mirrored.

    But where the edge of a shadow reaches the border of a larger picture, what is broad along that side goes
    on straight, and beyond what is not there is paper: mirrored the edge would have a corner, as ink has.
    """
    import cv2

    border = cv2.BORDER_REFLECT_101 if min(levels.shape) > margin else cv2.BORDER_REPLICATE
    wide = np.asarray(cv2.copyMakeBorder(levels, margin, margin, margin, margin, border), np.uint8)
    if min(levels.shape) < LEAST_PAGE_PX:  # digits may be cut out closely, and touch the border
        return wide
    inside = slice(margin, -margin)
    for turned in (wide, wide[::-1], wide.T, wide.T[::-1]):
        line = _open_line(turned[margin, inside])
        if np.abs(line[STEP_PX:].astype(np.int16) - line[:-STEP_PX]).max() >= LEAST_STEP:
            turned[:margin, inside] = line
            for corner, end in ((slice(margin), line[0]), (slice(-margin, None), line[-1])):
                turned[:margin, corner] = np.minimum(turned[:margin, corner], end)
    return wide


def _open_line(line: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Open a line of pixels with a window half as long as it is, of which half may lie beyond its end."""
    import cv2

    window = np.ones((1, line.size // 2 | 1), np.uint8)  # odd, or what is opened is shifted
    return np.asarray(cv2.morphologyEx(np.ascontiguousarray(line[None]), cv2.MORPH_OPEN, window)[0], np.uint8)


def _pad(levels: NDArray[Any], margin: int, level: int) -> Gray:
    """Return the picture with a margin of one level, or, where that is negative, without its own."""
    import cv2

    if margin <= 0:
        return np.asarray(levels[-margin : margin or None, -margin : margin or None], np.uint8)
    return np.asarray(
        cv2.copyMakeBorder(levels, margin, margin, margin, margin, cv2.BORDER_CONSTANT, value=level)
    )


def _run_extremes(levels: Gray, window: int, extreme: np.ufunc) -> Gray:
    """Return the extreme of every square window that lies inside the picture, which is smaller for that.

    In steps that double the window: OpenCV's time grows with it.
    """
    for _ in range(2):
        known = 1
        while known < window:
            step = min(known, window - known)
            levels = extreme(levels[:-step], levels[step:])
            known += step
        levels = levels.T
    return levels


def find_edges(smoothed: Floats) -> Floats:
    """Return the square of the slope of a smoothed picture where it is steepest, and 0 elsewhere.

    Slopes are in gray levels a pixel.
    """
    import cv2

    slope = cv2.magnitude(
        cv2.Sobel(smoothed, cv2.CV_32F, 1, 0, scale=1 / 8), cv2.Sobel(smoothed, cv2.CV_32F, 0, 1, scale=1 / 8)
    )
    strong = quantile(sample(slope), 0.995) / 2
    return np.asarray(np.where(slope >= strong, slope * slope, 0), np.float32)


def smooth(raised: Floats, sigma_px: float = 1.0) -> Floats:
    """Return the picture blurred by a Gaussian with a standard deviation of `sigma_px`."""
    import cv2

    return np.asarray(cv2.GaussianBlur(raised, (0, 0), sigma_px), np.float32)


def sample(field: NDArray[Any]) -> NDArray[Any]:
    """Return every n-th row and column, about SAMPLED pixels: enough for a median."""
    step = max(1, round((field.size / SAMPLED) ** 0.5))
    return field[::step, ::step]

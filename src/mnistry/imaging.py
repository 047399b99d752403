"""From gray levels to the (28, 28) digit that a classifier expects, one small function a step.

    to_ink           gray -> ink, bright on 0: paper flattened, noise and specks removed
      find_polarity    is the ink lighter than the paper?
      estimate_paper   how bright the paper is under every pixel
      drop_specks
    find_box         ink -> where the digit is
    center_digit     ink of one digit -> (28, 28), as MNIST was made

`gray` and `ink` are (height, width) uint8. Nothing here knows what a classifier is.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from mnistry.errors import ImageError
from mnistry.pictures import Gray, resize, shrink
from mnistry.pixels import find_connected

Box: TypeAlias = tuple[int, int, int, int]

POLARITY_PX = 100  # longest side of the copy on which the polarity is found
MIN_CONTRAST = 32  # gray levels (of 255) between ink and paper,
MIN_CONTRAST_GRAINS = 2  # and as many times the grain of the paper
NOISE_SIGMAS = 3.0  # up to so many standard deviations above the paper, brightness is its grain
SPECK_PORTION = 1 / 8  # a mark whose longer side is less than this portion of the longest mark's is dirt

DIGIT_PX = 28
BOX_PX = 20  # MNIST scales every digit until its longer side has this length
EDGE_LEVEL = 80  # the outline of a stroke; MNIST digits enlarged smoothly have their true size at it
THIN_STROKE_PX = 1.3  # in a digit of BOX_PX; about 1 % of MNIST's digits have thinner strokes
STROKE_PX = 2.0  # what thinner strokes are widened to; MNIST's median is 2.3
FINE_PX = 80  # length of a digit while its strokes are measured and widened

CENTER_PX = 14.0  # index of the row and the column on which MNIST puts the centre of mass


# ---- ink --------------------------------------------------------------------------------------------


def to_ink(gray: Gray, invert: bool | None = None, name: str = "") -> Gray:
    """Return the ink alone, (height, width) uint8: 255 where it is full, 0 on paper, soft edges between.

    Args:
        gray: the picture, (height, width) uint8.
        invert: True for light ink on dark paper, False for dark on light, None to find out.
        name: what an error calls the picture; empty for "the picture".

    A mark counts as ink when somewhere it passes the middle between paper and ink (Otsu's threshold);
    then it is kept down to the grain of the paper, so anti-aliased and blurred edges stay soft.

    Raises:
        ImageError: no ink; no mark stands out from the paper by MIN_CONTRAST, or from its grain.
    """
    import cv2

    light_ink = find_polarity(gray) if invert is None else invert
    bright = gray if light_ink else 255 - gray
    raised = bright.astype(np.int16) - estimate_paper(bright)
    threshold, _ = cv2.threshold(raised.clip(0).astype(np.uint8), 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    core = raised > threshold
    grain = _measure_grain(raised[~core])
    marks = drop_specks(raised > grain, core)
    core &= marks
    full = float(np.percentile(raised[core], 99)) if core.any() else 0.0
    needed = max(MIN_CONTRAST, MIN_CONTRAST_GRAINS * grain)
    if full < needed:
        ink_name, ink_level = ("brightest", gray.max()) if light_ink else ("darkest", gray.min())
        option = "--no-invert for dark ink on light" if light_ink else "--invert for light ink on dark"
        raise ImageError(
            f"no ink found in {name or 'the picture'}: {ink_name} pixel {ink_level}, paper "
            f"{np.median(gray):.0f}, contrast {full:.0f} once the light is evened out; "
            f"a contrast of at least {needed:.0f} is needed. "
            f"Photograph the digit in better light, or pass {option}."
        )
    ink = np.clip((raised.astype(np.float32) - grain) * (255 / (full - grain)), 0, 255)
    return np.asarray(np.rint(ink * marks), np.uint8)


def find_polarity(gray: Gray) -> bool:
    """Return whether the ink is lighter than the paper.

    Ink is what differs most from the middle brightness around it, whatever light and shadow do at large.
    """
    import cv2

    small = shrink(gray, POLARITY_PX)
    radius = min(127, max(1, min(small.shape) // 4))
    around = cv2.medianBlur(small, 2 * radius + 1)  # which continues the picture by its border's pixels
    deviations = small.astype(np.float32) - around
    return float((deviations.clip(0) ** 2).sum()) > float((deviations.clip(None, 0) ** 2).sum())


def estimate_paper(bright: Gray) -> Gray:
    """Return the brightness of the paper under every pixel of a picture with bright ink.

    The picture, made small, is opened with a window of half its size, in which the ink of a digit
    vanishes and light and shadow stay.
    """
    import cv2

    small = shrink(bright, 64).astype(np.float32)
    window = max(small.shape) // 2 | 1
    # Continued beyond its border by an odd mirror, a slope of light goes on as a slope and is no ink there.
    wide = np.pad(small, window, mode="reflect", reflect_type="odd").clip(small.min())
    opened = cv2.morphologyEx(wide, cv2.MORPH_OPEN, np.ones((window, window), np.uint8))
    smooth = cv2.blur(opened, (window // 2 | 1, window // 2 | 1))[window:-window, window:-window]
    return resize(np.clip(smooth, 0, 255).astype(np.uint8), bright.shape[1], bright.shape[0])


def _measure_grain(paper: NDArray[np.int16]) -> float:
    """Return the level below which brightness is the paper's own: median + NOISE_SIGMAS robust deviations."""
    middle = np.median(paper)
    sigma = 1.4826 * np.median(np.abs(paper - middle))
    return max(0.0, float(middle + NOISE_SIGMAS * sigma))


def drop_specks(marks: NDArray[np.bool_], core: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the connected marks that reach into `core` and are not much smaller than the longest of them."""
    labels, stats = find_connected(marks)
    sides = stats[:, 2:4].max(axis=1)
    keep = np.zeros(len(stats), np.bool_)
    keep[np.unique(labels[core])] = True
    keep[0] = False  # label 0 is the paper
    keep &= sides >= SPECK_PORTION * sides[keep].max(initial=0)
    return np.asarray(keep[labels], np.bool_)


def find_box(ink: Gray) -> Box:
    """Return (x, y, width, height) in pixels of the smallest box around all ink of EDGE_LEVEL or more."""
    import cv2

    x, y, width, height = cv2.boundingRect((ink >= EDGE_LEVEL).view(np.uint8))
    return x, y, width, height


# ---- one digit --------------------------------------------------------------------------------------


def center_digit(ink: Gray) -> Gray:
    """Return one digit as MNIST would hold it, (28, 28) uint8.

    The ink is scaled into 20 x 20 with its aspect kept and gray levels made by averaging, and shifted by
    whole pixels until its centre of mass lies at the centre of the 28 x 28 field (LeCun et al. 1998).
    Strokes far thinner than any in MNIST are widened first.

    Args:
        ink: (height, width) uint8, bright ink on 0, with at least one pixel of EDGE_LEVEL.
    """
    import cv2

    ink, (x, y, width, height) = _widen(ink)
    longest = max(width, height)
    scale = 1.0 if abs(longest - BOX_PX) <= 1 else BOX_PX / longest  # what has the size stays as it is
    # One more pixel of the result on every side, for the soft edges outside the box.
    columns, rows = round(width * scale) + 2, round(height * scale) + 2
    source_width, source_height = round(columns / scale), round(rows / scale)
    left, top = x - (source_width - width) // 2, y - (source_height - height) // 2
    digit = resize(cut(ink, (left, top, source_width, source_height)), columns, rows)
    across = np.asarray(cv2.reduce(digit, 0, cv2.REDUCE_SUM, dtype=cv2.CV_32S), np.int32)[0]
    down = np.asarray(cv2.reduce(digit, 1, cv2.REDUCE_SUM, dtype=cv2.CV_32S), np.int32)[:, 0]
    return cut(digit, (_find_start(across), _find_start(down), DIGIT_PX, DIGIT_PX))


def _find_start(profile: NDArray[np.int32]) -> int:
    """Return where a field of DIGIT_PX must begin so that the profile's centre of mass is at its centre."""
    center = float(profile @ np.arange(len(profile))) / float(profile.sum())
    start = round(center - CENTER_PX)
    return min(max(start, len(profile) - 1 - DIGIT_PX), 1)  # but never cut the digit inside its margin of 1


def cut(pixels: Gray, box: Box) -> Gray:
    """Return the part of the picture inside (x, y, width, height), and 0 where the box leaves it."""
    x, y, width, height = box
    result = np.zeros((height, width), np.uint8)
    inside = pixels[max(y, 0) : max(y + height, 0), max(x, 0) : max(x + width, 0)]
    top, left = max(-y, 0), max(-x, 0)
    result[top : top + inside.shape[0], left : left + inside.shape[1]] = inside
    return result


def widen_strokes(ink: Gray) -> Gray:
    """Return the digit, cut out and 80 pixels long, with strokes as wide as MNIST's if they were far thinner.

    A digit drawn with a hair line on a large canvas would fade to almost nothing when it is averaged down.
    Ink with strokes of MNIST's own width is returned as it is.
    """
    return _widen(ink)[0]


def _widen(ink: Gray) -> tuple[Gray, Box]:
    """Return what `widen_strokes` does, and the box of the digit in it."""
    import cv2

    box = x, y, width, height = find_box(ink)
    scale = FINE_PX / max(width, height)
    fine = resize(ink[y : y + height, x : x + width], round(width * scale), round(height * scale))
    margin = FINE_PX // 8
    fine = np.asarray(cv2.copyMakeBorder(fine, margin, margin, margin, margin, cv2.BORDER_CONSTANT), np.uint8)
    stroke_px = measure_stroke(fine) * BOX_PX / FINE_PX
    if stroke_px >= THIN_STROKE_PX:
        return ink, box
    full = cv2.convertScaleAbs(fine, alpha=2)  # thin strokes have no soft edge worth keeping
    extra = round((STROKE_PX - stroke_px) * FINE_PX / BOX_PX)
    pen = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (extra + 1, extra + 1))
    wider = np.asarray(cv2.dilate(full, pen), np.uint8)
    return wider, find_box(wider)


def measure_stroke(ink: Gray) -> float:
    """Return the mean stroke width in pixels: four times the mean distance to the edge, as in a bar."""
    import cv2

    mask = (ink >= EDGE_LEVEL).view(np.uint8)
    inked = cv2.countNonZero(mask)
    if inked in (0, mask.size):  # all of it is ink: there is no edge to measure from
        return float(min(mask.shape)) if inked else 0.0
    distances = cv2.distanceTransform(mask, cv2.DIST_L2, cv2.DIST_MASK_3)  # 0 outside the mask
    return 4 * (cv2.sumElems(distances)[0] / inked - 0.5)

"""Of one digit: is its ink light, where is it, and what would MNIST have made of it?

    find_even_level  gray -> the level of paper without light and shadow, as in a drawing
    find_polarity    gray -> is the ink lighter than the paper?
    find_box         ink -> where the digit is
    center_digit     ink of one digit -> (28, 28), as MNIST was made

`gray` and `ink` are (height, width) uint8. Nothing here knows what a classifier is.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from mnistry.pictures import Gray, resize, shrink

Box: TypeAlias = tuple[int, int, int, int]

EVEN, EVEN_RIM = 0.4, 0.9  # of the picture, and of its border, has one level, if the paper is even
FAINT = 5  # gray levels: less is no difference
ONE_SIDED = 0.01  # of what is darker than the paper, say, may be lighter
WIDE = 1 / 12  # of the shorter side: no soft edge of a stroke is so wide
LIGHT_ODDS = 2.0  # times as much must be lighter as is darker, where it is hardly known: dark ink is usual
POLARITY_PX = 100  # longest side of the copy on which the polarity is found

DIGIT_PX = 28
BOX_PX = 20  # MNIST scales every digit until its longer side has this length
EDGE_LEVEL = 80  # the outline of a stroke; MNIST digits enlarged smoothly have their true size at it
THIN_STROKE_PX = 1.3  # in a digit of BOX_PX; about 1 % of MNIST's digits have thinner strokes
STROKE_PX = 2.0  # what thinner strokes are widened to; MNIST's median is 2.3
FINE_PX = 80  # length of a digit while its strokes are measured and widened

CENTER_PX = 14.0  # index of the row and the column on which MNIST puts the centre of mass


def find_even_level(gray: Gray) -> int | None:
    """Return the level of paper without light and shadow, as drawings have it; None for any other.

    It is the level of most of the border, what differs from it is lighter or darker, not both (or it may be a
    form with white fields), and nothing wide is between it and the ink (or it may be a shadow).
    """
    import cv2

    counts = cv2.calcHist([gray], [0], None, [256], [0, 256]).ravel()
    level = int(np.argmax(counts))
    rim = np.concatenate([gray[0], gray[-1], gray[:, 0], gray[:, -1]])
    if counts[level] < EVEN * gray.size or np.count_nonzero(rim == level) < EVEN_RIM * rim.size:
        return None
    lighter, darker = float(counts[level + FAINT :].sum()), float(counts[: max(0, level - FAINT + 1)].sum())
    if min(lighter, darker) > ONE_SIDED * max(lighter, darker):
        return None
    above = cv2.absdiff(gray, np.full_like(gray, level))
    between = cv2.inRange(above, FAINT, int(above.max()) // 2)
    window = max(3, round(WIDE * min(gray.shape)))
    return None if cv2.erode(between, np.ones((window, window), np.uint8)).any() else level


def find_polarity(gray: Gray, level: int | None) -> bool:
    """Return whether the ink is lighter than the paper.

    Ink is what differs from even paper, or else what differs most from the middle brightness around it,
    whatever light and shadow do at large.

    Args:
        gray: the picture.
        level: of its paper, as `find_even_level` has it.
    """
    import cv2

    if level is not None:
        return float(gray.mean()) > level
    small = shrink(gray, POLARITY_PX)
    radius = min(127, max(1, min(small.shape) // 4))
    around = cv2.medianBlur(small, 2 * radius + 1)  # which continues the picture by its border's pixels
    deviations = small.astype(np.float32) - around
    lighter, darker = float((deviations.clip(0) ** 2).sum()), float((deviations.clip(None, 0) ** 2).sum())
    return lighter > LIGHT_ODDS * darker


def find_box(ink: Gray) -> Box:
    """Return (x, y, width, height) in pixels of the smallest box around all ink of EDGE_LEVEL or more."""
    import cv2

    x, y, width, height = cv2.boundingRect((ink >= EDGE_LEVEL).view(np.uint8))
    return x, y, width, height


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


def measure_line(ink: Gray) -> tuple[float, float, float]:
    """Return the length and the thickness that a mark has as a straight stroke, in pixels, and how it leans.

    That is by how many columns a row it goes to the right on its way up; infinite where it lies.
    """
    rows, columns = np.nonzero(ink >= EDGE_LEVEL)
    if len(rows) < 2:
        return 1.0, 1.0, 0.0
    (across, aslant), (_, down) = np.cov(columns, rows, bias=True)
    spread = float(np.hypot((down - across) / 2, aslant))
    # Of an even stroke the variance is a twelfth of its length's square, or of its thickness'.
    length, thickness = (
        float(np.sqrt(12 * max(0.0, (across + down) / 2 + part) + 1)) for part in (spread, -spread)
    )
    rise = (down - across) / 2 + spread
    return length, thickness, float(-aslant / rise) if rise > 0 else np.inf

"""From the gray levels of a page to its ink alone, one small function a step.

    find_page_ink       gray -> ink, bright on 0, of a page with any number of digits
      light.flatten_paper
                        light, shadow, the tint of the paper and polarity taken away
      find_threshold    the level, at every pixel, from which it is ink; again, smoothed, where there is grain
      rules.remove_rules, frames.remove_frames, frames.remove_rings
                        printed lines, borders, form boxes, tables and circles taken away

`gray` and `ink` are (height, width) uint8. Nothing here knows what a digit is.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mnistry.errors import ImageError
from mnistry.frames import find_tables, remove_frames, remove_rings
from mnistry.imaging import Box, measure_stroke
from mnistry.light import LEAST_CONTRAST, SMALL_PX, Floats, find_edges, flatten_paper, sample, smooth
from mnistry.pictures import Gray
from mnistry.pixels import find_connected, quantile
from mnistry.rules import LEAST_LEFT, RULE_LEVEL, measure_pitch, remove_rules

LEVELS_PX = 80  # longest side of the field of thresholds, which is smooth
FAINT = 0.35  # a pixel that has this portion of the threshold is ink where it is connected with more,
FAINT_BY_GRAIN = 0.1  # and so much more for every gray level of the paper's grain
MOST_FAINT = 0.9  # but never more than this
FAINT_LEVEL = 100  # of ink, of what just reaches that
RULED, RULED_SIGMAS = 0.2, 3.0  # of the threshold, and of the grain: from there on it may be a printed line,
DARKER = 1.6  # times as dark as which ink is that crosses it,
CROSSING = 0.25  # so much of its mark lies beside them
LEFT_OF_TABLE = 0.1  # of its lines, after printed ones were taken away: then all are a table's
LEAST_WRITTEN = 0.35  # of the distance of printed lines is what is written on them, or else they are blank
LEAST_DARKER = 0.01  # of the lines' area at least, or else they may be the writing
ROUGH = 0.12  # of the threshold: paper with so much grain is smoothed,
SMOOTHING = 0.22  # with a standard deviation of so many stroke widths,
MORE_SMOOTHING = 1.6  # times as much again while the ink is specks: there may be
SPECKS, SPECK_PX = 100, 15  # so many marks, most of all, of a smaller area, and they hide the strokes' width
MOST_SMOOTHING_PX = 30.0  # and of so many pixels at most: the time grows with it
SHORT_PX = 120  # of that copy: what is less high, such as a strip of paper, counts as so high
LEAST_SHARPNESS = 9.0  # contrasts that the steepest slope would rise along the picture's shorter side,
HIGHEST = 0.999  # of the picture does not stand out further
MOST_COVERED = 0.6  # of the picture is ink; more is the grain of a blank page
MIN_SIGMAS = (
    2.0  # of the paper's grain, that the threshold has, and by which what is faint is above the paper
)
LEAST_SIGMAS = (
    1.5  # between paper and threshold: pictures of nothing but grain have 1.1 to 1.3, cheques from 1.9
)


class PageInk(NamedTuple):
    """What is written on a page.

    Attributes:
        ink: (height, width) uint8: 255 where it is full, 0 on paper, soft edges between.
        cells: the boxes of tables' cells, (x, y, width, height) each, and then of wide frames.
    """

    ink: Gray
    cells: list[Box]


def find_page_ink(
    gray: Gray, invert: bool | None = None, name: str = "", *, darkness: float = 1.0
) -> PageInk:
    """Return the ink alone, and the cells of tables that were taken away from it.

    Args:
        gray: the picture, (height, width) uint8.
        invert: True for light ink on dark paper, False for dark on light, None to find out.
        name: what an error calls the picture; empty for "the picture".
        darkness: see `find_threshold`; fainter ink counts where it is less.

    Raises:
        ImageError: no ink; nothing stands out from the paper by LEAST_CONTRAST, or from its grain, or nothing
            has an edge that is sharper than light and shadow have.
    """
    import cv2

    raised, threshold, (ground, grain), sharpness = _even_out(gray, invert, darkness)
    middle = quantile(sample(threshold), 0.5)
    contrast = 2 * middle / darkness
    other = ", or pass --invert or --no-invert" if invert is None else ""
    highest = quantile(sample(smooth(raised)), HIGHEST)
    if sharpness < LEAST_SHARPNESS * max(contrast, highest):
        raise ImageError(
            f"no ink found in {name or 'the picture'}: light and dark pass into each other all over it, as "
            "light and shadow do. Photograph the digits in focus and in better light"
        )
    needed = max(LEAST_CONTRAST, 2 * MIN_SIGMAS * grain)
    core = raised > threshold
    if contrast < needed or not core.any():
        raise ImageError(
            f"no ink found in {name or 'the picture'}: a contrast of {max(0.0, contrast):.0f} gray levels "
            f"once the light is evened out, where at least {needed:.0f} are needed. Photograph the digits in "
            "better light, or crop the picture to the paper"
        )
    if middle - ground < LEAST_SIGMAS * grain:
        raise ImageError(
            f"no ink found in {name or 'the picture'}: nothing in it stands out from the grain of the paper. "
            f"Photograph the digits in better light, or nearer by{other}"
        )
    # A drawing has no grain, and all of it is ink; a photo has printed lines that are fainter than the ink.
    faint = min(0.75, FAINT + FAINT_BY_GRAIN * grain) * threshold
    if grain:
        faint = np.minimum(np.maximum(faint, ground + MIN_SIGMAS * grain), MOST_FAINT * threshold)
    levels = np.clip((raised - faint / 2) * (255 / (1.6 * threshold - faint / 2)), 0, 255)
    paper = raised <= faint
    # Rules go before marks are chosen: those that digits cross would hang on to them. They are looked for in
    # all that is anything, and what is far darker than they are is ink that crosses them.
    ruled = raised > np.maximum(RULED * threshold, ground + RULED_SIGMAS * grain)
    written = _leave_rules(ruled, levels, raised, core) & ~paper
    taken = not (paper | written).all()
    if taken and _is_left_in_part(written, ~paper & (_keep_reaching(~paper, core) > 0)):
        written = ~paper
    marks = _keep_reaching(written, written & core)
    covered = float(marks.mean())
    if covered >= MOST_COVERED:
        raise ImageError(
            f"no ink found in {name or 'the picture'}: {100 * covered:.0f} % of it stands out from the rest, "
            f"of which at most {100 * MOST_COVERED:.0f} % can be ink. Crop it to the paper{other}."
        )
    soft = cv2.dilate(marks, np.ones((3, 3), np.uint8)) * (paper | written)
    full = np.maximum(levels * soft, marks * (FAINT_LEVEL + (1 - FAINT_LEVEL / 255) * levels))
    ink, cells = remove_frames(np.asarray(np.rint(full), np.uint8))
    return PageInk(remove_rings(ink), cells)


def measure_contrast(gray: Gray, invert: bool | None = None) -> float:
    """Return by how many gray levels ink stands out, once light is evened out and grain is smoothed."""
    _, threshold, *_ = _even_out(gray, invert, 1.0)
    return 2 * quantile(sample(threshold), 0.5)


def _even_out(
    gray: Gray, invert: bool | None, darkness: float
) -> tuple[Floats, Floats, tuple[float, float], float]:
    """Return the picture above its paper, smoothed where that is grainy, and its threshold.

    And the paper's level and grain, as `_measure_grain` does, and the picture's sharpness before.
    """
    raised = flatten_paper(gray, invert)
    edges, threshold = find_threshold(raised, darkness)
    sharpness = _measure_sharpness(raised, edges)
    ground, grain = _measure_grain(raised, threshold)
    if grain > ROUGH * quantile(sample(threshold), 0.5):
        raised, threshold = _smooth_grain(raised, threshold, darkness)
        ground, grain = _measure_grain(raised, threshold)
    return raised, threshold, (ground, grain), sharpness


def _smooth_grain(unsmoothed: Floats, threshold: Floats, darkness: float) -> tuple[Floats, Floats]:
    """Return the picture smoothed as its strokes allow, until they are more than specks, and the threshold.

    Grain hides how wide the strokes are: what is measured at first may be the width of specks.
    """
    raised, sigma_px = unsmoothed, 0.5
    most_px = min(MOST_SMOOTHING_PX, SMOOTHING * min(raised.shape))
    while sigma_px < most_px:
        stroke_px = measure_stroke(((raised > threshold) * 255).astype(np.uint8))
        sigma_px = min(max(sigma_px, SMOOTHING * stroke_px), most_px)
        raised = smooth(unsmoothed, sigma_px)
        _, threshold = find_threshold(raised, darkness)
        if not _is_specked(raised > threshold):
            break
        sigma_px *= MORE_SMOOTHING
    return raised, threshold


def _leave_rules(
    ruled: NDArray[np.bool_], levels: NDArray[np.floating[Any]], raised: Floats, core: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Return what may be ink or a printed line without the printed lines, but with the ink that crosses them.

    `levels` are of ink, 0..255; `core` is what is ink by itself.
    """
    ink = np.where(ruled, np.maximum(levels, RULE_LEVEL), 0).astype(np.uint8)
    left = remove_rules(ink, 0.0) > 0
    rules = ruled & ~left
    if not rules.any():
        return ruled
    darker = core & (raised > DARKER * float(np.median(raised[rules])))
    few = levels[left].sum() < LEAST_LEFT * levels[ruled].sum()
    faint = np.count_nonzero(darker) < LEAST_DARKER * np.count_nonzero(rules)
    pitch_px = measure_pitch(ink) if few else 0.0
    if few and faint and not pitch_px:
        return ruled  # the writing itself runs from border to border
    # A darker line among the others, such as a margin's, is no ink that crosses them.
    numbers, stats = find_connected(darker)
    kept = np.bincount(numbers[left], minlength=len(stats)) >= CROSSING * stats[:, 4]
    written = left | (darker & kept[numbers])
    if pitch_px:  # is there more on it than specks?
        _, stats = find_connected(written)
        if stats[1:, 2:4].max(initial=0) < LEAST_WRITTEN * pitch_px:
            return np.zeros_like(written)
    return written


def _is_left_in_part(written: NDArray[np.bool_], ink: NDArray[np.bool_]) -> bool:
    """Return whether what was taken for printed lines is some lines of a table, of which the others are left.

    Args:
        written: without printed lines.
        ink: with them.
    """
    if not (ink & ~written).any():
        return False
    return any(
        np.count_nonzero(lines & written[place]) > LEFT_OF_TABLE * np.count_nonzero(lines)
        for place, lines in find_tables(ink)
    )


def _is_specked(marks: NDArray[np.bool_]) -> bool:
    """Return whether what was taken for ink is mostly the grain of the paper."""
    _, stats = find_connected(marks)
    specks = int(np.count_nonzero(stats[1:, 4] < SPECK_PX))
    return specks > SPECKS and 2 * specks >= len(stats)


def _measure_grain(raised: Floats, threshold: Floats) -> tuple[float, float]:
    """Return the level of the paper, of which printed lines are no part, and its standard deviation."""
    raised, threshold = sample(raised), sample(threshold)
    paper = raised[raised < threshold]
    if 2 * np.count_nonzero(paper) <= paper.size:  # as in most drawings: quick
        return 0.0, 0.0
    level = quantile(paper, 0.5)
    return level, 1.4826 * quantile(np.abs(paper - level), 0.5)


def _measure_sharpness(raised: Floats, edges: Floats) -> float:
    """Return the steepest slope, in gray levels along the shorter side of the picture, or along SHORT_PX."""
    import cv2

    portion = min(1.0, SMALL_PX / max(raised.shape))
    if portion < 1:
        size = [max(1, round(portion * side)) for side in raised.shape]
        small = cv2.resize(raised, size[::-1], interpolation=cv2.INTER_AREA)
        edges = find_edges(smooth(np.asarray(small, np.float32)))
    return float(np.sqrt(edges.max()) * max(SHORT_PX, min(edges.shape)))


def find_threshold(raised: Floats, darkness: float = 1.0) -> tuple[Floats, Floats]:
    """Return the edges, and the level from which a pixel is ink: the mean level of the outlines around it.

    An outline lies half-way between ink and paper, however little ink there is on the page. Far from any
    outline, and at most a factor of 2 below it, the mean of the whole page counts. All that is multiplied by
    `darkness`. Both are (height, width).
    """
    import cv2

    smoothed = smooth(raised)
    edges = find_edges(smoothed)
    weighted = smoothed * edges  # smoothed: beside a line of a single pixel the outline itself is paper
    whole = float(weighted.sum() / max(float(edges.sum()), 1e-6))
    size = [max(1, round(side * min(1, LEVELS_PX / max(raised.shape)))) for side in raised.shape]
    weights = cv2.resize(edges, size[::-1], interpolation=cv2.INTER_AREA)
    levels = cv2.resize(weighted, size[::-1], interpolation=cv2.INTER_AREA)
    sigma = max(size) / 12
    total = float(weights.mean()) / 4
    local = (cv2.GaussianBlur(levels, (0, 0), sigma) + whole * total) / (
        cv2.GaussianBlur(weights, (0, 0), sigma) + total + 1e-6
    )
    threshold = cv2.resize(
        darkness * np.clip(local, whole / 2, whole * 1.25), raised.shape[::-1], interpolation=cv2.INTER_LINEAR
    )
    return edges, np.asarray(threshold, np.float32)


def _keep_reaching(marks: NDArray[np.bool_], core: NDArray[np.bool_]) -> Gray:
    """Return 1 on the connected marks that reach into `core`, else 0."""
    import cv2

    count, labels = cv2.connectedComponents(marks.astype(np.uint8), connectivity=8)
    keep = np.zeros(count, np.uint8)
    keep[labels[core & marks]] = 1
    keep[0] = 0
    if keep[1:].all():  # as in most drawings: quick
        return marks.astype(np.uint8)
    return np.asarray(keep[labels], np.uint8)


def enlarge(gray: Gray, longest_px: int) -> Gray:
    """Return a picture smaller than `longest_px` enlarged smoothly, by a whole number, to about that size."""
    import cv2

    factor = round(longest_px / max(gray.shape))
    if factor <= 1:
        return gray
    return np.asarray(cv2.resize(gray, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC), np.uint8)

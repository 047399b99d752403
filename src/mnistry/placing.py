"""What is said of a segment of a line: which digit it is, and where in the picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mnistry.imaging import EDGE_LEVEL, Box
from mnistry.readings import NUM_ALTERNATIVES, Digit
from mnistry.segmentation import Mark
from mnistry.segments import Segment
from mnistry.straightening import Strip
from mnistry.writing import Homography

ROUNDING = 1e-6  # pixels


def to_digit(
    segment: Segment,
    strip: Strip,
    to_picture: Homography,
    shape: tuple[int, ...],
    accepted: bool,
    class_names: Sequence[str],
    marks: Sequence[Mark] = (),
) -> Digit:
    """Return the digit that a segment of a strip is, or the mark that is refused; arguments also as below.

    `marks` are those of its line: the nearest one says in which cell of a table it is.
    """
    others = [
        (class_names[index], float(segment.probabilities[index]))
        for index in np.argsort(-segment.probabilities, kind="stable")
        if index != segment.answer
    ]
    return Digit(
        label=class_names[segment.answer],
        box=box_on_page(segment, strip, to_picture, shape),
        confidence=segment.confidence,
        alternatives=tuple(others[:NUM_ALTERNATIVES]),
        accepted=accepted,
        image=segment.image,
        cell=_find_cell(segment, strip, marks),
    )


def _find_cell(segment: Segment, strip: Strip, marks: Sequence[Mark]) -> int:
    """Return the cell of the mark whose middle is the nearest to that of a segment, from left to right."""
    if not any(mark.cell for mark in marks):
        return 0
    x, y, width, height = segment.box
    place = float((strip.to_page @ (x + width / 2, y + height / 2, 1.0))[0])
    return min(marks, key=lambda mark: abs(mark.box[0] + mark.box[2] / 2 - place)).cell


def box_on_page(segment: Segment, strip: Strip, to_picture: Homography, shape: tuple[int, ...]) -> Box:
    """Return the upright box in the full picture around the ink of a segment of the strip.

    Args:
        segment: what it is around.
        strip: of the line.
        to_picture: from the page's (x, y, 1) to the picture's.
        shape: (height, width) of the picture, in pixels.
    """
    x, y, width, height = segment.box
    rows, columns = np.nonzero(strip.ink[y : y + height, x : x + width] >= EDGE_LEVEL)
    if len(rows) == 0:
        rows, columns = np.array([0, height - 1]), np.array([0, width - 1])
    corners = [(columns + x + right, rows + y + down) for right in (0, 1) for down in (0, 1)]
    points = np.vstack([np.hstack(corners), np.ones(4 * len(rows))])
    across, down, depth = to_picture @ np.vstack([strip.to_page, (0.0, 0.0, 1.0)]) @ points
    places = np.array([across / depth, down / depth])
    low = np.floor(places.min(axis=1) + ROUNDING).astype(int).clip(0)
    high = np.minimum(np.ceil(places.max(axis=1) - ROUNDING).astype(int), (shape[1], shape[0]))
    return int(low[0]), int(low[1]), int(max(1, high[0] - low[0])), int(max(1, high[1] - low[1]))

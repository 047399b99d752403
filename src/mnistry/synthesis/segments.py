"""Training images for reading lines: what the segmentation of a line offers, with its truth.

A line is composed (see `composing`), cut, and put together again as `decoding` does it. A segment that is one
of the digits has its label; one that is a part of a digit, or parts of several, has SIGN: no digit.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mnistry.cutting import cut_pieces, join
from mnistry.decoding import list_spans
from mnistry.imaging import EDGE_LEVEL, center_digit, measure_stroke
from mnistry.pictures import Gray
from mnistry.synthesis.composing import Layer, compose_line
from mnistry.synthesis.shapes import SIGN

SAME, OTHER = 0.8, 0.62  # overlap from which a segment is that digit, and below which it is none
MOST_OTHERS = 7  # segments of a line that are no digit


def make_segments(
    images: NDArray[np.uint8], labels: NDArray[np.uint8], lines: int, seed: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return the segments of so many lines: images (n, 28, 28) and labels (n,), uint8; SIGN for no digit.

    Args:
        images: the digits that lines are composed of, (m, 28, 28) uint8, 255 = ink.
        labels: what they are, (m,) uint8.
        lines: how many; about 18 segments come from each.
        seed: of everything that is random.
    """
    rng = np.random.default_rng(seed)
    found: list[tuple[Gray, int]] = []
    for _ in range(lines):
        ink, layers = compose_line(images, labels, rng)
        found += list_segments(ink, layers, rng)
    if not found:
        return np.zeros((0, 28, 28), np.uint8), np.zeros(0, np.uint8)
    return np.stack([image for image, _ in found]), np.array([label for _, label in found], np.uint8)


def list_segments(ink: Gray, layers: list[Layer], rng: np.random.Generator) -> list[tuple[Gray, int]]:
    """Return (image, label) of the segments of a strip; of those that are no digit, MOST_OTHERS at random."""
    pieces = cut_pieces(ink, max(2.0, measure_stroke(ink)))
    digits, others = [], []
    for start, stop in list_spans(pieces):
        segment, (x, y, width, height) = join(pieces[start:stop])
        mask = segment >= EDGE_LEVEL
        if not mask.any():
            continue
        inside = (slice(y, y + height), slice(x, x + width))
        overlaps = []
        for layer in layers:
            shared = int((mask & (layer.ink[inside] >= EDGE_LEVEL)).sum())
            overlaps.append(shared / (int(mask.sum()) + int((layer.ink >= EDGE_LEVEL).sum()) - shared))
        best = int(np.argmax(overlaps))
        label = layers[best].label
        if overlaps[best] >= SAME and label != SIGN:
            digits.append((segment, label))
        elif overlaps[best] < OTHER or label == SIGN:
            others.append((segment, SIGN))
    chosen = rng.permutation(len(others))[:MOST_OTHERS]
    return [
        (center_digit(segment), label) for segment, label in [*digits, *(others[index] for index in chosen)]
    ]

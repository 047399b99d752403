"""Training images for reading pages: what the reader cuts out of a picture, with its truth.

Pages are written, photographed and taken apart as the page reader does it. A segment that has a digit's place
in the picture has its label; one that has no digit's place has SIGN. Blank pages, with printed lines, grain
and shadows, have nothing but the latter.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from mnistry.cutting import cut_pieces, join
from mnistry.dataset import Dataset
from mnistry.decoding import list_spans
from mnistry.errors import ImageError
from mnistry.imaging import EDGE_LEVEL, Box, center_digit, measure_stroke
from mnistry.pictures import Gray, load_shrunk
from mnistry.placing import box_on_page
from mnistry.segments import Segment
from mnistry.straightening import straighten
from mnistry.synthesis import cameras, papers
from mnistry.synthesis.pages import make_page
from mnistry.synthesis.shapes import SIGN
from mnistry.writing import LONGEST_PX, find_writing, flatten_pages

BLANK = 0.12  # portion of pages
SHADED = 0.25  # portion of the others that lie in a shadow with an edge; of blank ones twice as many
LAYOUTS = {"line": 0.72, "amount": 0.08, "expression": 0.08, "groups": 0.04, "single": 0.08}
DIFFICULTIES = {"easy": 0.1, "medium": 0.6, "hard": 0.3}
SAME, OTHER = (
    0.7,
    0.3,
)  # overlap of boxes from which the best segment is that digit, and below which it is none
MARGIN = 0.05  # overlap
MOST_OTHERS = 3  # segments of a page that are no digit; of a blank one twice as many
BLANK_SHAPES = ((250, 300), (900, 1200))  # (height, width) of blank pages, from and to


def make_cuttings(digits: Dataset, pages: int, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return what the reader cuts out of so many pages: images (n, 28, 28) and labels (n,), uint8.

    A label is the digit, or SIGN for no digit.

    Args:
        digits: what the pages are written with.
        pages: how many; some six digits come from each.
        seed: of everything that is random.
    """
    rng = np.random.default_rng(seed)
    found = [segment for _ in range(pages) for segment in _cut_page(digits, rng)]
    if not found:
        return np.zeros((0, 28, 28), np.uint8), np.zeros(0, np.uint8)
    return np.stack([image for image, _ in found]), np.array([label for _, label in found], np.uint8)


def _cut_page(digits: Dataset, rng: np.random.Generator) -> Iterator[tuple[Gray, int]]:
    """Yield (image, label) of the segments of a page: all its digits, and some that are none."""
    blank = rng.random() < BLANK
    if blank:
        image, truth = make_blank(rng), []
    else:
        layout = str(rng.choice(list(LAYOUTS), p=list(LAYOUTS.values())))
        difficulty = rng.choice(list(DIFFICULTIES), p=list(DIFFICULTIES.values()))
        page = make_page(digits, int(rng.integers(2**31)), difficulty, layout, touching=0.0)
        image, truth = (
            page.image,
            [(digit.box, int(digit.label)) for line in page.lines for digit in line.digits],
        )
        if page.scene in ("photo", "scan") and rng.random() < SHADED:
            image = cameras.shade(rng, image)
    others = []
    for label, segment in _list_segments(image, truth):
        if label == SIGN:
            others.append(segment)
        else:
            yield segment, label
    for index in rng.permutation(len(others))[: MOST_OTHERS * (1 + blank)]:
        yield others[index], SIGN


def _list_segments(image: NDArray[np.uint8], truth: Sequence[tuple[Box, int]]) -> Iterator[tuple[int, Gray]]:
    """Yield the label and the image of every segment of a picture that surely is a digit, or none."""
    gray, size = load_shrunk(image, LONGEST_PX)
    flat, to_picture = flatten_pages(gray, size)[0]
    try:
        lines = find_writing(flat)
    except ImageError:
        return
    boxes = np.array([box for box, _ in truth], np.float64).reshape(-1, 4)
    images, overlaps, inks = [], [], []
    for line in lines:
        strip = straighten(line)
        pieces = cut_pieces(strip.ink, max(2.0, measure_stroke(strip.ink)))
        for start, stop in list_spans(pieces):
            ink, box = join(pieces[start:stop])
            if ink.size and ink.max() >= EDGE_LEVEL:
                segment = Segment(start, stop, box, center_digit(ink), np.zeros(0))
                images.append(segment.image)
                inks.append(int(ink.sum()))
                overlaps.append(_overlap(box_on_page(segment, strip, to_picture, size), boxes))
    if not images:
        return
    shared, amounts = np.stack(overlaps), np.array(inks)  # (segments, digits), (segments,)
    for number, (_, label) in enumerate(truth):
        best = shared[:, number].max()
        if best >= SAME:
            alike = shared[:, number] >= best - MARGIN  # of these the others lack a part
            yield label, images[int(np.where(alike, amounts, 0).argmax())]
    for index in np.flatnonzero(shared.max(axis=1, initial=0.0) < OTHER):
        yield SIGN, images[index]


def _overlap(box: Box, others: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the intersection of a box with each of (n, 4) others, over their union."""
    start, stop = np.array(box[:2]), np.array(box[:2]) + box[2:]
    starts, stops = others[:, :2], others[:, :2] + others[:, 2:]
    shared = np.prod(np.maximum(np.minimum(stop, stops) - np.maximum(start, starts), 0), axis=1)
    return np.asarray(shared / (np.prod(others[:, 2:], axis=1) + box[2] * box[3] - shared), np.float64)


def make_blank(rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return a picture, (height, width, 3) uint8, of a page that nobody has written on."""
    (least_height, least_width), (most_height, most_width) = BLANK_SHAPES
    shape = int(rng.integers(least_height, most_height)), int(rng.integers(least_width, most_width))
    difficulty = str(rng.choice(["medium", "hard"]))
    scene = str(rng.choice(["photo", "photo", "photo", "scan", "board"]))
    pitch_px = float(rng.uniform(30, 120))
    sheet = papers.lay_paper(rng, scene, difficulty, shape, pitch_px, float(rng.uniform(0, pitch_px)))
    if scene != "scan":
        centre = np.array(shape[::-1], np.float64) / 2
        homography = cameras.tilt(rng, centre, float(max(shape)), difficulty)
        sheet = cameras.look(rng, sheet, homography, shape, desk=False)
        sheet = cameras.light(rng, sheet, difficulty)
    image = cameras.expose(rng, sheet, difficulty, float(rng.uniform(16, 90)), scene)
    return cameras.shade(rng, image) if rng.random() < 2 * SHADED else image

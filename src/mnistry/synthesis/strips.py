"""Training data for reading a line as a whole: strips with lines, and the digits on them.

Some lines are composed on the strip itself, which is quick and has every way of touching and overlapping;
some are words, which hold no digit, or have a word or a drawing beside the number; some are written on a
page, photographed and cut out as the reader does it; and some are a single digit, or drawings and other marks
that are none, cut out likewise.
"""

from __future__ import annotations

import itertools
import string
from collections.abc import Iterator, Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from mnistry.dataset import Dataset
from mnistry.errors import ImageError
from mnistry.pictures import Gray, load_shrunk
from mnistry.segmentation import Mark
from mnistry.sequences import HEIGHT_PX, shrink_strip
from mnistry.straightening import STRIP_PX, straighten
from mnistry.synthesis.alone import NO_DIGITS, cut_marks, set_on_line
from mnistry.synthesis.composing import BASE_PX, compose_line
from mnistry.synthesis.outliers import draw_outliers, make_letters
from mnistry.synthesis.pages import Page, make_page
from mnistry.synthesis.shapes import SIGN
from mnistry.synthesis.words import compose_word
from mnistry.writing import LONGEST_PX, find_writing, flatten_pages

WIDTH_PX = 256
MOST_DIGITS = 8
ABSENT = -1  # in the labels, after the last digit
KINDS = {"composed": 0.3, "slashed": 0.04, "word": 0.06, "labelled": 0.14, "page": 0.34, "mark": 0.12}
DRAWN_LABELS = 0.25  # portion of drawings among the words beside a number
WORD_LETTERS = (2, 6)  # of a word beside a number,
WORD_FIRST = 0.75  # portion of those where it stands before the number,
WORD_GAP = (0.1, 1.0)  # digits' heights between them,
WORD_SIZE = (0.6, 1.0)  # of its letters for the digits'
RUNS = 0.3  # portion of composed lines with zeros written in one go
COARSE_LINES = 0.25  # portion of composed lines from a picture with few pixels,
COARSE = (0.12, 0.3)  # of theirs for one of ours
COARSE_PAGES = 0.2  # portion of pages in whose pictures digits have few pixels:
COARSE_PX = (8.0, 24.0)  # so many high
EMPTY = 0.3  # portion of the marks beside a line, such as dirt, that are shown too
SMALLEST = 0.4  # of the height that digits should have on a strip: less is a failure of the segmentation
LETTER_POOL = 4000
# Of distorted strips: standard deviations of the logarithm of the size, across and down, and of the slant;
# pixels that the line moves up or down, and that points of the grid move apart, at most.
SPREAD_X, SPREAD_Y, SPREAD_SLANT, SPREAD_DOWN_PX = 0.1, 0.05, 0.1, 1.0
KNOT_PX, BEND_PX = 12, 1.6
THICKER, THINNER = 0.15, 0.15  # portions of the strips whose strokes change
LAYOUTS = {"line": 0.7, "amount": 0.18, "expression": 0.08, "groups": 0.04}
DIFFICULTIES = {"easy": 0.1, "medium": 0.6, "hard": 0.3}


def make_strips(digits: Dataset, count: int, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.int8]]:
    """Return strips as `sequences.shrink_strip` makes them, and their digits from left to right.

    Strips are (count, HEIGHT_PX, WIDTH_PX) uint8, digits (count, MOST_DIGITS) int8 and ABSENT at the end.

    Args:
        digits: what lines are written with.
        count: how many strips.
        seed: of everything that is random.
    """
    rng = np.random.default_rng(seed)
    pool, names = make_letters(string.ascii_letters, LETTER_POOL, seed), string.ascii_letters
    letters = {name: pool[index :: len(names)] for index, name in enumerate(names)}
    others = itertools.cycle([ink for ink, _ in draw_outliers(digits, LETTER_POOL, NO_DIGITS, seed)])
    strips = np.zeros((count, HEIGHT_PX, WIDTH_PX), np.uint8)
    texts = np.full((count, MOST_DIGITS), ABSENT, np.int8)
    made = 0
    while made < count:
        for ink, labels in _make_lines(digits, letters, others, rng):
            strip = shrink_strip(ink)
            if made < count and 0 < strip.shape[1] <= WIDTH_PX and len(labels) <= MOST_DIGITS:
                strips[made, :, : strip.shape[1]] = strip
                texts[made, : len(labels)] = labels
                made += 1
    return strips, texts


def _make_lines(
    digits: Dataset,
    letters: Mapping[str, NDArray[np.uint8]],
    others: Iterator[Gray],
    rng: np.random.Generator,
) -> Iterator[tuple[Gray, list[int]]]:
    """Yield the ink of a line, (any, any) uint8, and its digits, or of a few lines, or of none."""
    kind = rng.choice(list(KINDS), p=list(KINDS.values()))
    if kind == "page":
        yield from cut_lines(_draw_page(digits, rng), rng)
        return
    if kind == "mark":
        yield from cut_marks(digits, others, rng)
        return
    if kind == "word":
        ink, labels = compose_word(letters, rng), []
    else:
        most = MOST_DIGITS // 2 if kind == "labelled" else MOST_DIGITS
        run = kind == "composed" and rng.random() < RUNS
        ink, layers = compose_line(
            digits.images, digits.labels, rng, most=most, run=run, slashes=kind == "slashed"
        )
        labels = [layer.label for layer in layers if layer.label != SIGN]
    if kind == "labelled":
        drawn = rng.random() < DRAWN_LABELS
        label = set_on_line(next(others), rng) if drawn else compose_word(letters, rng, *WORD_LETTERS)
        ink = _set_beside(label, ink, rng)
    yield (_coarsen(ink, rng) if rng.random() < COARSE_LINES else ink), labels


def _set_beside(word: Gray, number: Gray, rng: np.random.Generator) -> Gray:
    """Return the strips of a word and a number as one line, the word mostly first and often smaller."""
    size, parts = rng.uniform(*WORD_SIZE), []
    small = cv2.resize(word, None, fx=size, fy=size, interpolation=cv2.INTER_AREA)
    top = round(BASE_PX * (1 - size))
    word = np.zeros((len(number), small.shape[1]), np.uint8)
    word[top : top + len(small)] = small[: len(number) - top]
    for strip in (word, number) if rng.random() < WORD_FIRST else (number, word):
        columns = np.flatnonzero(strip.max(axis=0) > 0)
        parts.append(strip[:, columns[0] : columns[-1] + 1] if len(columns) else strip)
    gap = np.zeros((len(word), round(rng.uniform(*WORD_GAP) * STRIP_PX)), np.uint8)
    return np.hstack([parts[0], gap, parts[1]])


def _draw_page(digits: Dataset, rng: np.random.Generator) -> Page:
    layout = str(rng.choice(list(LAYOUTS), p=list(LAYOUTS.values())))
    difficulty = rng.choice(list(DIFFICULTIES), p=list(DIFFICULTIES.values()))
    touching = rng.choice([0.0, rng.random(), 1.0], p=[0.4, 0.4, 0.2])
    rows = None
    if layout == "line":
        rows = ["".join(map(str, rng.integers(0, 10, rng.integers(2, MOST_DIGITS + 1))))]
    page_seed = int(rng.integers(2**31))
    return make_page(digits, page_seed, difficulty, layout, touching=float(touching), rows=rows)


def cut_lines(page: Page, rng: np.random.Generator) -> Iterator[tuple[Gray, list[int]]]:
    """Yield the lines of a page with one row, as the reader finds them, and the digits of each.

    Ink is (any, any) uint8, 255 = ink. Some of the marks beside the row, such as dirt, come as lines without
    digits. Nothing is yielded where a digit is not found at all.
    """
    truth = [digit for line in page.lines for digit in line.digits]
    boxes = np.array([digit.box for digit in truth], np.float64)
    image = page.image
    if rng.random() < COARSE_PAGES:
        portion = rng.uniform(*COARSE_PX) / float(np.median(boxes[:, 3]))
        if portion < 1 and portion * min(image.shape[:2]) > 12:
            image = np.asarray(cv2.resize(image, None, fx=portion, fy=portion, interpolation=cv2.INTER_AREA))
            boxes *= portion
    gray, size = load_shrunk(image, LONGEST_PX)
    flat, to_picture = flatten_pages(gray, size)[0]
    try:
        lines = find_writing(flat)
    except ImageError:
        return
    # From picture to page, where the marks are.
    corners = np.stack([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)
    corners = np.asarray(cv2.perspectiveTransform(corners, np.linalg.inv(to_picture)), np.float64)
    shared = np.array([[_overlap(corner, line) for line in lines] for corner in corners])
    if not shared.max(axis=1).all():
        return  # a digit is not seen at all
    owners, middles = shared.argmax(axis=1), corners[:, :, 0].mean(axis=1)
    for number, line in enumerate(lines):
        own = sorted(np.flatnonzero(owners == number), key=lambda index: middles[index])
        if not own and rng.random() > EMPTY:
            continue
        strip = straighten(line)
        heights = (corners[own, 1, 1] - corners[own, 0, 1]) / np.linalg.norm(strip.to_page[:, 1])
        if not own or np.median(heights) > SMALLEST * STRIP_PX:
            yield strip.ink, [int(truth[index].label) for index in own]


def _overlap(corners: NDArray[np.float64], marks: list[Mark]) -> float:
    """Return how many pixels a box, ((left, top), (right, bottom)), shares with those of some marks."""
    total = 0.0
    for mark in marks:
        width = min(corners[1, 0], mark.right) - max(corners[0, 0], mark.box[0])
        height = min(corners[1, 1], mark.bottom) - max(corners[0, 1], mark.box[1])
        total += max(0.0, width) * max(0.0, height)
    return total


def distort_strips(strips: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return the strips stretched, slanted, bent, with other strokes and levels, as another hand and pen.

    Args:
        strips: (n, HEIGHT_PX, WIDTH_PX) uint8, empty behind the lines; what they spell stays the same.
        rng: of everything that is random.
    """
    return np.stack([_distort(strip, rng) for strip in strips]) if len(strips) else strips.copy()


def _distort(strip: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    width = int(np.flatnonzero(strip.any(axis=0)).max(initial=0)) + 1
    middle = (HEIGHT_PX - 1) / 2
    slant = rng.normal(0, SPREAD_SLANT)
    left = abs(slant) * middle  # that the line is moved by, so that nothing is lost there,
    room = (WIDTH_PX - 1 - 2 * left - 2 * BEND_PX) / width  # nor on the right
    across, down = min(float(np.exp(rng.normal(0, SPREAD_X))), room), float(np.exp(rng.normal(0, SPREAD_Y)))
    knots = rng.normal(0, 1, (2, HEIGHT_PX // KNOT_PX + 1, WIDTH_PX // KNOT_PX + 1)).astype(np.float32)
    knots *= BEND_PX / 2 * rng.random()
    bend_x, bend_y = (
        cv2.resize(part, (WIDTH_PX, HEIGHT_PX), interpolation=cv2.INTER_CUBIC) for part in knots
    )
    rows = np.arange(HEIGHT_PX, dtype=np.float32)[:, None]
    columns = np.arange(WIDTH_PX, dtype=np.float32)[None]
    from_x = (columns - left + slant * (rows - middle)) / across + bend_x
    from_y = (rows - middle - rng.normal(0, SPREAD_DOWN_PX)) / down + middle + bend_y
    seen = cv2.remap(strip, from_x.astype(np.float32), from_y.astype(np.float32), cv2.INTER_LINEAR)
    change = rng.random()
    if change < THICKER + THINNER:
        tip = np.ones((2, 2) if rng.random() < 0.5 else (3, 3), np.uint8)
        changed = (cv2.dilate if change < THICKER else cv2.erode)(seen, tip)
        if changed.sum() > 0.4 * seen.sum():  # not worn away
            portion = float(rng.uniform(0.3, 1.0))
            seen = cv2.addWeighted(changed, portion, seen, 1 - portion, 0)
    levels = 255 * (np.arange(256) / 255) ** np.exp(rng.normal(0, 0.25)) * np.exp(rng.normal(0, 0.15))
    return np.asarray(cv2.LUT(seen, levels.clip(0, 255).astype(np.uint8)), np.uint8)


def _coarsen(ink: Gray, rng: np.random.Generator) -> Gray:
    """Return the ink as a picture shows it whose digits are 8 to 20 pixels high."""
    portion = rng.uniform(*COARSE)
    coarse = cv2.resize(ink, None, fx=portion, fy=portion, interpolation=cv2.INTER_AREA)
    coarse = np.clip(coarse.astype(np.float32) * rng.uniform(1.0, 2.0), 0, 255)
    return np.asarray(
        cv2.resize(coarse.astype(np.uint8), ink.shape[::-1], interpolation=cv2.INTER_CUBIC), np.uint8
    )

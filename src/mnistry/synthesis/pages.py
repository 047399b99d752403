"""Pages of handwritten digits whose truth is known: composed from the images of a data set, by a seed.

make_page, make_line
  _plan      what is written: rows of digits, spaces and signs
  _write     rows -> marks, each with its place on the sheet
  _show      marks -> a sheet -> what a camera, a scanner or a screen shows of it
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mnistry.dataset import Dataset
from mnistry.synthesis import cameras, papers, pens
from mnistry.synthesis.glyphs import Glyphs, trace_images
from mnistry.synthesis.pens import Pen
from mnistry.synthesis.plans import LAYOUTS, check_rows, plan_rows, read_row
from mnistry.synthesis.writing import Hand, Written, lay_row, write_row

Box = tuple[int, int, int, int]
Homography = NDArray[np.float64]
Difficulty = Literal["easy", "medium", "hard"]
DIFFICULTIES = ("easy", "medium", "hard")
SHEET_SHAPE = (1400, 1000)
LEAST_REACH = (
    4.0  # digit heights over which a sheet is tilted: tilted over less, its margins reach the horizon
)

# Where pictures of each difficulty come from; an amount stands on a cheque unless it is easy.
_SCENE_ODDS = {
    "easy": {"photo": 0.4, "scan": 0.2, "paint": 0.2, "canvas": 0.2},
    "medium": {"photo": 0.5, "scan": 0.1, "paint": 0.15, "canvas": 0.15, "board": 0.1},
    "hard": {"photo": 0.6, "cheque": 0.2, "board": 0.1, "paint": 0.05, "canvas": 0.05},
}
_DIGIT_PX = {"easy": (36, 90), "medium": (26, 110), "hard": (16, 130)}
_TOUCHING = {"easy": 0.0, "medium": 0.0, "hard": 0.15}


@dataclass(frozen=True)
class Mark:
    """One thing that is written on a page.

    Attributes:
        label: the digit "0" to "9", or the sign, such as "+".
        box: x, y, width, height in pixels of the picture, around all of its ink.
        index: of the digit's image in the data set; -1 for a sign.
    """

    label: str
    box: Box
    index: int


@dataclass(frozen=True)
class Line:
    """One line of writing: its text, its digits and its signs, each from left to right.

    `text` has a space where there is a wide gap or a sign, none for a point or a comma.
    """

    text: str
    digits: tuple[Mark, ...]
    signs: tuple[Mark, ...] = ()


@dataclass(frozen=True, eq=False)
class Page:
    """A picture and what is written on it.

    Attributes:
        image: (height, width, 3) uint8, RGB.
        text: the lines' texts from top to bottom, joined by newlines.
        lines: from top to bottom.
        scene: one of `papers.SCENES`.
    """

    image: NDArray[np.uint8]
    text: str
    lines: tuple[Line, ...]
    scene: str


def make_page(
    digits: Dataset,
    seed: int,
    difficulty: Difficulty = "medium",
    layout: str = "lines",
    *,
    scene: str | None = None,
    touching: float | None = None,
    rows: list[str] | None = None,
) -> Page:
    """Return a page written with the digits of a data set; the same arguments give the same page.

    Args:
        digits: where the digits come from: training digits for training, test digits for tests.
        seed: of everything that is random, 0 or more.
        difficulty: "easy": large digits in even light; "medium": an ordinary photo; "hard": shadow, grain,
            faint pens, tilt, touching digits, the printed ground of a cheque.
        layout: "single" digit; "line" of 5 to 8; "groups" of digits with wide gaps; "lines"; "grid" of digits
            all far apart, though the text has no spaces; "sheet" of about 1000 x 1400 pixels; "amount" with
            points, commas and dashes; "expression" such as 8+3.
        scene: one of `papers.SCENES`; None draws one that suits difficulty and layout.
        touching: portion of neighbouring digits that touch, 0..1; None takes that of the difficulty.
        rows: what to write, of digits, spaces and signs out of `signs.SIGNS`; None draws it.

    Raises:
        ValueError: an unknown name, a portion outside 0..1, nothing to write, a character that cannot be
            written, or a digit that the data set lacks.
    """
    _check_known("difficulty", difficulty, DIFFICULTIES)
    _check_known("layout", layout, LAYOUTS)
    touching = _TOUCHING[difficulty] if touching is None else touching
    if not 0 <= touching <= 1:
        raise ValueError(f"touching={touching}; a portion from 0 to 1 expected")
    rng = np.random.default_rng(seed)
    if scene is None:
        scene = _choose_scene(rng, difficulty, layout)
    _check_known("scene", scene, papers.SCENES)
    images = _list_images(digits)
    rows = plan_rows(rng, layout, list(images)) if rows is None else [" ".join(row.split()) for row in rows]
    check_rows(rows, "".join(images), digits.name)

    pen = pens.choose_pen(rng, scene, difficulty)
    height_px = _choose_height(rng, difficulty, layout, scene)
    pen = dataclasses.replace(pen, width=max(pen.width, pens.THINNEST_PX / height_px))
    gap = rng.uniform(0.7, 1.6) if layout == "grid" else rng.uniform(0.12, 0.45)
    hand = Hand(pen, height_px, gap, touching)
    pitch_px = height_px * rng.uniform(1.6, 2.3)
    indices, glyphs = _choose_images(
        rng, digits, [images[name] for name in "".join(rows) if name in images], pen
    )
    marks = _write(rng, rows, indices, glyphs, hand, 0.0 if layout == "grid" else 0.8, pitch_px)
    image, homography = _show(rng, marks, hand, difficulty, layout, scene, pitch_px)
    lines = tuple(_describe(row, strokes, homography) for row, strokes in zip(rows, marks, strict=True))
    return Page(image, "\n".join(line.text for line in lines), lines, scene)


def make_line(
    digits: Dataset,
    seed: int,
    difficulty: Difficulty = "medium",
    text: str | None = None,
    *,
    scene: str | None = None,
    touching: float | None = None,
) -> Page:
    """Return a page with one line of 5 to 8 digits, or with `text`; see `make_page`.

    Raises:
        ValueError: as `make_page`.
    """
    rows = None if text is None else [text]
    return make_page(digits, seed, difficulty, "line", scene=scene, touching=touching, rows=rows)


def _check_known(what: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ValueError(f"unknown {what} {value!r}; one of {', '.join(known)} expected")


# ---- what is written --------------------------------------------------------------------------------


def _choose_scene(rng: np.random.Generator, difficulty: str, layout: str) -> str:
    if layout == "amount" and difficulty != "easy":
        return "cheque"
    odds = dict(_SCENE_ODDS[difficulty])
    if layout in ("grid", "sheet", "lines"):
        odds.pop("cheque", None)
    return str(rng.choice(list(odds), p=np.array(list(odds.values())) / sum(odds.values())))


def _list_images(digits: Dataset) -> dict[str, NDArray[np.int64]]:
    """Return the indices of the images of each digit that the data set has."""
    found = {
        name: np.flatnonzero(digits.labels == label)
        for label, name in enumerate(digits.class_names)
        if name in tuple("0123456789")
    }
    return {name: indices for name, indices in found.items() if len(indices)}


def _choose_images(
    rng: np.random.Generator, digits: Dataset, choices: list[NDArray[np.int64]], pen: Pen
) -> tuple[list[int], Glyphs]:
    """Return an image for each digit to be written, out of its choices, and the shapes in them.

    A pen that draws lines of an even width leaves no loop full, so in place of full ones others are drawn.
    """
    indices = [int(rng.choice(indices)) for indices in choices]
    glyphs = trace_images(digits.images[indices])
    for _ in range(0 if pen.as_written else 3):
        full: NDArray[np.int64] = np.flatnonzero(glyphs.filled)
        if len(full):
            for number in full:
                indices[number] = int(rng.choice(choices[number]))
            glyphs.replace(full, trace_images(digits.images[[indices[number] for number in full]]))
    return indices, glyphs


def _choose_height(rng: np.random.Generator, difficulty: str, layout: str, scene: str) -> float:
    """Return how high the digits are, in pixels."""
    low, high = _DIGIT_PX[difficulty]
    if layout == "sheet":
        return float(rng.uniform(36, 54))
    if scene == "cheque":
        return float(rng.uniform(19, 38))
    if layout == "single":
        high = 420
        if scene in ("paint", "canvas") and rng.random() < 0.4:
            return float(rng.uniform(14, 24))  # 28 x 28 and the like
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _write(
    rng: np.random.Generator,
    rows: list[str],
    indices: list[int],
    glyphs: Glyphs,
    hand: Hand,
    ragged: float,
    pitch_px: float,
) -> list[list[Written]]:
    """Return the marks of all rows; row after row begins up to `ragged` digit heights further right."""
    written, first = [], 0
    for number, row in enumerate(rows):
        part = slice(first, first + sum(map(str.isdigit, row)))
        marks = write_row(rng, row, glyphs.take(part), indices[part], hand)
        left, top = round(rng.uniform(0, ragged) * hand.height_px), round(number * pitch_px)
        for mark in marks:
            mark.left, mark.top = mark.left + left, mark.top + top
        written.append(marks)
        first = part.stop
    return written


# ---- what is seen of it -----------------------------------------------------------------------------


def _show(
    rng: np.random.Generator,
    written: list[list[Written]],
    hand: Hand,
    difficulty: str,
    layout: str,
    scene: str,
    pitch_px: float,
) -> tuple[NDArray[np.uint8], Homography]:
    """Lay the ink on a sheet; return the picture, and the way from the marks' places to the picture's."""
    hulls = np.concatenate([mark.find_hull() for marks in written for mark in marks])
    homography = np.eye(3)
    if scene in ("photo", "board"):
        reach_px = max(float(np.ptp(hulls, axis=0).max()), LEAST_REACH * hand.height_px)
        homography = cameras.tilt(rng, hulls.mean(axis=0), reach_px, difficulty)
    shape, homography = _frame(
        rng, cameras.move(hulls, homography), homography, hand.height_px, layout, scene
    )
    # The sheet reaches as far as the picture shows it, or ends within it, on a desk.
    desk = scene == "photo" and layout in ("sheet", "lines", "grid") and difficulty != "easy"
    desk = desk and rng.random() < 0.4
    low, high = _find_sheet(rng, hulls, shape, homography, hand.height_px, desk)
    for mark in (mark for marks in written for mark in marks):
        mark.left, mark.top = mark.left - low[0], mark.top - low[1]
    back = np.array([[1, 0, low[0]], [0, 1, low[1]], [0, 0, 1.0]])
    homography = homography @ back

    sheet = papers.lay_paper(
        rng, scene, difficulty, (high[1] - low[1], high[0] - low[0]), pitch_px, float(-low[1])
    )
    for marks in written:
        lay_row(rng, sheet, marks, hand.pen)
    if scene in ("photo", "board"):
        sheet = cameras.look(rng, sheet, homography, shape, desk)
        sheet = cameras.light(rng, sheet, difficulty)
    if scene in ("paint", "canvas"):
        return np.clip(sheet + 0.5, 0, 255).astype(np.uint8), homography
    return cameras.expose(rng, sheet, difficulty, hand.height_px, scene), homography


def _frame(
    rng: np.random.Generator,
    seen: NDArray[np.float64],
    homography: Homography,
    height_px: float,
    layout: str,
    scene: str,
) -> tuple[tuple[int, int], Homography]:
    """Return height and width of a picture with margins around the ink `seen`, and the way into it."""
    low, high = {"cheque": (0.1, 0.35), "paint": (0.15, 0.6), "canvas": (0.15, 0.9)}.get(scene, (0.4, 1.3))
    if scene == "photo" and rng.random() < 0.15:
        low, high = 1.5, 5.0  # from further away
    margins = np.rint(rng.uniform(low, high, 4) * height_px) + 2  # left, top, right, bottom
    start, size = np.floor(seen.min(axis=0)), np.ceil(np.ptp(seen, axis=0)) + 2
    if layout == "sheet":
        margins[:] = 0.4 * height_px
        room = np.maximum(np.array(SHEET_SHAPE[::-1]) - size - margins[:2] - margins[2:], 0)
        before = np.rint(room * rng.uniform(0.2, 0.8, 2))
        margins += np.concatenate([before, room - before])
    width, height = (size + margins[:2] + margins[2:]).astype(int).tolist()
    x, y = margins[:2] - start
    into = np.array([[1, 0, x], [0, 1, y], [0, 0, 1.0]]) @ homography
    return (height, width), into


def _find_sheet(
    rng: np.random.Generator,
    hulls: NDArray[np.float64],
    shape: tuple[int, int],
    homography: Homography,
    height_px: float,
    desk: bool,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the first and the last corner (x, y) of the sheet: as far as the picture shows it, or less."""
    height, width = shape
    corners = np.array([[0, 0], [width, 0], [0, height], [width, height]], np.float64)
    there = cameras.move(corners, np.asarray(np.linalg.inv(homography), np.float64))
    low, high = np.floor(there.min(axis=0)), np.ceil(there.max(axis=0))
    if desk:
        margin = rng.uniform(0.4, 1.5, 4) * height_px
        low = np.maximum(low, hulls.min(axis=0) - margin[:2])
        high = np.minimum(high, hulls.max(axis=0) + margin[2:])
    return low.astype(int), high.astype(int)


def _describe(row: str, written: list[Written], homography: Homography) -> Line:
    """Return the truth about a row that is seen through `homography`."""
    marks = []
    for mark in written:
        seen = cameras.move(mark.find_hull(), homography)
        low, high = np.floor(seen.min(axis=0)).astype(int), np.ceil(seen.max(axis=0)).astype(int) + 1
        box = int(low[0]), int(low[1]), int(high[0] - low[0]), int(high[1] - low[1])
        marks.append(Mark(mark.label, box, mark.index))
    return Line(
        read_row(row),
        tuple(mark for mark in marks if mark.index >= 0),
        tuple(mark for mark in marks if mark.index < 0),
    )

"""Marks that are no digits, as a classifier would see them: what it must learn to refuse."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from mnistry.dataset import Dataset
from mnistry.imaging import EDGE_LEVEL, center_digit
from mnistry.synthesis.doodles import DOODLES, draw_doodle
from mnistry.synthesis.glyphs import DIGIT_GRID, FINE, GRID, Field, Glyphs, Mask, trace_masks
from mnistry.synthesis.papers import make_noise
from mnistry.synthesis.pens import THINNEST_PX, Pen, write
from mnistry.synthesis.strokes import LETTERS, OUTLIER_SIGNS, draw_strokes, write_character

if TYPE_CHECKING:
    from PIL import ImageFont

Images = NDArray[np.uint8]
Random = np.random.Generator

# How often each family comes.
FAMILIES = {
    "letter": 0.34,
    "word": 0.05,
    "sign": 0.14,
    "doodle": 0.2,
    "fragment": 0.08,
    "pair": 0.1,
    "blob": 0.04,
    "texture": 0.05,
}

# Fonts that come with Matplotlib; the Computer Modern ones have letters at their usual places, but few signs.
FONTS_WITH_SIGNS = (
    "DejaVuSans",
    "DejaVuSans-Bold",
    "DejaVuSans-Oblique",
    "DejaVuSansMono",
    "DejaVuSerif",
    "DejaVuSerif-Italic",
    "STIXGeneral",
    "STIXGeneralItalic",
    "STIXGeneralBolIta",
)
FONTS = (*FONTS_WITH_SIGNS, "cmr10", "cmti10", "cmmi10", "cmss10", "cmtt10", "cmb10")

# Halves that have the shape of a digit: of an 8 both an upper and a lower 0 and a right 3, of a 1 everything.
DIGIT_HALVES = {
    "upper": "1236789",
    "lower": "146789",
    "left": "156",
    "right": "12345789",
}
# Of the height of a mark; with a wider pen a drawing is a blot.
WIDEST_PEN = {"letter": 0.17, "sign": 0.17, "doodle": 0.11, "word": 0.06}
_BATCH = 128


def make_outliers(digits: Dataset, n: int, seed: int) -> tuple[Images, NDArray[np.str_]]:
    """Return (n, 28, 28) uint8 images of marks that are no digits, and (n,) what each shows.

    255 is ink; all have gone through the same steps as marks on a photo. What they show is a text such as
    "letter A", "sign +", "doodle star", "fragment upper half of 4", "pair 27", "blob" or "texture"; its first
    word is one of FAMILIES. Letters, signs and halves with the shape of a digit are left out: see
    `strokes.LOOKALIKES` and DIGIT_HALVES.

    Args:
        digits: what halves and pairs are made of: training digits for training, test digits for tests.
        n: number of images, at least 1.
        seed: of everything that is random, 0 or more; the same arguments give the same images.

    Raises:
        ValueError: n is less than 1.
    """
    if n < 1:
        raise ValueError(f"make_outliers() of {n} images; at least 1 expected")
    found = [(center_digit(ink), name) for ink, name in draw_outliers(digits, n, FAMILIES, seed)]
    return np.stack([image for image, _ in found]), np.array([name for _, name in found])


def draw_outliers(
    digits: Dataset, n: int, families: Mapping[str, float], seed: int
) -> Iterator[tuple[Mask, str]]:
    """Yield the ink of n such marks, (height, width) uint8 of any size, and what each shows.

    Arguments as for `make_outliers`, and how often each of FAMILIES comes, 1 in all.
    """
    rng = np.random.default_rng(seed)
    chosen = rng.choice(list(families), n, p=list(families.values()))
    for start in range(0, n, _BATCH):
        yield from zip(*_make_batch(rng, digits, chosen[start : start + _BATCH]), strict=True)


def make_letters(letters: str, n: int, seed: int) -> Images:
    """Return (n, 28, 28) uint8 images of letters, taken in turn from `letters`; LOOKALIKES may be among them.

    To measure, letter by letter, which of them a classifier takes for digits.

    Raises:
        ValueError: n is less than 1, or `letters` holds something else than letters from A to Z and a to z.
    """
    if n < 1 or not letters.isascii() or not letters.isalpha():
        raise ValueError(f"make_letters({letters!r}, {n}); letters from A to Z and at least 1 image expected")
    rng = np.random.default_rng(seed)
    images = np.empty((n, 28, 28), np.uint8)
    for start in range(0, n, _BATCH):
        part = range(start, min(n, start + _BATCH))
        masks = np.stack([_draw_letter(rng, letters[number % len(letters)]) for number in part])
        images[part.start : part.stop] = [
            center_digit(ink) for ink in _write_all(rng, masks, [WIDEST_PEN["letter"]] * len(masks))
        ]
    return images


def _make_batch(rng: Random, digits: Dataset, families: NDArray[np.str_]) -> tuple[list[Mask], list[str]]:
    """Return the ink of each mark, (height, width) uint8 of any size, and what it shows."""
    inks: dict[int, Mask] = {}
    masks: dict[int, Mask] = {}
    names = [str(family) for family in families]
    for number, family in enumerate(names):
        if family in ("letter", "word", "sign", "doodle"):
            masks[number], what = _draw(rng, family)
        elif family == "fragment":
            inks[number], what = _halve(rng, digits)
        elif family == "pair":
            inks[number], what = _pair(rng, digits)
        else:
            inks[number], what = (_make_blob(rng) if family == "blob" else _make_texture(rng)), ""
        names[number] = f"{family} {what}".rstrip()
    if masks:
        widest = [WIDEST_PEN[families[number]] for number in masks]
        written = _write_all(rng, np.stack(list(masks.values())), widest)
        inks |= dict(zip(masks, written, strict=True))
    return [inks[number] for number in range(len(names))], names


# ---- what is written --------------------------------------------------------------------------------


def _draw(rng: Random, family: str) -> tuple[Mask, str]:
    if family == "letter":
        letter = str(rng.choice(list(LETTERS)))
        return _draw_letter(rng, letter), letter
    if family == "word":
        word = "".join(rng.choice(list(LETTERS), rng.integers(2, 6)))
        return _print(str(rng.choice(FONTS)), word), word
    if family == "sign":
        sign = str(rng.choice([*OUTLIER_SIGNS, "."]))
        if sign == ".":
            return draw_strokes([np.array([[9, 10], [9 + rng.uniform(0, 1.5), 10]])]), sign
        if rng.random() < 0.3 and sign != "π":
            return _print(str(rng.choice(FONTS_WITH_SIGNS)), sign), sign
        return draw_strokes(write_character(sign)), sign
    name = str(rng.choice(list(DOODLES)))
    return draw_strokes(draw_doodle(rng, name)), name


def _draw_letter(rng: Random, letter: str) -> Mask:
    if letter in LETTERS and rng.random() < 0.5:
        return draw_strokes(
            [stroke + rng.normal(0, 0.35, stroke.shape) for stroke in write_character(letter)]
        )
    return _print(str(rng.choice(FONTS)), letter)


@functools.lru_cache(maxsize=2048)
def _print(font: str, text: str) -> Mask:
    """Return text in print, its longer side as long as an MNIST digit's, (GRID, GRID) uint8."""
    from PIL import Image, ImageDraw

    letters = _load_font(font)
    left, top, right, bottom = letters.getbbox(text)
    image = Image.new("L", (int(right - left) + 4, int(bottom - top) + 4))
    ImageDraw.Draw(image).text((2 - left, 2 - top), text, font=letters, fill=255)
    pixels = np.asarray(image)
    scale = DIGIT_GRID / max(pixels.shape)
    size = [max(1, round(side * scale)) for side in pixels.shape]
    small = cv2.resize(pixels, size[::-1], interpolation=cv2.INTER_AREA)
    mask = np.zeros((GRID, GRID), np.uint8)
    start = [(GRID - side) // 2 for side in size]
    mask[start[0] : start[0] + size[0], start[1] : start[1] + size[1]] = (small > 90) * np.uint8(255)
    mask.flags.writeable = False
    return mask


@functools.cache
def _load_font(name: str) -> ImageFont.FreeTypeFont:
    import matplotlib
    from PIL import ImageFont

    return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"{name}.ttf", 96)


def _write_all(rng: Random, masks: Mask, widest: list[float]) -> list[Mask]:
    """Return the ink of shapes written by a hand, each with a pen and distortions of its own."""
    glyphs = trace_masks(masks)
    return [_write(rng, glyphs, number, wide) for number, wide in enumerate(widest)]


def _write(rng: Random, glyphs: Glyphs, number: int, widest: float) -> Mask:
    size_px = float(np.exp(rng.uniform(np.log(24), np.log(90))))
    scale = size_px / DIGIT_GRID
    thinnest = min(max(0.05, THINNEST_PX / size_px), widest)
    width = float(np.exp(rng.uniform(np.log(thinnest), np.log(widest))))
    pen = Pen("any", (0, 0, 0), width, as_written=bool(rng.random() < 0.3), soft_px=rng.uniform(1, 3))
    turn, slant = rng.normal(0, 0.09), rng.normal(0.05, 0.15)
    stretch = np.exp(rng.normal(0, 0.12, 2))
    forward = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    forward = forward @ np.array([[stretch[0], -slant], [0, stretch[1]]])
    to_grid = np.linalg.inv(forward)
    side = int(np.ceil(GRID * scale * 1.15))
    to_grid = np.column_stack([to_grid, GRID / 2 - to_grid @ [side / 2, side / 2]])
    warp = rng.normal(0, rng.uniform(0.3, 1.1) * FINE, (2, 5, 5)).astype(np.float32)
    cover = write(glyphs, number, pen, to_grid, (side, side), warp)
    if cover.max() < 0.6:  # so thin and soft that nothing is left
        cover = write(glyphs, number, Pen("any", (0, 0, 0), width=0.12), to_grid, (side, side))
    return _to_ink(cover)


def _to_ink(cover: Field) -> Mask:
    return np.asarray(np.clip(cover * 255 + 0.5, 0, 255), np.uint8)


# ---- what is made of digits -------------------------------------------------------------------------


def _halve(rng: Random, digits: Dataset) -> tuple[Mask, str]:
    """Return half a digit, cut off somewhat obliquely."""
    half = str(rng.choice(list(DIGIT_HALVES)))
    fitting = [name not in DIGIT_HALVES[half] for name in digits.class_names]
    number = int(rng.choice(np.flatnonzero(np.array(fitting)[digits.labels])))
    image = cv2.resize(digits.images[number], (84, 84), interpolation=cv2.INTER_CUBIC)
    x, y, width, height = cv2.boundingRect((image > EDGE_LEVEL).astype(np.uint8))
    rows, columns = np.indices(image.shape, np.float32)
    down, right = (rows - y) / height, (columns - x) / width  # 0..1 over the digit
    across, along = (down, right) if half in ("upper", "lower") else (right, down)
    if half in ("lower", "right"):
        across = 1 - across
    kept = across + rng.uniform(-0.15, 0.15) * (along - 0.5) < rng.uniform(0.42, 0.55)
    return np.asarray(image * kept, np.uint8), f"{half} half of {digits.class_names[digits.labels[number]]}"


def _pair(rng: Random, digits: Dataset) -> tuple[Mask, str]:
    """Return two or three digits side by side, apart, touching or a little into each other."""
    numbers = rng.integers(len(digits), size=2 if rng.random() < 0.85 else 3)
    parts = []
    for image in digits.images[numbers]:
        columns, rows = np.flatnonzero(image.any(axis=0)), np.flatnonzero(image.any(axis=1))
        parts.append(image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
    ink = np.zeros((40, 2 + sum(part.shape[1] + 6 for part in parts)), np.uint8)
    left = 1
    for part in parts:
        top = (40 - part.shape[0]) // 2 + int(rng.integers(-2, 3))
        place = ink[top : top + part.shape[0], left : left + part.shape[1]]
        np.maximum(place, part, out=place)
        left += part.shape[1] + int(rng.integers(-2, 5))
    size = 3 * ink.shape[1], 3 * ink.shape[0]
    ink = np.asarray(cv2.resize(ink, size, interpolation=cv2.INTER_CUBIC), np.uint8)
    return ink, "".join(digits.class_names[digits.labels[number]] for number in numbers)


# ---- what nobody wrote ------------------------------------------------------------------------------


def _make_blob(rng: Random) -> Mask:
    """Return a filled patch with a wavy outline, less than twice as long as wide: a longer one is a 1."""
    angles = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    reach = 1 + sum(
        rng.normal(0, 0.25 / k) * np.cos(k * angles + rng.uniform(0, 2 * np.pi)) for k in range(1, 6)
    )
    points = (
        np.stack([np.cos(angles), rng.uniform(0.6, 1) * np.sin(angles)], 1) * np.maximum(reach, 0.3)[:, None]
    )
    turn = rng.uniform(0, 2 * np.pi)
    points = points @ np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    ink = np.zeros((80, 80), np.uint8)
    cv2.fillPoly(ink, [np.rint((points * 18 + 40) * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    return ink


def _make_texture(rng: Random) -> Mask:
    """Return a piece of stripes, of a net, of grain, or of patches."""
    shape = (60, int(rng.integers(35, 90)))
    rows, columns = np.indices(shape, np.float32)
    kind = rng.integers(4)
    if kind <= 1:
        field = np.zeros(shape, np.float32)
        for _ in range(kind + 1):
            angle, wave = rng.uniform(0, np.pi), rng.uniform(0.25, 1.0)
            field += np.sin(wave * (np.cos(angle) * columns + np.sin(angle) * rows) + rng.uniform(0, 6))
        field += make_noise(rng, shape, (9, 9)) * 0.3
    else:
        lump = rng.uniform(1, 3) if kind == 2 else rng.uniform(5, 12)
        field = make_noise(rng, shape, (lump, lump))
    levels = (field - rng.uniform(-0.3, 0.5)) * rng.uniform(100, 600)
    ink: Mask = np.clip(levels, 0, 255).astype(np.uint8)
    ink[0, 0] = ink[-1, -1] = 255  # never empty
    return ink

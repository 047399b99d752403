"""What is no digit, and how much of it classifier and reader take for one: a part of reading.py.

The marks come from Fashion-MNIST; from `mnistry.synthesis`, of the kinds that the shipped classifier has
learned to refuse, but other ones: halves and pairs of test digits, another seed; and, drawn here, of kinds
that it has not learned from: letters in other fonts of the system, and two kinds of doodles.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from matplotlib import font_manager
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from mnistry import load_data, read
from mnistry.classifier import Classifier
from mnistry.dataset import Dataset
from mnistry.errors import ImageError
from mnistry.imaging import center_digit
from mnistry.metrics import wilson_interval
from mnistry.synthesis import LOOKALIKES, make_letters, make_outliers
from mnistry.synthesis.strokes import LETTERS

Images = NDArray[np.uint8]
Floats = NDArray[np.float64]

ACCEPTED = 0.99  # of the real digits
SEED = 1_000_003  # no training used it
ENLARGED = 4  # times, as pictures for the whole reader
MOST_PICTURES, MOST_DIGITS = 300, 1500  # of a kind of marks, and of digits: one in a hundred must be many
ALIKE = "".join(mark for mark in LOOKALIKES if mark.isascii() and mark.isalpha())
# Families of fonts that training used, in all their cuts.
TRAINED_FONTS = ("DejaVu", "STIX", "cm", "Computer Modern", "Latin Modern")


class Scores:
    """How much the classifier takes n images for digits: float64 (n,) each, higher for digits.

    Attributes:
        confidence: that of the likeliest digit, less 1 where "none" is likelier still: an image is accepted
            where this reaches the threshold.
        any_digit: 1 - P(none); the same for all images where the network has no such class.
        labels: uint8 (n,), the likeliest digit.
    """

    def __init__(self, classifier: Classifier, images: Images) -> None:
        prediction = classifier.predict(images)
        confidence = prediction.probabilities.max(axis=1)
        self.any_digit = np.asarray(prediction.probabilities.sum(axis=1))
        self.confidence = np.where(confidence >= 1 - self.any_digit, confidence, confidence - 1)
        self.labels = prediction.labels


def print_refusals(classifier: Classifier, test: Dataset, fashion: Path | None, n: int) -> None:
    """Print the table; `n` is the number of marks of a row, 10,000 of them shared by the rarer families."""
    real = Scores(classifier, test.images)
    threshold = float(np.quantile(real.confidence, 1 - ACCEPTED, method="lower"))
    by_itself = 100 * np.mean(real.confidence >= 0)
    print(
        f"\n| no digits | n | false answers with {100 * ACCEPTED:.0f} % of the MNIST test digits accepted ",
        end="",
    )
    print("| AUROC, confidence | AUROC, 1 - P(none) ", end="")
    print(f"| the same where a digit is likelier than none ({by_itself:.2f} % accepted) |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, images in _list_marks(test, fashion, n):
        marks = Scores(classifier, images)
        share, default = (_share(marks.confidence >= least) for least in (threshold, 0.0))
        areas = f"{auroc(real.confidence, marks.confidence):.4f} | "
        areas += f"{auroc(real.any_digit, marks.any_digit):.4f}" if classifier.rejects else "-"
        print(f"| {name} | {len(images):,} | {share} | {areas} | {default} |", flush=True)
    print(f"\nConfidence from which {100 * ACCEPTED:.0f} % of the digits are accepted: {threshold:.4f}.")
    if fashion is None:
        print("Fashion-MNIST is left out: name its folder with --fashion (Debian: dataset-fashion-mnist).")
    families = ", ".join(sorted(set(find_fonts().values())))
    print(f"Fonts never trained on: {families or 'none on this system, so these rows are left out'}.")
    print_letters(classifier, threshold, max(2, n // 20))
    print_pictures(test, fashion, n)


def _list_marks(test: Dataset, fashion: Path | None, n: int) -> Iterator[tuple[str, Images]]:
    """Yield the name and the images of each row, (n, 28, 28) uint8."""
    if fashion is not None:
        first, second = load_data(fashion)
        yield "Fashion-MNIST, test images", (second or first).images
    yield "letters, without the look of a digit", make_letters(LETTERS, n, SEED)
    yield f"letters with it: {' '.join(ALIKE)}", make_letters(ALIKE, n, SEED)
    fonts = find_fonts()
    if fonts:
        yield "letters without it, in fonts never trained on", print_in_fonts(LETTERS, n, list(fonts))
        yield "letters with it, in fonts never trained on", print_in_fonts(ALIKE, n, list(fonts))
    yield "doodles of a kind never trained on: lines, arcs and boxes", draw_shapes(n)
    yield "doodles of other kinds never trained on: branches, mazes, knots, molecules", draw_patterns(n)
    images, names = make_outliers(test, 5 * n, SEED)
    families_of = np.array([str(name).split()[0] for name in names])
    for family, what in (
        ("doodle", "doodles: random strokes, stars, faces, ..."),
        ("fragment", "halves of digits, without those that look like a digit"),
        ("pair", "two or three digits in one"),
        ("sign", "signs: + = ( % ..."),
        ("word", "words"),
        ("blob", "blots"),
        ("texture", "textures"),
    ):
        if (families_of == family).any():
            yield what, images[families_of == family]


def print_pictures(test: Dataset, fashion: Path | None, n: int) -> None:
    """Print how many marks the whole reader takes for a digit, or for several, each a picture of its own."""
    print(f"\n| dark on white, {ENLARGED} times as large | n | `read` accepts anything ", end="")
    of_digits = f"with {100 * ACCEPTED:.0f} % of the digits accepted"
    print(f"| {of_digits} | `read --single` | {of_digits} |")
    print("| --- | --- | --- | --- | --- | --- |")
    thresholds: Floats | None = None
    for name, images in [("MNIST test digits", test.images), *_list_marks(test, fashion, n)]:
        most = MOST_PICTURES if thresholds is not None else MOST_DIGITS
        shown = images[:: -(-len(images) // min(n, most))]
        sure = np.array([[_be_sure(image, single) for single in (False, True)] for image in shown])
        if thresholds is None:
            thresholds = np.quantile(sure, 1 - ACCEPTED, axis=0, method="lower").clip(0.0)
        shares = [_share(sure[:, how] >= least) for how in (0, 1) for least in (0.0, thresholds[how])]
        print(f"| pictures: {name} | {len(shown)} | {' | '.join(shares)} |", flush=True)


def _be_sure(image: NDArray[np.uint8], single: bool) -> float:
    """Return the greatest confidence that is accepted in a picture of a mark; -1 where none is."""
    large = cv2.resize(image, None, fx=ENLARGED, fy=ENLARGED, interpolation=cv2.INTER_CUBIC)
    picture = 255 - cv2.copyMakeBorder(large, *(4 * [10 * ENLARGED]), cv2.BORDER_CONSTANT)
    try:
        digits = [digit for line in read(picture, single=single).lines for digit in line.digits]
    except ImageError:
        return -1.0
    return max((digit.confidence for digit in digits if digit.accepted), default=-1.0)


def print_letters(classifier: Classifier, threshold: float, each: int) -> None:
    """Print of every letter how often it is taken for a digit, and mostly for which."""
    found = []
    for letter in sorted(LETTERS + ALIKE):
        scores = Scores(classifier, make_letters(letter, each, SEED + 1))
        labels = scores.labels[scores.confidence >= threshold]
        most = f" ({classifier.class_names[np.bincount(labels).argmax()]})" if len(labels) else ""
        found.append(f"{letter} {100 * len(labels) / each:.0f}{most}")
    print(f"\nLetter by letter, % taken for a digit (mostly for which), n = {each} each: {', '.join(found)}.")


def auroc(digits: Floats, others: Floats) -> float:
    """Return how probable it is that a digit scores higher than another mark; a tie is half."""
    ranked = np.sort(others)
    below = np.searchsorted(ranked, digits, "left") + np.searchsorted(ranked, digits, "right")
    return float(below.mean() / (2 * len(others)))


def _share(wrong: NDArray[np.bool_]) -> str:
    low, high = wilson_interval(int(wrong.sum()), len(wrong))
    return f"{100 * wrong.mean():.2f} % ({100 * low:.2f} to {100 * high:.2f})"


# ---- what training has not seen ---------------------------------------------------------------------


def draw_shapes(n: int) -> Images:
    """Return (n, 28, 28) uint8 images of doodles: 4 to 7 lines, arcs and boxes across each other."""
    rng = np.random.default_rng(SEED)
    images = []
    for _ in range(n):
        ink, pen = np.zeros((128, 128), np.uint8), int(rng.integers(3, 9))
        for kind in rng.integers(0, 3, rng.integers(4, 8)):
            (x, y), (to_x, to_y) = rng.integers(14, 114, (2, 2)).tolist()
            if kind == 0:
                cv2.line(ink, (x, y), (to_x, to_y), 255, pen, cv2.LINE_AA)
            elif kind == 1:
                cv2.rectangle(ink, (x, y), (to_x, to_y), 255, pen, cv2.LINE_AA)
            else:
                axes = [int(axis) for axis in rng.integers(8, 45, 2)]
                start, turn = rng.uniform(0, 360, 2)
                cv2.ellipse(
                    ink, (x, y), axes, turn, start, start + rng.uniform(90, 360), 255, pen, cv2.LINE_AA
                )
        images.append(center_digit(ink))
    return np.stack(images)


def draw_patterns(n: int) -> Images:
    """Return (n, 28, 28) uint8 images of branches, mazes, knots and molecules, in turn."""
    rng = np.random.default_rng(SEED)
    draw = (_draw_branches, _draw_maze, _draw_knot, _draw_molecule)
    images = []
    for number in range(n):
        ink, pen = np.zeros((128, 128), np.uint8), int(rng.integers(3, 7))
        for points in draw[number % len(draw)](rng):
            cv2.polylines(ink, [np.rint(points * 16).astype(np.int32)], False, 255, pen, cv2.LINE_AA, 4)
        images.append(center_digit(ink))
    return np.stack(images)


def _draw_branches(rng: np.random.Generator) -> list[Floats]:
    """Return lines of points (k, 2), x and y in 0..128: a trunk that parts three or four times in two."""
    lines, tips = [], [(np.array([64.0, 120.0]), -np.pi / 2 + rng.normal(0, 0.1), rng.uniform(30, 40))]
    spread = rng.uniform(0.35, 0.7)
    for _ in range(rng.integers(4, 6)):
        grown = []
        for start, way, length in tips:
            end = start + length * np.array([np.cos(way), np.sin(way)])
            lines.append(np.stack([start, end]))
            grown += [
                (end, way + side * spread + rng.normal(0, 0.1), length * rng.uniform(0.6, 0.8))
                for side in (-1, 1)
            ]
        tips = grown
    return lines


def _draw_maze(rng: np.random.Generator) -> list[Floats]:
    """Return lines as `_draw_branches` does: walls across a field of 4 x 4 or 5 x 5, which has a way out."""
    count = int(rng.integers(4, 6))
    step = 100 / count
    lines = [np.array([[14, 14], [114, 14], [114, 114], [14, 114], [14, 14 + step]])]
    for row in range(1, count):
        for column in range(count):
            x, y = 14 + step * column, 14 + step * row
            if rng.random() < 0.6:
                across = rng.random() < 0.5
                lines.append(np.array([[x, y], [x + step, y] if across else [x, y + step]]))
    return lines


def _draw_knot(rng: np.random.Generator) -> list[Floats]:
    """Return one line as `_draw_branches` does, closed, that crosses itself many times."""
    across, down = ((3, 4), (4, 5), (5, 3), (5, 4))[rng.integers(4)]
    t = np.linspace(0, 2 * np.pi, 200)
    x, y = np.sin(across * t + rng.uniform(0.3, 1.2)), np.sin(down * t)
    return [np.stack([64 + rng.uniform(30, 50) * x, 64 + rng.uniform(30, 50) * y], 1)]


def _draw_molecule(rng: np.random.Generator) -> list[Floats]:
    """Return lines as `_draw_branches` does: four to six rings, joined by bars, around a middle."""
    count = int(rng.integers(4, 7))
    angles = 2 * np.pi * (np.arange(count) + rng.uniform(0, 1)) / count
    places = 64 + np.stack([np.cos(angles), np.sin(angles)], 1) * rng.uniform(34, 48, (count, 1))
    turn = np.linspace(0, 2 * np.pi, 24)
    ring = rng.uniform(6, 12) * np.stack([np.cos(turn), np.sin(turn)], 1)
    joined = [np.stack([places[index - 1], places[index]]) for index in range(int(rng.integers(0, 2)), count)]
    return [*(place + ring for place in places), *joined]


def find_fonts() -> dict[str, str]:
    """Return the family of each font file of the system that has Latin letters and that no training used."""
    fonts = {}
    for path in sorted(font_manager.findSystemFonts()):
        try:
            font = font_manager.get_font(path)
        except (OSError, RuntimeError):  # no font that FreeType can scale
            continue
        letters = all(ord(letter) in font.get_charmap() for letter in LETTERS + ALIKE)
        if letters and not font.family_name.startswith(TRAINED_FONTS):
            fonts[path] = font.family_name
    return fonts


def print_in_fonts(letters: str, n: int, fonts: list[str]) -> Images:
    """Return (n, 28, 28) uint8 images of the letters in turn, in fonts drawn by chance, distorted."""
    rng = np.random.default_rng(SEED)
    loaded = [ImageFont.truetype(path, 96) for path in fonts]
    return np.stack(
        [_print_letter(letters[i % len(letters)], loaded[rng.integers(len(loaded))], rng) for i in range(n)]
    )


def _print_letter(letter: str, font: ImageFont.FreeTypeFont, rng: np.random.Generator) -> Images:
    """Return a letter turned, slanted, stretched, bent and blurred a little, as the classifier sees it."""
    image = Image.new("L", (192, 192))
    ImageDraw.Draw(image).text((96, 96), letter, font=font, fill=255, anchor="mm")
    turn, slant, stretch = rng.normal(0, 0.08), rng.normal(0, 0.15), np.exp(rng.normal(0, 0.1))
    linear = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) @ [
        [stretch, slant],
        [0, 1],
    ]
    rows, columns = np.indices((192, 192), np.float32) - 96
    waves = [
        cv2.resize(wave, (192, 192), interpolation=cv2.INTER_CUBIC) for wave in rng.normal(0, 2.5, (2, 5, 5))
    ]
    x = linear[0, 0] * columns + linear[0, 1] * rows + waves[0] + 96
    y = linear[1, 0] * columns + linear[1, 1] * rows + waves[1] + 96
    ink = cv2.remap(np.asarray(image), x.astype(np.float32), y.astype(np.float32), cv2.INTER_LINEAR)
    ink = cv2.GaussianBlur(ink, (0, 0), rng.uniform(0.5, 2))
    return center_digit(np.asarray(ink, np.uint8))

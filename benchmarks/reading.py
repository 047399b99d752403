"""How well and how fast are pictures read, against a naive script and Tesseract's digit mode?

    python benchmarks/reading.py [PHOTOS] [--fonts DIR] [--fashion DIR] [--model RUN|FILE.onnx]
                                 [--naive RUN] [--quick]
    python benchmarks/reading.py PHOTOS --only photos --alone --list    what is read wrong, without the peers

PHOTOS is a folder of pictures with labels.csv (file, label, kind, layout, origin); without it these rows are
left out. A reading is right if all of its digits are, in their order and their lines; signs, blanks and
spaces count for nothing. The other rows need nothing: lines composed of MNIST test digits ("medium" and
touching as docs/synthesis.md says), marks that are no digits, and times. Everything is printed as tables in
Markdown, with 95 % intervals after Wilson.

The naive script answers with the classic MLP, trained first unless --naive names a run directory of
`mnistry train`; it can only read single digits. Tesseract (Debian's tesseract-ocr) is told what the picture
holds, though mnistry is told no more than --single: --psm 10 for a digit, 7 for a line, and 6 for several
lines and for single digits as given.
"""

from __future__ import annotations

import argparse
import csv
import datetime
import os
import platform
import re
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hands import write_hands
from mnistry import __version__, load_mnist, read
from mnistry.classifier import Classifier
from mnistry.dataset import Dataset
from mnistry.errors import ImageError
from mnistry.metrics import wilson_interval
from mnistry.synthesis import make_line, make_page
from peers import naive, tesseract
from refusals import SEED, print_refusals
from train_speed import processor

PARTS = ("photos", "hands", "pages", "refusals", "speed")


@dataclass
class Row:
    """Which pictures each side read right, and how long mnistry took, in seconds.

    `originals` is, of pictures made of a data set's digits, whether the classifier has all of them right from
    their own 28 x 28 pixels: more cannot be asked of a reader with that classifier.
    """

    mnistry: list[bool] = field(default_factory=list)
    naive: list[bool] = field(default_factory=list)
    tesseract: list[bool] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    originals: list[bool] = field(default_factory=list)

    def __add__(self, other: Row) -> Row:
        return Row(
            *(ours + theirs for ours, theirs in zip(vars(self).values(), vars(other).values(), strict=True))
        )


@dataclass
class Readers:
    """Who reads: mnistry's classifier, the naive script's or None, and whether Tesseract does."""

    mnistry: Classifier
    naive: Classifier | None = None
    tesseract: bool = False
    list_wrong: bool = False

    def read(self, row: Row, path: Path, truth: str, layout: str, how: str = "") -> None:
        """Let each read one picture, and add to the row whether it was right."""
        expected = split_digits(truth.replace("/", "\n") if layout == "lines" else truth, layout)
        text, elapsed_s = time_reading(path, self.mnistry, how == "--single")
        row.seconds.append(elapsed_s)
        row.mnistry.append(split_digits(text, layout) == expected)
        if self.list_wrong and not row.mnistry[-1]:
            print("/".join(path.parts[-3:]), how, truth, "read as", repr(text), file=sys.stderr)
        if self.naive is not None and layout == "single":
            row.naive.append(naive.read_digit(path, self.naive) == truth)
        if self.tesseract:
            mode = tesseract.ONE_LINE
            if layout == "single" and how == "--single":
                mode = tesseract.ONE_DIGIT
            elif layout in ("single", "lines", "vertical"):
                mode = tesseract.ONE_BLOCK
            row.tesseract.append(split_digits(tesseract.read_text(path, mode), layout) == expected)


def time_reading(
    picture: Path | NDArray[np.uint8], classifier: Classifier, single: bool
) -> tuple[str, float]:
    """What mnistry reads, or that it finds no ink, and the seconds that it takes."""
    began = time.perf_counter()
    try:
        text = read(picture, classifier, single=single).text
    except ImageError:
        text = "no ink"
    return text, time.perf_counter() - began


def split_digits(text: str, layout: str) -> list[str]:
    """Return the digits of each line that has any; of all lines together where they stand in a column."""
    lines = [re.sub(r"\D", "", line) for line in text.splitlines()]
    return ["".join(lines)] if layout == "vertical" else [line for line in lines if line]


# ---- pictures ---------------------------------------------------------------------------------------


def measure_photos(readers: Readers, folder: Path, part: str, kind: str | None) -> dict[str, Row]:
    """The rows of a folder of pictures: their kinds and layouts, and together."""
    with (folder / "labels.csv").open(encoding="utf-8") as file:
        pictures = [row for row in csv.DictReader(file) if row["file"].startswith(f"{part}/")]
    rows: dict[tuple[str, str, str], Row] = {}
    for picture in pictures:
        if kind and picture["kind"] != kind:
            continue
        single = picture["layout"] == "single"
        for how in ("--single", "as given") if single else ("as given",):
            row = rows.setdefault((picture["kind"], picture["layout"], how), Row())
            readers.read(row, folder / picture["file"], picture["label"], picture["layout"], how)
    named = {f"{kind}, {layout}, {how}": row for (kind, layout, how), row in sorted(rows.items())}
    for name, how, several in (
        ("**all single digits, --single**", "--single", False),
        ("**all single digits, as given**", "as given", False),
        ("**all with several digits but cheques**", "as given", True),
    ):
        together = [
            row
            for (kind, layout, told), row in rows.items()
            if told == how and (layout != "single") == several and kind != "cheque"
        ]
        if together:
            named[name] = sum(together, Row())
    return named


def measure_pages(readers: Readers, test: Dataset, n: int, folder: Path) -> dict[str, Row]:
    """The rows of composed lines of 5 to 8 test digits."""
    rows = {}
    known = readers.mnistry.predict(test.images).labels == test.labels
    for name, touching in (
        ("line of 5 to 8 test digits, medium", None),
        ("the same, 15 % of the neighbours touch, as on hard pages", 0.15),
        ("the same, half of the neighbours touch", 0.5),
        ("the same, all neighbours touch", 1.0),
    ):
        rows[name] = Row()
        for seed in range(SEED, SEED + n):
            page = make_line(test, seed, "medium", touching=touching)
            path = folder / f"{seed}.png"
            Image.fromarray(page.image).save(path, compress_level=1)
            readers.read(rows[name], path, page.text, "line")
            rows[name].originals.append(bool(known[[digit.index for digit in page.lines[0].digits]].all()))
            path.unlink()
    return rows


def measure_hands(readers: Readers, fonts: Path, quick: bool, folder: Path) -> dict[str, Row]:
    """The rows of what is written in fonts of handwriting."""
    rows: dict[str, Row] = {}
    for kind, path, text, layout in write_hands(fonts, folder, quick):
        readers.read(rows.setdefault(kind, Row()), path, text, layout)
    return rows


def print_rows(rows: dict[str, Row]) -> None:
    """The table of what was read right."""
    print("\n| pictures | n | mnistry | naive script | Tesseract | mnistry, ms |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, row in rows.items():
        cells = " | ".join(map(describe, (row.mnistry, row.naive, row.tesseract)))
        print(f"| {name} | {len(row.mnistry)} | {cells} | {1000 * statistics.median(row.seconds):.0f} |")
    for name, row in rows.items():
        if row.originals:
            print(
                f"\n{name}: all of its digits right from their own 28 x 28 pixels, {describe(row.originals)}"
            )


def describe(right: list[bool]) -> str:
    """How many, their share and its interval; "-" where nothing was measured."""
    if not right:
        return "-"
    low, high = wilson_interval(sum(right), len(right))
    return f"{sum(right)}: {100 * sum(right) / len(right):.1f} % ({100 * low:.1f} to {100 * high:.1f})"


# ---- speed ------------------------------------------------------------------------------------------


def make_photo(test: Dataset, seed: int, path: Path) -> str:
    """Save a photo of 12 megapixels, with the grain of a camera, of 5 lines of 8 test digits; return them."""
    rng = np.random.default_rng(seed)
    rows = ["".join(map(str, rng.integers(0, 10, 8))) for _ in range(5)]
    small = make_page(test, seed, "medium", "lines", scene="photo", rows=rows).image
    scale = float(np.sqrt(12e6 / (small.shape[0] * small.shape[1])))
    large = cv2.resize(small, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    noise = rng.normal(0, 4, large.shape).astype(np.float32)
    Image.fromarray(np.clip(large + noise, 0, 255).astype(np.uint8)).save(path, quality=90)
    return "\n".join(rows)


def draw_digit(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A test digit, (28, 28), as one would draw it on 280 x 280 pixels, dark on light."""
    return np.asarray(255 - cv2.resize(image, (280, 280), interpolation=cv2.INTER_CUBIC), np.uint8)


def print_speed(classifier: Classifier, test: Dataset, n: int, folder: Path) -> None:
    """The table of times, in this warm process: `n` photos and 20 times as many drawings."""
    photo_s, right = [], []
    path = folder / "photo.jpg"
    for seed in range(SEED - 1, SEED + n):
        text = make_photo(test, seed, path)
        read_text, elapsed_s = time_reading(path, classifier, False)
        photo_s.append(elapsed_s)
        right.append(split_digits(read_text, "lines") == split_digits(text, "lines"))
    print("\n| warm, through the API | n | median (minimum to maximum) | all digits right |")
    print("| --- | --- | --- | --- |")
    cells = f"{n} | {spread(photo_s[1:], '.3f')} | {describe(right[1:])}"
    print(f"| JPEG of 12 megapixels with 40 digits, s | {cells} |")
    for single in (False, True):
        drawing_ms, right = [], []
        for image, label in zip(test.images[: 20 * n], test.labels, strict=False):
            text, elapsed_s = time_reading(draw_digit(image), classifier, single)
            drawing_ms.append(1000 * elapsed_s)
            right.append(text == str(label))
        told = ", single=True" if single else ""
        cells = f"{len(right)} | {spread(drawing_ms, '.1f')} | {describe(right)}"
        print(f"| drawing of 280 x 280 pixels{told}, ms | {cells} |")


def spread(values: list[float], form: str) -> str:
    """Median (minimum to maximum)."""
    return f"{statistics.median(values):{form}} ({min(values):{form}} to {max(values):{form}})"


# ---- the whole --------------------------------------------------------------------------------------


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photos", type=Path, nargs="?", help="folder of pictures with labels.csv")
    parser.add_argument("--part", default="tune", choices=["tune", "held"], help="of the pictures")
    parser.add_argument("--kind", help="only pictures of this kind")
    parser.add_argument(
        "--list", action="store_true", help="name what mnistry reads wrong, on standard error"
    )
    parser.add_argument("--model", help="in place of the classifier that comes with mnistry")
    parser.add_argument("--naive", type=Path, metavar="RUN", help="of the classic recipe; trained by default")
    parser.add_argument("--fashion", type=Path, metavar="DIR", help="the IDX files of Fashion-MNIST")
    parser.add_argument("--fonts", type=Path, metavar="DIR", help="fonts of handwriting; see hands.py")
    parser.add_argument("--alone", action="store_true", help="leave the naive script and Tesseract out")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="some of the tables")
    parser.add_argument("--quick", action="store_true", help="a few of everything, to see that it works")
    return parser.parse_args()


def main() -> None:
    arguments = parse_arguments()
    classifier = Classifier(arguments.model)
    _, test = load_mnist()
    version = None if arguments.alone else tesseract.find_version()
    lines, marks, rounds, epochs = (8, 100, 1, 1) if arguments.quick else (400, 2000, 10, 20)
    print(
        f"{datetime.date.today()}, {processor()}, {os.cpu_count()} cores, Python {platform.python_version()},"
        f"\nmnistry {__version__}, {version or 'without Tesseract'}; 95 % intervals in brackets"
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if "speed" in arguments.only:  # first, while nothing else has run in this process
            print_speed(classifier, test, rounds, folder)
        rows: dict[str, Row] = {}
        readers = Readers(classifier, tesseract=version is not None, list_wrong=arguments.list)
        photos = "photos" in arguments.only and arguments.photos is not None
        hands = "hands" in arguments.only and arguments.fonts is not None
        if (photos or hands) and not arguments.alone:
            run = arguments.naive
            readers.naive = Classifier(run) if run else naive.train_classic(folder / "classic", epochs)
        if hands:
            rows |= measure_hands(readers, arguments.fonts, arguments.quick, folder)
        if photos:
            rows |= measure_photos(readers, arguments.photos, arguments.part, arguments.kind)
        if "pages" in arguments.only:
            rows |= measure_pages(readers, test, lines, folder)
    if rows:
        print_rows(rows)
    if "photos" in arguments.only and arguments.photos is None:
        print("\nReal pictures are left out: name a folder with labels.csv.")
    if version is None and not arguments.alone:
        print("\nTesseract is left out: it is not installed (Debian: tesseract-ocr).")
    if "refusals" in arguments.only:
        print_refusals(classifier, test, arguments.fashion, marks)


if __name__ == "__main__":
    main()

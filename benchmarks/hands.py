"""Pictures written in fonts of people's handwriting: hands that nobody here has trained on or tuned with.

Any folder of fonts will do, OpenType or WOFF, each a hand of its own. Those of docs/reading.md are the files
NAME-latin-400-normal.woff of 65 packages of npm, @fontsource/NAME, all under the SIL Open Font License:

    amatic-sc · annie-use-your-telescope · architects-daughter · babylonica · bad-script · caveat ·
    caveat-brush · cedarville-cursive · coming-soon · covered-by-your-grace · crafty-girls ·
    dawning-of-a-new-day · dekko · delius · east-sea-dokdo · edu-sa-beginner · gaegu · gamja-flower ·
    give-you-glory · gloria-hallelujah · gochi-hand · handlee · hi-melody · homemade-apple · indie-flower ·
    just-another-hand · just-me-again-down-here · kalam · klee-one · kristi · la-belle-aurore · licorice ·
    liu-jian-mao-cao · long-cang · loved-by-the-king · mansalva · marck-script · mynerve ·
    nanum-brush-script · nanum-pen-script · neucha · nothing-you-could-do · over-the-rainbow · pangolin ·
    patrick-hand · permanent-marker · playwrite-us-trad · poor-story · rancho · reenie-beanie · rock-salt ·
    schoolbell · sedgwick-ave · shadows-into-light · short-stack · square-peg · sue-ellen-francisco ·
    swanky-and-moo-moo · the-girl-next-door · vibur · waiting-for-the-sunrise · walter-turncoat · yomogi ·
    zeyada · zhi-mang-xing
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

SUFFIXES = (".woff", ".ttf", ".otf")
DRAWINGS, LINES, PAGES = 2, 4, 2  # of each hand, each kind; drawings of each digit
PAGE_ROWS = 5
LEADING = 1.5  # sizes of the font, from line to line


class Writing(NamedTuple):
    """A picture of some writing: which kind it is, where it was saved, and what is written."""

    kind: str
    path: Path
    text: str
    layout: str


def write_hands(fonts: Path, folder: Path, quick: bool = False) -> Iterator[Writing]:
    """Save one picture after the other, (height, width) uint8 as PNG, and yield it; seeded."""
    files = sorted(path for path in fonts.iterdir() if path.suffix in SUFFIXES)
    path = folder / "hand.png"
    for hand, file in enumerate(files[:2] if quick else files):
        rng = np.random.default_rng(hand)
        for kind, layout, rows in _plan(rng):
            for scene in ("drawn", "photographed"):
                Image.fromarray(_write(rng, file, rows, scene)).save(path, compress_level=1)
                yield Writing(f"{kind}, {scene}", path, "\n".join(rows), layout)


def _plan(rng: np.random.Generator) -> Iterator[tuple[str, str, list[str]]]:
    """Yield what a hand writes: the kind, the layout, and the rows."""

    def number(least: int, most: int) -> str:
        return "".join(map(str, rng.integers(0, 10, rng.integers(least, most + 1))))

    for digit in DRAWINGS * "0123456789":
        yield "a digit", "single", [digit]
    for _ in range(LINES):
        yield "6 digits", "line", [number(6, 6)]
        yield "a price, 8,250 or 12.50", "line", [number(1, 2) + str(rng.choice([",", "."])) + number(2, 3)]
        yield "a date, 24/12/26", "line", [f"{number(1, 2)}/{number(1, 2)}/{number(2, 2)}"]
        yield "a telephone number, 555-0142", "line", [f"{number(3, 3)}-{number(4, 4)}"]
    for _ in range(PAGES):
        yield f"{PAGE_ROWS} lines", "lines", [number(3, 7) for _ in range(PAGE_ROWS)]


def _write(rng: np.random.Generator, file: Path, rows: list[str], scene: str) -> NDArray[np.uint8]:
    """Return a picture of some rows in this font, black on white or as a camera sees it."""
    size = int(rng.integers(40, 130))
    font = ImageFont.truetype(file, size)
    boxes = [font.getbbox(row) for row in rows]
    left, right = min(box[0] for box in boxes), max(box[2] for box in boxes)
    step = round(LEADING * size)
    height = (len(rows) - 1) * step + boxes[-1][3] - boxes[0][1]
    margin = round(size * rng.uniform(0.5, 1.5))
    photographed = scene == "photographed"
    paper, ink = (rng.integers(190, 256), rng.integers(10, 90)) if photographed else (255, 0)
    picture = Image.new("L", (round(right - left) + 2 * margin, round(height) + 2 * margin), int(paper))
    drawing = ImageDraw.Draw(picture)
    for number, row in enumerate(rows):
        place = (margin - left, margin - boxes[0][1] + number * step)
        drawing.text(place, row, font=font, fill=int(ink))
    return _photograph(rng, np.asarray(picture), size) if photographed else np.asarray(picture)


def _photograph(rng: np.random.Generator, picture: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Return a picture a little turned, in uneven light, out of focus and with grain."""
    height, width = picture.shape
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), rng.normal(0, 2), 1)
    turned = cv2.warpAffine(picture, turn, (width, height), borderMode=cv2.BORDER_REPLICATE)
    across = np.linspace(rng.uniform(0.75, 1), 1, width, dtype=np.float32)
    down = np.linspace(1, rng.uniform(0.8, 1), height, dtype=np.float32)
    lit = cv2.GaussianBlur(turned * across * down[:, None], (0, 0), rng.uniform(0.4, max(0.5, size / 50)))
    return np.clip(lit + rng.normal(0, rng.uniform(1, 5), lit.shape), 0, 255).astype(np.uint8)

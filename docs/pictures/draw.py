"""Draw the pictures of the README and of docs/synthesis.md anew.

    python docs/pictures/draw.py [FOLDER]

FOLDER is where they go; without it, the folder of this file.
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from mnistry import load_mnist, read, synthesis
from mnistry.synthesis.outliers import FAMILIES

WIDTH_PX = 1100
GAP_PX = 8
PAGES = [  # difficulty, layout, seeds, height of the row in pixels
    ("easy", "line", (0, 3, 12, 14, 21), 70),
    ("medium", "line", (2, 4, 7, 19, 24), 70),
    ("medium", "expression", (3, 5, 12), 90),
    ("hard", "line", (2, 12, 24, 13), 90),
    ("hard", "amount", (4, 6, 9, 16, 20, 22), 60),
    ("hard", "sheet", (1, 2, 3, 0, 5), 330),
]


def main(folder: Path) -> None:
    train, _ = load_mnist()
    rows = []
    for difficulty, layout, seeds, height in PAGES:
        pages = [synthesis.make_page(train, seed, difficulty, layout).image for seed in seeds]
        rows.append(fill_row(pages, height))
    save(np.concatenate(rows), folder / "pages.jpg")

    images, names = synthesis.make_outliers(train, 2500, 0)
    columns = WIDTH_PX // 30
    families = np.array([name.split()[0] for name in names])
    rows = []
    for family in FAMILIES:
        chosen = images[families == family][: columns * (3 if family in ("letter", "sign", "doodle") else 1)]
        framed = np.pad(255 - chosen, ((0, 0), (1, 1), (1, 1)), constant_values=255)
        rows += [np.concatenate(list(row), axis=1) for row in framed.reshape(-1, columns, 30, 30)]
    save(np.concatenate(rows), folder / "outliers.png")

    figure = read(Path(__file__).parents[2] / "examples" / "line.jpg").plot(Figure())
    figure.set_dpi(100)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    save(np.asarray(canvas.buffer_rgba())[:, :, :3], folder / "reading.jpg")


def fill_row(pictures: list[np.ndarray], height: int) -> np.ndarray:
    """The pictures beside each other on white, all of one height, as many as there is room for."""
    row = np.full((height + GAP_PX, WIDTH_PX, 3), 255, np.uint8)
    left = 0
    for picture in pictures:
        width = round(picture.shape[1] * height / picture.shape[0])
        if left + width > WIDTH_PX:
            break
        smaller = height < picture.shape[0]
        method = cv2.INTER_AREA if smaller else cv2.INTER_CUBIC
        row[:height, left : left + width] = cv2.resize(picture, (width, height), interpolation=method)
        left += width + GAP_PX
    return row


def save(picture: np.ndarray, path: Path) -> None:
    Image.fromarray(picture).save(path, quality=85)
    print(path)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)

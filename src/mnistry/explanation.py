"""What the reader did with a picture, step by step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mnistry.cutting import cut_pieces
from mnistry.errors import ImageError
from mnistry.grouping import group_lines
from mnistry.imaging import measure_stroke
from mnistry.light import flatten_paper
from mnistry.looks import FIRST, look_at
from mnistry.paper import find_page_ink
from mnistry.pictures import Gray
from mnistry.plots.readings import draw_seen
from mnistry.plots.style import INK, SMALL_PT, set_figure_title, start_sized_figure
from mnistry.segmentation import Mark, find_marks
from mnistry.straightening import straighten
from mnistry.writing import find_writing, flatten_pages

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from mnistry.readings import Line

WIDTH_INCHES = 11.0
MOST_LINES = 6  # shown made upright
SEEN_COLUMNS = 16
PAGE = "1  the picture, or the first sheet alone, upright, in gray"
FLATTENED = "2  the paper flattened: light, shadow and polarity are gone"
# Okabe and Ito's palette on white paper, each beside one that differs from it in brightness.
COLOURS = np.array(
    [(0, 114, 178), (230, 159, 0), (0, 158, 115), (213, 94, 0), (86, 180, 233), (160, 80, 130)]
)


def plot_steps(
    gray: Gray,
    lines: Sequence[Line],
    *,
    invert: bool | None = None,
    title: str = "",
    figure: Figure | None = None,
) -> Figure:
    """The way from a picture to its digits, a panel a step.

    The panels are the upright picture in gray, the picture with the paper flattened, its ink, the marks
    coloured line by line, the first lines made upright and cut into pieces, and what the network saw. Of
    several sheets only the first with writing is shown.

    Args:
        gray: the picture, (height, width) uint8, as `pictures.load_gray` gives it.
        lines: what was read in it.
        invert: True for light ink on dark paper, False for dark on light, None to find out.
        title: above the figure.
        figure: where to draw, made as large as is needed; a new one without it.

    Raises:
        ImageError: there is no ink.
    """
    pages = [page.gray for page in flatten_pages(gray)]
    look = lines[0].look if lines and len(pages) == 1 else FIRST
    page, _ = look_at(_find_first(pages, invert), look)
    flattened = _flatten(page, invert)
    ink, _ = find_page_ink(page, invert, darkness=look.darkness)
    grouped = group_lines(find_marks(ink))
    strips = [straighten(marks).ink for marks in grouped[:MOST_LINES]]

    halves = WIDTH_INCHES / 2 * page.shape[0] / page.shape[1]
    stacked = halves < 0.25 * WIDTH_INCHES  # a wide picture has the whole width for each panel
    pictures = [(2 * halves if stacked else halves) + 0.25] * (4 if stacked else 2)
    strip_inches = [min(1.4, WIDTH_INCHES * strip.shape[0] / strip.shape[1]) + 0.25 for strip in strips]
    rows = sum(-(-len(line.digits) // SEEN_COLUMNS) for line in lines)
    heights = [*pictures, *strip_inches, 0.95 * max(1, rows) + 0.25]
    figure = start_sized_figure(figure, (WIDTH_INCHES, sum(heights) + 0.5))
    grid = figure.add_gridspec(len(heights), 1 if stacked else 2, height_ratios=heights)
    first = [grid[i] if stacked else grid[i // 2, i % 2] for i in range(4)]
    steps = (
        (PAGE if look == FIRST else f"{PAGE},\n    looked at {look.name}", page),
        (FLATTENED, flattened),
        ("3  the ink alone, without rules and the paper's grain", 255 - ink),
        (
            f"4  the marks, without dirt, in {len(grouped)} line{'s'[: len(grouped) != 1]}",
            _colour_lines(grouped, page),
        ),
    )
    for place, (caption, picture) in zip(first, steps, strict=True):
        _show(figure.add_subplot(place), caption, picture)
    for number, strip in enumerate(strips):
        caption = f"5  line {number + 1}, level, upright, cut wherever two digits might meet"
        _show(figure.add_subplot(grid[len(pictures) + number, :]), caption, _colour_pieces(strip))
    seen = figure.add_subplot(grid[len(heights) - 1, :])
    draw_seen(seen, lines, SEEN_COLUMNS)
    _write_caption(seen, "6  what the network saw of the most probable way to put the pieces together")
    set_figure_title(figure, title)
    return figure


def plot_first_steps(
    gray: Gray, *, invert: bool | None = None, title: str = "", figure: Figure | None = None
) -> Figure:
    """The steps before ink is found, where none is: arguments as for `plot_steps`."""
    page = flatten_pages(gray)[0].gray
    inches = WIDTH_INCHES / 2 * page.shape[0] / page.shape[1]
    figure = start_sized_figure(figure, (WIDTH_INCHES, inches + 0.75))
    for place, (caption, picture) in enumerate(((PAGE, page), (FLATTENED, _flatten(page, invert)))):
        _show(figure.add_subplot(1, 2, place + 1), caption, picture)
    set_figure_title(figure, title)
    return figure


def _find_first(pages: Sequence[Gray], invert: bool | None) -> Gray:
    """Return the first page with writing, or, where none has any, the first."""
    for page in pages if len(pages) > 1 else []:
        try:
            find_writing(page, invert)
        except ImageError:
            continue
        return page
    return pages[0]


def _flatten(page: Gray, invert: bool | None) -> Gray:
    """Return the page in even light, its ink dark."""
    raised = flatten_paper(page, invert)
    top = max(1.0, float(np.percentile(raised, 99.8)))
    return np.asarray(255 - np.clip(raised * (255 / top), 0, 255), np.uint8)


def _show(ax: Axes, caption: str, picture: NDArray[np.uint8]) -> None:
    ax.imshow(picture, cmap="gray", vmin=0, vmax=255)
    ax.set_xticks([])
    ax.set_yticks([])
    ax.set_anchor("W")
    _write_caption(ax, caption)


def _write_caption(ax: Axes, caption: str) -> None:
    ax.set_title(caption, fontsize=SMALL_PT, color=INK, loc="left")


def _colour_lines(lines: Sequence[Sequence[Mark]], page: Gray) -> NDArray[np.uint8]:
    """Return the marks on white paper, all of a line in one colour."""
    picture = np.full((*page.shape, 3), 255, np.uint8)
    for number, marks in enumerate(lines):
        for mark in marks:
            x, y, width, height = mark.box
            _paint(picture[y : y + height, x : x + width], mark.ink, number)
    return picture


def _colour_pieces(strip: Gray) -> NDArray[np.uint8]:
    """Return the strip on white paper, each piece in another colour than its neighbours."""
    picture = np.full((*strip.shape, 3), 255, np.uint8)
    for number, piece in enumerate(cut_pieces(strip, max(2.0, measure_stroke(strip)))):
        x, y, width, height = piece.box
        _paint(picture[y : y + height, x : x + width], piece.ink, number)
    return picture


def _paint(field: NDArray[np.uint8], ink: Gray, number: int) -> None:
    """Lay ink of the numbered colour over a field of paper."""
    cover = ink[:, :, None] / 255
    np.minimum(
        field, np.rint(255 - cover * (255 - COLOURS[number % len(COLOURS)])).astype(np.uint8), out=field
    )

"""A picture with what was read on it, and beside it what the network saw."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mnistry.plots.style import BLUE, INK, MUTED, PAPER, RUST, SMALL_PT, set_figure_title, start_sized_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from mnistry.readings import Digit, Line

WIDE = 2.0  # width per height from which what the network saw stands below the picture
FIGURE_INCHES = 11.0  # width of the figure
TILE_PX = 28
GAP_PX = 6  # between two of them
CAPTION_PX = 13  # room below each
BESIDE, BELOW = 6, 14  # columns of them,
LONG = 9  # digits of a line that still stand in one row beside the picture
DENSE_FROM, DENSE_BESIDE = 30, 12  # and from so many digits, beside the picture, more and smaller ones
LONGEST_TITLE = 80  # letters
LETTER_PT = (4.5, 13)  # the smallest and the largest letters at a box
LETTER_PORTION = 0.4  # of a box's height


def plot_reading(
    picture: npt.NDArray[np.uint8],
    lines: Sequence[Line],
    *,
    size: tuple[int, int] | None = None,
    title: str = "",
    figure: Figure | None = None,
) -> Figure:
    """The picture with a box, an answer and a confidence at each mark, and the images that the network saw.

    An accepted digit has a whole box, a refused mark a dashed one; without an answer, but where the line as a
    whole was refused, since it does not match what is known.

    Args:
        picture: (height, width) or (height, width, 3) uint8, upright.
        lines: what was read in it.
        size: (height, width) in pixels that the boxes count in; by default those of `picture`.
        title: above the figure.
        figure: where to draw, made as large as is needed; a new one without it.
    """
    height, width = size or picture.shape[:2]
    wide = width >= WIDE * height
    digits = sum(len(line.digits) for line in lines)
    longest = max((len(line.digits) for line in lines), default=0)
    beside = max(BESIDE, min(longest, LONG)) if digits < DENSE_FROM else DENSE_BESIDE
    columns = min(BELOW if wide else beside, max(3, digits))
    rows = sum(-(-len(line.digits) // columns) for line in lines)
    # Height per width of what the network saw.
    tiles = max(1, rows) * (TILE_PX + CAPTION_PX + GAP_PX) / (columns * (TILE_PX + GAP_PX))
    if wide:
        below = FIGURE_INCHES * columns / BELOW
        heights = [FIGURE_INCHES * height / width, below * tiles]
        figure = start_sized_figure(figure, (FIGURE_INCHES, sum(heights) + 0.6))
        left, right = figure.subplots(2, 1, height_ratios=heights)
    else:
        widths = [FIGURE_INCHES * 0.58, FIGURE_INCHES * 0.42 * columns / beside]
        tall = max(widths[0] * height / width, widths[1] * tiles)
        figure = start_sized_figure(figure, (sum(widths), min(tall, 2.2 * FIGURE_INCHES) + 0.6))
        left, right = figure.subplots(1, 2, width_ratios=widths)
    _draw_boxes(left, picture, lines, (height, width))
    draw_seen(right, lines, columns, SMALL_PT - 1 if wide or digits < DENSE_FROM else LETTER_PT[0])
    left.set_anchor("N")
    if len(title) > LONGEST_TITLE:
        title = title[: LONGEST_TITLE - 1] + "…"
    set_figure_title(figure, title)
    return figure


def _draw_boxes(
    ax: Axes, picture: npt.NDArray[np.uint8], lines: Sequence[Line], size: tuple[int, int]
) -> None:
    from matplotlib.patches import Rectangle

    height, width = size
    interpolation = "nearest" if max(picture.shape[:2]) < 200 else "antialiased"
    ax.imshow(
        picture, cmap="gray", vmin=0, vmax=255, extent=(0, width, height, 0), interpolation=interpolation
    )
    ax.set_axis_off()
    rim = [0, width, width, 0, 0], [0, 0, height, height, 0]  # white pictures would have none
    ax.plot(*rim, color=MUTED, linewidth=0.5, clip_on=False)
    points = 72 * FIGURE_INCHES * (1.0 if width >= WIDE * height else 0.58) / width  # a pixel
    halo = {"facecolor": PAPER, "alpha": 0.75, "edgecolor": "none", "boxstyle": "square,pad=0.1"}
    for digit, named in _list_named(lines):
        x, y, columns, rows = digit.box
        colour = BLUE if digit.accepted else RUST
        style = "-" if digit.accepted else (0, (3, 2))
        ax.add_patch(
            Rectangle(
                (x, y), columns, rows, fill=False, edgecolor=colour, linewidth=1.2, linestyle=style, zorder=4
            )  # above the halos of the letters
        )
        letters = float(np.clip(LETTER_PORTION * rows * points, *LETTER_PT))
        text: dict[str, Any] = {"color": colour, "bbox": halo, "ha": "center"}
        name = digit.label if named else "?"
        ax.text(x + columns / 2, y, name, va="bottom", fontsize=letters, fontweight="bold", **text)
        if named:
            sure = _confidence(digit)
            ax.text(x + columns / 2, y + rows, sure, va="top", fontsize=max(4.0, 0.6 * letters), **text)


def _list_named(lines: Sequence[Line]) -> list[tuple[Digit, bool]]:
    """Return every digit, and whether its answer is shown."""
    return [
        named
        for line in lines
        for named in zip(line.digits, line.free or [digit.accepted for digit in line.digits], strict=True)
    ]


def draw_seen(ax: Axes, lines: Sequence[Line], columns: int, letters_pt: float = SMALL_PT - 1) -> None:
    """Draw what the network saw of each mark, 28 x 28, with its answers; each line begins a new row."""
    from matplotlib.patches import Rectangle

    across, down = TILE_PX + GAP_PX, TILE_PX + CAPTION_PX + GAP_PX
    placed = []
    row = 0
    for line in lines:
        for start in range(0, len(line.digits), columns):
            placed += [(row, column) for column in range(len(line.digits[start : start + columns]))]
            row += 1
    canvas = np.full((max(1, row) * down, columns * across), 255, np.uint8)
    digits = _list_named(lines)
    for (tile_row, column), (digit, _) in zip(placed, digits, strict=True):
        top, left = tile_row * down + 2, column * across + GAP_PX // 2
        canvas[top : top + TILE_PX, left : left + TILE_PX] = 255 - digit.image
    ax.imshow(
        canvas,
        cmap="gray",
        vmin=0,
        vmax=255,
        interpolation="nearest",
        extent=(0, canvas.shape[1], canvas.shape[0], 0),
    )
    for (tile_row, column), (digit, named) in zip(placed, digits, strict=True):
        top, left = tile_row * down + 2, column * across + GAP_PX // 2
        colour = MUTED if digit.accepted else RUST
        style = "-" if digit.accepted else (0, (3, 2))
        ax.add_patch(
            Rectangle(
                (left, top), TILE_PX, TILE_PX, fill=False, edgecolor=colour, linewidth=1, linestyle=style
            )
        )
        text = f"{digit.label}  {_confidence(digit)}" if named else "no digit"
        ax.text(
            left + TILE_PX / 2,
            top + TILE_PX + 2,
            text,
            ha="center",
            va="top",
            fontsize=letters_pt,
            color=INK if digit.accepted else RUST,
        )
    ax.set_axis_off()
    ax.set_anchor("NW")
    ax.set_title("what the network saw", fontsize=SMALL_PT, color=INK, loc="left")


def _confidence(digit: Digit) -> str:
    """The confidence with two digits, without claiming a certainty that is not there."""
    return ">0.99" if 0.995 <= digit.confidence < 1 else f"{digit.confidence:.2f}"

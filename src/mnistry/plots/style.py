"""The style of all pictures, set on the artists themselves: rcParams belong to the user."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's palette: distinct in every kind of colour blindness.
BLUE, VERMILLION = "#0072B2", "#D55E00"
RUST = "#A84900"  # vermillion, dark enough for small letters on white
INK, MUTED, GRID, PAPER = "#222222", "#6B6B6B", "#E3E3E3", "#FFFFFF"
TITLE_PT, TEXT_PT, SMALL_PT = 12, 10, 9
LETTER_WIDTH = 0.7  # of a bold letter, in its size


def start_axes(ax: Axes | None, size_inches: tuple[float, float]) -> Axes:
    """`ax`, or the axes of a new figure of this size."""
    return ax if ax is not None else start_figure(None, size_inches).subplots()


def start_figure(figure: Figure | None, size_inches: tuple[float, float]) -> Figure:
    """`figure`, or a new one of this size, on paper and laid out so that nothing overlaps."""
    if figure is None:
        import matplotlib.pyplot as plt

        figure = plt.figure(figsize=size_inches)
    if figure.get_layout_engine() is None:
        figure.set_layout_engine("constrained", w_pad=0.08, h_pad=0.08)
    figure.set_facecolor(PAPER)
    return figure


def start_sized_figure(figure: Figure | None, size_inches: tuple[float, float]) -> Figure:
    """As `start_figure`, but `figure` is made this size, which its content asks for."""
    figure = start_figure(figure, size_inches)
    figure.set_size_inches(size_inches)
    return figure


def finish_axes(ax: Axes, title: str, *, frame: bool = False) -> None:
    """Give drawn axes their title, letters and lines; `frame` draws a line on all four sides."""
    ax.set_facecolor(PAPER)
    ax.set_axisbelow(True)
    ax.set_title(title, fontsize=TITLE_PT, fontweight="bold", color=INK, loc="left", pad=10)
    ax.tick_params(labelsize=SMALL_PT, color=MUTED, labelcolor=INK)
    for label in (ax.xaxis.label, ax.yaxis.label):
        label.set(fontsize=TEXT_PT, color=INK)
    for side, spine in ax.spines.items():
        spine.set(color=MUTED, linewidth=0.8, visible=frame or side in ("left", "bottom"))


def set_figure_title(figure: Figure, title: str) -> None:
    """Write the title above all axes of a figure, in several rows where it is wider than that."""
    letters = int(figure.get_figwidth() * 72 / (LETTER_WIDTH * TITLE_PT))
    title = "\n".join(textwrap.wrap(title, max(1, letters)))
    figure.suptitle(title, fontsize=TITLE_PT, fontweight="bold", color=INK)


def percent_tick(share: float, position: float = 0) -> str:
    """A share of an axis in percent, as Matplotlib asks for it."""
    return f"{100 * share:.4g} %"


def percent(share: float) -> str:
    """In percent with one decimal, without claiming a certainty of 0 or 100 that is not there."""
    if 0 < share < 0.0005:
        return "<0.1 %"
    if 0.9995 <= share < 1:
        return ">99.9 %"
    return f"{100 * share:.1f} %"

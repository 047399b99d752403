"""Pictures of numbers: the curves of a training, the counts of a confusion matrix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mnistry.plots.style import (
    BLUE,
    GRID,
    INK,
    MUTED,
    PAPER,
    RUST,
    SMALL_PT,
    TEXT_PT,
    VERMILLION,
    finish_axes,
    percent,
    percent_tick,
    start_axes,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_history(
    history: Mapping[str, Sequence[float]], metric: str = "loss", *, ax: Axes | None = None
) -> Axes:
    """The curve of `metric` over the epochs for training and, where it was measured, for validation.

    Args:
        history: one value per epoch under `metric` and `val_<metric>`, as in Keras' `History.history`.
        metric: what to draw; a name that ends in "accuracy" is drawn in percent.
        ax: where to draw; a new figure without it.

    Raises:
        ValueError: the history has no such metric, or no epochs.
    """
    keys = {"training": metric, "validation": f"val_{metric}"}
    curves = [(name, history[key]) for name, key in keys.items() if key in history]
    epochs = max((len(values) for _, values in curves), default=0)
    if epochs == 0 or metric.startswith("val_"):
        known = ", ".join(sorted(key for key in history if not key.startswith("val_"))) or "nothing"
        raise ValueError(f"the history has no values of {metric!r}; it has {known}")
    in_percent = metric.endswith("accuracy")
    ax = start_axes(ax, (7.0, 4.2))
    styles: dict[str, dict[str, Any]] = {
        "training": {"color": BLUE, "linestyle": "-", "marker": "o", "markerfacecolor": BLUE},
        "validation": {"color": VERMILLION, "linestyle": "--", "marker": "s", "markerfacecolor": PAPER},
    }
    for name, values in curves:
        ax.plot(
            np.arange(1, len(values) + 1),
            values,
            label=name,
            linewidth=2,
            markersize=5,
            markevery=max(1, epochs // 20),
            clip_on=False,
            zorder=3,
            **styles[name],
        )
    ax.set_xlim(0.5 if epochs == 1 else 1, max(epochs, 1.5))
    ax.set_xticks(_epoch_ticks(epochs))
    _limit_to_possible_values(ax, in_percent)
    if in_percent:
        ax.yaxis.set_major_formatter(percent_tick)
    spoken = metric.replace("_", " ")
    ax.set_xlabel("epoch")
    ax.set_ylabel(spoken)
    ax.grid(axis="y", color=GRID, linewidth=0.8)
    what = " and ".join(name for name, _ in curves)
    finish_axes(ax, f"{spoken.capitalize()} on the {what} images")
    _label_curve_ends(ax, curves, in_percent)
    return ax


def plot_confusion_matrix(
    matrix: npt.ArrayLike, class_names: Sequence[str], *, ax: Axes | None = None
) -> Axes:
    """The counts of a confusion matrix, rows true and columns predicted, with the errors in colour.

    The right answers on the diagonal stay grey; the others are coloured by their share of the row, so that
    errors stand out although they are rare.

    Args:
        matrix: counts, integers (classes, classes).
        class_names: one name per class.
        ax: where to draw; a new figure without it.

    Raises:
        ValueError: the matrix is not square or does not fit the names.
    """
    from matplotlib.colors import LinearSegmentedColormap, Normalize

    counts = np.asarray(matrix)
    classes = len(class_names)
    if counts.shape != (classes, classes):
        raise ValueError(f"got a matrix of shape {counts.shape} for {classes} class names")
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.zeros(counts.shape), where=totals > 0)
    diagonal = np.eye(classes, dtype=bool)
    worst = float(shares[~diagonal].max(initial=0))
    colours = LinearSegmentedColormap.from_list(
        "errors", [PAPER, "#F6C27A", VERMILLION, "#7A2E00"]
    ).with_extremes(bad="#E8E8E8")

    side = max(4.5, 1.5 + 0.5 * classes)
    ax = start_axes(ax, (side + 0.8, side))
    image = ax.imshow(
        np.ma.masked_array(shares, diagonal), cmap=colours, norm=Normalize(0, worst or 1), aspect="equal"
    )
    for row, column in np.ndindex(counts.shape):
        count = int(counts[row, column])
        dark = not diagonal[row, column] and worst > 0 and shares[row, column] > 0.67 * worst
        ax.text(
            column,
            row,
            f"{count:,}",
            ha="center",
            va="center",
            fontsize=SMALL_PT,
            fontweight="bold" if row == column else "normal",
            color=PAPER if dark else INK if count or row == column else MUTED,
        )
    long_names = max(map(len, class_names)) > 3
    ax.set_xticks(
        range(classes),
        class_names,
        rotation=45 if long_names else 0,
        ha="right" if long_names else "center",
        rotation_mode="anchor",
    )
    ax.set_yticks(range(classes), class_names)
    ax.set_xticks(np.arange(classes + 1) - 0.5, minor=True)
    ax.set_yticks(np.arange(classes + 1) - 0.5, minor=True)
    ax.grid(which="minor", color=GRID, linewidth=0.8)
    ax.set_xlabel("predicted class")
    ax.set_ylabel("true class")
    total, errors = int(counts.sum()), int(counts[~diagonal].sum())
    finish_axes(ax, f"{errors:,} of {total:,} images read wrongly", frame=True)
    ax.tick_params(which="minor", length=0)
    if worst > 0:
        bar = ax.figure.colorbar(image, ax=ax, shrink=0.7, pad=0.02, format=percent_tick)
        bar.set_label("errors, as a share of the true class", fontsize=TEXT_PT, color=INK)
        bar.ax.tick_params(labelsize=SMALL_PT, labelcolor=INK, color=MUTED)
        bar.outline.set_edgecolor(GRID)
    return ax


def _epoch_ticks(epochs: int) -> list[int]:
    """1 and round numbers after it, at most about ten."""
    if epochs <= 10:
        return list(range(1, epochs + 1))
    step = next(
        size * 10**power for power in range(9) for size in (1, 2, 5) if epochs <= 10 * size * 10**power
    )
    return [1, *range(max(step, 5), epochs + 1, max(step, 5))]


def _limit_to_possible_values(ax: Axes, in_percent: bool) -> None:
    """No empty room below a loss of 0 or above an accuracy of 100 %."""
    low, high = ax.get_ylim()
    smallest = ax.dataLim.y0
    if in_percent:
        ax.set_ylim(max(low, 0), min(high, 1))
    elif smallest >= 0:
        ax.set_ylim(0, high)


def _label_curve_ends(ax: Axes, curves: Sequence[tuple[str, Sequence[float]]], in_percent: bool) -> None:
    """Name and last value of each curve, written at its end, moved apart where they would overlap."""
    low, high = ax.get_ylim()
    room = 0.12 * (high - low)
    ends = sorted(((float(values[-1]), name) for name, values in curves if len(values)), reverse=True)
    # A training that diverged ends in NaN, which has no height; it is still named.
    heights = [value if np.isfinite(value) else high for value, _ in ends]
    if len(ends) == 2 and abs(heights[0] - heights[1]) < room:
        middle = min(max(sum(heights) / 2, low + room / 2), high - room / 2)
        heights = [middle + room / 2, middle - room / 2]
    for (value, name), height in zip(ends, heights, strict=True):
        ax.annotate(
            f"{name}\n{percent(value) if in_percent else format(value, '.3g')}",
            (1, height),
            xycoords=("axes fraction", "data"),
            xytext=(8, 0),
            textcoords="offset points",
            va="center",
            fontsize=SMALL_PT,
            fontweight="bold",
            color=BLUE if name == "training" else RUST,
            annotation_clip=False,
        )

"""Numbers in, pictures out. Nothing is computed here that `metrics` or `evaluation` should compute.

Without `ax` or `figure` the picture is made through matplotlib.pyplot, so a notebook shows it. Drawing
into the caller's `ax` or `figure` never imports pyplot, which keeps programs free of windows and state.
Every meaning is carried by a shape, a position or a word as well as by a colour: the pictures can be
read in greyscale and by the colour-blind.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mnistry.files import atomic_save

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from mnistry.dataset import Dataset
    from mnistry.evaluation import Evaluation

# Okabe and Ito's palette: distinct in every kind of colour blindness.
BLUE, VERMILLION = "#0072B2", "#D55E00"
RUST = "#A84900"  # vermillion, dark enough for small letters on white
INK, MUTED, GRID, PAPER = "#222222", "#6B6B6B", "#E3E3E3", "#FFFFFF"
TITLE_PT, TEXT_PT, SMALL_PT = 12, 10, 9
MAX_IMAGES = 400


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
    ax = _start_axes(ax, (7.0, 4.2))
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
        ax.yaxis.set_major_formatter(_percent_tick)
    spoken = metric.replace("_", " ")
    ax.set_xlabel("epoch")
    ax.set_ylabel(spoken)
    ax.grid(axis="y", color=GRID, linewidth=0.8)
    what = " and ".join(name for name, _ in curves)
    _finish_axes(ax, f"{spoken.capitalize()} on the {what} images")
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
    ax = _start_axes(ax, (side + 0.8, side))
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
    _finish_axes(ax, f"{errors:,} of {total:,} images read wrongly", frame=True)
    ax.tick_params(which="minor", length=0)
    if worst > 0:
        bar = ax.figure.colorbar(image, ax=ax, shrink=0.7, pad=0.02, format=_percent_tick)
        bar.set_label("errors, as a share of the true class", fontsize=TEXT_PT, color=INK)
        bar.ax.tick_params(labelsize=SMALL_PT, labelcolor=INK, color=MUTED)
        bar.outline.set_edgecolor(GRID)
    return ax


def plot_images(
    images: npt.NDArray[np.uint8],
    labels: npt.ArrayLike | None = None,
    predicted: npt.ArrayLike | None = None,
    *,
    columns: int | None = None,
    class_names: Sequence[str] | None = None,
    figure: Figure | None = None,
) -> Figure:
    """A grid of images, in ink on paper, with their classes above them.

    Given both `labels` and `predicted`, a wrong answer has a thick dashed frame and says what is true.

    Args:
        images: uint8 (n, height, width), 0 = background, 255 = ink; 1 to 400 of them.
        labels: true classes, integers (n,).
        predicted: answers, integers (n,).
        columns: images per row; without it, a grid about as high as wide, at most 10 wide.
        class_names: one name per class; the class numbers without it.
        figure: where to draw; a new one without it.

    Raises:
        ValueError: the arrays do not fit together, or there are no images or more than 400.
    """
    true = None if labels is None else np.asarray(labels)
    answers = None if predicted is None else np.asarray(predicted)
    for name, classes in (("labels", true), ("predicted", answers)):
        if classes is not None and classes.shape != (len(images),):
            raise ValueError(f"got {name} of shape {classes.shape} for {len(images)} images")
    wrong = np.zeros(len(images), bool)
    captions = [""] * len(images)
    shown = answers if answers is not None else true
    if shown is not None:
        captions = [_name(class_names, number) for number in shown]
    title = f"{len(images):,} image{'s'[: len(images) != 1]}"
    if true is not None and answers is not None:
        wrong = true != answers
        captions = [
            _wrong_caption(caption, _name(class_names, label)) if is_wrong else caption
            for caption, label, is_wrong in zip(captions, true, wrong, strict=True)
        ]
        title = f"{title} with answers, {np.sum(wrong):,} wrong"
    elif shown is not None:
        title = f"{title} with {'labels' if answers is None else 'answers'}"
    figure, grid = _start_grid(figure, images, columns, captions)
    for ax, image, caption, is_wrong in zip(grid, images, captions, wrong, strict=True):
        _draw_image(ax, image, caption, wrong=bool(is_wrong))
    _set_figure_title(figure, title)
    return figure


def plot_contact_sheet(sheet: Mapping[str, npt.NDArray[np.uint8]], *, figure: Figure | None = None) -> Figure:
    """Rows of images, in ink on paper, with a caption above each row.

    Args:
        sheet: caption -> uint8 (columns, height, width), 0 = background, 255 = ink, as from
            `mnistry.augmentation.contact_sheet`; the first of a row is the unchanged image.
        figure: where to draw; a new one without it.
    """
    columns = max(len(images) for images in sheet.values())
    figure = _start_figure(figure, (0.8 * columns + 0.4, 1.1 * len(sheet) + 0.5))
    for ax, (caption, images) in zip(
        figure.subplots(len(sheet), 1, squeeze=False).flat, sheet.items(), strict=True
    ):
        # One picture a row: an axes for each image would take seconds to draw.
        framed = np.pad(images, ((0, 0), (1, 1), (1, 1)), constant_values=60)
        spaced = np.pad(framed, ((0, 0), (0, 0), (0, 2)))
        ax.imshow(np.concatenate(list(spaced), axis=1), cmap="gray_r", vmin=0, vmax=255)
        ax.set_axis_off()
        ax.set_title(caption, fontsize=SMALL_PT, color=INK, loc="left", pad=3)
    _set_figure_title(figure, "Augmentation; the first of each row is unchanged")
    return figure


def plot_mistakes(
    evaluation: Evaluation, dataset: Dataset, *, count: int = 25, figure: Figure | None = None
) -> Figure:
    """The most confident mistakes of an evaluation: each image with its answer, confidence and truth.

    Args:
        evaluation: the result of `evaluate(..., dataset)`.
        dataset: the data set that it was made on.
        count: how many mistakes to show at most, 1 to 400.
        figure: where to draw; a new one without it.

    Raises:
        ValueError: the data set has another number of images than the evaluation, or `count` < 1.
    """
    if len(dataset) != evaluation.n:
        raise ValueError(f"the evaluation was made on {evaluation.n} images, the data set has {len(dataset)}")
    if count < 1:
        raise ValueError(f"got count {count}; expected at least 1")
    names = evaluation.class_names
    mistakes = evaluation.mistakes[:count]
    if not mistakes:
        figure = _start_figure(figure, (6.0, 2.0))
        _set_figure_title(figure, f"No mistakes on the {evaluation.n:,} images of {evaluation.dataset_name}")
        return figure
    captions = [
        f"{_wrong_caption(names[m.predicted], names[m.label])}\n{_percent(m.confidence)} sure"
        for m in mistakes
    ]
    images = dataset.images[[mistake.index for mistake in mistakes]]
    figure, grid = _start_grid(figure, images, None, captions)
    for ax, image, caption in zip(grid, images, captions, strict=True):
        _draw_image(ax, image, caption)
    kept = "All" if len(mistakes) == evaluation.errors else f"The {len(mistakes):,} most confident of"
    noun = "mistake" if evaluation.errors == 1 else "mistakes"
    _set_figure_title(figure, f"{kept} {evaluation.errors:,} {noun} on {evaluation.dataset_name}")
    return figure


def plot_prediction(
    image: npt.NDArray[np.uint8],
    probabilities: npt.ArrayLike,
    truth: int | None = None,
    class_names: Sequence[str] | None = None,
    *,
    figure: Figure | None = None,
) -> Figure:
    """One image and, beside it, the probability of every class as a bar; the answer is the dark bar.

    Args:
        image: uint8 (height, width), 0 = background, 255 = ink.
        probabilities: floats (classes,), 0..1.
        truth: the true class, if known; it is named, and a wrong answer is hatched.
        class_names: one name per class; the class numbers without it.
        figure: where to draw; a new one without it.

    Raises:
        ValueError: `probabilities` is not a row of numbers 0..1, or does not fit the names or the truth.
    """
    shares = np.asarray(probabilities, np.float64)
    if shares.ndim != 1 or len(shares) == 0 or not np.all((shares >= 0) & (shares <= 1 + 1e-6)):
        raise ValueError(
            f"probabilities must have shape (classes,) and lie in 0..1, got shape {shares.shape}"
        )
    classes = len(shares)
    if class_names is not None and len(class_names) != classes:
        raise ValueError(f"got {classes} probabilities for {len(class_names)} class names")
    if truth is not None and not 0 <= truth < classes:
        raise ValueError(f"got truth {truth}; expected 0..{classes - 1}")
    answer = int(shares.argmax())
    names = [_name(class_names, number) for number in range(classes)]
    wrong = truth is not None and truth != answer

    figure = _start_figure(figure, (7.2, max(2.6, 0.9 + 0.25 * classes)))
    picture, bars = figure.subplots(1, 2, width_ratios=(1, 1.35))
    _draw_image(picture, image, "" if truth is None else f"truth: {names[truth]}")
    drawn = bars.barh(range(classes), shares, height=0.7, color="#9FB8C8", zorder=2)
    drawn[answer].set_facecolor(VERMILLION if wrong else BLUE)
    if wrong:
        drawn[answer].set(hatch="///", edgecolor=PAPER)
    for number, share in enumerate(shares):
        remark = f"{_percent(share)}{'  truth' if wrong and number == truth else ''}"
        bold = "bold" if number == answer or remark.endswith("truth") else "normal"
        bars.annotate(
            remark,
            (share, number),
            xytext=(4, 0),
            textcoords="offset points",
            va="center_baseline",
            fontsize=SMALL_PT,
            fontweight=bold,
            color=INK if bold == "bold" else MUTED,
        )
    bars.set_xlim(0, 1)
    bars.set_yticks(range(classes), names)
    bars.invert_yaxis()
    bars.xaxis.set_major_formatter(_percent_tick)
    bars.set_xticks([0, 0.5, 1])
    bars.set_xlabel("probability")
    bars.grid(axis="x", color=GRID, linewidth=0.8)
    _finish_axes(bars, "")
    bars.tick_params(axis="y", length=0)
    _set_figure_title(figure, f"Answer: {names[answer]}, {_percent(shares[answer])} sure")
    return figure


def save_figure(figure: Figure, path: str | os.PathLike[str], dpi: int = 150) -> None:
    """Write `figure` to `path`, whole or not at all; its suffix chooses the format (.png, .svg, .pdf, ...).

    The same figure gives the same bytes: no date, no program version and no random names are written.

    Raises:
        OSError: the folder is missing or read-only, or the disk is full; an older file is unchanged.
        ValueError: Matplotlib does not know the suffix.
    """
    import matplotlib

    dated: dict[str, dict[str, Any]] = {
        ".png": {"Software": None},
        ".svg": {"Date": None, "Creator": None},
        ".pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    }
    suffix = os.path.splitext(path)[1].lower()  # noqa: PTH122 - `path` may be any path-like object
    with matplotlib.rc_context({"svg.hashsalt": "mnistry"}):
        atomic_save(path, lambda temporary: figure.savefig(temporary, dpi=dpi, metadata=dated.get(suffix)))


# The style of all pictures, set on the artists themselves: rcParams belong to the user.


def _start_axes(ax: Axes | None, size_inches: tuple[float, float]) -> Axes:
    return ax if ax is not None else _start_figure(None, size_inches).subplots()


def _start_figure(figure: Figure | None, size_inches: tuple[float, float]) -> Figure:
    if figure is None:
        import matplotlib.pyplot as plt

        figure = plt.figure(figsize=size_inches)
    if figure.get_layout_engine() is None:
        figure.set_layout_engine("constrained", w_pad=0.08, h_pad=0.08)
    figure.set_facecolor(PAPER)
    return figure


def _start_grid(
    figure: Figure | None, images: npt.NDArray[np.uint8], columns: int | None, captions: Sequence[str]
) -> tuple[Figure, list[Axes]]:
    """One axes per image, as large as the longest caption needs."""
    n = len(images)
    if images.ndim != 3 or not 1 <= n <= MAX_IMAGES:
        raise ValueError(
            f"got images of shape {images.shape}; expected (n, height, width) with n in 1..{MAX_IMAGES}"
        )
    columns = min(n, columns or (n if n <= 5 else min(10, int(np.ceil(np.sqrt(n))))))
    rows = -(-n // columns)
    longest = max(len(line) for caption in captions for line in caption.split("\n"))
    width = max(1.1, 0.25 + 0.085 * longest)
    height = 1.1 + 0.16 * max(caption.count("\n") for caption in captions)
    figure = _start_figure(figure, (max(3.2, columns * width), rows * height + 0.5))
    grid = list(figure.subplots(rows, columns, squeeze=False).flat)
    for unused in grid[n:]:
        unused.set_axis_off()
    return figure, grid[:n]


def _draw_image(ax: Axes, image: npt.NDArray[np.uint8], caption: str, *, wrong: bool = False) -> None:
    ax.imshow(image, cmap="gray_r", vmin=0, vmax=255)
    ax.set_xticks([])
    ax.set_yticks([])
    for spine in ax.spines.values():
        spine.set(color=VERMILLION if wrong else GRID, linewidth=2.5 if wrong else 0.8)
        spine.set_linestyle((0, (3, 1.5)) if wrong else "-")
    weight = "bold" if wrong else "normal"
    ax.set_title(caption, fontsize=SMALL_PT, fontweight=weight, color=RUST if wrong else INK, pad=3)


def _finish_axes(ax: Axes, title: str, *, frame: bool = False) -> None:
    ax.set_facecolor(PAPER)
    ax.set_axisbelow(True)
    ax.set_title(title, fontsize=TITLE_PT, fontweight="bold", color=INK, loc="left", pad=10)
    ax.tick_params(labelsize=SMALL_PT, color=MUTED, labelcolor=INK)
    for label in (ax.xaxis.label, ax.yaxis.label):
        label.set(fontsize=TEXT_PT, color=INK)
    for side, spine in ax.spines.items():
        spine.set(color=MUTED, linewidth=0.8, visible=frame or side in ("left", "bottom"))


def _set_figure_title(figure: Figure, title: str) -> None:
    figure.suptitle(title, fontsize=TITLE_PT, fontweight="bold", color=INK)


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
            f"{name}\n{_percent(value) if in_percent else format(value, '.3g')}",
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


def _name(class_names: Sequence[str] | None, number: int) -> str:
    if class_names is None:
        return str(number)
    if not 0 <= number < len(class_names):
        raise ValueError(f"got class {number} for {len(class_names)} class names")
    return class_names[number]


def _wrong_caption(answer: str, truth: str) -> str:
    separator = ", " if len(answer + truth) <= 6 else "\n"
    return f"{answer}{separator}truth: {truth}"


def _percent_tick(share: float, position: float = 0) -> str:
    return f"{100 * share:.4g} %"


def _percent(share: float) -> str:
    """In percent with one decimal, without claiming a certainty of 0 or 100 that is not there."""
    if 0 < share < 0.0005:
        return "<0.1 %"
    if 0.9995 <= share < 1:
        return ">99.9 %"
    return f"{100 * share:.1f} %"

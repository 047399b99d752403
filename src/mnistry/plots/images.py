"""Pictures of images, in ink on paper, with what is known of them: labels, answers, confidences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

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
    VERMILLION,
    finish_axes,
    percent,
    percent_tick,
    set_figure_title,
    start_figure,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from mnistry.dataset import Dataset
    from mnistry.evaluation import Evaluation

MAX_IMAGES = 400


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
    set_figure_title(figure, title)
    return figure


def plot_contact_sheet(sheet: Mapping[str, npt.NDArray[np.uint8]], *, figure: Figure | None = None) -> Figure:
    """Rows of images, in ink on paper, with a caption above each row.

    Args:
        sheet: caption -> uint8 (columns, height, width), 0 = background, 255 = ink, as from
            `mnistry.augmentation.contact_sheet`; the first of a row is the unchanged image.
        figure: where to draw; a new one without it.
    """
    columns = max(len(images) for images in sheet.values())
    figure = start_figure(figure, (0.8 * columns + 0.4, 1.1 * len(sheet) + 0.5))
    for ax, (caption, images) in zip(
        figure.subplots(len(sheet), 1, squeeze=False).flat, sheet.items(), strict=True
    ):
        # One picture a row: an axes for each image would take seconds to draw.
        framed = np.pad(images, ((0, 0), (1, 1), (1, 1)), constant_values=60)
        spaced = np.pad(framed, ((0, 0), (0, 0), (0, 2)))
        ax.imshow(np.concatenate(list(spaced), axis=1), cmap="gray_r", vmin=0, vmax=255)
        ax.set_axis_off()
        ax.set_title(caption, fontsize=SMALL_PT, color=INK, loc="left", pad=3)
    set_figure_title(figure, "Augmentation; the first of each row is unchanged")
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
        figure = start_figure(figure, (6.0, 2.0))
        set_figure_title(figure, f"No mistakes on the {evaluation.n:,} images of {evaluation.dataset_name}")
        return figure
    captions = [
        f"{_wrong_caption(names[m.predicted], names[m.label])}\n{percent(m.confidence)} sure"
        for m in mistakes
    ]
    images = dataset.images[[mistake.index for mistake in mistakes]]
    figure, grid = _start_grid(figure, images, None, captions)
    for ax, image, caption in zip(grid, images, captions, strict=True):
        _draw_image(ax, image, caption)
    kept = "All" if len(mistakes) == evaluation.errors else f"The {len(mistakes):,} most confident of"
    noun = "mistake" if evaluation.errors == 1 else "mistakes"
    set_figure_title(figure, f"{kept} {evaluation.errors:,} {noun} on {evaluation.dataset_name}")
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

    figure = start_figure(figure, (7.2, max(2.6, 0.9 + 0.25 * classes)))
    picture, bars = figure.subplots(1, 2, width_ratios=(1, 1.35))
    _draw_image(picture, image, "" if truth is None else f"truth: {names[truth]}")
    drawn = bars.barh(range(classes), shares, height=0.7, color="#9FB8C8", zorder=2)
    drawn[answer].set_facecolor(VERMILLION if wrong else BLUE)
    if wrong:
        drawn[answer].set(hatch="///", edgecolor=PAPER)
    for number, share in enumerate(shares):
        remark = f"{percent(share)}{'  truth' if wrong and number == truth else ''}"
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
    bars.xaxis.set_major_formatter(percent_tick)
    bars.set_xticks([0, 0.5, 1])
    bars.set_xlabel("probability")
    bars.grid(axis="x", color=GRID, linewidth=0.8)
    finish_axes(bars, "")
    bars.tick_params(axis="y", length=0)
    set_figure_title(figure, f"Answer: {names[answer]}, {percent(shares[answer])} sure")
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
    figure = start_figure(figure, (max(3.2, columns * width), rows * height + 0.5))
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


def _name(class_names: Sequence[str] | None, number: int) -> str:
    if class_names is None:
        return str(number)
    if not 0 <= number < len(class_names):
        raise ValueError(f"got class {number} for {len(class_names)} class names")
    return class_names[number]


def _wrong_caption(answer: str, truth: str) -> str:
    separator = ", " if len(answer + truth) <= 6 else "\n"
    return f"{answer}{separator}truth: {truth}"

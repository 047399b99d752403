"""Pictures are tested through their artists: lines, bars, texts. No test looks at pixels."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from mnistry import plots
from mnistry.dataset import Dataset
from mnistry.evaluation import Evaluation, evaluate
from mnistry.plots.style import set_figure_title, start_figure

HISTORY = {
    "loss": [0.35, 0.2, 0.1, 0.05, 0.02, 0.01],
    "val_loss": [0.2, 0.12, 0.1, 0.1, 0.11, 0.12],
    "accuracy": [0.9, 0.94, 0.96, 0.98, 0.99, 0.998],
    "val_accuracy": [0.95, 0.96, 0.97, 0.972, 0.974, 0.975],
    "mean_absolute_error": [3.0, 2.0],
}
MATRIX = np.array([[95, 5, 0], [1, 1990, 9], [0, 0, 0]])
NAMES = ("a", "b", "c")
IMAGES = np.random.default_rng(0).integers(0, 256, (12, 28, 28)).astype(np.uint8)


def new_axes() -> Axes:
    return Figure(figsize=(7, 4)).subplots()


def texts_of(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text) if text.get_visible() and text.get_text()]


def contrast_with_white(colour: str) -> float:
    """WCAG 2 contrast ratio of small text in this colour on white."""
    channels = np.array(matplotlib.colors.to_rgb(colour))
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return 1.05 / (float(linear @ [0.2126, 0.7152, 0.0722]) + 0.05)


def captions_of(figure: Figure) -> list[str]:
    return [ax.get_title() for ax in figure.axes if ax.images]


def make_evaluation(answers: list[int], labels: list[int]) -> tuple[Evaluation, Dataset]:
    dataset = Dataset(IMAGES[: len(labels)], np.array(labels, np.uint8), "made up")
    logits = np.eye(10, dtype=np.float32)[answers] * np.arange(1, len(labels) + 1, dtype=np.float32)[:, None]
    return evaluate(lambda images: logits, dataset), dataset


def test_history_draws_training_and_validation_over_epochs_from_1() -> None:
    ax = plots.plot_history(HISTORY, ax=new_axes())
    training, validation = ax.lines
    assert training.get_xdata().tolist() == [1, 2, 3, 4, 5, 6]
    assert list(training.get_ydata()) == HISTORY["loss"]
    assert list(validation.get_ydata()) == HISTORY["val_loss"]
    assert ax.get_xlabel() == "epoch"
    assert ax.get_ylabel() == "loss"
    assert ax.get_title(loc="left") == "Loss on the training and validation images"


def test_history_tells_the_curves_apart_without_colour() -> None:
    training, validation = plots.plot_history(HISTORY, ax=new_axes()).lines
    assert training.get_linestyle() != validation.get_linestyle()
    assert training.get_marker() != validation.get_marker()


def test_history_names_each_curve_beside_its_last_value() -> None:
    ax = plots.plot_history(HISTORY, "accuracy", ax=new_axes())
    assert {text.get_text(): text.xy[1] for text in ax.texts} == {
        "training\n99.8 %": 0.998,
        "validation\n97.5 %": 0.975,
    }


def test_history_labels_of_curves_that_end_together_do_not_overlap() -> None:
    ax = plots.plot_history({"loss": [1.0, 0.1], "val_loss": [1.0, 0.1001]}, ax=new_axes())
    figure = ax.figure
    figure.draw_without_rendering()
    first, second = (text.get_window_extent() for text in ax.texts)
    assert not first.overlaps(second)
    upper = max(ax.texts, key=lambda text: text.xy[1])
    assert upper.get_text().startswith("validation")


def test_history_of_accuracy_is_in_percent_and_never_above_100() -> None:
    ax = plots.plot_history(HISTORY, "accuracy", ax=new_axes())
    ax.figure.draw_without_rendering()
    assert ax.get_ylim()[1] <= 1
    assert "98 %" in [tick.get_text() for tick in ax.get_yticklabels()]


def test_history_of_loss_begins_at_0() -> None:
    assert plots.plot_history(HISTORY, ax=new_axes()).get_ylim()[0] == 0


@pytest.mark.parametrize("epochs", [1, 2, 9, 10, 11, 20, 50, 137, 1000])
def test_history_ticks_are_whole_epochs_and_not_too_many(epochs: int) -> None:
    ax = plots.plot_history({"loss": np.linspace(1, 0, epochs)}, ax=new_axes())
    ticks = ax.get_xticks()
    assert ticks[0] == 1
    assert len(ticks) <= 12
    assert all(tick == int(tick) and 1 <= tick <= epochs for tick in ticks)
    assert len(ticks) >= min(epochs, 3)


def test_history_without_validation_has_one_curve() -> None:
    ax = plots.plot_history(HISTORY, "mean_absolute_error", ax=new_axes())
    assert len(ax.lines) == 1
    assert ax.get_title(loc="left") == "Mean absolute error on the training images"


def test_history_of_a_training_that_diverged_can_still_be_drawn() -> None:
    ax = plots.plot_history({"loss": [1.0, np.nan, np.nan], "val_loss": [2.0, np.inf, np.nan]}, ax=new_axes())
    ax.figure.draw_without_rendering()
    assert {text.get_text() for text in ax.texts} == {"training\nnan", "validation\nnan"}


@pytest.mark.parametrize("metric", ["acc", "val_loss"])
def test_history_lists_the_metrics_that_it_has(metric: str) -> None:
    with pytest.raises(ValueError, match=rf"{metric}.*accuracy, loss, mean_absolute_error"):
        plots.plot_history(HISTORY, metric, ax=new_axes())


def test_an_empty_history_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing"):
        plots.plot_history({}, ax=new_axes())
    with pytest.raises(ValueError, match="no values of 'loss'"):
        plots.plot_history({"loss": []}, ax=new_axes())


def test_confusion_matrix_prints_every_count_in_its_cell() -> None:
    ax = plots.plot_confusion_matrix(MATRIX, NAMES, ax=new_axes())
    cells = {(text.get_position()[1], text.get_position()[0]): text.get_text() for text in ax.texts}
    assert cells == {(row, column): f"{count:,}" for (row, column), count in np.ndenumerate(MATRIX)}
    assert [label.get_text() for label in ax.get_yticklabels()] == list(NAMES)
    assert [label.get_text() for label in ax.get_xticklabels()] == list(NAMES)
    assert (ax.get_ylabel(), ax.get_xlabel()) == ("true class", "predicted class")
    assert ax.get_title(loc="left") == "15 of 2,100 images read wrongly"


def test_confusion_matrix_colours_errors_by_row_share_and_leaves_the_diagonal_out() -> None:
    (image,) = plots.plot_confusion_matrix(MATRIX, NAMES, ax=new_axes()).images
    shares = image.get_array()
    assert shares.mask.tolist() == np.eye(3, dtype=bool).tolist()
    assert shares[0, 1] == image.norm.vmax == 0.05
    assert shares[1, 2] == 9 / 2000
    assert shares[2, 0] == 0


def test_confusion_matrix_gets_darker_with_every_error_also_in_greyscale() -> None:
    (image,) = plots.plot_confusion_matrix(MATRIX, NAMES, ax=new_axes()).images
    lightness = image.cmap(np.linspace(0, 1, 50))[:, :3] @ [0.299, 0.587, 0.114]
    assert (np.diff(lightness) < 0).all()


def test_confusion_matrix_text_is_readable_on_its_cell() -> None:
    many = np.arange(100).reshape(10, 10)
    ax = plots.plot_confusion_matrix(many, tuple("0123456789"), ax=new_axes())
    (image,) = ax.images
    cells = image.to_rgba(image.get_array())
    for text in ax.texts:
        column, row = text.get_position()
        on_white = contrast_with_white(text.get_color())
        cell_on_white = contrast_with_white(cells[int(row), int(column)][:3])
        ratio = max(on_white, cell_on_white) / min(on_white, cell_on_white)
        assert ratio >= 3.8, (row, column)


def test_confusion_matrix_without_errors_has_no_colour_bar() -> None:
    ax = plots.plot_confusion_matrix(np.diag([3, 4]), ("a", "b"), ax=new_axes())
    assert len(ax.figure.axes) == 1
    assert len(plots.plot_confusion_matrix(MATRIX, NAMES, ax=new_axes()).figure.axes) == 2


def test_confusion_matrix_that_does_not_fit_its_names_is_refused() -> None:
    with pytest.raises(ValueError, match=r"shape \(3, 3\) for 2 class names"):
        plots.plot_confusion_matrix(MATRIX, ("a", "b"), ax=new_axes())


def test_images_are_drawn_dark_on_light_in_their_order() -> None:
    figure = plots.plot_images(IMAGES, figure=Figure())
    shown = [ax.images[0] for ax in figure.axes if ax.images]
    np.testing.assert_array_equal([image.get_array() for image in shown], IMAGES)
    assert shown[0].to_rgba(np.array([0, 255], np.uint8))[:, 0].tolist() == [1, 0]
    assert captions_of(figure) == [""] * 12
    assert figure.get_suptitle() == "12 images"


def test_wrong_answers_are_marked_by_words_and_frame_and_not_only_by_colour() -> None:
    figure = plots.plot_images(IMAGES[:3], [7, 5, 1], [7, 6, 1], figure=Figure())
    assert captions_of(figure) == ["7", "6, truth: 5", "1"]
    right, wrong, _ = (ax.spines["left"] for ax in figure.axes)
    assert wrong.get_linewidth() > 2 * right.get_linewidth()
    assert wrong.get_linestyle() != right.get_linestyle()
    assert figure.axes[1].title.get_fontweight() == "bold"
    assert figure.get_suptitle() == "3 images with answers, 1 wrong"


def test_images_have_their_class_names() -> None:
    names = ("Sneaker", "Ankle boot")
    assert captions_of(plots.plot_images(IMAGES[:2], [0, 1], class_names=names, figure=Figure())) == list(
        names
    )
    figure = plots.plot_images(IMAGES[:2], [0, 1], [0, 0], class_names=names, figure=Figure())
    assert captions_of(figure) == ["Sneaker", "Sneaker\ntruth: Ankle boot"]
    assert (
        plots.plot_images(IMAGES[:1], predicted=[1], figure=Figure()).get_suptitle() == "1 image with answers"
    )


@pytest.mark.parametrize(("columns", "expected"), [(None, (3, 4)), (5, (3, 5)), (50, (1, 12)), (1, (12, 1))])
def test_images_fill_a_grid(columns: int | None, expected: tuple[int, int]) -> None:
    figure = plots.plot_images(IMAGES, columns=columns, figure=Figure())
    assert figure.axes[0].get_gridspec().get_geometry() == expected
    assert all(not ax.axison for ax in figure.axes[12:])


def test_images_that_do_not_fit_together_are_refused() -> None:
    with pytest.raises(ValueError, match=r"labels of shape \(2,\) for 12 images"):
        plots.plot_images(IMAGES, [1, 2], figure=Figure())
    with pytest.raises(ValueError, match=r"predicted of shape"):
        plots.plot_images(IMAGES, predicted=[[1] * 12], figure=Figure())
    with pytest.raises(ValueError, match=r"1\.\.400"):
        plots.plot_images(IMAGES[:0], figure=Figure())
    with pytest.raises(ValueError, match=r"1\.\.400"):
        plots.plot_images(np.zeros((401, 28, 28), np.uint8), figure=Figure())
    with pytest.raises(ValueError, match=r"expected \(n, height, width\)"):
        plots.plot_images(IMAGES[0], figure=Figure())
    with pytest.raises(ValueError, match="got class 3 for 2 class names"):
        plots.plot_images(IMAGES[:1], [3], class_names=("a", "b"), figure=Figure())


def test_mistakes_are_shown_with_answer_truth_and_confidence_most_confident_first() -> None:
    evaluation, dataset = make_evaluation([1, 2, 3, 4], labels=[0, 2, 5, 5])
    figure = plots.plot_mistakes(evaluation, dataset, count=2, figure=Figure())
    first, second = (evaluation.probabilities[3, 4], evaluation.probabilities[2, 3])
    assert captions_of(figure) == [
        f"4, truth: 5\n{100 * first:.1f} % sure",
        f"3, truth: 5\n{100 * second:.1f} % sure",
    ]
    np.testing.assert_array_equal(figure.axes[0].images[0].get_array(), IMAGES[3])
    assert figure.get_suptitle() == "The 2 most confident of 3 mistakes on made up"
    assert (
        plots.plot_mistakes(evaluation, dataset, figure=Figure()).get_suptitle()
        == "All 3 mistakes on made up"
    )


def test_mistakes_of_a_perfect_classifier_are_a_sentence() -> None:
    evaluation, dataset = make_evaluation([1, 2], labels=[1, 2])
    figure = plots.plot_mistakes(evaluation, dataset, figure=Figure())
    assert texts_of(figure) == ["No mistakes on the 2 images of made up"]


def test_mistakes_of_another_data_set_are_refused() -> None:
    evaluation, dataset = make_evaluation([1, 2], labels=[1, 3])
    with pytest.raises(ValueError, match="made on 2 images, the data set has 1"):
        plots.plot_mistakes(evaluation, dataset.take(1), figure=Figure())
    with pytest.raises(ValueError, match="count 0"):
        plots.plot_mistakes(evaluation, dataset, count=0, figure=Figure())


def test_prediction_has_a_bar_for_every_class_with_the_first_on_top() -> None:
    probabilities = np.full(10, 0.02)
    probabilities[7] = 0.82
    figure = plots.plot_prediction(IMAGES[0], probabilities, 7, figure=Figure())
    picture, bars = figure.axes
    np.testing.assert_array_equal(picture.images[0].get_array(), IMAGES[0])
    assert [patch.get_width() for patch in bars.patches] == probabilities.tolist()
    assert [label.get_text() for label in bars.get_yticklabels()] == list("0123456789")
    assert bars.yaxis_inverted()
    assert bars.get_xlim() == (0, 1)
    assert [text.get_text() for text in bars.texts] == ["2.0 %"] * 7 + ["82.0 %"] + ["2.0 %"] * 2
    assert figure.get_suptitle() == "Answer: 7, 82.0 % sure"
    assert picture.get_title() == "truth: 7"
    assert bars.patches[7].get_facecolor() != bars.patches[6].get_facecolor()


def test_a_wrong_prediction_is_hatched_and_the_truth_is_named() -> None:
    figure = plots.plot_prediction(IMAGES[0], [0.6, 0.3, 0.1], 1, NAMES, figure=Figure())
    picture, bars = figure.axes
    assert [bool(patch.get_hatch()) for patch in bars.patches] == [True, False, False]
    assert [text.get_text() for text in bars.texts] == ["60.0 %", "30.0 %  truth", "10.0 %"]
    assert picture.get_title() == "truth: b"
    assert figure.get_suptitle() == "Answer: a, 60.0 % sure"


def test_a_prediction_without_truth_names_none() -> None:
    figure = plots.plot_prediction(IMAGES[0], [0.6, 0.3, 0.1], figure=Figure())
    assert not any("truth" in text for text in texts_of(figure))
    assert not any(patch.get_hatch() for patch in figure.axes[1].patches)


def test_a_prediction_claims_no_certainty_that_is_not_there() -> None:
    figure = plots.plot_prediction(IMAGES[0], [0.99996, 0.00004, 0.0], figure=Figure())
    assert [text.get_text() for text in figure.axes[1].texts] == [">99.9 %", "<0.1 %", "0.0 %"]


@pytest.mark.parametrize(
    ("probabilities", "truth", "names", "message"),
    [
        ([3.0, -2.0], None, None, "0..1"),
        ([np.nan, 1.0], None, None, "0..1"),
        ([[0.5, 0.5]], None, None, r"shape \(1, 2\)"),
        ([0.5, 0.5], 2, None, "truth 2"),
        ([0.5, 0.5], None, NAMES, "2 probabilities for 3 class names"),
    ],
)
def test_a_prediction_that_does_not_fit_is_refused(
    probabilities: list[float], truth: int | None, names: tuple[str, ...] | None, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        plots.plot_prediction(IMAGES[0], probabilities, truth, names, figure=Figure())


def draw_all() -> list[Figure]:
    evaluation, dataset = make_evaluation([1, 2, 3, 4], labels=[0, 2, 5, 5])
    history_ax, matrix_ax = new_axes(), new_axes()
    plots.plot_history(HISTORY, "accuracy", ax=history_ax)
    plots.plot_confusion_matrix(MATRIX, NAMES, ax=matrix_ax)
    return [
        history_ax.figure,
        matrix_ax.figure,
        plots.plot_images(IMAGES[:2], [1, 2], [1, 3], figure=Figure()),
        plots.plot_mistakes(evaluation, dataset, figure=Figure()),
        plots.plot_prediction(IMAGES[0], [0.6, 0.3, 0.1], 1, figure=Figure()),
    ]


def test_no_text_is_smaller_than_8_points_or_too_faint_whatever_style_the_user_has_set() -> None:
    with matplotlib.rc_context(
        {"font.size": 5, "text.color": "white", "xtick.color": "white", "ytick.color": "white"}
    ):
        for figure in draw_all():
            figure.draw_without_rendering()
            for text in figure.findobj(Text):
                if text.get_text() and text.get_visible():
                    assert text.get_fontsize() >= 8, text
                    white_on_dark = matplotlib.colors.same_color(text.get_color(), plots.PAPER)
                    assert white_on_dark or contrast_with_white(text.get_color()) >= 4.5, text


def test_drawing_changes_no_setting_of_matplotlib() -> None:
    before = dict(matplotlib.rcParams)
    draw_all()
    assert dict(matplotlib.rcParams) == before


NO_PYPLOT = """
import sys
sys.path.insert(0, {tests!r})
import test_plots
for number, figure in enumerate(test_plots.draw_all()):
    test_plots.plots.save_figure(figure, f"{{sys.argv[1]}}/{{number}}.png")
print("matplotlib.pyplot" in sys.modules)
"""

WITH_PYPLOT = """
import sys
sys.path.insert(0, {tests!r})
import test_plots as t
import matplotlib.pyplot as plt
from mnistry import plots
evaluation, dataset = t.make_evaluation([1, 2], labels=[1, 3])
made = [
    plots.plot_history(t.HISTORY).figure,
    plots.plot_confusion_matrix(t.MATRIX, t.NAMES).figure,
    plots.plot_images(t.IMAGES),
    plots.plot_mistakes(evaluation, dataset),
    plots.plot_prediction(t.IMAGES[0], [0.5, 0.5]),
]
print(made == [plt.figure(number) for number in plt.get_fignums()])
"""


@pytest.mark.parametrize(("code", "expected"), [(NO_PYPLOT, "False"), (WITH_PYPLOT, "True")])
def test_pyplot_is_used_only_where_the_caller_gives_no_figure(
    code: str, expected: str, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", code.format(tests=str(Path(__file__).parent)), str(tmp_path)]
    environment = {"MPLBACKEND": "agg", "PATH": "", "HOME": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == expected


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_the_same_picture_saved_twice_is_the_same_file(
    suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, date in (("first", "0"), ("second", "1000000000")):
        monkeypatch.setenv("SOURCE_DATE_EPOCH", date)
        figure = plots.plot_history(HISTORY, ax=new_axes()).figure
        plots.save_figure(figure, tmp_path / f"{name}{suffix}")
    first, second = ((tmp_path / f"{name}{suffix}").read_bytes() for name in ("first", "second"))
    assert first == second
    assert b"1970" not in first
    assert {path.name for path in tmp_path.iterdir()} == {f"first{suffix}", f"second{suffix}"}


def test_a_saved_picture_has_the_size_and_resolution_asked_for(tmp_path: Path) -> None:
    from PIL import Image

    plots.save_figure(plots.plot_images(IMAGES, figure=Figure(figsize=(4, 3))), tmp_path / "a.png", dpi=100)
    with Image.open(tmp_path / "a.png") as image:
        assert image.size == (400, 300)


def test_a_save_that_fails_leaves_the_older_picture_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"older")
    figure = Figure()

    def fill_the_disk(temporary: Path, **_: object) -> None:
        Path(temporary).write_bytes(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(figure, "savefig", fill_the_disk)
    with pytest.raises(OSError, match="No space left"):
        plots.save_figure(figure, path)
    assert path.read_bytes() == b"older"
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(ValueError, match="xyz"):
        plots.save_figure(Figure(), tmp_path / "a.xyz")


@pytest.mark.parametrize("inches", [2.0, 4.7, 11.0])
def test_a_title_stays_in_its_figure(inches: float) -> None:
    figure = start_figure(None, (inches, 4.0))
    words = "The 12 most confident of 9,184 mistakes on a data set with a long name"
    set_figure_title(figure, words)
    figure.draw_without_rendering()
    assert figure.get_suptitle().split() == words.split()
    (title,) = figure.findobj(lambda artist: isinstance(artist, Text) and len(artist.get_text()) > 20)
    extent = title.get_window_extent()
    assert figure.bbox.x0 <= extent.x0
    assert extent.x1 <= figure.bbox.x1

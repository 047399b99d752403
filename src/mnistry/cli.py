"""The command line: a thin layer that parses, calls and prints.

Results go to standard output, progress and notes to standard error. Nothing heavy is imported before a
command runs, so that help appears at once.
"""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mnistry import __version__
from mnistry.errors import MnistryError, RunError

if TYPE_CHECKING:
    from collections.abc import Callable

    from mnistry.runs import Run

DEFAULT_EPOCHS = 20  # not a default of the option, so that --resume can tell whether it was given

app = typer.Typer(
    name="mnistry",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Handwritten digits: train on MNIST in seconds, measure honestly, read digits in pictures.\n\n"
    "Begin with: mnistry train",
)
data_app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Look at a data set, or write it in another format."
)
app.add_typer(data_app, name="data")


class Backend(StrEnum):
    """The back ends of Keras."""

    jax = "jax"
    tensorflow = "tensorflow"
    torch = "torch"


BackendOption = Annotated[
    Backend | None, typer.Option(help="Back end of Keras; KERAS_BACKEND, or else jax, by default.")
]
DataOption = Annotated[
    str,
    typer.Option(
        metavar="PATH",
        help="Data set: 'mnist', or IDX, .npz, CSV or Parquet files, or a folder of class folders.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")]
ModelOption = Annotated[
    Path | None,
    typer.Option(
        "--model", metavar="RUN", help="Run directory or .keras file; the newest run in runs/ by default."
    ),
]
ModelArgument = Annotated[
    Path | None,
    typer.Argument(metavar="[RUN]", help="Run directory or .keras file; the newest run in runs/ by default."),
]


def main(argv: list[str] | None = None) -> int:
    """Run the command line; the exit code: 0 done, 1 the input is at fault, 2 usage, 130 interrupted."""
    try:
        app(argv, prog_name="mnistry")
    except MnistryError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    return 0


@app.command()
def train(
    model: Annotated[
        str,
        typer.Option(metavar="NAME", help="Network: linear, mlp, lenet5, or your own as file.py:function."),
    ] = "mlp",
    data: DataOption = "mnist",
    epochs: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, help=f"Passes over the training images.  [default: {DEFAULT_EPOCHS}]"
        ),
    ] = None,
    batch_size: Annotated[int, typer.Option(metavar="N", min=1, help="Images a step.")] = 32,
    learning_rate: Annotated[
        float, typer.Option(metavar="X", help="Step size of the optimizer Adam.")
    ] = 1e-3,
    validation: Annotated[
        float,
        typer.Option(
            metavar="SHARE", min=0, max=0.99, help="Share of the training images kept to validate on."
        ),
    ] = 0.2,
    seed: Annotated[
        int, typer.Option(metavar="N", min=0, help="Of the first weights, the order and dropout.")
    ] = 0,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Run directory; a new one in runs/ by default.")
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option(metavar="RUN", help="Go on with a run that was stopped, or to more --epochs."),
    ] = None,
    backend: BackendOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train a network, test it and draw its curves.

    Without options: the classic six steps on MNIST (784-128-10, Adam, batches of 32, 20 epochs, the last 20 %
    of the training images to validate on). Ctrl-C ends after the current epoch with everything saved.
    """
    from mnistry import training

    if resume is not None:
        from mnistry.runs import Run

        _start(Run.open(resume).record.get("backend") if backend is None else backend)
        run = training.resume(resume, epochs=epochs, note=_note)
    else:
        settings: dict[str, Any] = {
            "model": model,
            "epochs": epochs or DEFAULT_EPOCHS,
            "batch_size": batch_size,
            "learning_rate": learning_rate,
            "validation": validation,
            "seed": seed,
        }
        try:
            training.Config(**settings)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from error
        _start(backend)
        run = training.train(data, out=out, note=_note, **settings)
    if as_json:
        print(json.dumps({"run": str(run.path), **run.record}))
    else:
        _print_run(run)
    if run.status == "interrupted":
        raise typer.Exit(130)


@app.command()
def evaluate(
    model: ModelArgument = None,
    data: Annotated[
        str | None,
        typer.Option(metavar="PATH", help="Data set; its test part counts. The run's own by default."),
    ] = None,
    backend: BackendOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure a network on test images, and show where it errs."""
    from mnistry.evaluation import evaluate

    path = _model_path(model)
    classify, record = _load_classifier(path, backend)
    test = _test_part(data, record)
    evaluation = evaluate(classify, test)
    print(json.dumps({"model": str(path), **evaluation.to_dict()}) if as_json else evaluation)


@app.command()
def read(
    pictures: Annotated[
        list[Path], typer.Argument(metavar="PICTURE...", help="Image files with one digit each.")
    ],
    model: ModelOption = None,
    invert: Annotated[
        bool | None,
        typer.Option(
            "--invert/--no-invert", help="Light ink on dark, or dark on light; found out by default."
        ),
    ] = None,
    backend: BackendOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a picture.")] = False,
) -> None:
    """Read the digit in each picture, of any size and polarity."""
    from mnistry.dataset import DIGITS
    from mnistry.reader import read_files

    classify, record = _load_classifier(_model_path(model), backend)
    failed = 0
    for reading in read_files(
        pictures, classify, invert=invert, class_names=record.get("class_names", DIGITS)
    ):
        failed += reading.error is not None
        if as_json:
            print(json.dumps(reading.to_dict()))
        elif reading.error is not None:
            print(f"error: {reading.error}", file=sys.stderr)
        else:
            name = f"{reading.file}: " if len(pictures) > 1 else ""
            confidence = min(digit.confidence for line in reading.lines for digit in line.digits)
            print(f"{name}{reading.text}  {confidence:.3f}")
    if failed:
        raise typer.Exit(1)


@app.command()
def plot(model: ModelArgument = None, backend: BackendOption = None) -> None:
    """Draw the curves and pictures of a run again."""
    from mnistry.evaluation import evaluate
    from mnistry.runs import Run
    from mnistry.training import draw_plots

    run = Run.open(_model_path(model))
    classify, record = _load_classifier(run.path, backend)
    test = _test_part(None, record)
    draw_plots(run, run.history(), evaluate(classify, test), test)
    for picture in sorted(run.plots_path.glob("*.png")):
        print(picture)


@data_app.command("info")
def data_info(
    path: Annotated[
        str, typer.Argument(metavar="[PATH]", help="'mnist', or a path as --data takes it.")
    ] = "mnist",
    as_json: JsonOption = False,
) -> None:
    """Say what a data set holds: its parts, classes and checksums."""
    from mnistry.data import load_data

    parts = [part for part in load_data(path) if part is not None]
    if as_json:
        print(json.dumps({"parts": [_describe(part) for part in parts]}))
        return
    for part in parts:
        print(f"{part.name}: {len(part):,} images of 28 x 28 pixels, {part.num_classes} classes")
        for name, count in zip(part.class_names, part.class_counts(), strict=True):
            print(f"  {name:<12} {count:7,}  {count / len(part):6.1%}")
        print(f"  SHA-256 {part.sha256}")


@data_app.command("show")
def data_show(
    path: Annotated[
        str, typer.Argument(metavar="[PATH]", help="'mnist', or a path as --data takes it.")
    ] = "mnist",
    out: Annotated[Path, typer.Option(metavar="FILE", help="Where the picture goes.")] = Path("data.png"),
    count: Annotated[int, typer.Option(metavar="N", min=1, max=400, help="Number of images.")] = 50,
    test: Annotated[
        bool, typer.Option("--test", help="Show the test part instead of the training part.")
    ] = False,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Of the choice of images.")] = 0,
) -> None:
    """Draw a sheet of images with their labels."""
    from matplotlib.figure import Figure

    from mnistry.data import load_data
    from mnistry.plots import plot_images, save_figure

    train_part, test_part = load_data(path)
    if test and test_part is None:
        raise MnistryError(f"{path!r} has no test part")
    part = (test_part if test else train_part) or train_part
    sample = part.shuffle(seed).take(min(count, len(part)))
    columns = min(10, len(sample))
    rows = -(-len(sample) // columns)
    figure = Figure((0.8 * columns + 0.4, 0.95 * rows + 0.6))
    plot_images(sample.images, sample.labels, columns=columns, class_names=part.class_names, figure=figure)
    save_figure(figure, out)
    print(out)


@data_app.command("export")
def data_export(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="'mnist', or a path as --data takes it.")],
    destination: Annotated[Path, typer.Argument(metavar="DESTINATION", help="File or folder to write.")],
    kind: Annotated[
        str | None,
        typer.Option(
            help="idx, npz, csv, parquet or folder; taken from the suffix of DESTINATION by default."
        ),
    ] = None,
) -> None:
    """Write a data set in another format."""
    from mnistry.data import load_data, save_data

    save_data(load_data(source), destination, kind)
    print(destination)


@app.callback(invoke_without_command=True)
def _version(
    version: Annotated[bool, typer.Option("--version", help="Print the version and end.")] = False,
) -> None:
    if version:
        print(f"mnistry {__version__}")
        raise typer.Exit


def _start(backend: str | None) -> None:
    from mnistry.backend import choose_backend

    choose_backend(backend, own_process=True)


def _note(text: str) -> None:
    print(f"note: {text}", file=sys.stderr)


def _model_path(path: Path | None) -> Path:
    if path is not None:
        return path
    from mnistry.runs import latest_run

    run = latest_run()
    if run is None:
        raise RunError("no trained model in runs/: train one with mnistry train, or name a run directory")
    return run.path


def _load_classifier(path: Path, backend: str | None) -> tuple[Callable[[Any], Any], dict[str, Any]]:
    """The function images -> logits of a run or a .keras file, and the run's record (empty for a file)."""
    from mnistry.models import as_classifier, load_keras
    from mnistry.runs import Run

    if path.is_dir():
        run = Run.open(path)
        _start(backend or run.record.get("backend"))
        return as_classifier(run.load_model()), run.record
    _start(backend)
    return as_classifier(load_keras(path)), {}


def _test_part(data: str | None, record: dict[str, Any]) -> Any:
    from mnistry.data import load_data
    from mnistry.training import Config, prepare_data

    config = Config(**record["config"]) if "config" in record else Config()
    if data is None and config.data.startswith("<"):
        raise RunError("the run was trained on data in memory: name a data set with --data")
    own = data is None or data == config.data
    loaded = load_data(config.data if data is None else data)
    if own:
        return prepare_data(loaded, config).test
    # Foreign data was never trained on: without a test part, all of it counts.
    return loaded[1] or loaded[0]


def _describe(part: Any) -> dict[str, Any]:
    return {
        "name": part.name,
        "images": len(part),
        "classes": dict(zip(part.class_names, part.class_counts().tolist(), strict=True)),
        "sha256": part.sha256,
    }


def _print_run(run: Run) -> None:
    metrics = run.metrics
    low, high = metrics["accuracy_interval"]
    first = run.record["first_test_image"]
    print(
        f"Model Accuracy: {metrics['accuracy']:.2%} "
        f"(95 % interval {low:.2%} to {high:.2%}, {metrics['n']:,} test images)"
    )
    print(f"Model Prediction: {run.record['class_names'][first['predicted']]}")
    epochs, fit_s = run.record["epochs_done"], run.record["seconds"]["fit"]
    print(f"\nTrained {epochs} epochs in {fit_s:.1f} s. Everything is in {run.path}:")
    print("  model.keras  the network        history.csv  every epoch       run.json  settings and figures")
    print(f"  plots/       {', '.join(path.name for path in sorted(run.plots_path.glob('*.png')))}")
    if run.status == "interrupted":
        print(f"\nStopped early. Go on with: mnistry train --resume {run.path}")
        return
    print("\nTry next:")
    for command, purpose in (
        (f"mnistry evaluate {run.path}", "where it errs, digit by digit"),
        ("mnistry read digit.png", "your own handwriting, one digit a picture"),
        ("mnistry train --model lenet5", "a convolutional network"),
        ("mnistry data show", "what the images look like"),
    ):
        print(f"  {command:<45} {purpose}")


if __name__ == "__main__":
    sys.exit(main())

"""The command line: a thin layer that parses, calls and prints.

Results go to standard output, progress and notes to standard error. Nothing heavy is imported before a
command runs, so that help appears at once.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import warnings
from dataclasses import asdict
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mnistry import __version__
from mnistry.errors import DataError, MnistryError, RunError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mnistry.dataset import Dataset
    from mnistry.runs import Run

PICTURE_SUFFIXES = (".png", ".pdf", ".svg", ".jpg")

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
    str | None,
    typer.Option(
        metavar="PATH",
        help="Data set: 'mnist', or IDX, .npz, CSV or Parquet files, or a folder of class folders.  [mnist]",
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
    warnings.showwarning = _warn
    try:
        app(argv, prog_name="mnistry")
    except MnistryError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except OSError as error:
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
    recipe: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Settings to begin with: classic, fast or best.  [classic]"),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Network: linear, mlp, lenet5, small_convnet, convnet, tiny, or file.py:function of your "
            "own.  [classic: mlp]",
        ),
    ] = None,
    data: DataOption = None,
    epochs: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Passes over the training images.  [classic: 20]")
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Images a step.  [classic: 32]")
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option(metavar="X", help="Step size of the optimizer Adam.  [classic: 0.001]")
    ] = None,
    validation: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            min=0,
            max=0.99,
            help="Share of the training images kept to validate on.  [classic: 0.2]",
        ),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(metavar="N", min=0, help="Of the first weights, the order and dropout.  [0]")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Run directory; a new one in runs/ by default.")
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option(metavar="RUN", help="Go on with a run that was stopped, or to more --epochs."),
    ] = None,
    show: Annotated[bool, typer.Option("--show", help="Print the settings and train nothing.")] = False,
    backend: BackendOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train a network, test it and draw its curves.

    Without options: the classic six steps on MNIST (784-128-10, Adam, batches of 32, 20 epochs, the last 20 %
    of the training images to validate on). Ctrl-C ends after the current epoch with everything saved.
    """
    from mnistry import training
    from mnistry.backend import choose_backend
    from mnistry.recipes import find_recipe

    options = {
        "model": model,
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "validation": validation,
        "seed": seed,
    }
    settings: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    if resume is not None:
        from mnistry.runs import Run

        others = [name for name in settings if name != "epochs"]
        others += [name for name, value in (("out", out), ("recipe", recipe), ("data", data)) if value]
        if others:
            raise typer.BadParameter(
                f"--resume goes on with the run's own settings: leave out --{others[0].replace('_', '-')} "
                "(only --epochs can be raised), or start a new run"
            )
        start = partial(choose_backend, own_process=True)
        if backend is not None and backend != Run.open(resume).record.get("backend"):
            raise RunError(f"{str(resume)!r} began on another back end than {backend}: leave out --backend")
        run = training.resume(resume, epochs=epochs, note=_note, start=start)
    else:
        try:
            config = find_recipe(recipe or "classic", data=data or "mnist", **settings)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from error
        if show:
            _print_settings(asdict(config), as_json)
            return
        start = partial(choose_backend, backend, own_process=True)
        run = training.train(
            data or "mnist", recipe=recipe or "classic", out=out, note=_note, start=start, **settings
        )
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
    classify, class_names, run = _load_classifier(path, backend)
    test = _test_part(data, run, class_names)
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
    from mnistry.reader import read_files

    classify, class_names, _ = _load_classifier(_model_path(model), backend)
    failed = 0
    for reading in read_files(pictures, classify, invert=invert, class_names=class_names):
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
    classify, class_names, _ = _load_classifier(run.path, backend)
    test = _test_part(None, run, class_names)
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
    if out.suffix.lower() not in PICTURE_SUFFIXES:
        raise typer.BadParameter(f"--out must end in {', '.join(PICTURE_SUFFIXES)}, received {out.name!r}")
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


def _print_settings(settings: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print(json.dumps(settings))
        return
    flat = {name: value for name, value in settings.items() if name != "augmentation"}
    flat |= {name: value for name, value in settings["augmentation"].items() if value}
    for name, value in flat.items():
        print(f"{name:<24}{value}")


def _start(backend: str | None) -> None:
    from mnistry.backend import choose_backend

    choose_backend(backend, own_process=True)


def _warn(message: Any, *rest: Any, **named: Any) -> None:
    _note(str(message))


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


def _load_classifier(
    path: Path, backend: str | None
) -> tuple[Callable[[Any], Any], Sequence[str], Run | None]:
    """The function images -> logits of a run or a .keras file, its class names, and the run."""
    from mnistry.models import as_classifier, load_keras
    from mnistry.runs import Run

    if path.is_dir():
        run = Run.open(path)
        _start(backend or os.environ.get("KERAS_BACKEND") or run.record.get("backend"))
        return run.classifier(), run.record.get("class_names", ()), run
    if not path.exists():
        runs = ", ".join(str(found.parent) for found in sorted(Path("runs").glob("*/model.keras"))) or "none"
        raise RunError(f"no run directory or .keras file {str(path)!r}; in runs/ there are: {runs}")
    _start(backend)
    model = load_keras(path)
    return as_classifier(model), [str(label) for label in range(model.output_shape[-1])], None


def _test_part(data: str | None, run: Run | None, class_names: Sequence[str]) -> Dataset:
    """The images to measure on: of the data set named, or else of the run's own or of MNIST."""
    from mnistry.data import load_data
    from mnistry.training import lasting_name, prepare_data, read_config

    own = None if run is None else read_config(run)
    name = (own.data if own else "mnist") if data is None else lasting_name(data)
    if name.startswith("<"):
        raise RunError("the run was trained on data in memory: name a data set with --data")
    loaded = load_data(name)
    # Foreign data was never trained on: without a test part, all of it counts.
    test = prepare_data(loaded, own).test if own and name == own.data else loaded[1] or loaded[0]
    if tuple(class_names) != test.class_names:
        raise DataError(
            f"{test.name} has the classes {', '.join(test.class_names)}, "
            f"expected those of the network: {', '.join(class_names)}"
        )
    return test


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
    print(f"\nTrained {epochs} epoch{'s' * (epochs != 1)} in {fit_s:.1f} s. Everything is in {run.path}:")
    print("  model.keras  the network        history.csv  every epoch       run.json  settings and figures")
    print(f"  plots/       {', '.join(path.name for path in sorted(run.plots_path.glob('*.png')))}")
    if run.status == "interrupted":
        print(f"\nStopped early. Go on with: {_own_name()} train --resume {run.path}")
        return
    print("\nTry next:")
    name = _own_name()
    hints = {
        f"{name} evaluate {run.path}": "where it errs, digit by digit",
        f"{name} read digit.png": "your own handwriting, one digit a picture",
        f"{name} train --model lenet5": "a convolutional network",
        f"{name} data show": "what the images look like",
    }
    width = max(map(len, hints)) + 2
    for command, purpose in hints.items():
        print(f"  {command:<{width}}{purpose}")


def _own_name() -> str:
    """What to type for this program: its name, or the way to it where no folder of PATH has it."""
    if shutil.which("mnistry"):
        return "mnistry"
    path = Path(sys.argv[0])
    return str(path) if path.name == "mnistry" else "python -m mnistry.cli"


if __name__ == "__main__":
    sys.exit(main())

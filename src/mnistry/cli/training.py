"""mnistry train."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mnistry.cli.options import BackendOption, DataOption, JsonOption, SetOption, change_settings, print_note
from mnistry.errors import RunError

if TYPE_CHECKING:
    from mnistry.runs import Run


def train(
    recipe: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Settings to begin with: classic, fast, better, best, augmented or tiny.  [classic]",
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Network: linear, mlp, lenet5, small_convnet, medium_convnet, convnet, tiny, or "
            "file.py:function of your own.  [classic: mlp]",
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
    changes: SetOption = None,
    ensemble: Annotated[
        int | None,
        typer.Option(metavar="N", min=2, help="Train N networks, with a seed each, that answer together."),
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
    """Train a network, calibrate and test it, and draw its curves.

    Without options: the classic six steps on MNIST (784-128-10, Adam, batches of 32, 20 epochs, the last 20 %
    of the training images to validate on). Ctrl-C ends after the current epoch with everything saved.
    --show prints every setting by the name that --set takes.
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
        others = [name for name in settings if name != "epochs"]
        new = {"out": out, "recipe": recipe, "data": data, "set": changes, "ensemble": ensemble}
        others += [name for name, value in new.items() if value]
        if others:
            raise typer.BadParameter(
                f"--resume goes on with the run's own settings: leave out --{others[0].replace('_', '-')} "
                "(only --epochs can be raised), or start a new run"
            )
        _check_backend(resume, backend)
        start = partial(choose_backend, own_process=True)
        run = training.resume(resume, epochs=epochs, note=print_note, start=start)
    else:
        recipe = recipe or "classic"
        changed = change_settings(recipe, changes or [])
        if twice := sorted(settings.keys() & changed.keys()):
            raise typer.BadParameter(f"{twice[0]} is set twice: by an option of its own and by --set")
        settings |= changed
        try:
            config = find_recipe(recipe, data=data or "mnist", **settings)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from error
        if show:
            _print_settings(asdict(config), as_json)
            return
        start = partial(choose_backend, backend, own_process=True)
        run = training.train(
            data or "mnist",
            recipe=recipe,
            ensemble=ensemble,
            out=out,
            note=print_note,
            start=start,
            **settings,
        )
    if as_json:
        print(json.dumps({"run": str(run.path), **run.record}))
    else:
        _print_run(run)
    if run.status == "interrupted":
        raise typer.Exit(130)


def _check_backend(path: Path, backend: str | None) -> None:
    from mnistry.runs import Run

    began = Run.open(path).record.get("backend")
    if backend is not None and began is not None and backend != began:
        raise RunError(
            f"{str(path)!r} began on {began} and goes on only there, not on {backend}: leave out --backend"
        )


def _print_settings(settings: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print(json.dumps(settings))
        return
    flat = {name: value for name, value in settings.items() if name != "augmentation"}
    flat |= settings["augmentation"]
    for name, value in flat.items():
        print(f"{name:<24}{value}")
    print(f"(optimizer: {'AdamW' if settings['weight_decay'] else 'Adam'})")


def _print_run(run: Run) -> None:
    if run.metrics:
        _print_figures(run)
    print(f"\n{_how_long(run)} Everything is in {run.path}:")
    members = run.record.get("members")
    files = {
        "model.keras": "the network",
        "model.onnx": "for ONNX Runtime",
        "history.csv": "every epoch",
        "run.json": "settings and figures",
        "plots": ", ".join(path.name for path in sorted(run.plots_path.glob("*.png"))),
    }
    if members:
        name = f"{members[0]['name']} ..."
        print(f"  {name:<13}the runs of the {len(members)} networks")
    for name, content in files.items():
        if (run.path / name).exists():
            print(f"  {name:<13}{content}")
    if run.status == "interrupted":
        print(f"\nStopped early. Go on with: {_own_name()} train --resume {run.path}")
        return
    print("\nTry next:")
    name = _own_name()
    hints = {
        f"{name} evaluate {run.path}": "where it errs, digit by digit",
        f"{name} read PICTURE --model {run.path}": "your own handwriting, one digit a picture",
        f"{name} train --recipe fast": "a convolutional network",
        f"{name} data show": "what the images look like",
    }
    if run.record["config"]["model"] != "mlp":
        del hints[f"{name} train --recipe fast"]
    width = max(map(len, hints)) + 2
    for command, purpose in hints.items():
        print(f"  {command:<{width}}{purpose}")


def _print_figures(run: Run) -> None:
    metrics = run.metrics
    low, high = metrics["accuracy_interval"]
    first = run.record["first_test_image"]
    print(
        f"Model Accuracy: {metrics['accuracy']:.2%} "
        f"(95 % interval {low:.2%} to {high:.2%}, {metrics['n']:,} test image{'s'[: metrics['n'] != 1]})"
    )
    print(f"Model Prediction: {run.record['class_names'][first['predicted']]}")
    members = run.record.get("members", [])
    if members:
        accuracies = ", ".join(format(member["accuracy"], ".2%") for member in members)
        print(f"Networks Alone: {accuracies}")
    calibration = run.calibration
    if calibration is None:
        print("Calibration Error: unknown; no images were kept to validate on, so confidences are raw")
    else:
        print(
            f"Calibration Error: {calibration.ece_after:.2%} "
            f"({calibration.ece_before:.2%} before calibration, {calibration.n:,} validation images)"
        )


def _how_long(run: Run) -> str:
    seconds = run.record["seconds"]["fit"] if run.metrics else None
    time = "" if seconds is None else f" in {seconds:.1f} s"
    if "members" in run.record:
        done = sum(member.status == "finished" for member in run.members())
        return f"Trained {done} of {len(run.record['members'])} networks{time}."
    epochs = run.record["epochs_done"]
    return f"Trained {epochs} epoch{'s' * (epochs != 1)}{time}."


def _own_name() -> str:
    """What to type for this program: its name, or the way to it where no folder of PATH has it."""
    if shutil.which("mnistry"):
        return "mnistry"
    path = Path(sys.argv[0])
    return str(path) if path.name == "mnistry" else "python -m mnistry.cli"

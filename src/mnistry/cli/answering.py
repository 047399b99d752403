"""mnistry evaluate, read and plot: what a trained network answers."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mnistry.cli.options import AnswerBackendOption, JsonOption, ModelArgument
from mnistry.cli.sources import choose_path, find_test_part, load_source

if TYPE_CHECKING:
    from mnistry.calibration import Calibration
    from mnistry.evaluation import Evaluation
    from mnistry.readings import Line


def evaluate(
    model: ModelArgument = None,
    data: Annotated[
        str | None,
        typer.Option(metavar="PATH", help="Data set; its test part counts. The run's own by default."),
    ] = None,
    backend: AnswerBackendOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure a network on test images, and show where it errs."""
    from mnistry.evaluation import evaluate

    source = load_source(choose_path(model), backend)
    test = find_test_part(data, source.run, source.class_names)
    evaluation = evaluate(source.classify, test)
    accepted = _measure_accepted(evaluation, source.calibration)
    if as_json:
        print(json.dumps({"model": source.name, **evaluation.to_dict(), "accepted": accepted}))
        return
    print(evaluation)
    if accepted is None:
        print("\nnot calibrated: no images were kept to validate on")
    else:
        print(
            f"\n{accepted['coverage']:.2%} of the answers are accepted (confidence from "
            f"{accepted['threshold']:.3f}); {accepted['accuracy']:.2%} of these are right"
        )


def read(
    pictures: Annotated[list[Path], typer.Argument(metavar="PICTURE...", help="Image files.")],
    model: Annotated[
        Path | None,
        typer.Option(
            "--model",
            metavar="RUN",
            help="Run directory, .onnx or .keras file; by default the classifier that comes with mnistry.",
        ),
    ] = None,
    single: Annotated[
        bool | None,
        typer.Option(
            "--single/--page",
            help="One digit a picture, or any number; a page by default, one digit for a network that does "
            "not know what is no digit.",
        ),
    ] = None,
    expect: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="How many digits every line has.")
    ] = None,
    pattern: Annotated[
        str | None,
        typer.Option(metavar="REGEX", help=r"What every line matches, such as '\d{5}' for a ZIP code."),
    ] = None,
    invert: Annotated[
        bool | None,
        typer.Option(
            "--invert/--no-invert", help="Light ink on dark, or dark on light; found out by default."
        ),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            min=0,
            max=1,
            help="Confidence from which a digit is accepted; by default what the calibration found.",
        ),
    ] = None,
    backend: AnswerBackendOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a picture.")] = False,
) -> None:
    """Read the digits in each picture, of any size and polarity, line by line.

    Each line is printed with the least confidence of its digits. Marks that are no digit are refused, not
    guessed.
    """
    from mnistry.reader import read_files

    source = load_source(model, backend)
    if threshold is None and source.calibration is not None and source.classifier is None:
        threshold = source.calibration.threshold
    failed = 0
    try:
        readings = read_files(
            pictures,
            source.classifier or source.classify,
            single=single,
            invert=invert,
            threshold=threshold,
            class_names=source.class_names,
            expect=expect,
            pattern=pattern,
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    for reading in readings:
        failed += reading.error is not None
        if as_json:
            print(json.dumps(reading.to_dict()))
        elif reading.error is not None:
            print(f"error: {reading.error}", file=sys.stderr)
        else:
            for line in reading.lines:
                name = f"{reading.file}: " if len(pictures) > 1 else ""
                print(f"{name}{_describe(line)}")
    if failed:
        raise typer.Exit(1)


def plot(model: ModelArgument = None, backend: AnswerBackendOption = None) -> None:
    """Draw the curves and pictures of a run again."""
    from mnistry.evaluation import evaluate
    from mnistry.jobs import draw_plots
    from mnistry.runs import Run

    run = Run.open(choose_path(model))
    history = run.history()
    source = load_source(run.path, backend)
    test = find_test_part(None, run, source.class_names)
    draw_plots(run, history, evaluate(source.classify, test), test)
    for picture in sorted(run.plots_path.glob("*.png")):
        print(picture)


def _measure_accepted(evaluation: Evaluation, calibration: Calibration | None) -> dict[str, Any] | None:
    """Which share of the images is accepted, and which share of these is answered rightly."""
    if calibration is None:
        return None
    accepted = evaluation.probabilities.max(axis=1) >= calibration.threshold
    count = int(accepted.sum())
    wrong = sum(mistake.confidence >= calibration.threshold for mistake in evaluation.mistakes)
    return {
        "threshold": calibration.threshold,
        "coverage": count / evaluation.n,
        "accuracy": (count - wrong) / count if count else 1.0,
    }


def _describe(line: Line) -> str:
    """The text of a line, how sure it is, and what was refused."""
    accepted = [digit.confidence for digit in line.digits if digit.accepted]
    refused = [digit for digit in line.digits if not digit.accepted]
    text = f"{line.text}  {min(accepted):.3f}" if accepted else "-"
    if line.free_text is not None and line.free_text != line.text:
        text += f"  (read freely: {line.free_text or '-'})"
    if len(line.digits) == 1 and refused:
        return f"{text}  (refused: {refused[0].label}? {refused[0].confidence:.3f})"
    if refused:
        marks = "1 mark that is no digit" if len(refused) == 1 else f"{len(refused)} marks that are no digits"
        text += f"  (refused: {marks})"
    return text

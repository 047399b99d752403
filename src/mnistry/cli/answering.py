"""mnistry evaluate and plot: how well a trained network answers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mnistry.cli.options import AnswerBackendOption, JsonOption, ModelArgument, RunArgument
from mnistry.cli.sources import choose_path, find_test_part, load_source

if TYPE_CHECKING:
    from mnistry.calibration import Calibration
    from mnistry.evaluation import Evaluation


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
    if model is None:
        print(f"{source.name}, the newest run:\n")
    print(evaluation)
    if accepted is None:
        print("\nnot calibrated: no images were kept to validate on")
    else:
        print(
            f"\n{accepted['coverage']:.2%} of the answers are accepted (confidence from "
            f"{accepted['threshold']:.3f}); {accepted['accuracy']:.2%} of these are right"
        )


def plot(path: RunArgument = None, backend: AnswerBackendOption = None) -> None:
    """Draw the curves and pictures of a run again."""
    from mnistry.evaluation import evaluate
    from mnistry.jobs import draw_plots
    from mnistry.runs import Run

    run = Run.open(choose_path(path))
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

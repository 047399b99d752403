"""One network, from its first weights or a checkpoint to a finished run."""

from __future__ import annotations

import contextlib
import importlib
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mnistry.backend import fix_seed, hasty_compilation
from mnistry.calibration import calibrate, fit_calibration
from mnistry.classifier import NOT_A_DIGIT
from mnistry.dataset import Dataset
from mnistry.errors import ModelError
from mnistry.evaluation import Evaluation, evaluate
from mnistry.models import as_classifier, build_model
from mnistry.recipes import Config, make_loss, make_optimizer
from mnistry.records import Clock
from mnistry.runs import History, Run
from mnistry.splits import Note, Splits

if TYPE_CHECKING:
    import keras

# What the end of a job needs, imported while the first epochs are computed.
NEEDED_LATER = (
    "matplotlib.figure",
    "matplotlib.backends.backend_agg",
    "mnistry.plots",
    "onnxruntime",
    "onnx",
)


def build_compiled(config: Config, num_classes: int, images: int) -> keras.Model:
    """The model with its first weights, loss, optimizer and metric, for training on so many images.

    Raises:
        ModelError: there is no such model, or it does not take images and give logits.
    """
    fix_seed(config.seed)
    steps = -(-images // config.batch_size) * config.epochs
    with hasty_compilation():
        model = build_model(config.model, num_classes)
        model.compile(make_optimizer(config, steps), make_loss(config, num_classes), metrics=["accuracy"])
        model.optimizer.build(model.trainable_variables)
    return model


def complete(
    run: Run,
    model: keras.Model,
    splits: Splits,
    config: Config,
    *,
    clock: Clock,
    verbose: str | int = "auto",
    note: Note | None = None,
) -> Run:
    """Train what is left, then everything else up to the finished run.

    Args:
        run: its record holds what `describe_start` says.
        model: from `build_compiled`; the checkpoint, if there is one, replaces its weights.
        splits: the data.
        config: the settings.
        clock: counts the seconds of the record.
        verbose: progress, as in `mnistry.fit`.
        note: is told what the reader of the figures should know.

    Raises:
        RunError: another process trains in the directory, its checkpoint is damaged, or it cannot be written.
        ModelError: the training diverged.
    """
    with run.locked():
        run.record |= {"optimizer": type(model.optimizer).__name__, "loss": _name_of(model.loss)}
        history, times = _fit(run, model, splits, config, verbose, clock)
        if config.label_smoothing:  # that loss is no part of Keras: without it the file opens everywhere
            model.compile(
                model.optimizer, make_loss(Config(), splits.train.num_classes), metrics=["accuracy"]
            )
        run.save_model(model)
        done = len(next(iter(history.values())))
        finish(run, as_classifier(model), [model], splits, config, clock=clock, note=note, history=history)
        run.record |= {"status": "finished" if done >= config.epochs else "interrupted", "epochs_done": done}
        run.record |= times
        run.save_record()
    return run


def finish(
    run: Run,
    classify: Callable[[Any], Any],
    models: Sequence[keras.Model],
    splits: Splits,
    config: Config,
    *,
    clock: Clock,
    note: Note | None = None,
    history: Mapping[str, Sequence[float]] | None = None,
) -> None:
    """Calibrate, export, measure and draw what was trained: its record lacks only the status then.

    Args:
        run: where it goes.
        classify: images -> logits, as the models give them.
        models: one, or those of an ensemble.
        splits: the data.
        config: the settings.
        clock: counts the seconds of the record.
        note: is told what could not be done.
        history: the metrics of each epoch; without them no curves are drawn.

    Raises:
        RunError: the run directory cannot be written.
        ModelError: the network gives values that are not finite.
    """
    note = note or (lambda text: None)
    calibration = None
    if splits.validation is None:
        note("no images were kept to validate on, so the confidences are not calibrated")
    else:
        answers = splits.validation
        if answers.class_names[-1] == NOT_A_DIGIT:  # confidences are about digits, and so is the coverage
            kept = answers.labels < len(answers.class_names) - 1
            answers = replace(answers, images=answers.images[kept], labels=answers.labels[kept])
        calibration = fit_calibration(answers.labels, classify(answers.images), seed=config.seed)
    run.record["calibration"] = None if calibration is None else calibration.to_dict()
    clock.lap("calibrate")
    evaluation = evaluate(calibrate(classify, calibration), splits.test)
    clock.lap("evaluate")
    _export(run, models, splits.test, note)
    clock.lap("export")
    draw_plots(run, history, evaluation, splits.test)
    clock.lap("plot")
    run.record |= {
        "metrics": evaluation.to_dict(),
        "first_test_image": {"label": int(splits.test.labels[0]), "predicted": int(evaluation.predicted[0])},
        "seconds": clock.seconds,
    }


def draw_plots(
    run: Run, history: Mapping[str, Sequence[float]] | None, evaluation: Evaluation, test: Dataset
) -> None:
    """Write the pictures of a run: its curves, confusion matrix, mistakes and first test image.

    Raises:
        RunError: the run directory cannot be written.
    """
    from matplotlib.figure import Figure

    from mnistry import plots

    if history:
        for metric in ("loss", "accuracy"):
            figure = Figure((7, 4.2), layout="constrained")
            plots.plot_history(history, metric, ax=figure.subplots())
            run.save_plot(figure, metric)
    figure = Figure((7.3, 6.5), layout="constrained")
    plots.plot_confusion_matrix(evaluation.confusion_matrix, test.class_names, ax=figure.subplots())
    run.save_plot(figure, "confusion_matrix")
    if evaluation.errors:
        run.save_plot(plots.plot_mistakes(evaluation, test, figure=Figure((6, 7))), "mistakes")
    figure = plots.plot_prediction(
        test.images[0],
        evaluation.probabilities[0],
        int(test.labels[0]),
        test.class_names,
        figure=Figure((7.2, 3.4)),
    )
    run.save_plot(figure, "prediction")


def _fit(
    run: Run, model: keras.Model, splits: Splits, config: Config, verbose: str | int, clock: Clock
) -> tuple[History, dict[str, Any]]:
    """Train from the checkpoint to the last epoch; the history, and when this process did what."""
    import keras

    from mnistry.fitting import fit

    epoch, history, seconds = run.restore_epoch(model)
    clock.add(seconds)
    run.mend(history)

    began: list[float] = []  # Unix time of each epoch of this process
    epoch_s: list[float] = []

    def begin_epoch(index: int, logs: Mapping[str, float]) -> None:
        began.append(time.time())

    def save_epoch(index: int, logs: Mapping[str, float]) -> None:
        if not np.isfinite(logs["loss"]):
            raise ModelError(
                f"the training diverged: the loss is {logs['loss']} after epoch {index + 1}. "
                f"Try a smaller learning rate than {config.learning_rate:g}"
            )
        epoch_s.append(round(time.time() - began[-1], 4))
        if len(epoch_s) == 1:  # not earlier: Python code would hold back the tracing of the first step
            threading.Thread(target=_load_ahead, daemon=True).start()
        for name, value in logs.items():
            history.setdefault(name, []).append(float(value))
        clock.lap("fit")
        run.save_epoch(model, index + 1, history, clock.seconds)

    clock.lap("build")
    fit(
        model,
        splits.train.images,
        splits.train.labels,
        batch_size=config.batch_size,
        epochs=config.epochs,
        initial_epoch=epoch,
        verbose=verbose,
        callbacks=[keras.callbacks.LambdaCallback(on_epoch_begin=begin_epoch, on_epoch_end=save_epoch)],
        validation_data=splits.validation,
        seed=config.seed,
        augment=config.augmentation if config.augments else None,
    )
    clock.lap("fit")
    return history, {"epoch_seconds": epoch_s, "first_epoch_at": began[0] if began else None}


def _export(run: Run, models: Sequence[keras.Model], test: Dataset, note: Note) -> None:
    """Write model.onnx, or say why there is none."""
    from mnistry.exporting.checking import describe_run
    from mnistry.exporting.onnx import export_onnx

    try:
        export_onnx(models, run.onnx_path, images=test.images, metadata=describe_run(run))
    except ModelError as error:
        note(f"there is no {run.onnx_path.name}, so answers need Keras: {error}")


def _load_ahead() -> None:
    for module in NEEDED_LATER:
        with contextlib.suppress(ImportError):
            importlib.import_module(module)


def _name_of(loss: Any) -> str:
    return str(getattr(loss, "name", None) or getattr(loss, "__name__", loss))

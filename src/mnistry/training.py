"""The job: data -> model -> fit -> evaluate -> pictures, kept in a run directory that survives a kill."""

from __future__ import annotations

import datetime
import hashlib
import importlib
import os
import platform
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mnistry import __version__
from mnistry.backend import choose_backend, fix_seed
from mnistry.data import load_data
from mnistry.dataset import Dataset
from mnistry.errors import DataError, ModelError, RunError
from mnistry.evaluation import Evaluation, evaluate
from mnistry.models import as_classifier, build_model, check_model_name
from mnistry.recipes import Config, find_recipe, make_loss, make_optimizer
from mnistry.runs import Run, new_run_path

if TYPE_CHECKING:
    import keras

TEST_SHARE = 0.15  # of a data set that comes without a test part
Note = Callable[[str], None]


@dataclass(frozen=True)
class Splits:
    """The three parts of the data; `validation` is None where none is kept apart."""

    train: Dataset
    validation: Dataset | None
    test: Dataset


@dataclass
class Clock:
    """Seconds of each stage of a job."""

    seconds: dict[str, float] = field(default_factory=dict)
    _since: float = field(default_factory=time.perf_counter)

    def lap(self, stage: str) -> None:
        """Count the time since the last lap for `stage`."""
        now = time.perf_counter()
        self.seconds[stage] = round(self.seconds.get(stage, 0.0) + now - self._since, 3)
        self._since = now

    def add(self, seconds: Mapping[str, float]) -> None:
        """Count what an earlier process spent on the same job."""
        for stage, value in seconds.items():
            self.seconds[stage] = round(self.seconds.get(stage, 0.0) + value, 3)


def train(
    data: str | os.PathLike[str] | tuple[Dataset, Dataset | None] = "mnist",
    *,
    recipe: str = "classic",
    out: str | os.PathLike[str] | None = None,
    verbose: str | int = "auto",
    note: Note | None = None,
    start: Callable[..., str] = choose_backend,
    **settings: Any,
) -> Run:
    """Train, evaluate and plot; the finished `Run`.

    Args:
        data: "mnist", a path that `load_data` takes, or (train, test) as it returns them.
        recipe: a name in `mnistry.recipes.RECIPES`.
        out: the run directory, new or empty; by default a new one in runs/.
        verbose: progress, as in `mnistry.fit`.
        note: is told, in a sentence each, what a reader of the figures should know about the data.
        start: settles the back end of Keras and gives its name.
        **settings: in place of the recipe's: model, epochs, batch_size, learning_rate, validation, seed and
            the other fields of `mnistry.recipes.Config`.

    Raises:
        MnistryError: the data, the model or the run directory is at fault.
        ValueError: a setting is out of its range.
        TypeError: there is no setting of this name.
    """
    loaded: tuple[Dataset, Dataset | None] | None = None
    if isinstance(data, tuple):
        loaded, name = data, f"<{data[0].name}>"
    else:
        name = lasting_name(os.fspath(data))
    if ":" in settings.get("model", ""):
        settings["model"] = lasting_name(settings["model"])
    config = find_recipe(recipe, data=name, **settings)
    check_model_name(config.model)
    clock = Clock()
    loaded = loaded or load_data(
        config.data
    )  # before Keras, which takes seconds to import: errors come at once
    splits = prepare_data(loaded, config, note)
    clock.lap("data")
    backend = start()
    clock.lap("import")
    model = build_compiled(config, splits.train.num_classes, len(splits.train))
    name = f"{datetime.datetime.now():%Y%m%d-%H%M%S}-{Path(config.model.partition(':')[0]).stem}"
    run = Run.create(out or new_run_path(Path("runs"), name), _record(config, backend, splits))
    return _complete(run, model, splits, config, verbose, clock)


def resume(
    path: str | os.PathLike[str],
    data: tuple[Dataset, Dataset | None] | None = None,
    *,
    epochs: int | None = None,
    verbose: str | int = "auto",
    note: Note | None = None,
    start: Callable[..., str] = choose_backend,
) -> Run:
    """Go on with a run that was killed or interrupted, to the same weights as if it had not been.

    Args:
        path: the run directory.
        data: (train, test), needed only where the run was begun with data sets in memory.
        epochs: train to this number of epochs instead; a finished run goes on.
        verbose: progress, as in `mnistry.fit`.
        note: as in `train`.
        start: as in `train`; called with the back end that the run began on.

    Raises:
        RunError: no such run, a damaged or newer one, or one whose data, model or back end is another now.
        MnistryError: as in `train`.
    """
    run = Run.open(path)
    config = read_config(run)
    backend, status = run.record.get("backend"), run.record.get("status")
    if backend is None or status is None:
        raise RunError(
            f"{str(run.path / 'run.json')!r} holds settings that mnistry cannot use: no back end or status"
        )
    if epochs is not None:
        if epochs < config.epochs:
            raise RunError(f"{str(run.path)!r} is set to {config.epochs} epochs: --epochs can only be more")
        if epochs > config.epochs and config.schedule != "constant":
            raise RunError(
                f"{str(run.path)!r} cannot go on: its learning rate has ended after {config.epochs} epochs"
            )
        config = replace(config, epochs=epochs)
    elif status == "finished":
        return run
    if config.data.startswith("<") and data is None:
        raise RunError(
            f"{str(run.path)!r} was trained on data in memory: resume it in Python with data=(train, test)"
        )
    clock = Clock()
    start(backend)
    clock.lap("import")
    splits = prepare_data(data or load_data(config.data), config, note)
    now = _record(config, backend, splits)
    for key in ("data", "model_source"):
        if now[key] != run.record.get(key):
            raise RunError(
                f"{str(run.path)!r} cannot go on: its {key.replace('_', ' ')} has changed since it began"
            )
    clock.lap("data")
    if now["versions"] != run.record.get("versions") and note is not None:
        note("the run began with other versions of its packages: it may not end bit for bit as it would have")
    model = build_compiled(config, splits.train.num_classes, len(splits.train))
    run.record |= {"config": asdict(config), "status": "training"}
    return _complete(run, model, splits, config, verbose, clock)


def prepare_data(loaded: tuple[Dataset, Dataset | None], config: Config, note: Note | None = None) -> Splits:
    """Training, validation and test part; tells `note` about every choice that was made here.

    Raises:
        DataError: a part would be empty, or train and test have different classes.
    """
    note = note or (lambda text: None)
    train, test = loaded
    if test is None:
        name = train.name
        train, test = _split(train, TEST_SHARE, config.seed)
        note(f"{name} has no test part: {len(test):,} images, drawn with the seed, are kept for the test")
    if test.class_names != train.class_names:
        raise DataError(
            f"{test.name} has the classes {', '.join(test.class_names)}, "
            f"expected those of {train.name}: {', '.join(train.class_names)}"
        )
    if not config.validation:
        return Splits(train, None, test)
    present = set(np.flatnonzero(train.class_counts()))
    parts = _split(train, config.validation, None)
    if any(set(np.flatnonzero(part.class_counts())) != present for part in parts):
        note("the training images are sorted by class: they are shuffled with the seed before the split")
        parts = _split(train, config.validation, config.seed)
    return Splits(*parts, test)


def _split(data: Dataset, share: float, seed: int | None) -> tuple[Dataset, Dataset]:
    try:
        return data.split(share, seed=seed)
    except ValueError as error:
        raise DataError(
            f"{data.name} has too few images, {len(data)}, to keep {share:g} of them apart"
        ) from error


def read_config(run: Run) -> Config:
    """The settings of a run.

    Raises:
        RunError: its record has settings that this mnistry cannot use.
    """
    try:
        return Config(**run.record["config"])
    except (KeyError, TypeError, ValueError) as error:
        path = str(run.path / "run.json")
        raise RunError(f"{path!r} holds settings that this mnistry cannot use: {error}") from error


def build_compiled(config: Config, num_classes: int, images: int) -> keras.Model:
    """The model with its first weights, loss, optimizer and metric, for training on so many images."""
    fix_seed(config.seed)
    model = build_model(config.model, num_classes)
    steps = -(-images // config.batch_size) * config.epochs
    model.compile(make_optimizer(config, steps), make_loss(config, num_classes), metrics=["accuracy"])
    return model


def _complete(
    run: Run, model: keras.Model, splits: Splits, config: Config, verbose: str | int, clock: Clock
) -> Run:
    """Everything from the checkpoint, or the first weights, to the finished run."""
    with run.locked():
        return _complete_locked(run, model, splits, config, verbose, clock)


def _complete_locked(
    run: Run, model: keras.Model, splits: Splits, config: Config, verbose: str | int, clock: Clock
) -> Run:
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
        for name, value in logs.items():
            history.setdefault(name, []).append(float(value))
        clock.lap("fit")
        run.save_epoch(model, index + 1, history, clock.seconds)

    clock.lap("build")
    threading.Thread(target=_load_plotting, daemon=True).start()  # while the first epoch is computed
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
    if config.label_smoothing:  # that loss is no part of Keras: without it the file opens everywhere
        model.compile(model.optimizer, make_loss(Config(), splits.train.num_classes), metrics=["accuracy"])
    run.save_model(model)
    evaluation = evaluate(as_classifier(model), splits.test)
    clock.lap("evaluate")
    draw_plots(run, history, evaluation, splits.test)
    clock.lap("plot")
    done = len(next(iter(history.values())))
    run.record |= {
        "status": "finished" if done >= config.epochs else "interrupted",
        "epochs_done": done,
        "metrics": evaluation.to_dict(),
        "first_test_image": {"label": int(splits.test.labels[0]), "predicted": int(evaluation.predicted[0])},
        "seconds": clock.seconds,
        "epoch_seconds": epoch_s,
        "first_epoch_at": began[0] if began else None,
    }
    run.save_record()
    return run


def _load_plotting() -> None:
    """Import what the pictures need."""
    for module in ("matplotlib.figure", "matplotlib.backends.backend_agg", "mnistry.plots"):
        importlib.import_module(module)


def draw_plots(run: Run, history: Mapping[str, list[float]], evaluation: Evaluation, test: Dataset) -> None:
    """Write the pictures of a run: its curves, confusion matrix, mistakes and first test image."""
    from matplotlib.figure import Figure

    from mnistry import plots

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


def _record(config: Config, backend: str, splits: Splits) -> dict[str, Any]:
    """What run.json says from the beginning."""
    source = Path(config.model.rpartition(":")[0])
    return {
        "config": asdict(config),
        "backend": backend,
        "data": {
            part: {"name": dataset.name, "images": len(dataset), "sha256": dataset.sha256}
            for part, dataset in (
                ("train", splits.train),
                ("validation", splits.validation),
                ("test", splits.test),
            )
            if dataset is not None
        },
        "class_names": list(splits.train.class_names),
        "model_source": hashlib.sha256(source.read_bytes()).hexdigest() if source.is_file() else None,
        "versions": {"mnistry": __version__, "python": platform.python_version(), **_versions(backend)},
        "machine": {"system": platform.platform(), "processor": _processor(), "cores": os.cpu_count()},
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": sys.argv,
    }


def lasting_name(name: str) -> str:
    """The name of data or a model file as a run keeps it: a path that leads there from any folder."""
    return name if name == "mnist" else os.path.abspath(name)  # noqa: PTH100 (keeps links as they are)


def _versions(backend: str) -> dict[str, str]:
    names = ["keras", "numpy", backend, *(["jaxlib"] if backend == "jax" else [])]
    return {name: str(importlib.import_module(name).__version__) for name in names}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")),
        platform.machine(),
    )

"""The job: data -> model -> fit -> evaluate -> pictures, kept in a run directory that survives a kill."""

from __future__ import annotations

import datetime
import hashlib
import importlib.metadata
import os
import platform
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mnistry import __version__
from mnistry.backend import choose_backend, fix_seed
from mnistry.data import load_data
from mnistry.dataset import Dataset
from mnistry.errors import DataError, RunError
from mnistry.evaluation import Evaluation, evaluate
from mnistry.models import as_classifier, build_model
from mnistry.runs import Run, new_run_path

if TYPE_CHECKING:
    import keras

TEST_SHARE = 0.15  # of a data set that comes without a test part
Note = Callable[[str], None]


@dataclass(frozen=True)
class Config:
    """Every setting of a training; the defaults are the classic recipe.

    Attributes:
        model: a name in `mnistry.models.MODELS`, or "file.py:function".
        data: "mnist", or a path that `mnistry.load_data` takes.
        epochs: passes over the training images.
        batch_size: images a step.
        learning_rate: of Adam.
        validation: share of the training images, 0..1, kept apart to validate on: the last ones.
        seed: of the first weights, the order, dropout and any split.
    """

    model: str = "mlp"
    data: str = "mnist"
    epochs: int = 20
    batch_size: int = 32
    learning_rate: float = 1e-3
    validation: float = 0.2
    seed: int = 0

    def __post_init__(self) -> None:
        if self.epochs < 1:
            raise ValueError(f"epochs must be at least 1, received {self.epochs}")
        if self.batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, received {self.batch_size}")
        if not self.learning_rate > 0:
            raise ValueError(f"learning_rate must be positive, received {self.learning_rate}")
        if not 0 <= self.validation < 1:
            raise ValueError(f"validation must be a share from 0 to below 1, received {self.validation}")
        if not 0 <= self.seed < 2**31:
            raise ValueError(f"seed must be from 0 to {2**31 - 1}, received {self.seed}")


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
    out: str | os.PathLike[str] | None = None,
    verbose: str | int = "auto",
    note: Note | None = None,
    **settings: Any,
) -> Run:
    """Train, evaluate and plot; the finished `Run`.

    Args:
        data: "mnist", a path that `load_data` takes, or (train, test) as it returns them.
        out: the run directory, new or empty; by default a new one in runs/.
        verbose: progress, as in `mnistry.fit`.
        note: is told, in a sentence each, what a reader of the figures should know about the data.
        **settings: the fields of `Config`, each with its default: model, epochs, batch_size,
            learning_rate, validation, seed.

    Raises:
        MnistryError: the data, the model or the run directory is at fault.
        ValueError: a setting is out of its range.
        TypeError: there is no setting of this name.
    """
    names = [item.name for item in fields(Config) if item.name != "data"]
    for name in settings:
        if name not in names:
            raise TypeError(f"train() has no setting {name!r}; it has {', '.join(names)}")
    if isinstance(data, tuple):
        config = Config(data=f"<{data[0].name}>", **settings)
        loaded: tuple[Dataset, Dataset | None] | None = data
    else:
        config, loaded = Config(data=_lasting(os.fspath(data)), **settings), None
    clock = Clock()
    backend = choose_backend()
    clock.lap("import")
    splits = prepare_data(loaded or load_data(config.data), config, note)
    clock.lap("data")
    model = build_compiled(config, splits.train.num_classes)
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
) -> Run:
    """Go on with a run that was killed or interrupted, to the same weights as if it had not been.

    Args:
        path: the run directory.
        data: (train, test), needed only where the run was begun with data sets in memory.
        epochs: train to this number of epochs instead; a finished run goes on.
        verbose: progress, as in `mnistry.fit`.
        note: as in `train`.

    Raises:
        RunError: no such run, a damaged or newer one, or one whose data, model or back end is another now.
        MnistryError: as in `train`.
    """
    run = Run.open(path)
    try:
        config, backend, status = Config(**run.record["config"]), run.record["backend"], run.status
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(
            f"{str(run.path / 'run.json')!r} holds settings that this mnistry cannot use: {error}"
        ) from error
    if epochs is not None:
        if epochs < config.epochs:
            raise RunError(f"{str(run.path)!r} is set to {config.epochs} epochs: --epochs can only be more")
        config = Config(**(asdict(config) | {"epochs": epochs}))
    elif status == "finished":
        return run
    if config.data.startswith("<") and data is None:
        raise RunError(
            f"{str(run.path)!r} was trained on data in memory: resume it in Python with data=(train, test)"
        )
    clock = Clock()
    choose_backend(backend)
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
    model = build_compiled(config, splits.train.num_classes)
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
        train, test = train.split(TEST_SHARE, seed=config.seed)
        note(f"{name} has no test part: {len(test):,} images, drawn with the seed, are kept for the test")
    if test.class_names != train.class_names:
        raise DataError(
            f"{test.name} has the classes {', '.join(test.class_names)}, "
            f"expected those of {train.name}: {', '.join(train.class_names)}"
        )
    if not config.validation:
        return Splits(train, None, test)
    present = set(np.flatnonzero(train.class_counts()))
    parts = train.split(config.validation)
    if any(set(np.flatnonzero(part.class_counts())) != present for part in parts):
        note("the training images are sorted by class: they are shuffled with the seed before the split")
        parts = train.split(config.validation, seed=config.seed)
    return Splits(*parts, test)


def build_compiled(config: Config, num_classes: int) -> keras.Model:
    """The model with its first weights, loss, optimizer and metric."""
    import keras

    fix_seed(config.seed)
    model = build_model(config.model, num_classes)
    model.compile(
        optimizer=keras.optimizers.Adam(config.learning_rate),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return model


def _complete(
    run: Run, model: keras.Model, splits: Splits, config: Config, verbose: str | int, clock: Clock
) -> Run:
    """Everything from the checkpoint, or the first weights, to the finished run."""
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
        epoch_s.append(round(time.time() - began[-1], 4))
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
    )
    clock.lap("fit")
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


def _lasting(data: str) -> str:
    """The name of a data set as a run keeps it: a path that leads there from any folder."""
    return data if data == "mnist" else os.path.abspath(data)  # noqa: PTH100 (keeps links as they are)


def _versions(backend: str) -> dict[str, str]:
    return {name: importlib.metadata.version(name) for name in ("keras", "numpy", backend)}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")),
        platform.machine(),
    )

"""The whole way from data to a finished run, and the way on for one that was stopped."""

from __future__ import annotations

import datetime
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from mnistry.backend import choose_backend
from mnistry.data import load_data
from mnistry.dataset import Dataset
from mnistry.ensembles import complete_ensemble, list_members
from mnistry.errors import RunError
from mnistry.evaluation import evaluate
from mnistry.jobs import build_compiled, complete, draw_plots
from mnistry.models import check_model_name
from mnistry.recipes import find_recipe
from mnistry.records import Clock, check_unchanged, describe_start, read_config, split_as_run
from mnistry.runs import Run, new_run_path
from mnistry.splits import Loaded, Note, lasting_name, prepare_data


def train(
    data: str | os.PathLike[str] | Loaded = "mnist",
    *,
    recipe: str = "classic",
    ensemble: int | None = None,
    out: str | os.PathLike[str] | None = None,
    verbose: str | int = "auto",
    note: Note | None = None,
    start: Callable[..., str] = choose_backend,
    **settings: Any,
) -> Run:
    """Train, calibrate, evaluate, export and plot; the finished `Run`.

    Args:
        data: "mnist", a path that `load_data` takes, or (train, test) as it returns them.
        recipe: a name in `mnistry.recipes.RECIPES`.
        ensemble: number of networks, with a seed each from `seed` on, that answer together; their runs lie
            below the run directory. None for one network.
        out: the run directory, new or empty; by default a new one in runs/.
        verbose: progress, as in `mnistry.fit`.
        note: is told, in a sentence each, what a reader of the figures should know.
        start: settles the back end of Keras and gives its name.
        **settings: in place of the recipe's: model, epochs, batch_size, learning_rate, validation, seed and
            the other fields of `mnistry.recipes.Config`.

    Raises:
        MnistryError: the data, the model or the run directory is at fault.
        ValueError: a setting is out of its range.
        TypeError: there is no setting of this name, or it or `data` is of another type.
    """
    if ensemble is not None and (not isinstance(ensemble, int) or ensemble < 2):
        raise ValueError(f"ensemble must be a whole number of networks, at least 2, received {ensemble!r}")
    loaded: Loaded | None = None
    match data:
        case str() | os.PathLike():
            name = lasting_name(os.fspath(data))
        case Dataset() as first, Dataset() | None as second:
            loaded, name = (first, second), f"<{first.name}>"
        case _:
            raise TypeError(
                "data must be a path, or (train, test) of which each is a Dataset or test None, "
                f"received {type(data).__name__}"
            )
    config = find_recipe(recipe, data=name, **settings)
    if ":" in config.model:
        config = replace(config, model=lasting_name(config.model))
    check_model_name(config.model)
    clock = Clock()
    if loaded is None and config.data == "mnist":
        with ThreadPoolExecutor(1) as pool:
            shipped = pool.submit(load_data, config.data)
            backend = start()
            loaded = shipped.result()
        clock.lap("import")
        splits = prepare_data(loaded, config, note)
        clock.lap("data")
    else:
        # Before Keras, which takes seconds to import: so what is wrong with people's data shows at once.
        splits = prepare_data(loaded or load_data(config.data), config, note)
        clock.lap("data")
        backend = start()
        clock.lap("import")
    model = build_compiled(config, splits.train.num_classes, len(splits.train))
    name = f"{datetime.datetime.now():%Y%m%d-%H%M%S}-{Path(config.model.partition(':')[0]).stem}"
    record = describe_start(config, backend, splits)
    if ensemble is not None:
        record["members"] = list_members(ensemble, config.seed)
    run = Run.create(out or new_run_path(Path("runs"), name), record)
    with _name_when_stopped(run, note):
        if ensemble is not None:
            return complete_ensemble(run, splits, config, clock=clock, verbose=verbose, note=note)
        return complete(run, model, splits, config, clock=clock, verbose=verbose, note=note)


def resume(
    path: str | os.PathLike[str],
    data: Loaded | None = None,
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
        ValueError, TypeError: `epochs` is no number of at least 1.
    """
    run = Run.open(path)
    config = read_config(run)
    backend, status = run.record.get("backend"), run.record.get("status")
    if backend is None or status is None:
        raise RunError(
            f"{str(run.path / 'run.json')!r} holds settings that mnistry cannot use: no back end or status"
        )
    if epochs is not None:
        longer = replace(config, epochs=epochs)
        if longer.epochs < config.epochs:
            raise RunError(f"{str(run.path)!r} is set to {config.epochs} epochs: --epochs can only be more")
        if longer.epochs > config.epochs and config.schedule != "constant":
            raise RunError(
                f"{str(run.path)!r} cannot go on: its learning rate has ended after {config.epochs} epochs"
            )
        config = longer
    elif status == "finished":
        if note is not None:
            note(f"{run.path} is finished already; a higher number of epochs trains it further")
        return run
    if config.data.startswith("<") and data is None:
        raise RunError(
            f"{str(run.path)!r} was trained on data in memory: resume it in Python with data=(train, test)"
        )
    clock = Clock()
    wanted = os.environ.get("KERAS_BACKEND") or backend
    start(backend)
    if note is not None and wanted != backend:
        note(f"the run began on {backend} and goes on there, whatever KERAS_BACKEND says ({wanted})")
    clock.lap("import")
    splits = split_as_run(run, data or load_data(config.data), note)
    check_unchanged(run, describe_start(config, backend, splits), note)
    clock.lap("data")
    run.record |= {"config": asdict(config), "status": "training"}
    with _name_when_stopped(run, note):
        if "members" in run.record:
            return complete_ensemble(run, splits, config, clock=clock, verbose=verbose, note=note)
        model = build_compiled(config, splits.train.num_classes, len(splits.train))
        return complete(run, model, splits, config, clock=clock, verbose=verbose, note=note)


@contextmanager
def _name_when_stopped(run: Run, note: Note | None) -> Iterator[None]:
    """Say which run to go on with, where a Ctrl-C stops it at once."""
    try:
        yield
    except KeyboardInterrupt:
        if note is not None:
            note(f"stopped: train --resume {run.path} goes on after the last epoch that was finished")
        raise


def plot(path: str | os.PathLike[str]) -> Run:
    """Draw the curves and pictures of a run again, into its directory; the run.

    Args:
        path: the run directory.

    Raises:
        RunError: no such run, or one that was trained on data in memory or has no checkpoint.
        MnistryError: its network or data cannot be loaded.
    """
    run = Run.open(path)
    config = read_config(run)
    if config.data.startswith("<"):
        raise RunError(f"{str(run.path)!r} was trained on data in memory: its pictures cannot be drawn again")
    history = run.history()
    test = split_as_run(run, load_data(config.data)).test
    draw_plots(run, history, evaluate(run.classifier(), test), test)
    return run

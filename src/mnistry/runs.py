"""A `Run` is one training in one directory, which a crash at any instant leaves usable.

    run.json         every setting, versions, machine, data, times, metrics
    history.csv      the metrics of each epoch
    checkpoint.npz   the state after the last complete epoch: weights, optimizer, random seeds, history
    model.keras      the trained model, written at the end
    plots/           pictures, written at the end

The checkpoint alone decides where a resumed run goes on; the other files are made again from it.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mnistry.errors import RunError
from mnistry.files import atomic_save, atomic_write, remove_leftovers

FORMAT = 1  # of the directory; raised whenever an older mnistry could no longer read it

History = dict[str, list[float]]


@dataclass
class Run:
    """A run directory and what its run.json says.

    Attributes:
        path: the directory.
        record: the content of run.json: status ("training", "interrupted" or "finished"), config, data,
            versions, machine, seconds and, once measured, metrics.
    """

    path: Path
    record: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def create(cls, path: str | os.PathLike[str], record: Mapping[str, Any]) -> Run:
        """A new run in a new or empty directory.

        Raises:
            RunError: the directory holds something already or cannot be written.
        """
        run = cls(Path(path), {"format": FORMAT, "status": "training", **record})
        try:
            run.path.mkdir(parents=True, exist_ok=True)
            # A process killed while it created a run leaves nothing but such a temporary file.
            if not all(item.match(".run.json.*.tmp") for item in run.path.iterdir()):
                raise RunError(
                    f"{str(run.path)!r} is not empty: choose another directory, or go on with what it "
                    f"holds by: mnistry train --resume {run.path}"
                )
        except OSError as error:
            raise RunError(f"cannot create the run directory {str(run.path)!r}: {error.strerror}") from error
        run.save_record()
        return run

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Run:
        """The run in an existing directory.

        Raises:
            RunError: no run there, a damaged run.json, or one written by a newer mnistry.
        """
        path = Path(path)
        try:
            record = json.loads((path / "run.json").read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise RunError(f"{str(path)!r} is no run directory: it has no run.json") from error
        except OSError as error:
            raise RunError(f"cannot read {str(path / 'run.json')!r}: {error.strerror}") from error
        except ValueError as error:
            raise RunError(f"{str(path / 'run.json')!r} is damaged: {error}") from error
        if not isinstance(record, dict) or not isinstance(record.get("format"), int):
            raise RunError(f"{str(path / 'run.json')!r} is no record of a run: it has no format number")
        if record["format"] > FORMAT:
            raise RunError(
                f"{str(path)!r} was written by a newer mnistry (format {record['format']}, this one reads up "
                f"to {FORMAT}): upgrade with pip install --upgrade mnistry"
            )
        return cls(path, record)

    @property
    def status(self) -> str:
        """One of "training" (under way, or killed), "interrupted" (by Ctrl-C) and "finished"."""
        return str(self.record["status"])

    @property
    def metrics(self) -> dict[str, Any]:
        """The figures on the test set, as `Evaluation.to_dict` gives them; empty before they are measured."""
        return dict(self.record.get("metrics", {}))

    @property
    def model_path(self) -> Path:
        """Where the trained model lies."""
        return self.path / "model.keras"

    @property
    def plots_path(self) -> Path:
        """The directory of the pictures."""
        return self.path / "plots"

    def history(self) -> History:
        """The metrics of each epoch so far, by name, from the checkpoint."""
        history: History = self._read_checkpoint()[1]["history"] if self._checkpoint.exists() else {}
        return history

    def load_model(self) -> Any:
        """The trained `keras.Model`.

        Raises:
            RunError: it is not there yet.
            ModelError: it is damaged.
        """
        from mnistry.models import import_own, load_keras

        if not self.model_path.exists():
            name = str(self.path)
            raise RunError(
                f"{name!r} has no trained model yet: mnistry train --resume {self.path} finishes it"
            )
        own = import_own(str(self.record.get("config", {}).get("model", "")))
        return load_keras(self.model_path, own)

    def classifier(self) -> Callable[[Any], Any]:
        """The trained network as a function images -> logits, for `evaluate` and `read`."""
        from mnistry.models import as_classifier

        return as_classifier(self.load_model())

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from training in this directory while the block runs (on POSIX systems).

        Raises:
            RunError: another process trains in it now.
        """
        try:
            import fcntl
        except ImportError:
            yield
            return
        descriptor = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        except BlockingIOError as error:
            raise RunError(
                f"another process trains in {str(self.path)!r} now: wait for it, or end it"
            ) from error
        finally:
            os.close(descriptor)

    def save_record(self) -> None:
        """Write run.json."""
        with self._writing("run.json") as path, atomic_write(path) as file:
            file.write(json.dumps(self.record, indent=2, allow_nan=False).encode() + b"\n")

    def save_model(self, model: Any) -> None:
        """Write model.keras."""
        with self._writing("model.keras") as path:
            atomic_save(path, model.save)

    def save_plot(self, figure: Any, name: str) -> None:
        """Write plots/<name>.png."""
        from mnistry.plots import save_figure

        with self._writing(f"plots/{name}.png") as path:
            self.plots_path.mkdir(exist_ok=True)
            save_figure(figure, path)

    def save_epoch(self, model: Any, epoch: int, history: History, seconds: Mapping[str, float]) -> None:
        """Write the checkpoint after `epoch` epochs, which took `seconds` by stage, then history.csv."""
        import keras

        about = {"format": FORMAT, "epoch": epoch, "history": history, "seconds": dict(seconds)}
        values = [keras.ops.convert_to_numpy(variable) for variable in _state(model)]
        arrays = {f"v{i}": value for i, value in enumerate(values)}
        with self._writing("checkpoint.npz") as path, atomic_write(path) as file:
            arrays["about"] = np.frombuffer(json.dumps(about).encode(), np.uint8)
            np.savez(file, **arrays)
        self._save_history(history)

    def restore_epoch(self, model: Any) -> tuple[int, History, dict[str, float]]:
        """Put the state of the checkpoint into the built and compiled `model`.

        Returns:
            The number of complete epochs, 0 without a checkpoint, their history and seconds by stage.

        Raises:
            RunError: the checkpoint is damaged, of a newer version, or of another model.
        """
        if not self._checkpoint.exists():
            return 0, {}, {}
        arrays, about = self._read_checkpoint()
        variables = _state(model)
        shapes = [tuple(variable.shape) for variable in variables]
        if [array.shape for array in arrays] != shapes:
            raise RunError(
                f"{str(self._checkpoint)!r} belongs to another model: its weights have other shapes"
            )
        for variable, array in zip(variables, arrays, strict=True):
            variable.assign(array)
        return int(about["epoch"]), about["history"], about["seconds"]

    def mend(self, history: History) -> None:
        """Bring the directory in line before training goes on.

        Removes the temporary files of killed processes; writes run.json, so that a kill from now on finds
        what this start was asked for, and history.csv, which a kill may have left an epoch behind.
        """
        with self._writing("run.json"):
            remove_leftovers(self.path)
        self.save_record()
        if history:
            self._save_history(history)

    @property
    def _checkpoint(self) -> Path:
        return self.path / "checkpoint.npz"

    def _read_checkpoint(self) -> tuple[list[Any], dict[str, Any]]:
        try:
            with self._checkpoint.open("rb") as file, np.load(file, allow_pickle=False) as archive:
                if damaged := archive.zip.testzip():  # NumPy alone reads some damage without a word
                    raise ValueError(f"wrong checksum of {damaged}")
                entries = {name: archive[name] for name in archive.files}
            if not all(isinstance(entry, np.ndarray) for entry in entries.values()):
                raise ValueError("an entry is no array")  # NumPy gives its bytes instead
            about = json.loads(entries.pop("about").tobytes())
        except Exception as error:  # a damaged archive raises a dozen types
            raise RunError(
                f"the checkpoint {str(self._checkpoint)!r} is damaged ({error}): the run cannot go on. "
                "Restore the file from a copy, or start a new run."
            ) from error
        if about["format"] > FORMAT:
            raise RunError(f"the checkpoint {str(self._checkpoint)!r} was written by a newer mnistry")
        return list(entries.values()), about

    def _save_history(self, history: History) -> None:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["epoch", *history])
        for epoch, values in enumerate(zip(*history.values(), strict=True), start=1):
            writer.writerow([epoch, *map(repr, values)])
        with self._writing("history.csv") as path, atomic_write(path) as file:
            file.write(text.getvalue().encode())

    @contextmanager
    def _writing(self, name: str) -> Iterator[Path]:
        """The path of a file to write; a failure of the disk becomes a RunError that says what is safe."""
        path = self.path / name
        try:
            yield path
        except OSError as error:
            raise RunError(
                f"cannot write {str(path)!r}: {error.strerror or error}. What was saved before is intact; "
                f"once that is mended, go on with: mnistry train --resume {self.path}"
            ) from error


def _state(model: Any) -> list[Any]:
    """Every variable that training changes: weights, statistics, random seeds and the optimizer's own."""
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    return [*model.trainable_variables, *model.non_trainable_variables, *model.optimizer.variables]


def new_run_path(parent: Path, name: str) -> Path:
    """A new, empty directory in `parent`: the name, or the name with a number."""
    path, number = parent / name, 1
    while True:
        try:
            path.mkdir(parents=True)  # which only one of several processes can do
            return path
        except FileExistsError:
            number += 1
            path = parent / f"{name}-{number}"
        except OSError as error:
            raise RunError(f"cannot create the run directory {str(path)!r}: {error.strerror}") from error


def latest_run(parent: Path = Path("runs")) -> Run | None:
    """The run in `parent` whose model was written last, or None."""
    models = sorted(parent.glob("*/model.keras"), key=lambda path: path.stat().st_mtime)
    return Run.open(models[-1].parent) if models else None

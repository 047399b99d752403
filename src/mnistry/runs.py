"""A `Run` is one training in one directory, which a crash at any instant leaves usable.

    run.json         every setting, versions, machine, data, times, metrics
    history.csv      the metrics of each epoch
    checkpoint.npz   the state after the last complete epoch: weights, optimizer, random seeds, history
    model.keras      the trained model, written at the end
    model.onnx       the same for ONNX Runtime, written at the end
    plots/           pictures, written at the end

The checkpoint alone decides where a resumed run goes on; the other files are made again from it.
An ensemble is a run without a network of its own: those of its members lie in runs below it.
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

from mnistry.calibration import Calibration, calibrate
from mnistry.checkpoints import read_checkpoint, restore_state, save_checkpoint
from mnistry.classifier import NAME_IN_RUN
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
            versions, machine, seconds and, once measured, calibration and metrics; of an ensemble also
            its members.
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
        except (FileNotFoundError, NotADirectoryError) as error:
            raise RunError(f"{str(path)!r} is no run directory: it has no run.json") from error
        except OSError as error:
            raise RunError(f"cannot read {str(path / 'run.json')!r}: {error.strerror}") from error
        except ValueError as error:
            raise RunError(
                f"{str(path / 'run.json')!r} is damaged: {error}. Restore it from a copy, or train again"
            ) from error
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
    def onnx_path(self) -> Path:
        """Where the file for `mnistry.Classifier` lies, if the model could be exported."""
        return self.path / NAME_IN_RUN

    @property
    def plots_path(self) -> Path:
        """The directory of the pictures."""
        return self.path / "plots"

    def history(self) -> History:
        """The metrics of each epoch so far, by name, from the checkpoint; none of an ensemble.

        Raises:
            RunError: the checkpoint is damaged or was removed.
        """
        if self._checkpoint.exists():
            history: History = read_checkpoint(self._checkpoint, FORMAT)[1]["history"]
            return history
        if self.record.get("epochs_done") and "members" not in self.record:
            raise RunError(
                f"{str(self.path)!r} has lost its checkpoint.npz, which holds the history of its epochs: "
                "restore that file from a copy, or train again"
            )
        return {}

    @property
    def calibration(self) -> Calibration | None:
        """What was fitted on the validation images; None without them, and before the end of training.

        Raises:
            ModelError: run.json holds something else.
        """
        values = self.record.get("calibration")
        return None if values is None else Calibration.from_dict(values)

    def members(self) -> list[Run]:
        """The runs of the networks: those of an ensemble that have begun, or this run alone."""
        if "members" not in self.record:
            return [self]
        paths = [self.path / member["name"] for member in self.record["members"]]
        return [Run.open(path) for path in paths if (path / "run.json").exists()]

    def load_model(self) -> Any:
        """The trained `keras.Model`.

        Raises:
            RunError: it is not there yet, or this is an ensemble.
            ModelError: it is damaged.
        """
        from mnistry.models import import_own, load_keras

        if "members" in self.record:
            names = ", ".join(str(member.path) for member in self.members())
            raise RunError(f"{str(self.path)!r} is an ensemble, the networks of which lie in {names}")
        if not self.model_path.exists():
            name = str(self.path)
            raise RunError(
                f"{name!r} has no trained model yet: mnistry train --resume {self.path} finishes it"
            )
        own = import_own(str(self.record.get("config", {}).get("model", "")))
        return load_keras(self.model_path, own)

    def classifier(self) -> Callable[[Any], Any]:
        """The trained network as a function images -> logits, for `evaluate` and `read`; it runs on Keras.

        The softmax of these logits is calibrated, if images to validate on were kept. `Classifier(run.path)`
        gives the same answers through ONNX Runtime.

        Raises:
            RunError: it is not there yet.
            ModelError: it is damaged.
        """
        from mnistry.models import as_classifier, average

        networks = [as_classifier(member.load_model()) for member in self.members()]
        if len(networks) < len(self.record.get("members", [self])):
            raise RunError(
                f"{str(self.path)!r} has only {len(networks)} of its {len(self.record['members'])} networks "
                f"yet: mnistry train --resume {self.path} finishes it"
            )
        return calibrate(average(networks), self.calibration)

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
        """Write run.json.

        Raises:
            RunError: it cannot be written; the older one is unchanged. So do all that write here.
        """
        with self._writing("run.json") as path, atomic_write(path) as file:
            file.write(json.dumps(self.record, indent=2, allow_nan=False).encode() + b"\n")

    def save_model(self, model: Any) -> None:
        """Write model.keras, and remove the model.onnx of an older one."""
        with self._writing(self.onnx_path.name) as path:
            path.unlink(missing_ok=True)
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
        about = {"format": FORMAT, "epoch": epoch, "history": history, "seconds": dict(seconds)}
        with self._writing("checkpoint.npz") as path:
            save_checkpoint(path, model, about)
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
        arrays, about = read_checkpoint(self._checkpoint, FORMAT)
        restore_state(model, arrays, self._checkpoint)
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

    def _save_history(self, history: History) -> None:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["epoch", *history])
        for epoch, values in enumerate(zip(*history.values(), strict=True), start=1):
            writer.writerow([epoch, *map(repr, values)])
        # Made again from the checkpoint (see mend), so the disk is not waited for.
        with self._writing("history.csv") as path, atomic_write(path, flush=False) as file:
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


def new_run_path(parent: Path, name: str) -> Path:
    """A new, empty directory in `parent`: the name, or the name with a number.

    Raises:
        RunError: it cannot be created.
    """
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
    models = [*parent.glob("*/model.keras")]
    ensembles = [path for path in parent.glob("*/model.onnx") if not path.with_suffix(".keras").exists()]
    newest = max(models + ensembles, key=lambda path: path.stat().st_mtime, default=None)
    return None if newest is None else Run.open(newest.parent)

"""What a run's record says about how the run began, and what can be read back from it."""

from __future__ import annotations

import datetime
import hashlib
import importlib
import os
import platform
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from mnistry import __version__
from mnistry.errors import RunError
from mnistry.recipes import Config
from mnistry.runs import Run
from mnistry.splits import Loaded, Note, Splits, prepare_data


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


def describe_start(config: Config, backend: str, splits: Splits) -> dict[str, Any]:
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


def read_config(run: Run) -> Config:
    """The settings of a run.

    Raises:
        RunError: its record has settings that this mnistry cannot use.
    """
    try:
        return Config(**run.record["config"])
    except (KeyError, TypeError, ValueError) as error:
        path = str(run.path / "run.json")
        raise RunError(f"{path!r} holds settings that mnistry cannot use: {error}") from error


def split_as_run(run: Run, loaded: Loaded, note: Note | None = None) -> Splits:
    """The three parts of a run's data, as it was trained on them.

    Raises:
        RunError: as `read_config`.
        DataError: as `prepare_data`.
    """
    config = read_config(run)
    # The networks of an ensemble have seeds of their own, and one split.
    return prepare_data(loaded, replace(config, seed=run.record.get("data_seed", config.seed)), note)


def check_unchanged(run: Run, now: Mapping[str, Any], note: Note | None = None) -> None:
    """See that a run goes on with the data and the model it began with; tells `note` of other versions.

    Args:
        run: the run.
        now: what `describe_start` says now.
        note: is told what may make a difference.

    Raises:
        RunError: the data or the file of the model is another.
    """
    for key in ("data", "model_source"):
        if now[key] != run.record.get(key):
            raise RunError(
                f"{str(run.path)!r} cannot go on: its {key.replace('_', ' ')} has changed since it began"
            )
    if now["versions"] != run.record.get("versions") and note is not None:
        note("the run began with other versions of its packages: it may not end bit for bit as it would have")


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

"""Several networks of one recipe, trained with a seed each, that answer together.

An ensemble is a run directory with the runs of its networks below it, each a run like any other. What they
say together is the mean of their probabilities.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mnistry.jobs import build_compiled, complete, finish
from mnistry.models import as_classifier, average
from mnistry.recipes import Config
from mnistry.records import Clock, check_unchanged, describe_start, read_config
from mnistry.runs import Run
from mnistry.splits import Note, Splits


def list_members(size: int, seed: int) -> list[dict[str, Any]]:
    """What the record of an ensemble says of its networks from the beginning: seeds from `seed` on."""
    return [{"name": f"seed-{number}", "seed": number} for number in range(seed, seed + size)]


def complete_ensemble(
    run: Run,
    splits: Splits,
    config: Config,
    *,
    clock: Clock,
    verbose: str | int = "auto",
    note: Note | None = None,
) -> Run:
    """Train the networks that are not finished, then calibrate, export and measure all of them together.

    Args:
        run: of the ensemble; its record holds what `describe_start` says, and "members".
        splits: the data, the same for each network.
        config: the settings of the first network; the others differ in the seed.
        clock: counts the seconds of the record; those of a network are in its own.
        verbose: progress, as in `mnistry.fit`.
        note: as in `jobs.complete`; it is also told which network is trained.

    Raises:
        RunError: as in `jobs.complete`, or a network's data or model is another now.
        ModelError: a training diverged.
    """
    members = run.record["members"]
    with run.locked():
        run.save_record()
        start = describe_start(config, run.record["backend"], splits)
        networks = []
        for number, member in enumerate(members, start=1):
            if note is not None:
                note(f"network {number} of {len(members)}, seed {member['seed']}")
            own = replace(config, seed=member["seed"])
            networks.append(_complete_member(run.path / member["name"], start, splits, own, verbose))
            if networks[-1].status != "finished":
                break
        clock.lap("fit")
        if networks[-1].status == "finished":
            models = [network.load_model() for network in networks]
            classify = average([as_classifier(model) for model in models])
            run.onnx_path.unlink(missing_ok=True)  # of fewer epochs
            finish(run, classify, models, splits, config, clock=clock, note=note)
            accuracies = [network.metrics["accuracy"] for network in networks]
            run.record |= {
                "members": [m | {"accuracy": a} for m, a in zip(members, accuracies, strict=True)],
                "members_accuracy": {"mean": float(np.mean(accuracies)), "sd": _deviation(accuracies)},
                "epochs_done": config.epochs,
            }
        run.record["status"] = networks[-1].status
        run.save_record()
    return run


def _complete_member(
    path: Path, start: Mapping[str, Any], splits: Splits, config: Config, verbose: str | int
) -> Run:
    """The finished run of one network, or the interrupted one."""
    if (path / "run.json").exists():
        run = Run.open(path)
        if run.status == "finished" and read_config(run) == config:
            return run
        check_unchanged(run, start)
    else:
        about = {**start, "config": {**start["config"], "seed": config.seed}}
        run = Run.create(path, {**about, "data_seed": start["config"]["seed"]})
    run.record |= {"config": {**run.record["config"], "epochs": config.epochs}, "status": "training"}
    model = build_compiled(config, splits.train.num_classes, len(splits.train))
    return complete(run, model, splits, config, clock=Clock(), verbose=verbose)


def _deviation(numbers: list[float]) -> float | None:
    return float(np.std(numbers, ddof=1)) if len(numbers) > 1 else None

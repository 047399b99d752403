"""How accurate is a recipe, over several seeds and at the end of training, and as ensembles of its networks?

Trains one network a seed, each by `mnistry train` in a process of its own, into the run directories
DIR/RECIPE-seed-K: what is finished is left alone, what was stopped goes on. Then it prints, in Markdown, the
mean, sample standard deviation, minimum and maximum of the test accuracy after the last epoch, and that of
each seed. Nothing is chosen: all seeds count, and the groups of --ensemble follow the order of the seeds.

    python benchmarks/accuracy.py best --seeds 5 --runs runs/accuracy [--ensemble 3] [--set epochs=20 ...]

To choose settings, add --validation-only: it prints accuracies on the validation images, never on the test.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mnistry import MnistryError, load_data
from mnistry.backend import choose_backend
from mnistry.dataset import Dataset
from mnistry.metrics import accuracy
from mnistry.models import as_classifier, average
from mnistry.records import split_as_run
from mnistry.runs import Run

MNISTRY_TRAIN = [sys.executable, "-m", "mnistry.cli", "train"]


def train_seed(path: Path, settings: list[str]) -> Run:
    """The finished run in this directory: trained now, gone on with, or found there with these settings."""
    command = [*MNISTRY_TRAIN, *settings, "--out", str(path)]
    if (path / "run.json").exists():
        run = Run.open(path)
        check_settings(run, settings)
        if run.status == "finished":
            return run
        command = [*MNISTRY_TRAIN, "--resume", str(path)]
    print(f"{path.name}:", file=sys.stderr, flush=True)
    # Its output has the test accuracy, which --validation-only is not to show.
    done = subprocess.run(command, stdout=subprocess.DEVNULL, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} ended with status {done.returncode}")
    return Run.open(path)


def check_settings(run: Run, settings: list[str]) -> None:
    """See that a run that is there has the settings asked for, so that all seeds have the same."""
    command = [*MNISTRY_TRAIN, *settings, "--show", "--json"]
    shown = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if shown.returncode:
        raise SystemExit(shown.returncode)
    if run.record["config"] != json.loads(shown.stdout):
        raise SystemExit(f"{run.path} was trained with other settings: name another directory by --runs")


def load_part(run: Run, part: str) -> Dataset:
    """The images that the run kept apart to test with, or to validate on."""
    dataset = getattr(split_as_run(run, load_data(run.record["config"]["data"])), part)
    if dataset is None:
        raise SystemExit(f"{run.path} has no {part} images: its setting `validation` is 0")
    return dataset


def measure(runs: Sequence[Run], part: Dataset, size: int) -> list[float]:
    """The accuracies, 0..1, of disjoint groups of so many runs: of the mean of their probabilities."""
    choose_backend(own_process=True)
    groups = [runs[start : start + size] for start in range(0, len(runs) - size + 1, size)]
    accuracies = []
    for group in groups:
        logits = average([as_classifier(run.load_model()) for run in group])(part.images)
        accuracies.append(float(accuracy(part.labels, np.argmax(logits, axis=1))))
    return accuracies


def describe(accuracies: Sequence[float]) -> str:
    """Cells of a table: n, mean, standard deviation, minimum, maximum; in %."""
    values = [100 * value for value in accuracies]
    deviation = f"{statistics.stdev(values):.3f}" if len(values) > 1 else "-"
    mean, low, high = statistics.mean(values), min(values), max(values)
    return f"{len(values)} | {mean:.3f} | {deviation} | {low:.2f} | {high:.2f}"


def print_tables(rows: dict[str, dict[str, float]], part: str) -> None:
    """The accuracies, 0..1: of each row of the summary, those of its seeds or groups by name."""
    print(f"| accuracy on the {part} images, % | n | mean | s.d. | minimum | maximum |")
    print("| --- | --- | --- | --- | --- | --- |")
    for label, accuracies in rows.items():
        print(f"| {label} | {describe(list(accuracies.values()))} |")
    print(f"\n| seeds | accuracy on the {part} images, % |\n| --- | --- |")
    for accuracies in rows.values():
        for name, value in accuracies.items():
            print(f"| {name} | {100 * value:.2f} |")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recipe", help="classic, fast, best, ...")
    parser.add_argument(
        "--runs", type=Path, required=True, metavar="DIR", help="where the run directories go"
    )
    parser.add_argument("--seeds", type=int, default=5, metavar="N")
    parser.add_argument("--first-seed", type=int, default=0, metavar="K")
    parser.add_argument("--data", default="mnist", metavar="PATH", help="as `mnistry train` takes it")
    parser.add_argument("--set", dest="changes", nargs="+", action="extend", default=[], metavar="NAME=VALUE")
    parser.add_argument("--ensemble", type=int, metavar="N", help="also measure disjoint groups of N runs")
    parser.add_argument("--validation-only", action="store_true", help="show nothing of the test images")
    options = parser.parse_args()
    if options.seeds < 1:
        parser.error(f"--seeds must be at least 1, received {options.seeds}")
    if options.ensemble is not None and not 2 <= options.ensemble <= options.seeds:
        parser.error(f"--ensemble must be from 2 to the number of seeds, {options.seeds}")

    data = options.data if options.data == "mnist" else str(Path(options.data).absolute())
    settings = ["--recipe", options.recipe, "--data", data]
    settings += [text for change in options.changes for text in ("--set", change)]
    runs: dict[int, Run] = {}
    for seed in range(options.first_seed, options.first_seed + options.seeds):
        path = options.runs / f"{options.recipe}-seed-{seed}"
        runs[seed] = train_seed(path, [*settings, "--seed", str(seed)])
    part = "validation" if options.validation_only else "test"
    print_header(options.recipe, options.changes, next(iter(runs.values())).record)
    print_tables(measure_rows(runs, part, options.ensemble), part)


def measure_rows(runs: dict[int, Run], part: str, size: int | None) -> dict[str, dict[str, float]]:
    """The rows of `print_tables`: single networks and, with a size, ensembles of so many."""
    everything = list(runs.values())
    dataset = load_part(everything[0], part)
    if part == "test":
        singles = [run.metrics["accuracy"] for run in everything]
    else:  # not the history's, which knows nothing of an average of the weights
        singles = measure(everything, dataset, 1)
    rows = {"one network": {str(seed): value for seed, value in zip(runs, singles, strict=True)}}
    if size:
        seeds = [str(seed) for seed in runs]
        groups = [", ".join(seeds[i : i + size]) for i in range(0, len(seeds) - size + 1, size)]
        accuracies = measure(everything, dataset, size)
        rows[f"{size} networks, their probabilities averaged"] = dict(zip(groups, accuracies, strict=True))
    return rows


def print_header(recipe: str, changes: Sequence[str], record: dict[str, Any]) -> None:
    """What was measured, where and when."""
    changed = f" with {', '.join(changes)}" if changes else ""
    images = ", ".join(f"{about['images']:,} {part}" for part, about in record["data"].items())
    print(f"{datetime.date.today()}, recipe {recipe}{changed}, {record['config']['epochs']} epochs; {images}")
    print(f"images; {record['machine']['processor']}, {os.cpu_count()} cores, ", end="")
    versions = record["versions"]
    print(f"Python {platform.python_version()}, Keras {versions['keras']}, mnistry {versions['mnistry']}\n")


if __name__ == "__main__":
    try:
        main()
    except MnistryError as error:
        sys.exit(f"error: {error}")

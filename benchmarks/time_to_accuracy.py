"""How many seconds on this machine to 99.0 %, and to 99.5 %, of the test images read right, in the mean?

Ours are the recipes `fast` and `better`, trained on all 60,000 images as whole processes of `mnistry train`:
cold is from the start of the process to the end of the last epoch, import and compilation included; warm is
the same training in a process that has compiled it (with the same first weights for every seed). The others
are the MNIST examples of Keras (on TensorFlow), of PyTorch and of tinygrad, written anew in peers/: theirs is
the time to the first epoch after which the mean over their seeds reaches the mark; only training is counted,
not their measuring. They train as long as the example says, but are stopped when they have taken --patience
times as long as ours. Peers that are not installed are left out, and said to be.

    python benchmarks/time_to_accuracy.py [--seeds 10] [--peer-seeds 3] [--without tinygrad_beautiful]
                                          [--recipe fast]
"""

from __future__ import annotations

import argparse
import datetime
import importlib.util
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mnistry.recipes import RECIPES
from train_speed import processor

HERE = Path(__file__).parent
MARKS = {0.990: "fast", 0.995: "better"}
# Name -> (the package it needs, epochs of its example)
PEERS = {
    "keras_convnet": ("tensorflow", 15),
    "pytorch_example": ("torch", 14),
    "tinygrad_beautiful": ("tinygrad", 7),
}


@dataclass
class Training:
    """Seconds before the first step, and after each epoch (seconds of training, accuracy 0..1)."""

    start_s: float
    epochs: list[tuple[float, float]]
    stopped_s: float | None = None  # cold seconds after which a peer was stopped


def run_json(*arguments: str) -> tuple[float, Any]:
    """(Unix time of the start, what a Python process printed as JSON on its last line)."""
    began = time.time()
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(arguments)} failed:\n{done.stderr[-2000:]}")
    return began, json.loads(done.stdout.splitlines()[-1])


def train_ours(recipe: str, seed: int) -> Training:
    """One process of `mnistry train`."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["-m", "mnistry.cli", "train", "--recipe", recipe, "--seed", str(seed), "--validation", "0"]
        began, run = run_json(*command, "--json", "--backend", "jax", "--out", f"{folder}/run")
    return Training(run["first_epoch_at"] - began, [(sum(run["epoch_seconds"]), run["metrics"]["accuracy"])])


def train_peer(name: str, seed: int, epochs: int, patience_s: float) -> Training:
    """One process of a peer, stopped when it takes longer than this."""
    command = [sys.executable, str(HERE / "peers" / f"{name}.py"), str(seed), str(epochs)]
    began = time.time()
    stopped = None
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        with subprocess.Popen(command, stdout=output, stderr=errors) as process:
            try:
                status = process.wait(patience_s)
            except subprocess.TimeoutExpired:
                process.kill()
                status, stopped = 0, time.time() - began
        output.seek(0)
        errors.seek(0)
        if status:
            raise SystemExit(f"{' '.join(command)} failed:\n{errors.read()[-2000:]}")
        reports = [json.loads(line) for line in output]
    start_s = reports[0]["began"] - began if reports else patience_s
    return Training(start_s, [(row["seconds"], row["accuracy"]) for row in reports[1:]], stopped)


def time_to(mark: float, trainings: list[Training]) -> tuple[int, float, float] | None:
    """(epochs, cold seconds, seconds of training alone) to the mark in the mean, or None if never."""
    shortest = min(len(training.epochs) for training in trainings)
    for number in range(shortest):
        rows = [training.epochs[number] for training in trainings]
        if statistics.mean(accuracy for _, accuracy in rows) >= mark:
            cold = [t.start_s + seconds for t, (seconds, _) in zip(trainings, rows, strict=True)]
            return number + 1, statistics.mean(cold), statistics.mean(seconds for seconds, _ in rows)
    return None


def peer_cells(mark: float, trainings: list[Training], ours_s: float) -> list[str]:
    """Epochs, test accuracy, cold and warm seconds, and times ours: of the mark, or of all they trained."""
    found = time_to(mark, trainings)
    if found:
        number, cold, warm = found
        reached = describe([training.epochs[number - 1][1] for training in trainings], 100, ".2f")
        return [str(number), reached, f"{cold:.0f}", f"{warm:.0f}", f"{cold / ours_s:.1f}"]
    shortest = min(len(training.epochs) for training in trainings)
    last = [training.epochs[shortest - 1][1] for training in trainings] if shortest else []
    total = statistics.mean(t.stopped_s or t.start_s + t.epochs[-1][0] for t in trainings)
    stopped = ", stopped" if any(training.stopped_s for training in trainings) else ""
    reached = describe(last, 100, ".2f") if last else "none measured"
    return [f"not in {shortest}{stopped}", reached, f"over {total:.0f}", "", f"over {total / ours_s:.1f}"]


def describe(values: list[float], scale: float, form: str) -> str:
    """Mean ± standard deviation (minimum to maximum); of a single value, that alone."""
    values = [scale * value for value in values]
    if len(values) == 1:
        return f"{values[0]:{form}}"
    deviation = statistics.stdev(values)
    low, high = min(values), max(values)
    return f"{statistics.mean(values):{form}} ± {deviation:{form}} ({low:{form}} to {high:{form}})"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=10, help="of our recipes")
    parser.add_argument("--warm-seeds", type=int, default=3, help="of our recipes in a warm process")
    parser.add_argument("--peer-seeds", type=int, default=3, help="of the peers")
    parser.add_argument(
        "--patience",
        type=float,
        default=10,
        help="peers are stopped after so many times our longest training",
    )
    parser.add_argument("--recipe", choices=list(MARKS.values()), help="only the mark that this one is for")
    parser.add_argument(
        "--without", action="append", default=[], choices=list(PEERS), help="leave out a peer"
    )
    arguments = parser.parse_args()

    ours: dict[str, list[Training]] = {}
    warm: dict[str, list[float]] = {}
    marks = {mark: recipe for mark, recipe in MARKS.items() if arguments.recipe in (None, recipe)}
    for recipe in marks.values():
        for seed in range(arguments.seeds):
            ours.setdefault(recipe, []).append(train_ours(recipe, seed))
            say(recipe, seed, ours[recipe][-1])
        trainings = run_json(str(HERE / "warm_training.py"), recipe, str(arguments.warm_seeds))[1]
        warm[recipe] = [training["seconds"] for training in trainings]
        say(recipe, "warm", trainings)
    cold = {
        recipe: [training.start_s + training.epochs[-1][0] for training in trainings]
        for recipe, trainings in ours.items()
    }

    patience = arguments.patience * statistics.mean(cold[marks[max(marks)]])
    peers: dict[str, list[Training]] = {}
    for name, (package, epochs) in PEERS.items():
        if name in arguments.without or importlib.util.find_spec(package) is None:
            say(f"{name} is left out" + ("" if name in arguments.without else f": no package {package}"))
            continue
        for seed in range(arguments.peer_seeds):
            peers.setdefault(name, []).append(train_peer(name, seed, epochs, patience))
            say(name, seed, peers[name][-1])

    print(
        f"{datetime.date.today()}, {processor()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    )
    print(
        f"n = {arguments.seeds} seeds of mnistry ({arguments.warm_seeds} warm), "
        f"{arguments.peer_seeds} of the others; mean ± s.d. (range)\n"
    )
    print("| mark | who | epochs | test accuracy, % | cold, s | warm, s | cold / ours |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for mark, recipe in marks.items():
        reached = describe([training.epochs[-1][1] for training in ours[recipe]], 100, ".2f")
        row = [f"`mnistry train --recipe {recipe} --validation 0`", str(RECIPES[recipe].epochs), reached]
        row += [describe(cold[recipe], 1, ".1f"), describe(warm[recipe], 1, ".1f"), "1"]
        print(f"| {mark:.1%} | {' | '.join(row)} |")
        for name, trainings in peers.items():
            row = [name, *peer_cells(mark, trainings, statistics.mean(cold[recipe]))]
            print(f"| {mark:.1%} | {' | '.join(row)} |")


def say(*words: object) -> None:
    """Tell on standard error how far it is."""
    print(*words, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()

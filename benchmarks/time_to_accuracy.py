"""How many seconds on this machine to 99.0 %, and to 99.5 %, of the test images read right, in the mean?

Ours are the recipes `fast` and `better`, trained on all 60,000 images as whole processes of `mnistry train`:
cold is from the start of the process to the end of the last epoch, import and compilation included; warm is
the same training once more in a process that has compiled it. The others are the MNIST examples of Keras (on
TensorFlow), of PyTorch and of tinygrad, written anew in peers/: theirs is the time to the first epoch after
which the mean over their seeds reaches the mark; only training is counted, not their measuring. Peers that
are not installed are left out, and said to be.

    python benchmarks/time_to_accuracy.py [--seeds 10] [--peer-seeds 3] [--without tinygrad_beautiful]
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


def train_peer(name: str, seed: int, epochs: int) -> Training:
    """One process of a peer."""
    began, report = run_json(str(HERE / "peers" / f"{name}.py"), str(seed), str(epochs))
    rows = [(epoch["seconds"], epoch["accuracy"]) for epoch in report["epochs"]]
    return Training(report["began"] - began, rows)


def time_to(mark: float, trainings: list[Training]) -> tuple[int, float, float] | None:
    """(epochs, cold seconds, seconds of training alone) to the mark in the mean, or None if never."""
    for number, rows in enumerate(zip(*(training.epochs for training in trainings), strict=True), 1):
        if statistics.mean(accuracy for _, accuracy in rows) >= mark:
            cold = [t.start_s + t.epochs[number - 1][0] for t in trainings]
            return number, statistics.mean(cold), statistics.mean(seconds for seconds, _ in rows)
    return None


def describe(values: list[float], scale: float, form: str) -> str:
    """Mean ± standard deviation (minimum to maximum)."""
    values = [scale * value for value in values]
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    low, high = min(values), max(values)
    return f"{statistics.mean(values):{form}} ± {deviation:{form}} ({low:{form}} to {high:{form}})"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=10, help="of our recipes")
    parser.add_argument("--peer-seeds", type=int, default=3, help="of the peers")
    parser.add_argument(
        "--without", action="append", default=[], choices=list(PEERS), help="leave out a peer"
    )
    arguments = parser.parse_args()

    def say(*words: object) -> None:
        print(*words, file=sys.stderr, flush=True)

    peers: dict[str, list[Training]] = {}
    for name, (package, epochs) in PEERS.items():
        if name in arguments.without or importlib.util.find_spec(package) is None:
            say(f"{name} is left out" + ("" if name in arguments.without else f": no package {package}"))
            continue
        for seed in range(arguments.peer_seeds):
            peers.setdefault(name, []).append(train_peer(name, seed, epochs))
            say(name, seed, peers[name][-1])

    print(
        f"{datetime.date.today()}, {processor()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    )
    print(f"n = {arguments.seeds} seeds of mnistry, {arguments.peer_seeds} of the others\n")
    print("| mark | who | epochs | test accuracy, %, mean ± s.d. | cold, s | warm, s | cold / ours |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for mark, recipe in MARKS.items():
        ours = []
        warm: list[float] = []
        for seed in range(arguments.seeds):
            ours.append(train_ours(recipe, seed))
            warm.append(run_json(str(HERE / "warm_training.py"), recipe, str(seed))[1]["seconds"])
            say(recipe, seed, ours[-1], warm[-1])
        cold = [training.start_s + training.epochs[-1][0] for training in ours]
        reached = [training.epochs[-1][1] for training in ours]
        print(
            f"| {mark:.1%} | `mnistry train --recipe {recipe}` | | {describe(reached, 100, '.2f')} "
            f"| {describe(cold, 1, '.1f')} | {describe(warm, 1, '.1f')} | 1 |"
        )
        for name, trainings in peers.items():
            found = time_to(mark, trainings)
            epochs = len(trainings[0].epochs)
            last = [training.epochs[-1 if found is None else found[0] - 1][1] for training in trainings]
            seconds = [training.start_s + training.epochs[-1][0] for training in trainings]
            row = [f"{mark:.1%}", name, str(found[0]) if found else f"never in {epochs}"]
            row += [describe(last, 100, ".2f")]
            row += (
                [f"{found[1]:.0f}", f"{found[2]:.0f}"]
                if found
                else [f"over {statistics.mean(seconds):.0f}", ""]
            )
            row += [
                f"{found[1] / statistics.mean(cold):.1f}"
                if found
                else f"over {statistics.mean(seconds) / statistics.mean(cold):.1f}"
            ]
            print("| " + " | ".join(row) + " |")


if __name__ == "__main__":
    main()

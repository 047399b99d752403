"""How much faster is `mnistry train` than the classic recipe in Keras on TensorFlow, at the same accuracy?

Each round runs, one after the other, the classic script with Keras' `model.fit` on TensorFlow, and
`mnistry train` on JAX and on TensorFlow, each as a whole process: 20 epochs of 784-128-10, Adam, batches of
32, 48,000 images to train and 12,000 to validate, test and pictures included. Beside them it times the matrix
products of an epoch alone, in NumPy: the floor. It prints a table in Markdown with both sides and the ratios.

    python benchmarks/train_speed.py [--seeds 5] [--epochs 20]
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
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
BATCH, INPUTS, HIDDEN, CLASSES = 32, 784, 128, 10
STEPS = 48_000 // BATCH


@dataclass
class Result:
    """One process: accuracy 0..1, seconds, and peak resident memory in MB."""

    accuracy: float
    process_s: float
    epoch_s: float  # median of the epochs after the first
    to_first_step_s: float  # from the start of the process to the first step, compilation included
    memory_mb: float


def run_process(command: list[str], environment: dict[str, str]) -> Result:
    """Run a command that prints its figures as JSON on its last line; time it from outside."""
    with tempfile.TemporaryFile("w+") as output:
        began = time.time()
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.DEVNULL, env={**os.environ, **environment}
        )
        _, status, usage = os.wait4(process.pid, 0)
        process_s = time.time() - began
        if status:
            raise SystemExit(f"{' '.join(command)} failed with status {status}")
        output.seek(0)
        report = json.loads(output.read().splitlines()[-1])
    first, *others = report["epoch_seconds"]
    epoch_s = statistics.median(others or [first])
    return Result(
        accuracy=report.get("accuracy", report.get("metrics", {}).get("accuracy")),
        process_s=process_s,
        epoch_s=epoch_s,
        to_first_step_s=report["first_epoch_at"] - began + max(0.0, first - epoch_s),
        memory_mb=usage.ru_maxrss / 1024,
    )


def matrix_products_s(repeats: int = 3) -> float:
    """Seconds of one training epoch's matrix products alone, forward and backward, in NumPy's BLAS."""
    rng = np.random.default_rng(0)
    x = rng.random((BATCH, INPUTS), np.float32)
    w1, w2 = rng.random((INPUTS, HIDDEN), np.float32), rng.random((HIDDEN, CLASSES), np.float32)
    h, d = rng.random((BATCH, HIDDEN), np.float32), rng.random((BATCH, CLASSES), np.float32)
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        for _ in range(STEPS):
            x @ w1, h @ w2, h.T @ d, d @ w2.T, x.T @ h
        times.append(time.perf_counter() - began)
    return min(times)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=5, help="rounds, each with a seed of its own")
    parser.add_argument("--epochs", type=int, default=20)
    arguments = parser.parse_args()

    sides: dict[str, list[Result]] = {
        "model.fit, TensorFlow": [],
        "mnistry, JAX": [],
        "mnistry, TensorFlow": [],
    }
    floors = []
    for seed in range(arguments.seeds):
        common = ["--seed", str(seed), "--epochs", str(arguments.epochs)]
        with tempfile.TemporaryDirectory() as folder:
            classic = [sys.executable, str(HERE / "classic_keras.py"), *common, "--out", folder]
            mnistry = [sys.executable, "-m", "mnistry.cli", "train", *common, "--json", "--backend"]
            commands = {
                "model.fit, TensorFlow": (classic, {"KERAS_BACKEND": "tensorflow"}),
                "mnistry, JAX": ([*mnistry, "jax", "--out", f"{folder}/jax"], {}),
                "mnistry, TensorFlow": ([*mnistry, "tensorflow", "--out", f"{folder}/tensorflow"], {}),
            }
            for name, (command, environment) in commands.items():
                sides[name].append(run_process(command, environment))
                print(f"seed {seed}  {name:<22} {sides[name][-1]}", file=sys.stderr, flush=True)
            floors.append(matrix_products_s())
    print_table(sides, floors, arguments.epochs)


def print_table(sides: dict[str, list[Result]], floors: list[float], epochs: int) -> None:
    """Medians with minimum and maximum, ratios pair by pair, accuracies with their spread."""
    classic = sides["model.fit, TensorFlow"]
    floor = statistics.median(floors)

    def spread(values: list[float], form: str) -> str:
        low, middle, high = min(values), statistics.median(values), max(values)
        return f"{middle:{form}} ({low:{form}} to {high:{form}})"

    def ratio(name: str, field: str) -> str:
        pairs = zip(classic, sides[name], strict=True)
        return spread([getattr(a, field) / getattr(b, field) for a, b in pairs], ".1f")

    print(f"\n{datetime.date.today()}, {processor()}, {os.cpu_count()} cores,")
    print(f"Python {platform.python_version()}, {epochs} epochs, n = {len(classic)} seeds;")
    print("median (minimum to maximum)\n")
    rows = [
        ("seconds an epoch, steady", "epoch_s", ".2f"),
        ("seconds for the whole process", "process_s", ".1f"),
        ("seconds from start to first step", "to_first_step_s", ".1f"),
        ("peak memory, MB", "memory_mb", ".0f"),
    ]
    print("| what | " + " | ".join(sides) + " |")
    print("| --- |" + " --- |" * len(sides))
    for label, field, form in rows:
        cells = [spread([getattr(result, field) for result in results], form) for results in sides.values()]
        print(f"| {label} | " + " | ".join(cells) + " |")
    cells = []
    for results in sides.values():
        accuracies = [100 * result.accuracy for result in results]
        deviation = statistics.stdev(accuracies) if len(accuracies) > 1 else 0.0
        low, high = min(accuracies), max(accuracies)
        cells.append(f"{statistics.mean(accuracies):.2f} ± {deviation:.2f} ({low:.2f} to {high:.2f})")
    print("| test accuracy, %, mean ± s.d. | " + " | ".join(cells) + " |")
    names = [name for name in sides if name != "model.fit, TensorFlow"]
    for label, field in (
        ("times faster, an epoch", "epoch_s"),
        ("times faster, the whole process", "process_s"),
    ):
        print(f"| {label} | 1 | " + " | ".join(ratio(name, field) for name in names) + " |")
    cells = [f"{statistics.median(r.epoch_s for r in sides[name]) / floor:.2f}" for name in names]
    print(f"| epoch / its matrix products alone ({floor:.3f} s in NumPy) | | " + " | ".join(cells) + " |")


def processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor()


if __name__ == "__main__":
    main()

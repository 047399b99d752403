"""How fast does a classifier answer, against the same network in Keras on TensorFlow?

Three questions, each with both sides in turn: a cold command (`mnistry read digit.png` against a script that
loads the .keras file, reads the picture and calls `model.predict`), the latency of one image in a warm
process, and images per second in bulk. It prints a table in Markdown with both sides and the ratios, then the
throughput of the export's precisions.

    python benchmarks/inference.py [--model RUN] [--rounds 7]

RUN is a run directory with one network, trained with `mnistry train --recipe best`, say; without it, one
epoch of that recipe is trained first: the weights do not matter for the time. The shipped classifier, which
the cold command uses, is this network with one class more.
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
from pathlib import Path

import numpy as np
from PIL import Image

from mnistry import Classifier, load_mnist
from train_speed import processor

HERE = Path(__file__).parent


def time_process(command: list[str]) -> tuple[float, float]:
    """(seconds, peak resident memory in MB) of a process that must succeed."""
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)} failed with status {status}")
    return time.perf_counter() - began, usage.ru_maxrss / 1024


def time_classifier(classifier: Classifier, images: np.ndarray, seconds: float = 2.0) -> tuple[float, float]:
    """(median milliseconds of one image, images per second of all of them at once)."""
    classifier.predict(images[:1])
    latencies = []
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        began = time.perf_counter()
        classifier.predict(images[:1])
        latencies.append(1000 * (time.perf_counter() - began))
    began = time.perf_counter()
    classifier.predict(images)
    return statistics.median(latencies), len(images) / (time.perf_counter() - began)


def spread(values: list[float], form: str) -> str:
    """Median (minimum to maximum)."""
    return f"{statistics.median(values):{form}} ({min(values):{form}} to {max(values):{form}})"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, help="a run directory")
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    _, test = load_mnist()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run = arguments.model
        if run is None:
            run = folder / "run"
            command = ["train", "--recipe", "best", "--epochs", "1", "--out", str(run)]
            subprocess.run([sys.executable, "-m", "mnistry.cli", *command], check=True, stdout=sys.stderr)
        compare(run, test.images, folder, arguments.rounds)


def compare(run: Path, images: np.ndarray, folder: Path, rounds: int) -> None:
    """Both sides in turn, `rounds` times, and the table."""
    picture = folder / "digit.png"
    Image.fromarray(images[0]).save(picture)
    onnx = {}
    for precision in ("float32", "int8"):
        onnx[precision] = folder / f"{precision}.onnx"
        command = ["export", str(run), "--dtype", precision, "--out", str(onnx[precision])]
        subprocess.run([sys.executable, "-m", "mnistry.cli", *command], check=True, stdout=sys.stderr)

    read = [sys.executable, "-m", "mnistry.cli", "read", str(picture), "--single"]
    keras = [sys.executable, str(HERE / "peers" / "keras_predict.py"), str(run / "model.keras"), str(picture)]
    ours: dict[str, list[float]] = {"cold": [], "memory": [], "latency": [], "bulk": [], "int8": []}
    theirs: dict[str, list[float]] = {"cold": [], "memory": [], "latency": [], "bulk": []}
    for _ in range(rounds):
        for side, command in ((ours, read), (theirs, keras)):
            seconds, memory = time_process(command)
            side["cold"].append(seconds)
            side["memory"].append(memory)
        latency, bulk = time_classifier(Classifier(onnx["float32"]), images)
        ours["latency"].append(latency)
        ours["bulk"].append(bulk)
        ours["int8"].append(time_classifier(Classifier(onnx["int8"]), images, 0.2)[1])
        done = subprocess.run([*keras, "--bulk"], check=True, capture_output=True, text=True)
        report = json.loads(done.stdout.splitlines()[-1])
        theirs["latency"].append(report["latency_ms"])
        theirs["bulk"].append(report["images_a_second"])

    print(
        f"{datetime.date.today()}, {processor()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    )
    print(f"{rounds} rounds, median (minimum to maximum)\n")
    print("| what | Keras on TensorFlow | mnistry | ratio |")
    print("| --- | --- | --- | --- |")
    for label, field, form in (
        ("cold command, one picture, s", "cold", ".2f"),
        ("its peak memory, MB", "memory", ".0f"),
        ("one image, warm, ms", "latency", ".2f"),
        ("images a second in bulk", "bulk", ",.0f"),
    ):
        ratio = statistics.median(theirs[field]) / statistics.median(ours[field])
        ratio = 1 / ratio if field == "bulk" else ratio
        print(f"| {label} | {spread(theirs[field], form)} | {spread(ours[field], form)} | {ratio:.1f} |")
    ratio = statistics.median(ours["int8"]) / statistics.median(ours["bulk"])
    print(f"| the same, int8 | | {spread(ours['int8'], ',.0f')} | {ratio:.2f} of float32 |")


if __name__ == "__main__":
    main()

"""The benchmarks, on tiny settings."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mnistry.data import save_data
from mnistry.dataset import Dataset
from mnistry.runs import Run

ACCURACY = Path(__file__).parent.parent / "benchmarks" / "accuracy.py"


def save_noisy_digits(path):
    """200 images to train on and 100 to test with, too noisy to be all read right."""
    rng = np.random.default_rng(0)

    def draw(count, name):
        labels = np.arange(count, dtype=np.uint8) % 10
        images = rng.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        images[np.arange(count), 2 * labels + 4] |= 160
        return Dataset(images, labels, name)

    save_data((draw(200, "noisy train"), draw(100, "noisy test")), path)


def run_accuracy(*arguments):
    command = [sys.executable, str(ACCURACY), "classic", "--set", "epochs=2", "model=linear", *arguments]
    return subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        env={**os.environ, "KERAS_BACKEND": "jax"},
        timeout=600,
        check=False,
    )


def cells(text, label):
    """The numbers in the row of a Markdown table with this label."""
    (row,) = [line for line in text.splitlines() if line.startswith(f"| {label} |")]
    return [float(cell) for cell in row.strip("| ").split(" | ")[1:]]


@pytest.mark.slow
def test_accuracy_trains_all_seeds_goes_on_with_stopped_ones_and_shows_the_test_only_when_asked(tmp_path):
    save_noisy_digits(tmp_path / "digits.npz")
    runs = tmp_path / "runs"
    common = ("--data", tmp_path / "digits.npz", "--runs", runs, "--first-seed", 3, "--seeds", 3)

    done = run_accuracy(*common, "--validation-only")
    assert done.returncode == 0, done.stderr
    paths = [runs / f"classic-seed-{seed}" for seed in (3, 4, 5)]
    assert sorted(runs.iterdir()) == paths
    expected = [100 * Run.open(path).history()["val_accuracy"][-1] for path in paths]
    assert [cells(done.stdout, seed) for seed in (3, 4, 5)] == [
        [pytest.approx(v, abs=0.01)] for v in expected
    ]
    assert "accuracy on the test" not in done.stdout

    # One is stopped, as a kill before the end leaves it; the others must not be trained again.
    stopped = json.loads((paths[1] / "run.json").read_text())
    (paths[1] / "run.json").write_text(json.dumps({**stopped, "status": "training"}))
    (paths[1] / "model.keras").unlink()
    times = [(path / "model.keras").stat().st_mtime_ns for path in (paths[0], paths[2])]
    done = run_accuracy(*common, "--ensemble", 2)
    assert done.returncode == 0, done.stderr
    assert times == [(path / "model.keras").stat().st_mtime_ns for path in (paths[0], paths[2])]
    assert Run.open(paths[1]).status == "finished"

    accuracies = [100 * Run.open(path).metrics["accuracy"] for path in paths]
    n, mean, deviation, low, high = cells(done.stdout, "one network")
    assert (n, low, high) == (3, pytest.approx(min(accuracies)), pytest.approx(max(accuracies)))
    assert mean == pytest.approx(statistics.mean(accuracies), abs=0.001)
    assert deviation == pytest.approx(statistics.stdev(accuracies), abs=0.001)

    images, labels = (np.load(tmp_path / "digits.npz")[name] for name in ("x_test", "y_test"))
    logits = [Run.open(path).load_model().predict(images, verbose=0) for path in paths[:2]]
    odds = [np.exp(rows - rows.max(axis=1, keepdims=True)) for rows in logits]
    together = sum(rows / rows.sum(axis=1, keepdims=True) for rows in odds)
    assert cells(done.stdout, "3, 4") == [pytest.approx(100 * np.mean(together.argmax(axis=1) == labels))]

    other = run_accuracy(*common, "--set", "batch_size=16")
    assert other.returncode == 1
    assert "other settings" in other.stderr

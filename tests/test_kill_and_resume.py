"""Real processes, really killed: a run ends with the same bits however often it was killed on the way.

MNISTRY_KILLS sets the number of kills, 10 by default.
"""

from __future__ import annotations

import collections
import json
import os
import random
import subprocess
import sys
import time

import keras
import numpy as np
import pytest

KILLS = int(os.environ.get("MNISTRY_KILLS", "10"))
EPOCHS = 20
IMAGES = 6000

# Dropout and batch normalisation, so that random seeds and statistics must survive as well as weights.
MODEL = """
import keras

def build(num_classes):
    return keras.Sequential([
        keras.Input((28, 28), dtype="uint8"),
        keras.layers.Rescaling(1 / 255),
        keras.layers.Flatten(),
        keras.layers.Dense(64, activation="relu"),
        keras.layers.BatchNormalization(),
        keras.layers.Dropout(0.4),
        keras.layers.Dense(num_classes),
    ])
"""

# What a user's program does: begin the run, or go on with it. Prints a line when everything is imported.
CHILD = f"""
import sys
from pathlib import Path
from mnistry.backend import choose_backend
choose_backend(own_process=True)
from mnistry import load_mnist, training
train_part, test_part = load_mnist()
data = (train_part.take({IMAGES}), test_part.take(500))
out, model = sys.argv[1:]
print("begun", flush=True)
if Path(out, "run.json").exists():
    training.resume(out, data, verbose=0)
else:
    training.train(data, out=out, model=model, epochs={EPOCHS}, verbose=0)
"""

# The files, by how their temporary names begin; how often each is written; how often it is chosen for a kill.
WRITES = {
    ".run.json.": (2, 1),
    ".checkpoint.npz.": (EPOCHS, 5),
    ".history.csv.": (EPOCHS, 4),
    ".model.": (2, 2),  # model.keras and model.onnx
    ".loss.": (1, 1),
    ".prediction.": (1, 1),
}


def start(out, model, compiled):
    """A child that has imported everything and now begins to work."""
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, out, model],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | compiled,
    )
    if child.stdout.readline() != "begun\n":
        raise AssertionError(child.communicate()[1])
    return child


def finish(child):
    """Seconds until the child has ended by itself, in silence."""
    since = time.perf_counter()
    _, errors = child.communicate(timeout=300)
    assert (child.returncode, errors) == (0, "")
    return time.perf_counter() - since


def kill_after(child, seconds):
    """Kill after a time; whether the child still lived."""
    try:
        child.wait(seconds)
    except subprocess.TimeoutExpired:
        child.kill()
    return child.wait() < 0


def kill_in_write(child, out, name, occurrence):
    """Kill while the temporary file of this name is there, the given time that it is."""
    there, seen = False, 0
    while child.poll() is None:
        before, there = there, any(path.startswith(name) for path in temporary_files(out))
        seen += there and not before
        if seen == occurrence:
            child.kill()
            break
        time.sleep(0.0005)
    return child.wait() < 0


def temporary_files(out):
    return [name for _, _, names in os.walk(out) for name in names if name.startswith(".") and ".tmp" in name]


def checkpoint(out):
    with np.load(out / "checkpoint.npz") as archive:
        return {name: archive[name] for name in archive.files}


def epochs_done(out):
    """The last complete epoch, by the checkpoint, which must be whole."""
    return json.loads(checkpoint(out)["about"].tobytes())["epoch"] if (out / "checkpoint.npz").exists() else 0


def outcome(out):
    """Everything that training and measuring brought about, as bytes that can be compared."""
    record = json.loads((out / "run.json").read_text())
    state = {name: array for name, array in checkpoint(out).items() if name != "about"}
    weights = keras.saving.load_model(out / "model.keras").get_weights()
    about = json.loads(checkpoint(out)["about"].tobytes())
    return {
        "checkpoint": {name: (array.dtype, array.shape, array.tobytes()) for name, array in state.items()},
        "model": [(array.dtype, array.shape, array.tobytes()) for array in weights],
        "history": about["history"],
        "history.csv": (out / "history.csv").read_bytes(),
        "plots": {path.name: path.read_bytes() for path in (out / "plots").iterdir()},
        **{
            key: record[key]
            for key in ("status", "epochs_done", "config", "data", "metrics", "first_test_image")
        },
    }


@pytest.mark.slow
def test_a_run_killed_at_random_moments_ends_with_the_bits_of_one_never_interrupted(tmp_path, capsys):
    model = tmp_path / "own.py"
    model.write_text(MODEL)
    model = f"{model}:build"
    # The killed ones find their programs compiled, so that they spend their lives on training and writing.
    compiled = {
        "JAX_COMPILATION_CACHE_DIR": str(tmp_path / "compiled"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }
    finish(start(tmp_path / "straight", model, {}))
    expected = outcome(tmp_path / "straight")
    assert (expected["status"], expected["epochs_done"]) == ("finished", EPOCHS)
    assert any(dtype == np.uint32 for dtype, _, _ in expected["checkpoint"].values())  # the state of dropout
    finish(start(tmp_path / "warm", model, compiled))
    assert outcome(tmp_path / "warm") == expected  # another process, the same seed
    # A killed process may leave half of a compiled program: from here on none is written.
    compiled["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "1000"
    timed = start(tmp_path / "timed", model, compiled)
    begun = time.time()
    lifetime = finish(timed)
    fitted = (tmp_path / "timed" / "model.keras").stat().st_mtime - begun

    rng = random.Random(2024)
    kills, runs, counts = 0, 0, collections.Counter()
    while kills < KILLS:
        runs += 1
        out = tmp_path / f"killed-{runs}"
        killed = True
        while killed:
            child = start(out, model, compiled)
            killed = kills < KILLS and kill(child, out, rng, (fitted, lifetime))
            if not killed:
                finish(child)
                continue
            kills += 1
            assert child.communicate()[1] == ""
            counts[stage(out)] += 1
            left = temporary_files(out)
            counts["in the middle of a file"] += bool(left)
            assert len(left) <= 2, left  # they do not pile up from kill to kill
        assert temporary_files(out) == []
        assert outcome(out) == expected
    with capsys.disabled():
        where = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
        print(f"\n{kills} kills of {runs} runs ({where}): every run ended with the same bits")


def kill(child, out, rng, spans):
    """Kill at a random moment, or in the middle of a random file; whether the child still lived.

    The moment lies before the end of the training or before the end of the child, which `spans` gives in
    seconds: otherwise most kills would fall into the drawing of the pictures, which takes the longest.
    """
    if (out / "model.keras").exists() and rng.random() < 0.7:
        return False
    if rng.random() < 0.5:
        return kill_after(child, rng.uniform(0, rng.choice(spans)))
    name = rng.choices(list(WRITES), [weight for _, weight in WRITES.values()])[0]
    writes_to_come = min(WRITES[name][0], max(1, EPOCHS - epochs_done(out)))
    return kill_in_write(child, out, name, rng.randint(1, writes_to_come))


def stage(out):
    """How far a killed run had come; what it left must be whole."""
    if not (out / "run.json").exists():
        return "before run.json"
    record = json.loads((out / "run.json").read_text())
    assert record["status"] == "training" or record["epochs_done"] == EPOCHS
    epoch = epochs_done(out)
    if epoch == 0:
        return "before the first checkpoint"
    if (out / "model.keras").exists():
        assert keras.saving.load_model(out / "model.keras").built
        return "after the model"
    return "between epochs" if epoch < EPOCHS else "before the model"

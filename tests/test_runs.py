"""A run directory keeps what it was given, and says clearly when it cannot."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import keras
import numpy as np
import pytest

from mnistry.errors import ModelError, RunError
from mnistry.runs import FORMAT, Run, latest_run, new_run_path
from permissions import read_only

HISTORY = {"loss": [0.5, 1 / 3], "val_loss": [float("nan"), 1e-300]}
SECONDS = {"fit": 1.25}


def build(*, units=6, dropout_seed=3, weight_seed=1):
    """A small network that takes images, with random state of its own."""
    keras.utils.set_random_seed(weight_seed)
    model = keras.Sequential(
        [
            keras.Input((28, 28), dtype="uint8"),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Flatten(),
            keras.layers.Dense(units),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.5, seed=dropout_seed),
            keras.layers.Dense(3),
        ]
    )
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    return model


def train_step(model, seed):
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (8, 28, 28), dtype=np.uint8)
    model.train_on_batch(images, rng.integers(0, 3, 8, dtype=np.uint8))


def state(model):
    variables = [*model.variables, *model.optimizer.variables]
    return [keras.ops.convert_to_numpy(variable) for variable in variables]


def assert_same_state(model, other):
    for ours, theirs in zip(state(model), state(other), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def files(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture(scope="module")
def trained():
    model = build()
    train_step(model, 1)
    train_step(model, 2)
    return model


@pytest.fixture(scope="module")
def saved(tmp_path_factory, trained):
    """The files of a run with a checkpoint and a model."""
    run = Run.create(tmp_path_factory.mktemp("saved"), {"config": {"epochs": 4}})
    run.save_epoch(trained, 2, HISTORY, SECONDS)
    run.save_model(trained)
    return files(run.path)


@pytest.fixture
def run(tmp_path, saved):
    path = tmp_path / "run"
    path.mkdir()
    for name, content in saved.items():
        (path / name).write_bytes(content)
    return Run.open(path)


def test_a_created_run_can_be_opened(tmp_path):
    created = Run.create(tmp_path / "new" / "run", {"config": {"epochs": 3}, "data": {"n": 1}})
    opened = Run.open(str(tmp_path / "new" / "run"))
    assert opened == created
    assert opened.record == {
        "format": FORMAT,
        "status": "training",
        "config": {"epochs": 3},
        "data": {"n": 1},
    }
    assert (opened.status, opened.metrics, opened.history()) == ("training", {}, {})


def test_a_changed_record_is_kept(run):
    run.record |= {"status": "finished", "metrics": {"accuracy": 0.1 + 0.2}}
    run.save_record()
    assert Run.open(run.path).record == run.record
    assert Run.open(run.path).metrics == {"accuracy": 0.1 + 0.2}


def test_an_empty_directory_is_taken_and_a_full_one_is_not(tmp_path):
    Run.create(tmp_path, {})
    before = files(tmp_path)
    with pytest.raises(RunError, match=r"is not empty.*--resume"):
        Run.create(tmp_path, {})
    assert files(tmp_path) == before


def test_a_directory_with_anything_of_the_users_is_not_taken(tmp_path):
    (tmp_path / ".hidden").touch()
    with pytest.raises(RunError, match="is not empty"):
        Run.create(tmp_path, {})
    assert files(tmp_path) == {".hidden": b""}


def test_a_directory_in_which_a_process_was_killed_while_creating_a_run_is_taken(tmp_path):
    (tmp_path / ".run.json.123.tmp").write_bytes(b'{"form')
    Run.create(tmp_path, {}).mend({})
    assert list(files(tmp_path)) == ["run.json"]


def test_a_run_cannot_be_created_below_a_file(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match=r"cannot create the run directory '.*below': Not a directory"):
        Run.create(tmp_path / "file" / "below", {})
    with pytest.raises(RunError, match=r"cannot create the run directory '.*file': File exists"):
        Run.create(tmp_path / "file", {})


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="no /proc here")
def test_a_run_cannot_be_created_where_nobody_may_write():
    with pytest.raises(RunError, match="cannot create the run directory '/proc/mnistry'"):
        Run.create("/proc/mnistry", {})


def test_a_read_only_directory_is_an_error_and_keeps_its_files(run, trained):
    before = files(run.path)
    with read_only(run.path):
        with pytest.raises(RunError, match=r"cannot create the run directory.*Permission denied"):
            Run.create(run.path / "below", {})
        with pytest.raises(RunError, match=r"checkpoint.npz': Permission denied.*intact.*--resume"):
            run.save_epoch(trained, 3, HISTORY, SECONDS)
        with pytest.raises(RunError, match=r"model.keras': Permission denied"):
            run.save_model(trained)
    assert files(run.path) == before


def test_the_checkpoint_restores_every_bit(run, trained):
    model = build(weight_seed=2, dropout_seed=4)
    epoch, history, seconds = run.restore_epoch(model)
    assert (epoch, seconds) == (2, SECONDS)
    np.testing.assert_equal(history, HISTORY)
    assert_same_state(model, trained)
    assert sum(array.size for array in state(model)) > 3 * 784 * 6  # weights and both of Adam's moments


def test_training_goes_on_after_the_checkpoint_as_if_it_had_not_stopped(run, saved):
    straight = build()
    for seed in (1, 2, 3, 4):
        train_step(straight, seed)
    resumed = build(weight_seed=7)  # every weight, moment and random seed comes from the checkpoint
    run.restore_epoch(resumed)
    for seed in (3, 4):
        train_step(resumed, seed)
    assert_same_state(resumed, straight)


def test_without_a_checkpoint_the_model_stays_as_it_is(tmp_path):
    model = build()
    before = state(model)
    assert Run.create(tmp_path, {}).restore_epoch(model) == (0, {}, {})
    for ours, theirs in zip(before, state(model)[: len(before)], strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_history_csv_holds_the_history_to_the_last_bit(run):
    with (run.path / "history.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row.pop("epoch") for row in rows] == ["1", "2"]
    read = {name: [float(row[name]) for row in rows] for name in rows[0]}
    np.testing.assert_equal(read, HISTORY)
    np.testing.assert_equal(run.history(), HISTORY)


def test_mending_makes_history_csv_again_and_removes_what_killed_processes_left(run, saved):
    (run.path / "history.csv").write_text("epoch,loss\n1,0.5\n")
    (run.path / "plots").mkdir()
    for name in (".checkpoint.npz.77.tmp", ".model.78.tmp.keras", "plots/.loss.79.tmp.png"):
        (run.path / name).write_bytes(b"half")
    run.mend(run.restore_epoch(build())[1])
    assert files(run.path) == saved


def test_the_model_is_loaded_with_the_same_logits(run, trained):
    images = np.random.default_rng(0).integers(0, 256, (5, 28, 28), dtype=np.uint8)
    loaded = run.load_model()
    np.testing.assert_array_equal(
        loaded.predict(images, verbose=0), trained.predict(images, verbose=0), strict=True
    )


def test_a_missing_model_is_an_error_that_says_what_to_do(tmp_path):
    with pytest.raises(RunError, match=r"has no trained model yet.*--resume"):
        Run.create(tmp_path, {}).load_model()


def test_a_damaged_model_is_an_error(run, saved):
    content = saved["model.keras"]
    for damaged in (b"", content[:-1], content[: len(content) // 2], content.replace(b"PK", b"XX")):
        run.model_path.write_bytes(damaged)
        with pytest.raises(ModelError, match=r"cannot load the model '.*model.keras'"):
            run.load_model()


def test_a_directory_without_run_json_is_no_run(tmp_path):
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(RunError, match=r"is no run directory: it has no run.json"):
            Run.open(path)


def test_a_file_is_no_run(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match=r"file' is no run directory: it has no run\.json"):
        Run.open(tmp_path / "file")


@pytest.mark.parametrize("content", [b"", b"{", b'{"format": 1', b"\xff\xfe\x00", b"\x00" * 100])
def test_a_damaged_run_json_is_an_error_and_stays(run, content):
    (run.path / "run.json").write_bytes(content)
    before = files(run.path)
    with pytest.raises(RunError, match=r"run.json' is damaged"):
        Run.open(run.path)
    assert files(run.path) == before


@pytest.mark.parametrize("record", [[], None, 3, {}, {"format": "1"}, {"status": "finished"}])
def test_a_run_json_that_is_something_else_is_an_error(run, record):
    (run.path / "run.json").write_text(json.dumps(record))
    with pytest.raises(RunError, match="no record of a run"):
        Run.open(run.path)


def test_a_run_of_a_newer_version_is_an_error_and_stays(run):
    (run.path / "run.json").write_text(json.dumps(run.record | {"format": FORMAT + 1}))
    before = files(run.path)
    with pytest.raises(RunError, match=rf"newer mnistry .format {FORMAT + 1}.*pip install --upgrade mnistry"):
        Run.open(run.path)
    assert files(run.path) == before


def test_a_checkpoint_of_a_newer_version_is_an_error_and_stays(run):
    about = np.frombuffer(json.dumps({"format": FORMAT + 1}).encode(), np.uint8)
    np.savez(run.path / "checkpoint.npz", about=about, something_else=np.zeros(3))
    before = files(run.path)
    with pytest.raises(RunError, match=r"checkpoint.*newer mnistry"):
        run.restore_epoch(build())
    assert files(run.path) == before


def test_a_checkpoint_of_another_model_is_an_error_and_changes_nothing(run):
    model = build(units=7)
    before, weights = files(run.path), model.get_weights()
    with pytest.raises(RunError, match="belongs to another model"):
        run.restore_epoch(model)
    assert files(run.path) == before
    for ours, theirs in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def damages(content, rng):
    """The ways in which disks, cables and editors damage files."""
    yield b""
    yield b"\x00" * len(content)
    yield content[1:]
    for length in rng.integers(1, len(content), 60):
        yield content[:length]
    # Half of them in the archive's directory, which is a small part of the file.
    places = [*rng.integers(0, len(content), 100), *len(content) - rng.integers(1, 3000, 100)]
    for place in places:
        flipped = bytearray(content)
        flipped[place] ^= 1 << rng.integers(8)
        yield bytes(flipped)
        wiped = bytearray(content)
        stop = min(place + int(rng.integers(1, 600)), len(content))
        wiped[place:stop] = bytes(stop - place)
        yield bytes(wiped)


def test_a_damaged_checkpoint_is_an_error_or_gives_the_very_same_state(run, trained, saved):
    model = build(weight_seed=2)
    path = run.path / "checkpoint.npz"
    refused = {}
    for number, damaged in enumerate(damages(saved["checkpoint.npz"], np.random.default_rng(0))):
        path.write_bytes(damaged)
        try:
            epoch, history, _ = run.restore_epoch(model)
        except RunError as error:
            refused[number] = str(error)
        else:  # in a byte that says nothing, such as the date of an entry
            assert epoch == 2, number
            np.testing.assert_equal(history, HISTORY)
            assert_same_state(model, trained)
        assert path.read_bytes() == damaged
    assert all("is damaged" in text for text in refused.values())
    assert len(refused) > 300


needs_full_disk = pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")


@needs_full_disk
@pytest.mark.parametrize(
    ("name", "temporary"),
    [
        ("run.json", ".run.json.{pid}.tmp"),
        ("checkpoint.npz", ".checkpoint.npz.{pid}.tmp"),
        ("history.csv", ".history.csv.{pid}.tmp"),
        ("model.keras", ".model.{pid}.tmp.keras"),
        ("plots/loss.png", "plots/.loss.{pid}.tmp.png"),
    ],
)
def test_a_full_disk_is_an_error_that_leaves_what_was_there(run, trained, name, temporary):
    from matplotlib.figure import Figure

    writers = {
        "run.json": run.save_record,
        "checkpoint.npz": lambda: run.save_epoch(trained, 3, HISTORY, SECONDS),
        "history.csv": lambda: run.save_epoch(trained, 2, HISTORY, SECONDS),
        "model.keras": lambda: run.save_model(trained),
        "plots/loss.png": lambda: run.save_plot(Figure(), "loss"),
    }
    run.plots_path.mkdir()
    (run.path / "plots/loss.png").write_bytes(b"an older picture")
    before = files(run.path)
    # The device refuses every byte as a full disk does; the temporary file is laid onto it.
    (run.path / temporary.format(pid=os.getpid())).symlink_to("/dev/full")
    with pytest.raises(RunError) as caught:
        writers[name]()
    assert f"cannot write '{run.path / name}': No space left on device." in str(caught.value)
    assert f"mnistry train --resume {run.path}" in str(caught.value)
    after = files(run.path)
    assert set(after) == set(before)
    assert after[name] == before[name]
    writers[name]()  # the disk has room again
    assert set(files(run.path)) == set(before)
    model = build()
    run.restore_epoch(model)
    assert_same_state(model, trained)


def test_a_new_run_path_is_an_empty_directory_of_its_own(tmp_path):
    paths = [new_run_path(tmp_path, "mlp") for _ in range(3)]
    assert [path.name for path in paths] == ["mlp", "mlp-2", "mlp-3"]
    assert all(path.is_dir() and not any(path.iterdir()) for path in paths)


def test_the_latest_run_is_the_one_whose_model_was_written_last(tmp_path):
    assert latest_run(tmp_path / "missing") is None
    for name, time in (("b", 30), ("a", 50), ("c", 40)):
        other = Run.create(tmp_path / name, {})
        other.model_path.touch()
        os.utime(other.model_path, (time, time))
    Run.create(tmp_path / "d", {})  # still in training
    assert latest_run(tmp_path).path.name == "a"


def test_an_ensemble_counts_among_the_latest_by_its_onnx_file(tmp_path):
    single = Run.create(tmp_path / "single", {})
    ensemble = Run.create(tmp_path / "ensemble", {"members": []})
    for path, time in ((single.model_path, 30), (single.onnx_path, 60), (ensemble.onnx_path, 50)):
        path.touch()
        os.utime(path, (time, time))
    assert latest_run(tmp_path).path.name == "ensemble"  # exporting an older run does not make it newer


def test_a_lost_checkpoint_is_an_error_that_says_what_it_held(run):
    run.record["epochs_done"] = 2
    run.history()
    (run.path / "checkpoint.npz").unlink()
    with pytest.raises(RunError, match=r"has lost its checkpoint\.npz, which holds the history"):
        run.history()


def test_writing_a_model_removes_the_onnx_file_of_an_older_one(run, trained):
    run.onnx_path.write_bytes(b"older")
    run.save_model(trained)
    assert not run.onnx_path.exists()

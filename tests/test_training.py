"""`train` and `resume`: the job from data to pictures, on a few hundred images."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import platform
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest

import mnistry
from mnistry import jobs, training
from mnistry.calibration import fit_calibration
from mnistry.classifier import Classifier
from mnistry.data import load_mnist, save_data
from mnistry.dataset import Dataset
from mnistry.errors import DataError, MnistryError, ModelError, RunError
from mnistry.evaluation import evaluate
from mnistry.models import as_classifier
from mnistry.recipes import Config
from mnistry.runs import Run
from mnistry.splits import Splits, prepare_data
from mnistry.training import resume, train
from permissions import read_only

OWN_MODEL = """
import keras

def dropping(num_classes):
    return keras.Sequential([
        keras.Input((28, 28), dtype="uint8"),
        keras.layers.Rescaling(1 / 255),
        keras.layers.Flatten(),
        keras.layers.Dense(12, activation="relu"),
        keras.layers.BatchNormalization(),
        keras.layers.Dropout(0.4),
        keras.layers.Dense(num_classes),
    ])
"""
SMALL = {"model": "linear", "epochs": 2, "verbose": 0}
pytestmark = pytest.mark.usefixtures("compiled_programs")


@pytest.fixture(scope="module")
def data():
    train_part, test_part = load_mnist()
    return train_part.take(600), test_part.take(200)


@pytest.fixture(scope="module")
def run(tmp_path_factory, data, compiled_programs):
    """A finished run of the classic network, with its pictures. Tests only read it."""
    return train(data, out=tmp_path_factory.mktemp("run"), epochs=3, seed=7, verbose=0)


@pytest.fixture
def no_pictures(monkeypatch):
    """Pictures take longer than everything else here, so tests that are about something else go without."""
    monkeypatch.setattr(jobs, "draw_plots", lambda *_: None)


@pytest.fixture
def own_model(tmp_path):
    (tmp_path / "own.py").write_text(OWN_MODEL)
    return f"{tmp_path / 'own.py'}:dropping"


def files(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def arrays(run):
    """Every array of the checkpoint and of the saved model."""
    with np.load(run.path / "checkpoint.npz") as archive:
        state = [archive[name] for name in archive.files if name != "about"]
    return state + keras.saving.load_model(run.model_path).get_weights()


def differing(run, other):
    """How many arrays of two runs are not the same bit for bit."""
    pairs = list(zip(arrays(run), arrays(other), strict=True))
    return sum(one.dtype != two.dtype or one.tobytes() != two.tobytes() for one, two in pairs)


def assert_same_outcome(run, other):
    assert differing(run, other) == 0
    assert (run.path / "history.csv").read_bytes() == (other.path / "history.csv").read_bytes()
    assert run.metrics == other.metrics
    assert run.status == other.status == "finished"
    assert run.record["epochs_done"] == other.record["epochs_done"]


# What a finished run holds


def test_the_record_says_how_the_run_came_about(run, data):
    record = json.loads((run.path / "run.json").read_text())
    assert record == run.record == Run.open(run.path).record
    assert (record["status"], record["epochs_done"], record["backend"]) == (
        "finished",
        3,
        keras.backend.backend(),
    )
    assert Config(**record["config"]) == Config(data="<mnist train>", epochs=3, seed=7)
    assert record["versions"]["mnistry"] == mnistry.__version__
    assert record["versions"]["python"] == platform.python_version()
    assert record["versions"]["keras"] == keras.__version__
    assert record["versions"]["numpy"] == np.__version__
    assert record["backend"] in record["versions"]
    assert record["machine"]["cores"] == os.cpu_count()
    assert record["machine"]["system"]
    assert record["machine"]["processor"]
    assert record["model_source"] is None
    assert (record["optimizer"], record["loss"]) == ("Adam", "sparse_categorical_crossentropy")
    assert record["class_names"] == list("0123456789")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", record["created"])


def test_the_record_names_the_data_by_their_sha256(run, data):
    images, labels = data[0]
    expected = {
        "train": (images[:480], labels[:480]),
        "validation": (images[480:], labels[480:]),
        "test": tuple(data[1]),
    }
    assert set(run.record["data"]) == set(expected)
    for part, (images, labels) in expected.items():
        entry = run.record["data"][part]
        assert entry["images"] == len(images)
        assert entry["sha256"] == hashlib.sha256(images.tobytes() + labels.tobytes()).hexdigest()


def test_the_record_says_how_long_each_stage_took(tmp_path, data, no_pictures):
    start = time.perf_counter()
    seconds = train(data, out=tmp_path, **SMALL).record["seconds"]
    elapsed = time.perf_counter() - start
    stages = {"import", "data", "build", "fit", "calibrate", "evaluate", "export", "plot"}
    assert set(seconds) == stages
    assert all(value >= 0 for value in seconds.values())
    assert sum(seconds.values()) <= elapsed + 0.01


def test_the_metrics_are_those_of_the_saved_model_calibrated_on_the_test_set(run, data):
    evaluation = evaluate(run.classifier(), data[1])
    assert run.metrics == json.loads(json.dumps(evaluation.to_dict()))
    assert run.metrics["n"] == 200
    assert run.metrics["accuracy"] > 0.6
    assert run.record["first_test_image"] == {"label": 7, "predicted": int(evaluation.predicted[0])}


def test_history_csv_is_the_history(run):
    history = run.history()
    assert list(history) == ["accuracy", "loss", "val_accuracy", "val_loss"]
    with (run.path / "history.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["epoch", *history]
    assert [row[0] for row in rows[1:]] == ["1", "2", "3"]
    for column, values in enumerate(history.values(), start=1):
        assert [float(row[column]) for row in rows[1:]] == values
    assert history["loss"][2] < history["loss"][0]


def test_the_validation_figures_are_those_of_the_last_images(run, data):
    logits = as_classifier(run.load_model())(data[0].images[480:])
    accuracy = np.mean(logits.argmax(axis=1) == data[0].labels[480:])
    assert run.history()["val_accuracy"][-1] == pytest.approx(accuracy, abs=1e-6)


def test_the_pictures_are_there(run):
    pictures = {path.stem: path.read_bytes() for path in run.plots_path.iterdir()}
    assert set(pictures) == {"loss", "accuracy", "confusion_matrix", "mistakes", "prediction"}
    assert all(content.startswith(b"\x89PNG") for content in pictures.values())


def test_nothing_temporary_stays(run):
    assert {path.name for path in run.path.iterdir()} == {
        "run.json",
        "history.csv",
        "checkpoint.npz",
        "model.keras",
        "model.onnx",
        "plots",
    }


def test_the_model_reloads_to_the_logits_of_the_checkpoint(run, data):
    model = jobs.build_compiled(Config(seed=99), 10, 100)
    run.restore_epoch(model)
    images = data[1].images
    expected = as_classifier(model)(images)
    np.testing.assert_array_equal(as_classifier(run.load_model())(images), expected)


# Calibration and the file for ONNX Runtime


def test_the_calibration_is_fitted_on_the_validation_images(run, data):
    logits = as_classifier(run.load_model())(data[0].images[480:])
    expected = fit_calibration(data[0].labels[480:], logits, seed=7)
    assert run.calibration == expected
    assert run.record["calibration"] == json.loads(json.dumps(expected.to_dict()))
    assert (expected.n, expected.coverage) == (120, 0.99)
    calibrated = run.classifier()(data[1].images)
    raw = as_classifier(run.load_model())(data[1].images)
    np.testing.assert_allclose(calibrated * expected.temperature, raw, rtol=1e-5, atol=1e-5)


def test_the_run_answers_through_onnx_runtime_as_through_keras(run, data):
    classifier = Classifier(run.path)
    assert classifier.path == run.onnx_path
    assert classifier.calibration == run.calibration
    assert classifier.class_names == tuple("0123456789")
    assert classifier.metadata.provenance["runs"][0]["config"] == run.record["config"]
    logits = classifier.calibrated_logits(data[1].images)
    np.testing.assert_allclose(logits, run.classifier()(data[1].images), atol=1e-4)


def test_without_validation_images_nothing_is_calibrated_and_this_is_noted(tmp_path, data, no_pictures):
    notes = []
    run = train(data, out=tmp_path, validation=0, note=notes.append, **SMALL)
    assert notes == ["no images were kept to validate on, so the confidences are not calibrated"]
    assert run.record["calibration"] is run.calibration is None
    assert Classifier(run.path).calibration is None


OWN_LAYER = """
import keras

@keras.saving.register_keras_serializable()
class Halve(keras.layers.Layer):
    def call(self, inputs):
        return inputs / 2

def own(num_classes):
    first = [keras.Input((28, 28), dtype="uint8"), keras.layers.Rescaling(1 / 255), Halve()]
    return keras.Sequential([*first, keras.layers.Flatten(), keras.layers.Dense(num_classes)])
"""


def test_a_network_that_cannot_be_exported_is_trained_all_the_same_and_this_is_noted(
    tmp_path, data, no_pictures
):
    (tmp_path / "own.py").write_text(OWN_LAYER)
    notes = []
    settings = SMALL | {"model": f"{tmp_path / 'own.py'}:own"}
    run = train(data, out=tmp_path / "run", note=notes.append, **settings)
    (note,) = notes
    assert note.startswith("there is no model.onnx, so answers need Keras: no ONNX form of halve (Halve)")
    assert run.status == "finished"
    assert run.calibration is not None
    assert not run.onnx_path.exists()


def test_more_epochs_renew_the_file_and_never_leave_that_of_fewer(tmp_path, data, no_pictures, monkeypatch):
    run = train(data, out=tmp_path, **SMALL)
    before = run.onnx_path.read_bytes()
    run = resume(tmp_path, data, epochs=3, verbose=0)
    assert run.onnx_path.read_bytes() != before
    np.testing.assert_allclose(
        Classifier(run.path)(data[1].images), as_classifier(run.load_model())(data[1].images), atol=1e-4
    )

    def fail(*_, **__):
        raise ModelError("cannot")

    monkeypatch.setattr("mnistry.exporting.onnx.export_onnx", fail)
    assert not resume(tmp_path, data, epochs=4, verbose=0).onnx_path.exists()


def test_a_smoothed_loss_and_decay_are_named_in_the_record(tmp_path, data, no_pictures):
    run = train(data, out=tmp_path, label_smoothing=0.1, weight_decay=0.01, **SMALL)
    assert (run.record["optimizer"], run.record["loss"]) == ("AdamW", "smoothed_crossentropy")


# Seeds


def test_the_same_seed_gives_the_same_bits_and_another_does_not(run, tmp_path, data, no_pictures):
    same = train(data, out=tmp_path / "same", epochs=3, seed=7, verbose=0)
    other = train(data, out=tmp_path / "other", epochs=3, seed=8, verbose=0)
    assert_same_outcome(run, same)
    assert differing(run, other) >= 8  # at least each weight, in checkpoint and model


def test_dropout_is_drawn_from_the_seed_too(tmp_path, data, own_model, no_pictures):
    settings = {"model": own_model, "epochs": 2, "verbose": 0}
    first = train(data, out=tmp_path / "first", seed=1, **settings)
    np.random.default_rng().random()
    keras.layers.Dropout(0.5)  # draws a seed from the global state in between
    assert_same_outcome(first, train(data, out=tmp_path / "second", seed=1, **settings))


# Settings


@pytest.mark.parametrize("name", ["epoch", "data_path", "lr"])
def test_an_unknown_setting_is_a_type_error_that_lists_the_known_ones(tmp_path, data, name):
    with pytest.raises(TypeError, match=f"no setting '{name}': there are model, data, epochs, batch_size"):
        train(data, out=tmp_path / "run", **{name: 1})
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", 0),
        ("batch_size", 0),
        ("batch_size", -1),
        ("learning_rate", 0),
        ("learning_rate", -0.1),
        ("learning_rate", float("nan")),
        ("validation", 1),
        ("validation", -0.1),
        ("validation", float("nan")),
        ("seed", -1),
        ("seed", 2**31),
    ],
)
def test_a_setting_out_of_range_is_a_value_error_that_names_it(tmp_path, data, name, value):
    with pytest.raises(ValueError, match=f"^{name} must be .*received {value}$"):
        train(data, out=tmp_path / "run", **{name: value})
    assert not (tmp_path / "run").exists()


def test_an_unknown_model_is_refused_before_anything_is_written(tmp_path, data):
    with pytest.raises(ModelError, match="unknown model 'resnet'"):
        train(data, out=tmp_path / "run", model="resnet")
    assert not (tmp_path / "run").exists()


def test_without_out_each_run_has_its_own_directory_in_runs(tmp_path, data, monkeypatch, no_pictures):
    monkeypatch.chdir(tmp_path)
    paths = [train(data, **SMALL | {"epochs": 1}).path for _ in range(2)]
    assert paths[0] != paths[1]
    for path in paths:
        assert re.fullmatch(r"runs/\d{8}-\d{6}-linear(-2)?", path.as_posix())
        assert (tmp_path / path / "model.keras").exists()


def test_a_full_directory_is_refused_and_stays_as_it_is(run, data):
    before = files(run.path)
    with pytest.raises(RunError, match="is not empty"):
        train(data, out=run.path, **SMALL)
    assert files(run.path) == before


# What is noted about the data


def sorted_by_class(dataset):
    return dataset.take(np.argsort(dataset.labels, kind="stable"))


def test_data_sorted_by_class_are_shuffled_with_the_seed_and_this_is_noted(data):
    notes = []
    ordered = (sorted_by_class(data[0]), data[1])
    splits = prepare_data(ordered, Config(seed=3), notes.append)
    assert notes == [
        "the training images are sorted by class: they are shuffled with the seed before the split"
    ]
    assert (len(splits.train), len(splits.validation)) == (480, 120)
    assert np.all(splits.train.class_counts() > 0)
    assert np.all(splits.validation.class_counts() > 0)
    digests = [prepare_data(ordered, Config(seed=seed)).train.sha256 for seed in (3, 4)]
    assert digests[0] == splits.train.sha256 != digests[1]
    together = np.concatenate([splits.train.images, splits.validation.images])
    assert sorted(image.tobytes() for image in together) == sorted(
        image.tobytes() for image in data[0].images
    )


def test_a_rare_class_is_not_called_sorting(data):
    labels = np.random.default_rng(0).integers(0, 9, 600).astype(np.uint8)
    labels[[3, 5]] = 9  # both within the training part
    notes = []
    splits = prepare_data((Dataset(data[0].images, labels, "some"), data[1]), Config(seed=0), notes.append)
    assert notes[0] == (
        "of class 9, one of the parts to train on and to validate on would have no image: the training "
        "images are shuffled with the seed before the split"
    )
    counts = [part.class_counts()[9] for part in (splits.train, splits.validation)]
    assert sum(counts) == 2
    assert notes[1:] == ["of class 9, even so only one of these parts has images"] * (0 in counts)
    labels[5] = 8
    notes.clear()
    prepare_data((Dataset(data[0].images, labels, "some"), data[1]), Config(), notes.append)
    assert notes[1] == "of class 9, even so only one of these parts has images"


def test_data_in_any_other_order_keep_it_and_nothing_is_noted(data):
    notes = []
    splits = prepare_data(data, Config(), notes.append)
    assert notes == []
    np.testing.assert_array_equal(splits.train.images, data[0].images[:480])
    np.testing.assert_array_equal(splits.validation.labels, data[0].labels[480:])
    assert splits.test is data[1]


def test_without_validation_every_image_is_trained_on(tmp_path, data, no_pictures):
    assert prepare_data(data, Config(validation=0)) == Splits(data[0], None, data[1])
    run = train(data, out=tmp_path, validation=0, **SMALL)
    assert list(run.history()) == ["accuracy", "loss"]
    assert set(run.record["data"]) == {"train", "test"}
    assert run.record["data"]["train"]["images"] == 600


def test_data_without_a_test_part_give_some_for_it_and_this_is_noted(tmp_path, data, no_pictures):
    save_data(data[0], tmp_path / "digits.npz")
    notes = []
    run = train(tmp_path / "digits.npz", out=tmp_path / "run", note=notes.append, **SMALL)
    assert notes == ["digits.npz has no test part: 90 images, drawn with the seed, are kept for the test"]
    assert [run.record["data"][part]["images"] for part in ("train", "validation", "test")] == [408, 102, 90]
    assert run.record["config"]["data"] == str(tmp_path / "digits.npz")
    assert run.metrics["n"] == 90


def test_train_and_test_with_different_classes_are_refused(data):
    letters = Dataset(data[1].images, data[1].labels, "letters", tuple("abcdefghij"))
    with pytest.raises(DataError, match=r"letters has the classes a, b.*expected those of mnist train: 0, 1"):
        prepare_data((data[0], letters), Config())


# Going on


def test_a_finished_run_is_given_back_unchanged(run):
    before = files(run.path)
    again = resume(run.path)
    assert again == run
    assert files(run.path) == before


def test_more_epochs_give_the_bits_of_a_run_of_that_many(tmp_path, data, own_model, no_pictures):
    settings = {"model": own_model, "verbose": 0}
    straight = train(data, out=tmp_path / "straight", epochs=5, **settings)
    train(data, out=tmp_path / "resumed", epochs=2, **settings)
    resumed = resume(tmp_path / "resumed", data, epochs=5, verbose=0)
    assert_same_outcome(resumed, straight)
    assert resumed.record["config"] == straight.record["config"]
    assert resumed.record["data"] == straight.record["data"]


def test_fewer_epochs_than_set_are_refused(run, data):
    with pytest.raises(RunError, match="is set to 3 epochs: --epochs can only be more"):
        resume(run.path, data, epochs=2)


def test_data_from_a_file_are_found_again(tmp_path, data, no_pictures):
    save_data(data, tmp_path / "digits.npz")
    train(tmp_path / "digits.npz", out=tmp_path / "run", **SMALL)
    assert resume(tmp_path / "run", epochs=3, verbose=0).record["epochs_done"] == 3


class KilledError(Exception):
    """Stands for a kill at a chosen instant; test_kill_and_resume.py has real ones."""


def kill_at(monkeypatch, method, call):
    """Let the call number `call` of a method of Run raise KilledError, before it does anything."""
    original, calls = getattr(Run, method), []

    def counted(*args):
        calls.append(method)
        if len(calls) == call:
            raise KilledError
        return original(*args)

    monkeypatch.setattr(Run, method, counted)


@pytest.mark.parametrize(
    ("method", "call"),
    [
        ("save_epoch", 1),
        ("_save_history", 1),
        ("save_epoch", 4),
        ("_save_history", 4),
        ("save_model", 1),
        ("save_record", 3),
    ],
)
def test_a_run_killed_at_any_step_ends_as_if_it_had_not_been(
    tmp_path, data, monkeypatch, no_pictures, method, call
):
    settings = SMALL | {"epochs": 4}
    straight = train(data, out=tmp_path / "straight", **settings)
    with monkeypatch.context() as patch:
        kill_at(patch, method, call)
        with pytest.raises(KilledError):
            train(data, out=tmp_path / "killed", **settings)
    killed = Run.open(tmp_path / "killed")
    assert killed.status == "training"
    assert killed.metrics == {}
    seconds_before = killed.restore_epoch(jobs.build_compiled(Config(model="linear"), 10, 100))[2].get(
        "fit", 0
    )
    resumed = resume(tmp_path / "killed", data, verbose=0)
    assert_same_outcome(resumed, straight)
    assert resumed.record["seconds"]["fit"] >= seconds_before


def test_a_resumed_run_that_is_killed_remembers_what_it_was_asked_for(
    tmp_path, data, monkeypatch, no_pictures
):
    train(data, out=tmp_path / "run", **SMALL)
    with monkeypatch.context() as patch:
        kill_at(patch, "save_epoch", 2)
        with pytest.raises(KilledError):
            resume(tmp_path / "run", data, epochs=5, verbose=0)
    assert Run.open(tmp_path / "run").status == "training"
    resumed = resume(tmp_path / "run", data, verbose=0)
    assert (resumed.status, resumed.record["epochs_done"]) == ("finished", 5)


def test_changed_data_are_refused(run, data):
    before = files(run.path)
    images = data[0].images.copy()
    images[17, 3, 4] ^= 1
    changed = Dataset(images, data[0].labels, data[0].name)
    for other in ((changed, data[1]), (data[0], data[1].take(199)), (data[0].take(599), data[1])):
        with pytest.raises(RunError, match="cannot go on: its data has changed since it began"):
            resume(run.path, other, epochs=4)
    assert files(run.path) == before


def test_data_that_were_only_in_memory_must_be_given_again(run):
    with pytest.raises(
        RunError, match=r"trained on data in memory: resume it in Python with data=\(train, test\)"
    ):
        resume(run.path, epochs=4)


def test_a_changed_or_missing_model_file_is_refused(tmp_path, data, own_model, no_pictures):
    run = train(data, out=tmp_path / "run", **SMALL | {"model": own_model})
    before = files(run.path)
    source = tmp_path / "own.py"
    assert run.record["model_source"] == hashlib.sha256(source.read_bytes()).hexdigest()
    source.write_text(OWN_MODEL.replace("relu", "tanh"))  # the same shapes
    with pytest.raises(RunError, match="cannot go on: its model source has changed"):
        resume(run.path, data, epochs=3)
    source.unlink()
    with pytest.raises(RunError, match="cannot go on: its model source has changed"):
        resume(run.path, data, epochs=3)
    assert files(run.path) == before
    source.write_text(OWN_MODEL)
    assert resume(run.path, data, epochs=3, verbose=0).record["epochs_done"] == 3


@pytest.fixture
def copied(run, tmp_path):
    """The finished run again, for tests that spoil it."""
    for name, content in files(run.path).items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    return Run.open(tmp_path)


def test_a_damaged_checkpoint_is_refused_and_everything_stays(copied, data):
    checkpoint = copied.path / "checkpoint.npz"
    checkpoint.write_bytes(checkpoint.read_bytes()[:-1000])
    before = files(copied.path)
    with pytest.raises(RunError, match=r"checkpoint\.npz' is damaged"):
        resume(copied.path, data, epochs=4, verbose=0)
    assert files(copied.path) == before


@pytest.mark.parametrize(
    "change",
    [
        {"config": {"epochs": 3, "dropout": 0.1}},
        {"config": {"epochs": 0}},
        {"config": {"epochs": "many"}},
        {"config": None},
        {"config": {}, "backend": None, "status": None},
    ],
)
def test_a_record_with_settings_that_are_not_understood_is_refused(copied, data, change):
    copied.record |= change
    for key in [key for key, value in change.items() if value is None]:
        del copied.record[key]
    copied.save_record()
    with pytest.raises(RunError, match=r"holds settings that (this )?mnistry cannot use"):
        resume(copied.path, data, epochs=30)


def test_a_run_on_another_back_end_is_refused_with_a_way_out(copied, data):
    other = "tensorflow" if keras.backend.backend() != "tensorflow" else "jax"
    copied.record["backend"] = other
    copied.save_record()
    with pytest.raises(MnistryError, match=f"cannot change to {other}: set KERAS_BACKEND={other}"):
        resume(copied.path, data, epochs=4)


def test_a_resumed_run_says_that_it_stays_on_its_own_back_end(copied, data, monkeypatch, no_pictures):
    backend = keras.backend.backend()
    other = "tensorflow" if backend != "tensorflow" else "jax"
    said = f"the run began on {backend} and goes on there, whatever KERAS_BACKEND says ({other})"
    for wanted, expected in ((other, [said]), (backend, [])):
        monkeypatch.setenv("KERAS_BACKEND", wanted)
        notes = []
        epochs = copied.record["config"]["epochs"] + 1
        copied = resume(copied.path, data, epochs=epochs, verbose=0, note=notes.append)
        assert notes == expected


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"model": 3}, TypeError, "model must be text, received 3"),
        ({"epochs": "x"}, TypeError, "epochs must be a whole number, received 'x'"),
        ({"epochs": 2.5}, TypeError, "epochs must be a whole number, received 2.5"),
        ({"validation": None}, TypeError, "validation must be a number, received None"),
        ({"seed": True}, TypeError, "seed must be a whole number, received True"),
        ({"augmentation": 5}, TypeError, "augmentation must be an Augmentation, received 5"),
        ({"data": 5}, TypeError, "data must be a path, .* received int"),
        ({"data": ()}, TypeError, "data must be a path, .* received tuple"),
        ({"data": (([0], [0]), None)}, TypeError, "data must be a path"),
        ({"ensemble": "two"}, ValueError, "ensemble must be a whole number .* received 'two'"),
    ],
)
def test_a_setting_of_another_type_says_what_was_expected(settings, error, message):
    with pytest.raises(error, match=message):
        train(**settings)


def test_numbers_of_numpy_become_those_of_python():
    config = Config(epochs=np.int64(3), learning_rate=np.float32(0.5), weight_decay=0)
    assert config == Config(epochs=3, learning_rate=0.5)
    assert [type(value) for value in (config.epochs, config.learning_rate)] == [int, float]


# Ctrl-C and a full disk, in real processes

CHILD = """
import os, resource, sys
from mnistry.backend import choose_backend
choose_backend(own_process=True)
from mnistry import errors, jobs, load_mnist, training
from mnistry.recipes import Config
from mnistry.runs import Run
train_part, test_part = load_mnist()
data = (train_part.take(600), test_part.take(200))
out = sys.argv[1]
"""


def start_child(code, compiled_programs, *arguments):
    # The test trains without interruption first, so the child finds the programs compiled; it writes none.
    compiled = {
        "JAX_COMPILATION_CACHE_DIR": compiled_programs,
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "1000",
    }
    return subprocess.Popen(
        [sys.executable, "-c", CHILD + code, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | compiled,
        start_new_session=True,
    )


INTERRUPTED = """
jobs.draw_plots = lambda *_: None
original = Run.save_epoch
def announce(run, model, epoch, *rest):
    original(run, model, epoch, *rest)
    print(epoch, flush=True)
Run.save_epoch = announce
run = training.train(data, out=out, model=sys.argv[2], epochs=60, verbose=0)
print("ended", run.status)
"""


@pytest.mark.slow
def test_ctrl_c_ends_after_the_epoch_with_everything_saved(
    tmp_path, data, own_model, no_pictures, compiled_programs
):
    straight = train(data, out=tmp_path / "straight", model=own_model, epochs=60, verbose=0)
    child = start_child(INTERRUPTED, compiled_programs, tmp_path / "run", own_model)
    while child.stdout.readline() != "3\n":
        assert child.poll() is None, child.stderr.read()
    child.send_signal(signal.SIGINT)
    output, errors = child.communicate(timeout=60)
    assert output.endswith("ended interrupted\n")
    assert errors.strip() == "finishing this epoch; Ctrl-C once more stops at once"
    assert child.returncode == 0
    run = Run.open(tmp_path / "run")
    done = run.record["epochs_done"]
    assert 3 <= done < 60
    assert run.status == "interrupted"
    assert [len(values) for values in run.history().values()] == [done] * 4
    assert run.metrics == json.loads(json.dumps(evaluate(run.classifier(), data[1]).to_dict()))
    assert_same_outcome(resume(run.path, data, verbose=0), straight)


def test_being_stopped_at_once_names_the_run(tmp_path, data, own_model, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "complete", stop)
    notes = []
    with pytest.raises(KeyboardInterrupt):
        train(data, out=tmp_path / "run", model=own_model, note=notes.append)
    assert f"--resume {tmp_path / 'run'} " in notes[-1]


FULL_DISK = """
unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)

def fill_disk_at(method, call):
    # From this call on no file can grow beyond 16 bytes.
    original, calls = getattr(Run, method), []
    def limited(*args):
        calls.append(method)
        if len(calls) == call:
            resource.setrlimit(resource.RLIMIT_FSIZE, (16, unlimited[1]))
        return original(*args)
    setattr(Run, method, limited)
    return lambda: setattr(Run, method, original)

def attempt(work, method, call=1):
    make_room = fill_disk_at(method, call)
    try:
        work()
    except errors.RunError as error:
        message = str(error)
    else:
        message = "no error"
    make_room()
    resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
    leftovers = [name for _, _, names in os.walk(out) for name in names if ".tmp" in name]
    run = Run.open(out)
    model = jobs.build_compiled(Config(model="linear"), 10, 100)
    print(run.restore_epoch(model)[0], run.status, leftovers, message, sep="|", flush=True)

attempt(lambda: training.train(data, out=out, model="linear", epochs=4, verbose=0), "save_epoch", 3)
attempt(lambda: training.resume(out, data, verbose=0), "_save_history", 2)
attempt(lambda: training.resume(out, data, verbose=0), "mend")
attempt(lambda: training.resume(out, data, verbose=0), "save_model")
attempt(lambda: training.resume(out, data, verbose=0), "save_plot", 2)
attempt(lambda: training.resume(out, data, verbose=0), "save_record", 2)
print(training.resume(out, data, verbose=0).status)
"""


@pytest.mark.slow
def test_a_full_disk_is_an_error_at_every_step_and_costs_nothing(
    tmp_path, data, no_pictures, compiled_programs
):
    """The system refuses every write for real, by a limit on the size of files."""
    out = tmp_path / "run"
    straight = train(data, out=tmp_path / "straight", **SMALL | {"epochs": 4})
    child = start_child(FULL_DISK, compiled_programs, out)
    output, errors = child.communicate(timeout=120)
    assert errors == ""
    *attempts, last = [line.split("|") for line in output.splitlines()]
    names = ["checkpoint.npz", "history.csv", "run.json", "model.keras", "plots/accuracy.png", "run.json"]
    epochs = ["2", "3", "3", "4", "4", "4"]  # the last complete one
    assert len(attempts) == len(names)
    for attempt, name, epoch in zip(attempts, names, epochs, strict=True):
        message = (
            f"cannot write '{out / name}': File too large. What was saved before is intact; once that is "
        )
        assert attempt[:3] == [epoch, "training", "[]"], attempt
        assert attempt[3] == message + f"mended, go on with: mnistry train --resume {out}"
    assert last == ["finished"]
    assert_same_outcome(Run.open(out), straight)
    assert len(list((out / "plots").iterdir())) == 5


def test_a_run_directory_that_became_read_only_is_an_error_and_stays(copied, data):
    before = files(copied.path)
    denied = pytest.raises(RunError, match=r"cannot write '.*run\.json': Permission denied")
    with read_only(copied.path), denied:
        resume(copied.path, data, epochs=4, verbose=0)
    assert files(copied.path) == before


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="no /proc here")
def test_a_directory_that_cannot_be_written_is_refused_before_training(data):
    with pytest.raises(RunError, match="cannot create the run directory '/proc/run'"):
        train(data, out="/proc/run", **SMALL)

"""SavedModels and LiteRT files answer as the networks they come from, whatever those were trained on."""

from __future__ import annotations

import functools
import importlib.util
import json
import os
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path

import numpy as np
import pytest

from mnistry.calibration import Calibration
from mnistry.classifier import Metadata
from mnistry.errors import MissingExtraError, ModelError
from mnistry.exporting import Tolerance, export_litert, export_saved_model, tensorflow
from mnistry.metrics import softmax
from mnistry.models import as_classifier, average
from mnistry.runs import Run
from test_exporting import Conv2D, layers, randomise, sequential

needs_tensorflow = pytest.mark.skipif(not importlib.util.find_spec("tensorflow"), reason="no TensorFlow")
N = 150
CALIBRATION = Calibration(2.0, 0.9, 0.97, (0.1,) * 10, 0.02, (0.01, 0.03), 0.01, (0.0, 0.02), 100)
METADATA = Metadata(tuple("abcdefghij"), CALIBRATION, {"data": "mnist"})

# What a user of the files would write, in a process that knows nothing of mnistry.
ASK_SAVED_MODEL = """
import sys, numpy as np, tensorflow as tf
serve = tf.saved_model.load(sys.argv[1]).signatures["serving_default"]
images = np.load("images.npy")
answers = [serve(images=tf.constant(part)) for part in (images[:1], images[1:])]
np.savez("answers.npz", **{name: np.concatenate([a[name] for a in answers]) for name in answers[0]})
"""
ASK_LITERT = """
import sys, numpy as np, tensorflow as tf
runner = tf.lite.Interpreter(sys.argv[1]).get_signature_runner()
answers = [runner(images=image[None]) for image in np.load("images.npy")]
np.savez("answers.npz", **{name: np.concatenate([a[name] for a in answers]) for name in answers[0]})
"""


@functools.cache
def build(seed=0):
    return randomise(
        sequential(
            layers.Reshape((14, 2, 14, 2)),
            layers.Permute((1, 3, 2, 4)),
            layers.Reshape((14, 14, 4)),
            Conv2D(8, 3, strides=2, padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Reshape((49, 8)),
            layers.EinsumDense("npc,pc->nc", (8,), kernel_initializer="zeros"),
        ),
        seed,
    )


@functools.cache
def make_images():
    return np.random.default_rng(1).integers(0, 256, (N, 28, 28), dtype=np.uint8)


@functools.cache
def logits(*seeds):
    return average([as_classifier(build(seed)) for seed in seeds])(make_images())


@pytest.fixture
def images():
    return make_images()


def ask(program, name, folder):
    """What the file answers to the images, by name."""
    np.save(folder / "images.npy", make_images())
    environment = {key: value for key, value in os.environ.items() if key != "KERAS_BACKEND"}
    command = [sys.executable, "-c", program, name]
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
    with np.load(folder / "answers.npz") as archive:
        return dict(archive)


@pytest.mark.slow
@needs_tensorflow
def test_a_saved_model_gives_the_logits_and_calibrated_probabilities_of_its_network(images, tmp_path):
    report = export_saved_model(build(), tmp_path / "x", images=images, metadata=METADATA)
    assert (report.n, report.precision, report.disagreements) == (N, "float32", ())
    assert report.size_bytes == sum(f.stat().st_size for f in (tmp_path / "x").rglob("*") if f.is_file())
    answers = ask(ASK_SAVED_MODEL, "x", tmp_path)
    np.testing.assert_allclose(answers["logits"], logits(0), atol=1e-4)
    np.testing.assert_allclose(answers["probabilities"], softmax(logits(0) / 2), atol=1e-5)
    assert answers["probabilities"].dtype == np.float32
    about = json.loads((tmp_path / "x" / "assets.extra" / "mnistry.json").read_text())
    assert about["class_names"] == list("abcdefghij")
    assert about["calibration"]["temperature"] == 2.0
    assert about["provenance"] == {"data": "mnist"}


@pytest.mark.slow
@needs_tensorflow
@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_a_litert_file_gives_the_answers_of_its_network(precision, images, tmp_path):
    # A network that has learnt nothing is sure of nothing: its answers may differ, but not its scores.
    extra = {"validation_images": images, "tolerance": Tolerance(0.02, 0.05)} if precision == "int8" else {}
    report = export_litert(
        build(), tmp_path / "x.tflite", images=images, metadata=METADATA, precision=precision, **extra
    )
    answers = ask(ASK_LITERT, "x.tflite", tmp_path)
    different = np.flatnonzero(answers["logits"].argmax(axis=1) != logits(0).argmax(axis=1))
    np.testing.assert_array_equal(different, report.disagreements)
    assert len(different) <= (7 if precision == "int8" else 0)
    scale = np.abs(logits(0)).max()
    np.testing.assert_allclose(
        answers["logits"], logits(0), atol=scale * (0.02 if precision == "int8" else 1e-5)
    )
    np.testing.assert_allclose(answers["probabilities"], softmax(answers["logits"] / 2), atol=5e-3)
    with zipfile.ZipFile(tmp_path / "x.tflite") as archive:
        about = json.loads(archive.read("mnistry.json"))
    assert about["precision"] == precision
    assert report.size_bytes == (tmp_path / "x.tflite").stat().st_size


@pytest.mark.slow
@needs_tensorflow
def test_several_networks_average_their_probabilities_and_an_older_directory_is_replaced(images, tmp_path):
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "saved_model.pb").write_bytes(b"older")
    (tmp_path / "x" / "older").write_bytes(b"older")
    models = [build(0), build(1)]
    with pytest.raises(ModelError, match=r"differs too much from its source.*0 of 150 images"):
        export_saved_model(models, tmp_path / "x", images=images, tolerance=Tolerance(-1, 1))
    assert (tmp_path / "x" / "saved_model.pb").read_bytes() == b"older"
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
    export_saved_model(models, tmp_path / "x", images=images)
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
    assert not (tmp_path / "x" / "older").exists()
    answers = ask(ASK_SAVED_MODEL, "x", tmp_path)
    np.testing.assert_allclose(answers["logits"], logits(0, 1), atol=1e-4)


@pytest.mark.slow
@needs_tensorflow
def test_a_run_with_a_layer_of_its_own_is_exported_and_a_model_with_one_says_why_not(
    images, tmp_path, monkeypatch
):
    own = tmp_path / "own.py"
    own.write_text(
        textwrap.dedent(
            """
            import keras

            class Twice(keras.layers.Layer):
                def call(self, x):
                    return 2 * x

            def build(num_classes):
                return keras.Sequential([
                    keras.Input((28, 28), dtype="uint8"), keras.layers.Rescaling(1 / 255), Twice(),
                    keras.layers.Flatten(), keras.layers.Dense(num_classes),
                ])
            """
        )
    )
    from mnistry.models import build_model

    model = build_model(f"{own}:build")
    record = {"config": {"model": f"{own}:build"}, "class_names": list("0123456789")}
    run = Run.create(tmp_path / "run", record)
    run.save_model(model)
    # Files where the user happens to be are no modules of ours.
    monkeypatch.chdir(tmp_path)
    (tmp_path / "json.py").write_text("raise RuntimeError('wrong file')")
    report = export_litert(run, tmp_path / "x.tflite", images=images)
    assert report.disagreements == ()
    with pytest.raises(ModelError, match="run it as litert: Could not locate class 'Twice'"):
        export_litert(model, tmp_path / "y.tflite", images=images)
    assert not (tmp_path / "y.tflite").exists()


@needs_tensorflow
def test_a_directory_with_other_things_is_not_replaced(images, tmp_path):
    (tmp_path / "precious").write_text("text")
    with pytest.raises(ModelError, match="is no SavedModel, so it is not replaced"):
        export_saved_model(build(), tmp_path, images=images)
    assert (tmp_path / "precious").read_text() == "text"


def pretend(monkeypatch, shift=0.0, code=0, stderr=""):
    """A process that writes a file and answers as the network with seed 0, off by `shift`."""

    def run(command, **options):
        folder = Path(command[-1])
        if not code:
            Path(json.loads((folder / "job.json").read_text())["path"]).write_bytes(b"x" * 10)
            np.save(folder / "logits.npy", logits(0) + np.float32(shift))
        return subprocess.CompletedProcess(command, code, "", stderr)

    monkeypatch.setattr(tensorflow.subprocess, "run", run)
    monkeypatch.setattr(tensorflow.importlib.util, "find_spec", lambda name: True)
    monkeypatch.setattr(type(build()), "save", lambda model, path: path.write_bytes(b"model"))


def test_a_file_beyond_its_tolerance_is_not_left_behind(images, tmp_path, monkeypatch):
    pretend(monkeypatch, shift=1.0)
    (tmp_path / "x.tflite").write_bytes(b"older")
    with pytest.raises(ModelError, match="differs too much from its source"):
        export_litert(build(), tmp_path / "x.tflite", images=images)
    assert (tmp_path / "x.tflite").read_bytes() == b"older"
    pretend(monkeypatch, shift=1e-6)
    assert export_litert(build(), tmp_path / "x.tflite", images=images).size_bytes == 10
    assert [path.name for path in tmp_path.iterdir()] == ["x.tflite"]


def test_a_process_that_fails_is_quoted_and_leaves_nothing(images, tmp_path, monkeypatch):
    pretend(monkeypatch, code=1, stderr="noise\nValueError: no such operator\n")
    with pytest.raises(ModelError, match="cannot write or run it as litert: ValueError: no such operator"):
        export_litert(build(), tmp_path / "x.tflite", images=images)
    pretend(monkeypatch, code=-9)
    with pytest.raises(ModelError, match="the process ended with -9"):
        export_litert(build(), tmp_path / "x.tflite", images=images)
    assert list(tmp_path.iterdir()) == []


def test_a_model_that_cannot_be_saved_is_a_model_error(images, tmp_path, monkeypatch):
    pretend(monkeypatch)

    def fail(model, path):
        raise NotImplementedError("no get_config")

    monkeypatch.setattr(type(build()), "save", fail)
    with pytest.raises(ModelError, match="saved for TensorFlow: NotImplementedError: no get_config"):
        export_litert(build(), tmp_path / "x.tflite", images=images)


def test_a_wrong_argument_is_a_value_error(images, tmp_path, monkeypatch):
    pretend(monkeypatch)
    with pytest.raises(ValueError, match="unknown precision 'int8': known are float32"):
        export_saved_model(build(), tmp_path / "x", images=images, precision="int8")
    with pytest.raises(ValueError, match="unknown precision 'float16': known are float32, int8"):
        export_litert(build(), tmp_path / "x", images=images, precision="float16")


def test_without_tensorflow_the_extra_is_named(images, tmp_path, monkeypatch):
    monkeypatch.setattr(tensorflow.importlib.util, "find_spec", lambda name: None)
    for export in (export_saved_model, export_litert):
        with pytest.raises(MissingExtraError, match=r"pip install 'mnistry\[tensorflow\]'"):
            export(build(), tmp_path / "x", images=images)

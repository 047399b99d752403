"""Several networks trained with a seed each, that answer together."""

from __future__ import annotations

import re

import keras
import numpy as np
import pytest

from mnistry import ensembles, jobs
from mnistry.classifier import Classifier
from mnistry.data import load_mnist
from mnistry.errors import ModelError, RunError
from mnistry.evaluation import evaluate
from mnistry.exporting import export_onnx
from mnistry.metrics import softmax
from mnistry.models import as_classifier
from mnistry.runs import Run, latest_run
from mnistry.training import resume, train

SMALL = {"model": "linear", "epochs": 2, "verbose": 0}
pytestmark = [pytest.mark.usefixtures("compiled_programs"), pytest.mark.slow]


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch):
    monkeypatch.setattr(jobs, "draw_plots", lambda *_: None)


@pytest.fixture(scope="module")
def data():
    train_part, test_part = load_mnist()
    return train_part.take(600), test_part.take(200)


@pytest.fixture(scope="module")
def run(tmp_path_factory, data, compiled_programs):
    """A finished ensemble of two. Tests only read it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jobs, "draw_plots", lambda *_: None)
        path = tmp_path_factory.mktemp("runs") / "ensemble"
        return train(data, ensemble=2, seed=5, out=path, **SMALL)


def weights(run):
    return keras.saving.load_model(run.model_path).get_weights()


def test_each_network_is_a_run_that_its_seed_alone_gives(run, data, tmp_path):
    members = run.members()
    assert [member.path.name for member in members] == ["seed-5", "seed-6"]
    assert [member.status for member in members] == ["finished"] * 2
    alone = train(data, out=tmp_path, seed=6, **SMALL)
    for one, two in zip(weights(members[1]), weights(alone), strict=True):
        np.testing.assert_array_equal(one, two)
    assert members[1].metrics == alone.metrics
    assert members[1].record["config"] == alone.record["config"]


def test_the_answer_is_the_mean_of_the_probabilities_through_keras_and_through_onnx(run, data):
    images = data[1].images
    expected = np.mean([softmax(as_classifier(m.load_model())(images)) for m in run.members()], axis=0)
    classifier = Classifier(run.path)
    np.testing.assert_allclose(softmax(classifier(images)), expected, atol=1e-5)
    np.testing.assert_allclose(
        softmax(run.classifier()(images)), classifier.predict(images).probabilities, atol=1e-5
    )
    assert classifier.calibration == run.calibration
    seeds = [origin["config"]["seed"] for origin in classifier.metadata.provenance["runs"]]
    assert seeds == [5, 6]


def test_the_record_has_the_figures_of_all_together_and_of_each_alone(run, data):
    assert run.record == Run.open(run.path).record
    assert run.status == "finished"
    assert run.metrics["accuracy"] == evaluate(run.classifier(), data[1]).accuracy
    alone = [evaluate(member.classifier(), data[1]).accuracy for member in run.members()]
    assert [member["accuracy"] for member in run.record["members"]] == alone
    assert run.record["members_accuracy"]["mean"] == pytest.approx(np.mean(alone))
    assert run.record["members_accuracy"]["sd"] == pytest.approx(np.std(alone, ddof=1))
    assert run.history() == {}


def test_it_is_exported_and_found_like_any_run(run, data, tmp_path):
    assert latest_run(run.path.parent).path == run.path
    report = export_onnx(run, tmp_path / "half.onnx", images=data[1].images, precision="float16")
    assert report.n == 200
    assert Classifier(tmp_path / "half.onnx").calibration == run.calibration
    with pytest.raises(RunError, match=r"is an ensemble, the networks of which lie in .*seed-5, .*seed-6"):
        run.load_model()


def test_one_that_was_killed_goes_on_with_the_network_it_was_at(data, run, tmp_path, monkeypatch):
    class KilledError(Exception):
        pass

    def complete(member, *args, **kwargs):
        if member.path.name == "seed-6":
            raise KilledError
        return jobs.complete(member, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(ensembles, "complete", complete)
        with pytest.raises(KilledError):
            train(data, ensemble=2, seed=5, out=tmp_path, **SMALL)
    killed = Run.open(tmp_path)
    assert (killed.status, killed.metrics) == ("training", {})
    first = (tmp_path / "seed-5" / "run.json").stat().st_mtime_ns
    resumed = resume(tmp_path, data, verbose=0)
    assert (tmp_path / "seed-5" / "run.json").stat().st_mtime_ns == first
    assert (resumed.status, resumed.metrics) == ("finished", run.metrics)
    assert resume(tmp_path) == resumed
    longer = resume(tmp_path, data, epochs=3, verbose=0)
    assert [member.record["epochs_done"] for member in longer.members()] == [3, 3]
    assert longer.metrics != run.metrics


def test_a_network_that_was_interrupted_ends_the_work_until_it_is_resumed(data, tmp_path, monkeypatch):
    def complete(member, *args, **kwargs):
        jobs.complete(member, *args, **kwargs).record["status"] = "interrupted"
        member.save_record()
        return member

    with monkeypatch.context() as patch:
        patch.setattr(ensembles, "complete", complete)
        run = train(data, ensemble=2, out=tmp_path, **SMALL)
    assert (run.status, run.metrics, len(run.members())) == ("interrupted", {}, 1)
    with pytest.raises(RunError, match="has only 1 of its 2 networks yet: mnistry train --resume"):
        run.classifier()
    with pytest.raises(ModelError, match=r"has no model\.onnx"):
        Classifier(run.path)
    assert resume(tmp_path, data, verbose=0).status == "finished"


def test_all_networks_share_one_split_and_can_be_resumed_alone(data, tmp_path):
    """Where the split is drawn with the seed, another one would test on images that were trained on."""
    run = train((data[0], None), ensemble=2, seed=3, out=tmp_path, **SMALL)
    parts = [member.record["data"] for member in run.members()]
    assert parts[0] == parts[1] == run.record["data"]
    alone = resume(tmp_path / "seed-4", (data[0], None), epochs=3, verbose=0)
    assert alone.record["data"] == parts[0]


def test_networks_that_cannot_be_exported_answer_through_keras(data, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise ModelError("cannot export several models as one")

    monkeypatch.setattr("mnistry.exporting.onnx.export_onnx", fail)
    notes = []
    run = train(data, ensemble=2, out=tmp_path, note=notes.append, **SMALL)
    assert notes[0] == "network 1 of 2, seed 0"
    assert re.match("there is no model.onnx, so answers need Keras: cannot export several", notes[-1])
    assert evaluate(run.classifier(), data[1]).accuracy == run.metrics["accuracy"]


def test_one_network_is_no_ensemble(data, tmp_path):
    with pytest.raises(ValueError, match="number of networks, at least 2, received 1"):
        train(data, ensemble=1, out=tmp_path / "run", **SMALL)
    assert not (tmp_path / "run").exists()

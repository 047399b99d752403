"""The classifier on ONNX Runtime. Its files are written here with onnx alone: no Keras."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from mnistry import classifier as module
from mnistry import load_mnist
from mnistry.calibration import Calibration, ece_with_interval
from mnistry.classifier import CHUNK, Classifier, Metadata, seal
from mnistry.errors import ModelError
from mnistry.metrics import softmax

NAMES = ("zero", "eins", "zwei", "drei", "fünf")
CALIBRATION = Calibration(
    temperature=2.0,
    threshold=0.5,
    coverage=0.9,
    conformal_thresholds=(0.1, 0.2, 0.3, 0.4, 0.5),
    ece_before=0.02,
    ece_before_interval=(0.01, 0.03),
    ece_after=0.01,
    ece_after_interval=(0.0, 0.02),
    n=100,
)
METADATA = Metadata(NAMES, CALIBRATION, {"data": "mnist", "seeds": [1, 2]}, "float32")
WEIGHTS = np.random.default_rng(0).normal(0, 0.001, (784, len(NAMES))).astype(np.float32)


def graph_bytes(
    properties: dict[str, str],
    *,
    name: str = "images",
    dtype: int = TensorProto.UINT8,
    shape: tuple[int, ...] = (28, 28),
    operator: str = "MatMul",
) -> bytes:
    """The bytes of an ONNX file that multiplies the pixels with WEIGHTS."""
    size = int(np.prod(shape))
    nodes = [
        helper.make_node("Cast", [name], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("Reshape", ["pixels", "shape"], ["flat"]),
        helper.make_node(operator, ["flat", "weights"], ["logits"]),
    ]
    weights = [
        numpy_helper.from_array(np.array([-1, size]), "shape"),
        numpy_helper.from_array(WEIGHTS[:size], "weights"),
    ]
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info(name, dtype, ["n", *shape])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", len(NAMES)])],
        weights,
    )
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
    helper.set_model_props(model, properties)
    return model.SerializeToString()


def logits_of(images):
    return images.reshape(len(images), 784).astype(np.float32) @ WEIGHTS


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(1).integers(0, 256, (1003, 28, 28), dtype=np.uint8)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "five.onnx"
    path.write_bytes(seal(graph_bytes(METADATA.to_properties())))
    return path


def refusal(path, content: bytes) -> str:
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"cannot use the classifier '.*five\.onnx': ") as caught:
        Classifier(path)
    return str(caught.value)


@pytest.mark.parametrize("n", [0, 1, 7, CHUNK, CHUNK + 1, 1003])
def test_any_number_of_images_gives_the_logits_of_the_graph(path, images, n):
    logits = Classifier(path)(images[:n])
    assert logits.dtype == np.float32
    assert logits.shape == (n, 5)
    np.testing.assert_allclose(logits, logits_of(images[:n]), rtol=1e-4, atol=1e-4)


def test_the_answer_depends_neither_on_the_batch_nor_on_the_layout_in_memory(path, images):
    classify = Classifier(path)
    together = classify(images)
    alone = np.concatenate([classify(images[i : i + 1]) for i in range(150)])
    np.testing.assert_allclose(alone, together[:150], atol=1e-4)
    np.testing.assert_array_equal(classify(images[::-1])[::-1][:3], classify(images[:3]))
    frozen = np.asfortranarray(images)
    frozen.setflags(write=False)
    np.testing.assert_array_equal(classify(frozen), together)


def test_prediction_applies_temperature_and_threshold(path, images):
    classify = Classifier(path)
    prediction = classify.predict(images)
    expected = softmax(logits_of(images) / CALIBRATION.temperature)
    np.testing.assert_allclose(prediction.probabilities, expected, atol=1e-4)
    np.testing.assert_array_equal(prediction.labels, logits_of(images).argmax(axis=1))
    assert prediction.labels.dtype == np.uint8
    confidence = prediction.probabilities.max(axis=1)
    np.testing.assert_array_equal(prediction.accepted, confidence >= 0.5)
    assert 0 < prediction.accepted.mean() < 1
    np.testing.assert_allclose(
        softmax(classify.calibrated_logits(images)), prediction.probabilities, atol=1e-6
    )


def test_without_calibration_every_image_is_accepted(tmp_path, images):
    path = tmp_path / "plain.onnx"
    path.write_bytes(seal(graph_bytes(Metadata(NAMES).to_properties())))
    classify = Classifier(path)
    prediction = classify.predict(images)
    assert prediction.accepted.all()
    np.testing.assert_allclose(prediction.probabilities, softmax(classify(images)))
    np.testing.assert_array_equal(classify.calibrated_logits(images), classify(images))


def test_no_images_give_an_empty_prediction(path, images):
    prediction = Classifier(path).predict(images[:0])
    assert prediction.labels.shape == prediction.accepted.shape == (0,)
    assert prediction.probabilities.shape == (0, 5)


def test_many_threads_may_share_a_classifier(path, images):
    classify = Classifier(path, threads=2)
    slices = [slice(start, start + 150) for start in range(0, 850, 17)]
    expected = [classify(images[part]) for part in slices]
    with ThreadPoolExecutor(16) as pool:
        for _ in range(3):
            received = list(pool.map(lambda part: classify(images[part]), slices))
            for one, other in zip(expected, received, strict=True):
                np.testing.assert_array_equal(one, other)


def test_threads_are_explicit_and_do_not_spin(path):
    options = Classifier(path, threads=1)._session.get_session_options()
    assert options.intra_op_num_threads == 1
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"
    assert Classifier(path).threads >= 1
    with pytest.raises(ValueError, match="threads must be at least 1, received 0"):
        Classifier(path, threads=0)


def test_metadata_travel_in_the_file(path):
    classify = Classifier(path)
    assert classify.metadata == METADATA
    assert classify.class_names == NAMES
    assert classify.calibration == CALIBRATION
    assert repr(classify).startswith("Classifier('")


def test_a_sealed_file_is_an_onnx_file_like_any_other(path):
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    keys = [entry.key for entry in model.metadata_props]
    assert keys[-1] == "mnistry.sha256"
    assert all(key.startswith("mnistry.") for key in keys)


def test_a_run_directory_means_its_onnx_file(tmp_path, path, images):
    with pytest.raises(ModelError, match=r"no model\.onnx: write it with mnistry export"):
        Classifier(tmp_path)
    path.rename(tmp_path / "model.onnx")
    assert Classifier(str(tmp_path))(images[:2]).shape == (2, 5)


def test_no_path_means_the_shipped_classifier(path, monkeypatch, tmp_path):
    monkeypatch.setattr(module, "SHIPPED", path)
    assert Classifier().class_names == NAMES
    monkeypatch.setattr(module, "SHIPPED", tmp_path / "nothing.onnx")
    with pytest.raises(ModelError, match="comes without a classifier: train one"):
        Classifier()


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((2, 28, 28), np.float32),
        np.zeros((28, 28), np.uint8),
        np.zeros((2, 28, 28, 1), np.uint8),
        np.zeros((2, 32, 32), np.uint8),
    ],
    ids=["float", "single", "with channels", "large"],
)
def test_other_images_are_refused(path, images):
    with pytest.raises(ValueError, match=r"expected uint8 \(n, 28, 28\)"):
        Classifier(path)(images)


def test_a_missing_file_is_a_model_error(tmp_path):
    with pytest.raises(ModelError, match="No such file"):
        Classifier(tmp_path / "nothing.onnx")


@pytest.mark.parametrize("content", [b"", b"\x00", b"hello" * 100, b"\x89PNG\r\n", b"PK\x03\x04 mnistry.x"])
def test_a_file_that_is_no_onnx_is_refused(path, content):
    assert "was not written by mnistry" in refusal(path, content)


def test_a_graph_without_metadata_is_refused(path):
    assert "was not written by mnistry" in refusal(path, graph_bytes({}))
    assert "has no metadata under mnistry.*" in refusal(path, seal(graph_bytes({})))


@pytest.mark.parametrize("place", [1, 5, 1000, 5000, -400, -90, -83, -70, -1])
def test_a_single_changed_byte_anywhere_is_refused(path, place):
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    assert "it is damaged, or was changed" in refusal(path, bytes(content))


@pytest.mark.parametrize("share", [0.3, 0.9, 0.99, 0.999])
def test_a_truncated_file_is_refused(path, share):
    content = path.read_bytes()
    refusal(path, content[: int(share * len(content))])


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({"name": "x"}, r"\('x', 'tensor\(uint8\)', \[28, 28\]\)"),
        ({"dtype": TensorProto.FLOAT}, r"tensor\(float\)', \[28, 28\]"),
        ({"shape": (14, 28)}, r"\[14, 28\]"),
        ({"shape": (28, 28, 1)}, r"\[28, 28, 1\]"),
    ],
    ids=["name", "dtype", "shape", "rank"],
)
def test_a_graph_with_another_input_is_refused(path, changes, shown):
    path.write_bytes(seal(graph_bytes(METADATA.to_properties(), **changes)))
    with pytest.raises(ModelError, match=rf"its graph is .*{shown}.* expected .*'images'"):
        Classifier(path)


def test_a_graph_with_another_number_of_classes_is_refused(path):
    content = seal(graph_bytes(Metadata(NAMES[:4]).to_properties()))
    assert "('logits', 'tensor(float)', [5])] -> " not in refusal(path, content)
    assert "('logits', 'tensor(float)', [4])" in refusal(path, content)


def test_a_calibration_of_other_classes_is_refused(path):
    import dataclasses

    other = dataclasses.replace(CALIBRATION, conformal_thresholds=(0.1, 0.2))
    content = seal(graph_bytes(Metadata(NAMES, other).to_properties()))
    assert "5 classes and a calibration of 2" in refusal(path, content)


def test_a_newer_format_asks_for_an_upgrade(path):
    properties = METADATA.to_properties() | {"mnistry.format": "99", "mnistry.class_names": '{"new": 1}'}
    assert "newer mnistry (format 99" in refusal(path, seal(graph_bytes(properties)))


@pytest.mark.parametrize(
    "change",
    [
        {"mnistry.class_names": "{"},
        {"mnistry.class_names": "5"},
        {"mnistry.format": '"1"'},
        {"mnistry.provenance": "3"},
        {"mnistry.calibration": '{"temperature": 0}'},
        {"mnistry.calibration": "[]"},
    ],
)
def test_damaged_metadata_are_refused(path, change):
    refusal(path, seal(graph_bytes(METADATA.to_properties() | change)))


@pytest.mark.parametrize("key", ["format", "class_names", "calibration", "provenance", "precision"])
def test_missing_metadata_are_named(path, key):
    properties = METADATA.to_properties()
    del properties[f"mnistry.{key}"]
    assert f"mnistry.{key}" in refusal(path, seal(graph_bytes(properties)))


def test_a_graph_that_the_runtime_does_not_know_is_refused(path, capfd):
    content = seal(graph_bytes(METADATA.to_properties(), operator="NoSuchOperator"))
    assert "ONNX Runtime" in refusal(path, content)
    assert capfd.readouterr().err == ""


def test_metadata_hold_no_nan():
    with pytest.raises(ValueError, match="not JSON compliant"):
        Metadata(NAMES, provenance={"loss": float("nan")}).to_properties()


def test_the_process_of_a_classifier_loads_neither_keras_nor_its_back_ends(path):
    program = (
        "import sys, json, numpy as np\n"
        "from mnistry.classifier import Classifier\n"
        "Classifier(sys.argv[1]).predict(np.zeros((2, 28, 28), np.uint8))\n"
        "print(json.dumps([name.partition('.')[0] for name in sys.modules]))"
    )
    result = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, check=True)
    loaded = set(json.loads(result.stdout))
    heavy = {"keras", "jax", "tensorflow", "torch", "onnx", "matplotlib", "sklearn", "pandas", "pickletools"}
    assert not loaded & heavy
    assert "onnxruntime" in loaded
    assert result.stderr == ""


@pytest.mark.slow
def test_the_shipped_classifier_is_as_good_as_its_card_says():
    _, test = load_mnist()
    classifier = Classifier()
    prediction = classifier.predict(test.images)
    right = prediction.labels == test.labels
    card = (classifier.path.parent / "CARD.md").read_text(encoding="utf-8")
    assert f"{right.mean():.2%}".replace("%", " %") in card
    assert f"{prediction.accepted.mean():.2%}".replace("%", " %") in card
    assert right.mean() >= 0.9955  # seeds differ by 0.0004 (standard deviation)
    probabilities = softmax(classifier.calibrated_logits(test.images))
    assert ece_with_interval(test.labels, probabilities, rng=np.random.default_rng(0))[0] <= 0.002
    assert classifier.path.stat().st_size <= 4e6

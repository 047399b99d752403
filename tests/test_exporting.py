"""Exported files answer as the networks they come from, or they do not exist."""

from __future__ import annotations

import functools
import importlib.util
import inspect

import keras
import numpy as np
import onnx
import pytest

from mnistry import load_mnist
from mnistry.calibration import Calibration
from mnistry.classifier import Classifier, Metadata
from mnistry.errors import ModelError
from mnistry.exporting import EXPORTERS, PRECISIONS, Tolerance, average, export_onnx, graphs
from mnistry.exporting import onnx as exporting
from mnistry.metrics import softmax
from mnistry.models import as_classifier, lenet5, mlp, small_convnet, tiny
from mnistry.runs import Run

layers = keras.layers
# Weights are set by `build`: drawing them takes JAX longer, by compilation, than everything else here.
Conv2D = functools.partial(layers.Conv2D, kernel_initializer="zeros")
Dense = functools.partial(layers.Dense, kernel_initializer="zeros")


def sequential(*inner, shape=(28, 28)):
    """A network of these layers between the usual input and a layer for ten classes."""
    return keras.Sequential(
        [
            keras.Input(shape, dtype="uint8"),
            layers.Rescaling(1 / 255),
            *inner,
            layers.Flatten(),
            Dense(10),
        ]
    )


def pooled():
    """Space to depth, then strided convolutions with batch normalisation."""
    return sequential(
        layers.Reshape((14, 2, 14, 2)),
        layers.Permute((1, 3, 2, 4)),
        layers.Reshape((14, 14, 4)),
        Conv2D(8, 3, padding="same", use_bias=False),
        layers.BatchNormalization(),
        layers.ReLU(),
        Conv2D(16, 3, strides=2, padding="same", use_bias=False),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.Dropout(0.5),
        layers.MaxPooling2D(2),
    )


def residual():
    """Branches that meet again, a layer used twice, a model inside of a model."""
    image = keras.Input((28, 28), dtype="uint8")
    x = layers.Reshape((28, 28, 1))(layers.Rescaling(2 / 255, offset=-1)(image))
    x = Conv2D(6, 3, strides=(2, 3), padding="same")(x)
    shared = Conv2D(6, 3, padding="same", activation="relu")
    normal = layers.BatchNormalization()(x)  # x is used once more below: this one cannot be folded
    x = layers.Add()([x, shared(normal), shared(x)])
    inner = keras.Sequential(
        [Conv2D(5, (3, 2), dilation_rate=2), layers.LeakyReLU(0.1), layers.SpatialDropout2D(0.2)]
    )
    functional_input = keras.Input((10, 8, 5))
    functional = keras.Model(
        functional_input, layers.BatchNormalization(scale=False, center=False)(functional_input)
    )
    x = functional(inner(x))
    means = layers.GlobalAveragePooling2D()(x)
    largest = layers.GlobalMaxPooling2D()(layers.GaussianNoise(0.1)(x))
    return keras.Model(image, Dense(10)(layers.Add()([means, largest])))


def activations():
    """Every activation, pooling with overlap and with padding, groups, batch normalisation after Dense."""
    return sequential(
        layers.Reshape((28, 28, 1)),
        Conv2D(8, 5, activation="tanh"),
        layers.MaxPooling2D(3, strides=2, padding="same"),
        Conv2D(8, 3, groups=4, activation="silu"),
        layers.AveragePooling2D(3, strides=2, padding="same"),
        layers.Activation("elu"),
        layers.Flatten(),
        Dense(20, activation="softplus"),
        Dense(20),
        layers.BatchNormalization(),
        layers.Activation("sigmoid"),
        layers.Activation("linear"),
    )


MODELS = {
    "tiny": tiny,
    "mlp": mlp,
    "lenet5": lenet5,
    "small_convnet": small_convnet,
    "pooled": pooled,
    "residual": residual,
    "activations": activations,
}


@functools.cache  # building is cheap, compiling what predicts is not
def build(name, seed=0):
    """The network of this name with weights and statistics as training might leave them."""
    return randomise(MODELS[name](), seed)


def randomise(model, seed=0):
    rng = np.random.default_rng(seed)
    for variable in model.variables:
        if len(variable.shape) > 1:
            variable.assign(rng.normal(0, np.prod(variable.shape[:-1]) ** -0.5, variable.shape))
        elif variable.dtype == "float32":  # dropout has a seed too
            variable.assign(rng.uniform(0.5, 1.5, variable.shape))
    return model


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(1).integers(0, 256, (207, 28, 28), dtype=np.uint8)


@pytest.fixture(scope="module")
def mnist():
    return load_mnist()


@pytest.fixture(scope="module")
def trained(mnist):
    """A convolutional network that has learnt enough to be sure of most images."""
    train, _ = mnist
    model = randomise(
        sequential(
            layers.Reshape((28, 28, 1)),
            Conv2D(8, 3, strides=2, padding="same", use_bias=False),
            layers.BatchNormalization(momentum=0.8),
            layers.ReLU(),
            Conv2D(32, 3, strides=2, padding="same", activation="relu"),
        )
    )
    model.compile(keras.optimizers.Adam(2e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    some = train.take(20_000)
    model.fit(some.images, some.labels, batch_size=100, epochs=2, shuffle=False, verbose=0)
    return model


@pytest.mark.parametrize("name", MODELS)
def test_the_file_gives_the_logits_of_its_network(name, images, tmp_path):
    model = build(name)
    report = export_onnx(model, tmp_path / "x.onnx", images=images)
    classify = Classifier(tmp_path / "x.onnx")
    expected = as_classifier(model)(images)
    for n in (1, 7, 207):
        np.testing.assert_allclose(classify(images[:n]), expected[:n], atol=1e-5 * np.abs(expected).max())
    assert classify(images[:0]).shape == (0, 10)
    assert (report.n, report.precision, report.disagreements) == (207, "float32", ())
    assert report.difference == pytest.approx(np.abs(classify(images) - expected).max(), abs=1e-6)
    assert report.size_bytes == (tmp_path / "x.onnx").stat().st_size
    onnx.checker.check_model(onnx.load(tmp_path / "x.onnx"), full_check=True)


def test_every_layer_that_can_be_written_is_tested():
    tested = {type(layer) for name in MODELS for layer in MODELS[name]()._flatten_layers()}
    assert set(graphs.CONVERTERS) <= tested


def test_batch_normalisation_is_folded_where_nothing_else_uses_its_input():
    def count(name):
        nodes = graphs.build_graph([build(name)]).nodes
        return sum(node.op_type == "BatchNormalization" for node in nodes)

    assert count("pooled") == count("activations") == 0
    assert count("residual") == 2


@pytest.mark.parametrize("name", ["mlp", "pooled"])
def test_several_networks_in_one_file_average_their_probabilities(name, images, tmp_path):
    models = [build(name, seed) for seed in range(3)]
    export_onnx(models, tmp_path / "x.onnx", images=images)
    received = Classifier(tmp_path / "x.onnx").predict(images).probabilities
    expected = np.mean([softmax(as_classifier(model)(images)) for model in models], axis=0)
    np.testing.assert_allclose(received, expected, atol=1e-5)
    np.testing.assert_allclose(
        softmax(average([as_classifier(model) for model in models])(images)), expected, atol=1e-6
    )


def test_the_average_of_sure_classifiers_stays_finite(images):
    def sure(label):
        return lambda images: np.eye(3)[[label] * len(images)] * 1e4

    np.testing.assert_allclose(
        softmax(average([sure(0), sure(0), sure(2)])(images[:2])), [[2 / 3, 0, 1 / 3]] * 2, atol=1e-6
    )
    assert np.array_equal(average([sure(1)])(images[:2]), sure(1)(images[:2]))


@pytest.mark.parametrize(("precision", "share"), [("float16", 0.55), ("int8", 0.5)])
def test_smaller_files_agree_on_nearly_all_images(precision, share, trained, mnist, tmp_path):
    train, test = mnist
    images = test.images[:1000]
    full = export_onnx(trained, tmp_path / "full.onnx", images=images)
    extra = {"validation_images": train.images[-500:]} if precision == "int8" else {}
    small = export_onnx(trained, tmp_path / "small.onnx", images=images, precision=precision, **extra)
    answers = Classifier(tmp_path / "small.onnx").predict(images).labels
    expected = as_classifier(trained)(images).argmax(axis=1)
    assert np.mean(expected == test.labels[:1000]) > 0.9
    assert len(small.disagreements) <= 10
    np.testing.assert_array_equal(np.flatnonzero(answers != expected), small.disagreements)
    assert small.size_bytes < share * full.size_bytes
    assert small.difference > 0
    assert Classifier(tmp_path / "small.onnx").metadata.precision == precision


def test_several_networks_may_be_quantised_together(trained, mnist, tmp_path):
    train, test = mnist
    report = export_onnx(
        [trained, trained],
        tmp_path / "x.onnx",
        images=test.images[:1000],
        precision="int8",
        validation_images=train.images[-500:],
    )
    assert len(report.disagreements) <= 10
    # The same network twice: scores of 8 bits would show as a difference of about a hundredth.
    assert report.difference < 0.1 * report.largest_logit


@pytest.mark.parametrize("number", [1, 2])
def test_scores_of_8_bits_are_right_on_average(number, trained, mnist, tmp_path):
    """Rounding errs to one side where most of a picture is the same everywhere."""
    images = mnist[0].images[-500:]
    export_onnx(
        [trained, build("mlp")][:number],
        tmp_path / "x.onnx",
        images=images,
        precision="int8",
        validation_images=images,
        tolerance=Tolerance(1, 1),
    )
    proto = onnx.load(tmp_path / "x.onnx")
    names = [node.output[0] for node in proto.graph.node if node.name.endswith("_corrected")]
    names.sort(key=lambda name: (len(name), name))  # in the order of the networks
    received = exporting.run_graph(proto, names, images)
    expected = [as_classifier(model)(images) for model in (trained, build("mlp"))[:number]]
    assert len(names) == number
    for mine, theirs in zip(received, expected, strict=True):
        np.testing.assert_allclose(mine.mean(axis=0), theirs.mean(axis=0), atol=1e-5 * np.abs(theirs).max())
        assert np.abs(mine - theirs).max() > 1e-3  # it is another network all the same


def test_each_kind_has_a_function_with_the_same_arguments_and_its_default_precision():
    assert EXPORTERS.keys() == PRECISIONS.keys() == {"onnx", "saved-model", "litert", "c"}
    for kind, function in EXPORTERS.items():
        parameters = inspect.signature(function).parameters
        assert list(parameters) == list(inspect.signature(export_onnx).parameters)
        assert parameters["precision"].default == PRECISIONS[kind][0]


@pytest.mark.parametrize("tolerance", [Tolerance(-1, 1), Tolerance(1, -1)], ids=["logits", "answers"])
def test_a_file_beyond_its_tolerance_is_not_left_behind(tolerance, images, tmp_path):
    with pytest.raises(ModelError, match=r"differs too much from its source, so it was not kept.*0 of 100 "):
        export_onnx(build("mlp"), tmp_path / "x.onnx", images=images[:100], tolerance=tolerance)
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_weight_is_found_and_an_older_file_stays(images, tmp_path, monkeypatch):
    def spoil(graph):
        name = next(name for name, value in graph.constants.items() if value.shape == (784, 128))
        graph.constants[name][400] += 0.5

    (tmp_path / "x.onnx").write_bytes(b"older")
    monkeypatch.setattr(graphs, "_fold_batch_normalization", spoil)
    with pytest.raises(ModelError, match="differs too much"):
        export_onnx(build("mlp"), tmp_path / "x.onnx", images=images[:100])
    assert (tmp_path / "x.onnx").read_bytes() == b"older"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_network_that_gives_nan_is_not_exported(images, tmp_path):
    model = mlp()
    model.layers[-1].bias.assign(np.full(10, np.nan))
    with pytest.raises(ModelError, match="not finite"):
        export_onnx(model, tmp_path / "x.onnx", images=images[:10])


def test_a_folder_that_does_not_exist_is_a_model_error(images, tmp_path):
    with pytest.raises(ModelError, match=r"cannot write .*No such file"):
        export_onnx(build("mlp"), tmp_path / "nowhere" / "x.onnx", images=images[:10])


def test_exporting_twice_gives_the_same_bytes(images, tmp_path):
    for name in "ab":
        export_onnx(build("pooled"), tmp_path / name, images=images[:10])
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_metadata_travel_with_the_file(images, tmp_path):
    names = tuple("abcdefghij")
    metadata = Metadata(names, provenance={"seed": 1})
    export_onnx(build("mlp"), tmp_path / "x.onnx", images=images[:10], metadata=metadata)
    assert Classifier(tmp_path / "x.onnx").metadata == metadata
    with pytest.raises(ValueError, match="2 class names for 10 classes"):
        export_onnx(build("mlp"), tmp_path / "x.onnx", images=images[:10], metadata=Metadata(("a", "b")))


def test_a_run_says_its_own_classes_calibration_and_origin(images, tmp_path):
    calibration = Calibration(1.5, 0.9, 0.99, (0.1,) * 10, 0.02, (0.01, 0.03), 0.01, (0.0, 0.02), 100)
    record = {
        "config": {"model": "mlp", "seed": 3},
        "class_names": list("abcdefghij"),
        "calibration": calibration.to_dict(),
        "command": ["/home/me/bin/mnistry"],
    }
    run = Run.create(tmp_path / "run", record)
    model = build("mlp")
    model.compile("sgd", "mse")
    run.save_model(model)
    report = export_onnx(run, run.path / "model.onnx", images=images[:10])
    classify = Classifier(run.path)
    assert classify.class_names == tuple("abcdefghij")
    assert classify.calibration == calibration
    assert classify.metadata.provenance == {"runs": [{"config": {"model": "mlp", "seed": 3}}]}
    assert str(run.path / "model.onnx") in str(report)
    assert report.to_dict()["disagreements"] == []
    both = export_onnx([run, run], tmp_path / "both.onnx", images=images[:10])
    assert both.size_bytes > 1.9 * report.size_bytes
    assert Classifier(tmp_path / "both.onnx").calibration is None  # was fitted for one network alone


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"precision": "int4"}, "unknown precision 'int4': known are float32, float16, int8"),
        ({"precision": "int8"}, "validation_images are needed for precision 'int8'"),
        ({"validation_images": np.zeros((1, 28, 28), np.uint8)}, "of no use for another"),
        ({"images": np.zeros((0, 28, 28), np.uint8)}, "n >= 1"),
        ({"images": np.zeros((1, 28, 28))}, r"must be uint8 \(n, 28, 28\)"),
        ({"source": []}, "no model to export"),
    ],
)
def test_a_wrong_argument_is_a_value_error(changes, message, images, tmp_path):
    arguments = {"source": build("mlp"), "path": tmp_path / "x.onnx", "images": images[:10]}
    with pytest.raises(ValueError, match=message):
        export_onnx(**arguments | changes)


class Double(layers.Layer):
    """A layer that nobody knows."""

    def call(self, x):
        return 2 * x


@pytest.mark.parametrize(
    ("inner", "named"),
    [
        (Double(name="mine"), r"mine \(Double\)"),
        (layers.ReLU(max_value=6, name="six"), r"six \(ReLU with max_value=6.*\)"),
        (layers.Activation("mish", name="odd"), r"odd \(activation mish\)"),
        (layers.BatchNormalization(axis=1, name="odd"), r"odd \(BatchNormalization on axis 1\)"),
    ],
)
def test_a_layer_that_cannot_be_written_is_named(inner, named, images, tmp_path, monkeypatch):
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: find_spec(name) if name == "onnx" else None)
    with pytest.raises(ModelError, match=rf"no ONNX form of {named} is known.* pip install \w+"):
        export_onnx(sequential(inner), tmp_path / "x.onnx", images=images[:10])
    with pytest.raises(ModelError, match=f"several models as one.*{named}"):
        export_onnx([sequential(inner)] * 2, tmp_path / "x.onnx", images=images[:10])


def test_another_layer_goes_through_the_exporter_of_keras(images, tmp_path, monkeypatch):
    def export(model, file, *, format, verbose, input_signature):
        """What that exporter does here: a correct graph with names of its own."""
        assert (format, input_signature[0].shape) == ("onnx", (None, 28, 28))
        proto = graphs.as_proto(graphs.build_graph([model.layers[0]]), 10)
        text = proto.SerializeToString().replace(b"images", b"in_put").replace(b"logits", b"outs_0")
        file.write_bytes(text)

    class Mine(keras.Model):
        def call(self, images):
            return self.layers[0](images)

    model = Mine()
    model.inner = build("mlp")
    monkeypatch.setattr(keras.Model, "export", export)
    monkeypatch.setattr(exporting.importlib.util, "find_spec", lambda name: True)
    export_onnx(model, tmp_path / "x.onnx", images=images[:10])
    np.testing.assert_allclose(
        Classifier(tmp_path / "x.onnx")(images), as_classifier(model.inner)(images), atol=1e-4
    )

    def fail(*arguments, **options):
        raise NotImplementedError("cannot trace")

    monkeypatch.setattr(keras.Model, "export", fail)
    with pytest.raises(ModelError, match=r"exporter fails: NotImplementedError: cannot trace"):
        export_onnx(model, tmp_path / "x.onnx", images=images[:10])


@pytest.mark.slow
def test_the_exporter_of_keras_itself_can_be_used(images, tmp_path):
    pytest.importorskip(exporting.KERAS_NEEDS[keras.backend.backend()])
    model = sequential(layers.LayerNormalization())
    report = export_onnx(model, tmp_path / "x.onnx", images=images)
    assert report.disagreements == ()

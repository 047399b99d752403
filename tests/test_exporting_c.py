"""Headers of C compile without a warning, stay within their arrays, and answer as their networks."""

from __future__ import annotations

import functools
import importlib
import json
import shutil
import subprocess
from unittest import mock

import keras
import numpy as np
import pytest

from mnistry.calibration import Calibration
from mnistry.classifier import Metadata
from mnistry.errors import ModelError
from mnistry.exporting import Tolerance, c, c_header, export_c
from mnistry.metrics import softmax
from mnistry.models import as_classifier, linear, mlp, tiny
from test_exporting import Conv2D, Dense, layers, randomise, sequential

pytestmark = pytest.mark.slow

needs_compiler = pytest.mark.skipif(not any(map(shutil.which, c.COMPILERS)), reason="no C compiler")
WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror"]
N = 100  # images to check with; always as many, because JAX compiles for each number anew
SAFETY = ["-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]

# Reads digits in one file; what it includes is included in the other one as well.
PROGRAM = """
#include <stdio.h>
#include "x.h"
const char *other_name(int label);
int main(void) {
    static uint8_t image[784];
    float probabilities[MNISTRY_CLASSES];
    while (fread(image, sizeof image, 1, stdin) == 1) {
        const int label = mnistry_read(image, probabilities);
        printf("%d %s", label, other_name(label));
        for (int i = 0; i < MNISTRY_CLASSES; i++) printf(" %.9g", (double)probabilities[i]);
        printf("\\n");
    }
    return 0;
}
"""
OTHER = """
#include "x.h"
const char *other_name(int label);
const char *other_name(int label) { return mnistry_name(label); }
"""


def pools():
    """Windows that are not square, overlap, or reach over the edge; a hidden Dense layer."""
    return sequential(
        layers.Reshape((28, 28, 1)),
        Conv2D(5, (3, 5), strides=(2, 1), padding="same", use_bias=False),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.MaxPooling2D((2, 3), strides=(2, 2), padding="same"),
        layers.AveragePooling2D(3, strides=2, padding="same"),
        Conv2D(4, (2, 3), activation="relu"),
        layers.Dropout(0.5),
        layers.Flatten(),
        Dense(20, activation="relu"),
    )


def branches():
    image = keras.Input((28, 28), dtype="uint8")
    x = layers.Flatten()(layers.Rescaling(1 / 255)(image))
    hidden = Dense(10, activation="relu")(x)
    return keras.Model(image, Dense(10)(layers.Add()([hidden, Dense(10, activation="relu")(hidden)])))


MODELS = {"tiny": tiny, "pools": pools, "linear": linear, "mlp": mlp}


@functools.cache
def build(name):
    def zeros(initializer, shape, dtype=None, **options):
        return np.zeros(shape, np.float32)

    with mock.patch.object(keras.initializers.VarianceScaling, "__call__", zeros):  # see test_exporting
        return randomise(MODELS[name]())


@functools.cache
def logits(name):
    return as_classifier(build(name))(make_images()[:N])


@functools.cache
def make_images():
    """Pictures with empty edges and full middles, as digits have."""
    images = np.random.default_rng(1).integers(0, 256, (300, 28, 28), dtype=np.uint8)
    images[:, :6] = images[:, 22:] = images[:, :, :6] = 0
    images[:, 10:14] = 255
    return images


def run(folder, images, compiler=("gcc", "-std=c99")):
    """Labels, names and probabilities that a program with the header x.h gives."""
    suffix = "cpp" if "g++" in compiler else "c"
    (folder / f"main.{suffix}").write_text(PROGRAM)
    (folder / f"other.{suffix}").write_text(OTHER)
    sources = [f"main.{suffix}", f"other.{suffix}"]
    command = [*compiler, *WARNINGS, *SAFETY, *sources, "-o", "program", "-lm"]
    subprocess.run(command, cwd=folder, check=True)
    done = subprocess.run([folder / "program"], input=images.tobytes(), capture_output=True, check=True)
    rows = [line.split() for line in done.stdout.decode().splitlines()]
    names = [row[1] for row in rows]
    return np.array([int(row[0]) for row in rows]), names, np.array([row[2:] for row in rows], float)


@pytest.fixture
def images():
    return make_images()[:N]


def export(name, path, **options):
    """Ranges are found with more images than the header is checked with."""
    return export_c(build(name), path, images=make_images()[:N], validation_images=make_images(), **options)


@needs_compiler
@pytest.mark.parametrize("name", MODELS)
def test_the_compiled_program_gives_the_answers_of_its_network(name, images, tmp_path):
    report = export(name, tmp_path / "x.h")
    assert report.difference < 0.05 * report.largest_logit
    assert len(report.disagreements) <= 3
    labels, names, probabilities = run(tmp_path, images)
    np.testing.assert_array_equal(np.flatnonzero(labels != logits(name).argmax(axis=1)), report.disagreements)
    np.testing.assert_array_equal(probabilities.argmax(axis=1), labels)
    assert names == list(map(str, labels))
    # A probability is off by a factor, which is bounded by how far the scores are off.
    sure = softmax(logits(name)) > 1e-3
    factors = np.log(probabilities[sure]) - np.log(softmax(logits(name))[sure])
    assert np.abs(factors).max() < 2.1 * report.difference


@needs_compiler
@pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler")
def test_a_header_is_cpp_as_well(images, tmp_path):
    export("linear", tmp_path / "x.h")
    in_c = run(tmp_path, images)
    in_cpp = run(tmp_path, images, ("g++", "-std=c++11"))
    np.testing.assert_array_equal(in_c[2], in_cpp[2])


@needs_compiler
def test_tiny_takes_at_most_16_kilobytes_and_calls_nothing_that_allocates(tmp_path):
    report = export("tiny", tmp_path / "x.h")
    parameters = sum(np.prod(v.shape) for v in build("tiny").trainable_variables)
    assert parameters < report.parts_bytes["weights"] <= 16_000
    assert report.parts_bytes.get("machine code and weights", 0) <= 16_000
    assert report.parts_bytes["memory"] <= 5_000
    assert "weights 8," in str(report)
    if shutil.which("nm"):
        (tmp_path / "use.c").write_text(c.USE.replace("mnistry.h", "x.h"))
        subprocess.run(["gcc", "-O2", "-c", "use.c"], cwd=tmp_path, check=True)
        listed = subprocess.run(
            ["nm", "-u", "use.o"], cwd=tmp_path, capture_output=True, text=True, check=True
        )
        assert set(listed.stdout.split()) <= {"U", "expf", "memset", "memcpy", "_GLOBAL_OFFSET_TABLE_"}


@needs_compiler
def test_calibration_names_and_provenance_are_built_in(images, tmp_path):
    calibration = Calibration(2.0, 0.9, 0.97, (0.1,) * 10, 0.02, (0.01, 0.03), 0.01, (0.0, 0.02), 100)
    names = ('"', "\\", "??/", "é", "4", "5", "6", "7", "8", "%d")
    provenance = {"data": "*/ #error /* ??/ \\", "runs": ["é"]}
    export("mlp", tmp_path / "x.h", metadata=Metadata(names, calibration, provenance))
    labels, received, probabilities = run(tmp_path, images)
    assert received == [names[label] for label in labels]
    assert set(received) == {"4", "é"}
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    scores, expected = (x - x.mean(axis=1, keepdims=True) for x in (np.log(probabilities), logits("mlp") / 2))
    assert np.abs(scores - expected).max() < 0.05 * np.abs(expected).max()
    text = (tmp_path / "x.h").read_text(encoding="utf-8")
    threshold = np.float32(calibration.threshold)
    assert f"#define MNISTRY_THRESHOLD {threshold:.9g}f" in text
    comment = text[: text.index("*/")]
    assert json.loads(comment[comment.index("{") :]) == provenance
    assert "Apache-2.0" in comment


@needs_compiler
def test_exporting_twice_gives_the_same_text(tmp_path):
    for name in "ab":
        export("linear", tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@needs_compiler
def test_what_is_wrong_on_average_is_taken_off(tmp_path):
    """Rounding errs to one side where most of a picture is the same everywhere."""
    graphs = importlib.import_module("mnistry.exporting.graphs")
    proto = graphs.as_proto(graphs.build_graph([build("tiny")]), 10)
    names = c_header.outputs_to_measure(proto)
    *values, scores = c.run_graph(proto, [*names, "logits"], make_images())
    ranges = {name: float(value.max()) for name, value in zip(names, values, strict=True)}
    plain, _ = c_header.as_header(proto, ranges, Metadata(tuple("0123456789")))
    export("tiny", tmp_path / "x.h")

    def shift(text):
        return np.abs((c._run(c._find_compiler(), text, make_images(), 10)[0] - scores).mean(axis=0)).max()

    assert shift((tmp_path / "x.h").read_text()) < 1e-5 * np.abs(scores).max() < 1e-1 * shift(plain)


@needs_compiler
def test_a_wrong_weight_is_found_and_an_older_file_stays(tmp_path, monkeypatch):
    quantize = c_header._quantize

    def spoil(kernel):
        quantized, scales = quantize(kernel)
        return np.roll(quantized, 1, axis=-1), scales

    (tmp_path / "x.h").write_text("older")
    monkeypatch.setattr(c_header, "_quantize", spoil)
    with pytest.raises(ModelError, match="differs too much"):
        export("linear", tmp_path / "x.h")
    assert (tmp_path / "x.h").read_text() == "older"
    assert len(list(tmp_path.iterdir())) == 1


@needs_compiler
def test_a_header_beyond_its_tolerance_is_not_left_behind(tmp_path):
    with pytest.raises(ModelError, match="differs too much"):
        export("linear", tmp_path / "x.h", tolerance=Tolerance(0, 1))
    assert list(tmp_path.iterdir()) == []


@needs_compiler
@pytest.mark.parametrize(
    ("builder", "message"),
    [
        (lambda: sequential(layers.Flatten(), Dense(3, activation="tanh")), "no C form of Gemm without ReLU"),
        (branches, "no C form of branches, at Add is known"),
        (lambda: keras.Sequential([sequential(), layers.ReLU()]), "last layer that is not Dense"),
    ],
    ids=["tanh", "branches", "end"],
)
def test_a_network_that_c_cannot_hold_is_a_model_error(builder, message, images, tmp_path):
    with pytest.raises(ModelError, match=message):
        export_c(builder(), tmp_path / "x.h", images=images, validation_images=images)
    assert list(tmp_path.iterdir()) == []


@needs_compiler
def test_several_networks_are_too_many(images, tmp_path):
    with pytest.raises(ModelError, match="several models as one C header"):
        export_c([build("linear")] * 2, tmp_path / "x.h", images=images, validation_images=images)


def test_without_a_compiler_it_is_said_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setenv("CC", "no-such-compiler")
    with pytest.raises(ModelError, match=r"found no C compiler \(no-such-compiler\).*Install gcc or clang"):
        export("linear", tmp_path / "x.h")
    monkeypatch.delenv("CC")
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(ModelError, match=r"found no C compiler \(cc, gcc, clang\)"):
        export("linear", tmp_path / "x.h")


@needs_compiler
def test_a_compiler_that_refuses_is_quoted(tmp_path, monkeypatch):
    monkeypatch.setattr(c, "FLAGS", ["--no-such-flag"])
    with pytest.raises(ModelError, match="no-such-flag"):
        export("linear", tmp_path / "x.h")


@needs_compiler
def test_a_wrong_argument_is_a_value_error(images, tmp_path):
    with pytest.raises(ValueError, match="unknown precision 'float32': known are int8"):
        export("linear", tmp_path / "x.h", precision="float32")
    with pytest.raises(ValueError, match="validation_images are needed"):
        export_c(build("linear"), tmp_path / "x.h", images=images)

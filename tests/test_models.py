"""The networks: parameter counts, the function images -> logits, and the user's own files."""

from __future__ import annotations

import numpy as np
import pytest

from mnistry.errors import ModelError
from mnistry.models import MODELS, as_classifier, build_model

PARAMETERS = {
    "linear": 7_850,
    "mlp": 101_770,
    "lenet5": 61_706,
    "small_convnet": 34_314,
    "medium_convnet": 97_802,
    "convnet": 134_922,
    "tiny": 7_834,
}


@pytest.fixture
def images():
    return np.random.default_rng(1).integers(0, 256, (7, 28, 28), dtype=np.uint8)


def test_every_model_has_a_pinned_number_of_parameters():
    assert {name: build(10).count_params() for name, build in MODELS.items()} == PARAMETERS


@pytest.mark.parametrize("name", MODELS)
def test_every_model_takes_uint8_images_and_gives_float32_logits(name, images):
    logits = as_classifier(build_model(name, 12))(images)
    assert logits.shape == (7, 12)
    assert logits.dtype == np.float32


@pytest.mark.parametrize("name", MODELS)
def test_pixels_are_scaled_inside_the_model(name):
    first_weights = build_model(name)
    black, white = np.zeros((1, 28, 28), np.uint8), np.full((1, 28, 28), 255, np.uint8)
    classify = as_classifier(first_weights)
    assert np.abs(classify(white) - classify(black)).max() < 20  # 255 times more if the scaling were missing


def test_classifier_gives_the_same_logits_for_any_batch_size(images):
    model = build_model("lenet5")
    np.testing.assert_allclose(as_classifier(model, 3)(images), as_classifier(model, 100)(images), atol=1e-5)


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(ModelError, match="linear, mlp, lenet5, small_convnet, medium_convnet, convnet, tiny"):
        build_model("resnet")


OWN = """
import keras
def small(num_classes):
    return keras.Sequential([keras.Input((28, 28), dtype="uint8"), keras.layers.Rescaling(1 / 255),
                             keras.layers.Flatten(), keras.layers.Dense(num_classes)])
def softmax(num_classes):
    return keras.Sequential([small(num_classes), keras.layers.Softmax()])
def wide(num_classes):
    return small(num_classes + 1)
def flat(num_classes):
    return keras.Sequential([keras.Input((784,)), keras.layers.Dense(num_classes)])
def nothing(num_classes):
    return None
"""


def test_a_function_in_a_file_builds_the_users_own_model(tmp_path):
    (tmp_path / "own.py").write_text(OWN)
    assert build_model(f"{tmp_path}/own.py:small", 10).count_params() == 7_850


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("softmax", "gives probabilities, expected logits"),
        ("wide", r"gives \(3, 11\) for 3 images, expected \(3, 10\)"),
        ("flat", "cannot take images"),
        ("nothing", "must return a keras.Model, received NoneType"),
        ("absent", "no function 'absent' in .* it has small, softmax, wide, flat, nothing"),
    ],
)
def test_a_file_that_builds_no_such_model_is_refused_with_the_reason(tmp_path, function, message):
    (tmp_path / "own.py").write_text(OWN)
    with pytest.raises(ModelError, match=message):
        build_model(f"{tmp_path}/own.py:{function}", 10)


def test_a_missing_file_and_a_broken_file_are_clear_errors(tmp_path):
    with pytest.raises(ModelError, match=r"no file .*gone\.py"):
        build_model(f"{tmp_path}/gone.py:f")
    (tmp_path / "broken.py").write_text("import nothing_of_this_name")
    with pytest.raises(ModelError, match="cannot be imported: ModuleNotFoundError"):
        build_model(f"{tmp_path}/broken.py:f")

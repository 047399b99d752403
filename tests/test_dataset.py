"""Dataset: what it promises, what it refuses, and its parts."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnistry.dataset import DIGITS, Dataset
from mnistry.errors import DataError


def make(n=10, **changes):
    """Return n images, the i-th filled with i, and the labels 0, 1, ..., 9, 0, ..."""
    images = np.repeat(np.arange(n, dtype=np.uint8), 784).reshape(n, 28, 28)
    fields = {"images": images, "labels": np.arange(n, dtype=np.uint8) % 10, "name": "small", **changes}
    return Dataset(**fields)


def test_a_dataset_unpacks_into_images_and_labels():
    data = make(12)
    (x, y), (again, _) = data, data
    assert x is data.images
    assert y is data.labels
    assert again is x


def test_length_classes_and_repr():
    data = make(12)
    assert len(data) == 12
    assert data.num_classes == 10
    assert repr(data) == "Dataset('small', 12 images, 10 classes)"


def test_arrays_are_read_only_views_of_what_was_given():
    images = np.zeros((2, 28, 28), np.uint8)
    data = Dataset(images, np.zeros(2, np.uint8), "zeros")
    with pytest.raises(ValueError, match="read-only"):
        data.images[0] = 1
    with pytest.raises(ValueError, match="read-only"):
        data.labels[0] = 1
    assert np.shares_memory(data.images, images)
    images[0] = 1  # the caller's own array stays writable


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"labels": np.zeros(9, np.uint8)}, ["10 images", "9 labels"]),
        ({"labels": np.array([0, 1, 2, 10, 4, 5, 6, 77, 8, 9], np.uint8)}, ["index 3 is 10", "0 to 9"]),
        ({"class_names": ("a", "b")}, ["index 2 is 2", "2 classes"]),
        ({"images": np.zeros((10, 28, 28), np.float32)}, ["images are", "float32", "uint8 expected"]),
        ({"images": np.zeros((10, 28, 27), np.uint8)}, ["(10, 28, 27)", "(n, 28, 28)"]),
        ({"images": np.zeros((10, 784), np.uint8)}, ["(10, 784)", "(n, 28, 28)"]),
        ({"images": [[1]]}, ["images are a list", "NumPy array expected"]),
        ({"labels": np.zeros(10, np.int64)}, ["labels are (10,) int64", "uint8 expected"]),
        ({"labels": np.zeros((10, 1), np.uint8)}, ["labels are (10, 1)"]),
        ({"labels": np.array(3, np.uint8)}, ["labels are ()"]),
        ({"images": np.zeros((0, 28, 28), np.uint8), "labels": np.zeros(0, np.uint8)}, ["empty"]),
        ({"class_names": ()}, ["0 classes", "1 to 256"]),
        ({"class_names": ("a", " ")}, ["class 1 is ' '", "printable"]),
        ({"class_names": ("a", "b", "a")}, ["classes 0 and 2", "'a'"]),
    ],
)
def test_what_is_refused_is_named(changes, parts):
    with pytest.raises(DataError) as caught:
        make(**changes)
    for part in ["small:", *parts]:
        assert part in str(caught.value)


def test_class_counts_include_classes_without_images():
    counts = make(13, class_names=(*DIGITS, "none")).class_counts()
    assert counts.dtype == np.int64
    assert counts.tolist() == [2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 0]


def test_sha256_is_that_of_the_images_then_the_labels():
    data = make(12)
    assert data.sha256 == hashlib.sha256(data.images.tobytes() + data.labels.tobytes()).hexdigest()
    assert data.take(np.arange(12)).sha256 == data.sha256
    assert data.shuffle(1).sha256 != data.sha256


def test_sha256_does_not_depend_on_the_layout_in_memory():
    data = make(12)
    fortran = Dataset(np.asfortranarray(data.images), data.labels, "fortran")
    assert fortran.sha256 == data.sha256


def test_take_a_number_gives_the_first_and_an_array_gives_those_in_its_order():
    data = make(12)
    assert data.take(3).images[:, 0, 0].tolist() == [0, 1, 2]
    chosen = data.take(np.array([11, 0, 0]))
    assert chosen.images[:, 0, 0].tolist() == [11, 0, 0]
    assert chosen.labels.tolist() == [1, 0, 0]
    assert data.take(data.labels == 1).images[:, 0, 0].tolist() == [1, 11]


@pytest.mark.parametrize("items", [0, -1, 13, np.array([], int), np.zeros(12, bool), np.array([[1]])])
def test_take_nothing_or_too_much_is_a_value_error(items):
    with pytest.raises(ValueError, match=r"take\("):
        make(12).take(items)


def test_shuffle_keeps_each_image_with_its_label_and_repeats_with_its_seed():
    data = make(50)
    shuffled = data.shuffle(3)
    assert shuffled.images[:, 0, 0].tolist() != data.images[:, 0, 0].tolist()
    assert sorted(shuffled.images[:, 0, 0].tolist()) == list(range(50))
    assert np.array_equal(shuffled.images[:, 0, 0] % 10, shuffled.labels)
    assert shuffled.sha256 == data.shuffle(3).sha256 != data.shuffle(4).sha256


@given(st.integers(2, 200), st.floats(0.01, 0.99))
def test_split_counts_as_keras_does_and_loses_nothing(n, fraction):
    first_count = int(np.floor(n * (1.0 - fraction)))  # as in Keras' train_validation_split
    data = make(n)
    if not 0 < first_count < n:
        with pytest.raises(ValueError, match="fraction"):
            data.split(fraction)
        return
    first, second = data.split(fraction)
    assert len(first) == first_count
    assert [*first.images[:, 0, 0], *second.images[:, 0, 0]] == list(range(n))
    assert [*first.labels, *second.labels] == data.labels.tolist()


def test_split_with_a_seed_shuffles_first():
    data = make(100)
    first, second = data.split(0.2, seed=5)
    shuffled = data.shuffle(5)
    assert np.array_equal(first.images, shuffled.images[:80])
    assert np.array_equal(second.labels, shuffled.labels[80:])
    assert (first.name, second.name) == ("small[:80]", "small[80:]")


@pytest.mark.parametrize("fraction", [0, 1, -0.5, 1.5, 0.999])
def test_split_that_leaves_a_part_empty_is_a_value_error(fraction):
    with pytest.raises(ValueError, match="fraction between 0 and 1"):
        make(10).split(fraction)


def test_parts_keep_the_class_names():
    names = tuple("abcdefghij")
    data = make(10, class_names=names)
    parts = [data.take(2), data.take(np.array([1])), data.shuffle(1), *data.split(0.5)]
    assert {part.class_names for part in parts} == {names}

"""MNIST from the package, any source in, every kind out and back."""

from __future__ import annotations

import errno
import gzip
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from mnistry import data as data_module
from mnistry.data import KINDS, load_data, load_images, load_mnist, save_data
from mnistry.dataset import DIGITS, Dataset
from mnistry.errors import DataError

RNG = np.random.default_rng(2)
FASHION = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
NAMED_KINDS = ("npz", "parquet", "folder")  # those that carry class names


def make(n=15, classes=DIGITS, name="made"):
    images = RNG.integers(0, 256, (n, 28, 28), dtype=np.uint8)
    return Dataset(images, RNG.integers(0, len(classes), n, dtype=np.uint8), name, classes)


def target(folder, kind, pair):
    """The path to write `kind` to: a file where it is one."""
    return folder / (
        f"digits.{kind}" if kind == "npz" or (kind in {"csv", "parquet"} and not pair) else "digits"
    )


def check_same(received, expected):
    assert np.array_equal(received.images, expected.images)
    assert received.labels.tolist() == expected.labels.tolist()
    assert received.class_names == expected.class_names


# --- MNIST ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def mnist():
    return load_mnist()


def test_mnist_is_what_was_published(mnist):
    (x_train, y_train), (x_test, y_test) = train, test = mnist
    assert (x_train.shape, y_train.shape) == ((60_000, 28, 28), (60_000,))
    assert (x_test.shape, y_test.shape) == ((10_000, 28, 28), (10_000,))
    assert {array.dtype for array in (x_train, y_train, x_test, y_test)} == {np.dtype(np.uint8)}
    assert (train.name, test.name) == ("mnist train", "mnist test")
    assert train.class_counts().tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert test.class_counts().tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert y_test[0] == 7
    assert y_train[:5].tolist() == [5, 0, 4, 1, 9]


def test_mnist_is_light_ink_on_dark_ground_with_a_mean_everybody_knows(mnist):
    images = mnist[0].images / np.float32(255)
    assert images[:, 0, :].mean() < 0.001  # the border is background
    assert images.mean() == pytest.approx(0.1307, abs=5e-5)
    assert images.std() == pytest.approx(0.3081, abs=5e-5)


def test_the_word_mnist_is_mnist(mnist):
    train, test = load_data("mnist")
    assert (train.sha256, test.sha256) == (mnist[0].sha256, mnist[1].sha256)
    assert load_images("mnist").shape == (70_000, 28, 28)


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        (
            lambda content: gzip.compress(gzip.decompress(content)[:-1] + b"\3"),
            ["damaged", "SHA-256", "65a50cbb"],
        ),
        (lambda content: content[:-20], ["cannot be read"]),
        (lambda content: b"hello", ["cannot be read"]),
        (None, ["cannot be read"]),
    ],
)
def test_a_damaged_mnist_file_in_the_package_says_to_reinstall(tmp_path, monkeypatch, change, parts):
    assets = data_module.resources.files("mnistry") / "assets" / "mnist"
    copies = tmp_path / "assets" / "mnist"
    copies.mkdir(parents=True)
    for file in assets.iterdir():
        if file.name.startswith("train-labels"):
            if change is not None:
                (copies / file.name).write_bytes(change(file.read_bytes()))
        else:
            (copies / file.name).symlink_to(file)
    monkeypatch.setattr(data_module.resources, "files", lambda package: tmp_path)
    with pytest.raises(DataError) as caught:
        load_mnist()
    for part in ["train-labels-idx1-ubyte.gz", "reinstall mnistry", *parts]:
        assert part in str(caught.value)


def test_loading_mnist_imports_nothing_heavy():
    code = (
        "import sys, mnistry; mnistry.load_mnist(); "
        "print([m for m in ('keras', 'jax', 'pyarrow', 'cv2', 'matplotlib', 'pandas') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


# --- round trips ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_one_part_comes_back_the_same(tmp_path, kind):
    data = make()
    path = target(tmp_path, kind, pair=False)
    save_data(data, path, kind)
    received, none = load_data(path)
    check_same(received, data)
    assert none is None
    assert received.name == path.name
    assert np.array_equal(load_images(path), data.images)
    assert [path.name for path in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("kind", KINDS)
def test_two_parts_come_back_the_same(tmp_path, kind):
    train, test = make(15), make(4)
    path = target(tmp_path, kind, pair=True)
    save_data((train, test), path, kind)
    received = load_data(path)
    check_same(received[0], train)
    check_same(received[1], test)
    assert [part.name for part in received] == [f"{path.name} train", f"{path.name} test"]
    assert np.array_equal(load_images(path), np.concatenate([train.images, test.images]))
    assert [path.name for path in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("kind", NAMED_KINDS)
@pytest.mark.parametrize(
    "classes", [FASHION, ("b", "a", "none"), tuple(str(i) for i in range(12)), ("0", "1")]
)
def test_class_names_come_back_in_their_order(tmp_path, kind, classes):
    train, test = make(40, classes), make(5, classes)
    path = target(tmp_path, kind, pair=True)
    save_data((train, test), path, kind)
    for received, sent in zip(load_data(path), (train, test), strict=True):
        check_same(received, sent)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(KINDS), st.data())
def test_any_small_set_comes_back_the_same(kind, draw):
    labels = draw.draw(st.lists(st.integers(0, 9), min_size=1, max_size=12))
    classes = DIGITS
    if kind in NAMED_KINDS:
        text = st.text(min_size=1, max_size=8).filter(lambda name: name.isprintable() and name.strip())
        classes = tuple(draw.draw(st.lists(text, min_size=max(labels) + 1, max_size=12, unique=True)))
    images = np.random.default_rng(len(labels)).integers(0, 256, (len(labels), 28, 28), dtype=np.uint8)
    data = Dataset(images, np.array(labels, np.uint8), "any", classes)
    with tempfile.TemporaryDirectory() as folder:
        path = target(Path(folder), kind, pair=False)
        save_data(data, path, kind)
        check_same(load_data(path)[0], data)


@pytest.mark.parametrize("suffix", [".npz", ".csv", ".parquet", ".NPZ"])
def test_the_kind_to_write_comes_from_the_suffix(tmp_path, suffix):
    data = make()
    save_data((data, None), tmp_path / f"digits{suffix}")
    (tmp_path / f"digits{suffix}").rename(tmp_path / "no suffix")  # and is read by content alone
    check_same(load_data(str(tmp_path / "no suffix"))[0], data)


def test_the_same_set_is_written_as_the_same_bytes(tmp_path):
    data = make()
    for kind in ("npz", "csv", "parquet"):
        save_data(data, tmp_path / "a", kind)
        save_data(data, tmp_path / "b", kind)
        assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


# --- refusals -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "kind", "parts"),
    [
        (
            "digits",
            None,
            ["not told by the name", ".npz, .csv or .parquet", "idx, idx.gz, npz, csv, parquet, folder"],
        ),
        ("digits.gz", None, ["not told by the name", "idx.gz"]),
        ("digits.npz", "hdf5", ["the kind to write is hdf5", "idx, idx.gz, npz, csv, parquet, folder"]),
    ],
)
def test_an_unknown_kind_lists_the_known_ones(tmp_path, name, kind, parts):
    with pytest.raises(DataError) as caught:
        save_data(make(), tmp_path / name, kind)
    for part in [f"{name}'", *parts]:
        assert part in str(caught.value)


def test_two_parts_are_not_written_into_one_csv_file(tmp_path):
    with pytest.raises(DataError, match=r"digits.csv'.*one part, two were given: name a folder.*--kind csv"):
        save_data((make(), make()), tmp_path / "digits.csv")


def test_parts_with_different_classes_are_not_written(tmp_path):
    with pytest.raises(DataError, match=r"second has the classes .*first has"):
        save_data((make(name="first"), make(classes=FASHION, name="second")), tmp_path / "a.npz")


@pytest.mark.parametrize("kind", ["idx", "folder"])
def test_a_folder_that_is_not_empty_is_left_alone(tmp_path, kind):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(DataError, match="mine': the folder is not empty"):
        save_data(make(), tmp_path / "mine", kind)
    with pytest.raises(DataError, match=r"letter.txt': a file is already there"):
        save_data(make(), tmp_path / "mine" / "letter.txt", kind)
    assert (tmp_path / "mine" / "letter.txt").read_text() == "dear"
    (tmp_path / "empty").mkdir()
    save_data(make(), tmp_path / "empty", kind)


@pytest.mark.parametrize("kind", KINDS)
def test_a_full_disk_leaves_what_was_there_and_nothing_half_written(tmp_path, monkeypatch, kind):
    path = target(tmp_path, kind, pair=False)
    if path.suffix:
        path.write_text("old")

    def fail(*args, **kwargs):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fail)
    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(DataError, match=f"{path.name}': cannot be written: No space left"):
        save_data(make(), path, kind)
    assert [path.name for path in tmp_path.iterdir()] == ([path.name] if path.suffix else [])
    assert not path.suffix or path.read_text() == "old"


def test_a_missing_parent_folder_is_named(tmp_path):
    for kind in ("npz", "idx"):
        with pytest.raises(DataError, match=r"a.npz': cannot be written: No such file or directory"):
            save_data(make(), tmp_path / "nowhere" / "a.npz", kind)


def test_images_without_labels_load_as_images_only(tmp_path):
    for name in ("a.png", "b.png"):
        Image.fromarray(make(1).images[0]).save(tmp_path / name)
    assert load_images(tmp_path).shape == (2, 28, 28)
    with pytest.raises(DataError, match=r"2 images but no labels.*a folder for each class"):
        load_data(tmp_path)


def test_a_missing_path_is_named():
    for load in (load_data, load_images):
        with pytest.raises(DataError, match="nowhere': no such file or folder"):
            load("nowhere")


def test_a_folder_named_mnist_is_reached_with_its_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = make()
    save_data(data, "mnist", "idx")
    check_same(load_data("./mnist")[0], data)
    assert len(load_data("mnist")[0]) == 60_000


def test_what_the_system_refuses_to_read_is_a_data_error(tmp_path, monkeypatch):
    save_data(make(), tmp_path / "a.npz")

    def refuse(self, *args, **kwargs):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(DataError, match=r"a.npz': cannot be read: Permission denied"):
        load_data(tmp_path / "a.npz")

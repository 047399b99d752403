"""Data sets in and out: MNIST, which ships inside the package, and whatever the user has."""

from __future__ import annotations

import hashlib
import os
import shutil
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mnistry import formats
from mnistry.dataset import Dataset
from mnistry.errors import DataError
from mnistry.files import atomic_write
from mnistry.formats import csv, folder, idx, npz, parquet
from mnistry.formats.parts import Part

KINDS = ("idx", "idx.gz", "npz", "csv", "parquet", "folder")
_SUFFIX_KINDS = {".npz": "npz", ".csv": "csv", ".parquet": "parquet"}

# SHA-256 and size in bytes of MNIST's four files, decompressed.
_MNIST_FILES = {
    "train-images-idx3-ubyte": (
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        47_040_016,
    ),
    "train-labels-idx1-ubyte": ("65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5", 60_008),
    "t10k-images-idx3-ubyte": ("0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7", 7_840_016),
    "t10k-labels-idx1-ubyte": ("ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2", 10_008),
}


def load_mnist() -> tuple[Dataset, Dataset]:
    """Return MNIST from the files in the package: 60,000 images to train on and 10,000 to test with.

    `(x_train, y_train), (x_test, y_test) = load_mnist()` unpacks it into arrays: images (n, 28, 28) uint8,
    0 = background, 255 = ink, labels (n,) uint8 of 0..9. By Yann LeCun, Corinna Cortes and Christopher J. C.
    Burges.

    Raises:
        DataError: a file is missing or is not, byte for byte, the published one.
    """
    contents = {name: _read_mnist_file(name) for name in _MNIST_FILES}
    parts = []
    for prefix, name in (("train", "mnist train"), ("t10k", "mnist test")):
        images = np.frombuffer(contents[f"{prefix}-images-idx3-ubyte"], np.uint8, offset=16)
        labels = np.frombuffer(contents[f"{prefix}-labels-idx1-ubyte"], np.uint8, offset=8)
        parts.append(Dataset(images.reshape(-1, 28, 28), labels, name))
    return parts[0], parts[1]


def load_data(path: str | os.PathLike[str]) -> tuple[Dataset, Dataset | None]:
    """Return the data set at `path`: its train part and, if the source has one, its test part.

    The word "mnist" is MNIST itself (a folder of that name is "./mnist"). Otherwise `path` is a file or
    folder, whose kind is found from what it holds: IDX pairs, plain or gzip; .npz; CSV; Parquet with
    encoded pictures; a folder of class folders.

    Raises:
        DataError: nothing there, an unknown kind, no labels, or any fault in the data; names file and place.
        MissingExtraError: Parquet, and pyarrow is not installed.
    """
    if path == "mnist":
        return load_mnist()
    path = Path(path)
    train, test = _read(path)
    first = _labelled(train, path, path.name if test is None else f"{path.name} train")
    return first, None if test is None else _labelled(test, path, f"{path.name} test")


def load_images(path: str | os.PathLike[str]) -> NDArray[np.uint8]:
    """Return all images at `path`, labelled or not: (n, 28, 28) uint8, 0 = background, 255 = ink.

    Takes what `load_data` takes, images without labels, and folders of pictures. If the source has a train
    part and a test part, the train part comes first.

    Raises:
        DataError: nothing there, an unknown kind, or any fault in the data; names file and place.
        MissingExtraError: Parquet, and pyarrow is not installed.
    """
    if path == "mnist":
        return np.concatenate([part.images for part in load_mnist()])
    train, test = _read(Path(path))
    return train.images if test is None else np.concatenate([train.images, test.images])


def save_data(
    data: Dataset | tuple[Dataset, Dataset | None], path: str | os.PathLike[str], kind: str | None = None
) -> None:
    """Write a data set, or a train and a test part, so that `load_data(path)` gives it back.

    Args:
        data: one set, or a train part with a test part (or None).
        path: the file to write, replaced if it exists; or the folder, which may exist if it is empty. A
            folder is written for the kinds idx, idx.gz and folder, and for csv and parquet in two parts.
        kind: one of `KINDS`; by default from the suffix .npz, .csv or .parquet. idx and csv carry no class
            names.

    Everything is written under a temporary name beside `path` and renamed, so nothing half-written is
    found there. The pictures of the kind folder are not flushed to the disk one by one, so a power failure
    may still lose them.

    Raises:
        DataError: an unknown kind, a folder that is not empty, labels that the kind cannot carry, parts with
            different classes, or the disk refuses.
        MissingExtraError: Parquet, and pyarrow is not installed.
    """
    train, test = (data, None) if isinstance(data, Dataset) else data
    path = Path(path)
    if kind is None:
        kind = _SUFFIX_KINDS.get(path.suffix.lower())
    if kind not in KINDS:
        raise DataError(
            f"'{path}': the kind to write is {kind or 'not told by the name'}; "
            f".npz, .csv or .parquet expected, or one of the kinds {', '.join(KINDS)}"
        )
    if test is not None and test.class_names != train.class_names:
        raise DataError(
            f"{test.name} has the classes {test.class_names}, {train.name} has {train.class_names}"
        )
    if test is not None and path.suffix.lower() in {".csv", ".parquet"}:
        raise DataError(
            f"'{path}': a {path.suffix} file holds one part, two were given: name a folder, {path.stem}, and "
            f"the kind {kind} (--kind {kind}), for a file of each"
        )
    try:
        _write(train, test, path, kind)
    except OSError as error:
        raise DataError(f"'{path}': cannot be written: {error.strerror or error}") from error


def _read_mnist_file(name: str) -> bytes:
    """Return one of MNIST's files, decompressed and compared with what was published."""
    expected, size = _MNIST_FILES[name]
    try:
        packed = (resources.files("mnistry") / "assets" / "mnist" / f"{name}.gz").read_bytes()
        content = zlib.decompress(packed, wbits=31, bufsize=size)  # 31: in gzip's wrapping
    except (OSError, zlib.error) as error:
        raise DataError(
            f"MNIST's file {name}.gz in the package cannot be read: {error}; reinstall mnistry"
        ) from error
    received = hashlib.sha256(content).hexdigest()
    if received != expected:
        raise DataError(
            f"MNIST's file {name}.gz in the package is damaged: SHA-256 {received}, {expected} expected; "
            "reinstall mnistry"
        )
    return content


def _read(path: Path) -> tuple[Part, Part | None]:
    """Return the parts of any source, with the system's refusals as DataErrors."""
    try:
        return formats.read(path)
    except OSError as error:
        raise DataError(f"'{error.filename or path}': cannot be read: {error.strerror or error}") from error


def _labelled(part: Part, path: Path, name: str) -> Dataset:
    """Return a part as a data set; a DataError if it has no labels."""
    if part.labels is None:
        raise DataError(
            f"'{path}': {len(part.images)} images but no labels. Expected: for an IDX images file its labels "
            "file beside it, in .npz the array y_train, labels or y, in CSV and Parquet a column label, for "
            "pictures a folder for each class. load_images reads images alone"
        )
    return Dataset(part.images, part.labels, name, part.class_names)


def _write(train: Dataset, test: Dataset | None, path: Path, kind: str) -> None:
    """Write the parts as `kind`, which is one of KINDS."""
    if kind == "npz":
        with atomic_write(path) as file:
            npz.write(train, test, file)
        return
    if kind in {"csv", "parquet"} and test is None:
        with atomic_write(path) as file:
            (csv if kind == "csv" else parquet).write(train, file)
        return
    with _atomic_folder(path) as target:
        if kind == "folder":
            folder.write(train, test, target)
        elif kind in {"idx", "idx.gz"}:
            idx.write(train, test, target, compressed=kind == "idx.gz")
        elif test is not None:
            _write_two_files(train, test, target, kind)


def _write_two_files(train: Dataset, test: Dataset, target: Path, kind: str) -> None:
    """Write two parts under the names that readers of CSV and Parquet expect."""
    if kind == "parquet":
        target = target / "data"
        target.mkdir()
    for role, dataset in (("train", train), ("test", test)):
        name = f"{role}.csv" if kind == "csv" else f"{role}-00000-of-00001.parquet"
        with atomic_write(target / name) as file:
            (csv if kind == "csv" else parquet).write(dataset, file)


@contextmanager
def _atomic_folder(path: Path) -> Iterator[Path]:
    """Give an empty folder that becomes `path` when the block ends without an error."""
    if path.exists() and not path.is_dir():
        raise DataError(f"'{path}': a file is already there; the name of a new folder expected")
    if path.is_dir() and any(path.iterdir()):
        raise DataError(f"'{path}': the folder is not empty; a new or empty folder expected")
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.mkdir()
    try:
        yield temporary
        if path.is_dir():
            path.rmdir()  # not every system renames onto an empty folder
        temporary.rename(path)
    except BaseException:  # raised again: after Ctrl-C, too, nothing half-written stays
        shutil.rmtree(temporary, ignore_errors=True)
        raise

"""NumPy's .npz, in the layout of Keras' mnist.npz and in the plain ones. Pickled objects are never loaded."""

from __future__ import annotations

import math
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from mnistry.dataset import DIGITS, Dataset, check_class_names
from mnistry.errors import DataError
from mnistry.formats.parts import Part, as_images, as_labels, check_counts

# Names of the (images, labels) arrays, in the order in which they are looked for.
_WHOLE_OR_TRAIN = (
    ("x_train", "y_train"),
    ("train_images", "train_labels"),
    ("images", "labels"),
    ("x", "y"),
    ("X", "y"),
    ("arr_0", "arr_1"),
)
_TEST = (("x_test", "y_test"), ("test_images", "test_labels"))

# What zipfile and NumPy's header parser raise on damaged bytes.
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    ValueError,
    RuntimeError,
    SyntaxError,
    tokenize.TokenError,
)
_DEFLATE_LIMIT = 1032  # no deflate stream expands more than this


def read(path: Path) -> tuple[Part, Part | None]:
    """Return the train and test parts of an .npz file, or its only part.

    The arrays are named x_train, y_train, x_test, y_test or train_images, ..., test_labels; or, for one part,
    images and labels, x and y, or not at all (arr_0, arr_1). `class_names` may hold the names, as text.

    Raises:
        DataError: a damaged archive, no such arrays, an object array, test images without labels, or arrays
            that `as_images` and `as_labels` refuse.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = {name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")}
            train_keys = next((keys for keys in _WHOLE_OR_TRAIN if keys[0] in names), None)
            test_keys = next((keys for keys in _TEST if keys[0] in names or keys[1] in names), None)
            if train_keys is None:
                raise DataError(
                    f"'{path}': no images among the arrays {', '.join(sorted(names)) or '(none)'}; "
                    "x_train, train_images, images or x expected"
                )
            wanted = {*train_keys, *(test_keys or ()), "class_names"} & names
            if test_keys is not None:
                for key in {*train_keys, *test_keys} - wanted:
                    raise DataError(f"'{path}': no array {key!r} among {', '.join(sorted(names))}")
            arrays = {key: _read_array(archive, key, f"'{path}', array {key!r}") for key in wanted}
    except _DAMAGE as error:
        raise DataError(f"'{path}': damaged .npz archive: {error}") from error
    class_names = DIGITS
    if "class_names" in arrays:
        class_names = _as_class_names(arrays["class_names"], f"'{path}', array 'class_names'")
    train = _part(arrays, train_keys, class_names, path)
    return train, None if test_keys is None else _part(arrays, test_keys, class_names, path)


def write(train: Dataset, test: Dataset | None, file: BinaryIO) -> None:
    """Write the Keras layout, or images and labels if `test` is None.

    Class names other than the digits go to an array `class_names`.
    """
    if test is None:
        arrays: dict[str, NDArray[Any]] = {"images": train.images, "labels": train.labels}
    else:
        arrays = dict(
            zip(("x_train", "y_train", "x_test", "y_test"), (*train, *test), strict=True),
        )
    if train.class_names != DIGITS:
        arrays["class_names"] = np.array(train.class_names)
    np.savez_compressed(file, allow_pickle=False, **arrays)


def _part(arrays: dict[str, NDArray[Any]], keys: tuple[str, str], names: tuple[str, ...], path: Path) -> Part:
    """Return the checked part made of the two arrays that `keys` name."""
    images = as_images(arrays[keys[0]], f"'{path}', array {keys[0]!r}")
    if keys[1] not in arrays:
        return Part(images, None, names)
    hint = "" if "class_names" in arrays else "; an array 'class_names' of texts declares other classes"
    labels = as_labels(arrays[keys[1]], len(names), f"'{path}', array {keys[1]!r}", hint)
    check_counts(images, labels, f"'{path}', arrays {keys[0]!r} and {keys[1]!r}")
    return Part(images, labels, names)


def _read_array(archive: zipfile.ZipFile, key: str, source: str) -> NDArray[Any]:
    """Return one array, after comparing its header with the size of the member that holds it."""
    member = archive.getinfo(f"{key}.npy")
    if member.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        raise DataError(f"{source}: compressed by method {member.compress_type}; stored or deflated expected")
    with archive.open(member) as file:
        version = np.lib.format.read_magic(file)
        if version == (1, 0):
            shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        elif version == (2, 0):
            shape, _, dtype = np.lib.format.read_array_header_2_0(file)
        else:
            raise DataError(f"{source}: .npy format version {version}; (1, 0) or (2, 0) expected")
        if dtype.hasobject:
            raise DataError(
                f"{source}: an array of Python objects, which are never loaded because they can run code; "
                "numbers expected. Images of equal size make a numeric array: numpy.stack(images)"
            )
        promised, held = math.prod(shape) * dtype.itemsize, member.file_size - file.tell()
        # The archive's directory may lie about sizes: reserve memory only for what the file could hold.
        if promised != held or held > member.compress_size * _DEFLATE_LIMIT:
            raise DataError(f"{source}: {held} bytes; {promised} expected for {shape} {dtype}")
    with archive.open(member) as file:
        array: NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False)
        if file.read(1):  # reads to the end, which is where zipfile checks the CRC
            raise DataError(f"{source}: data after the array")
    return array


def _as_class_names(values: NDArray[Any], source: str) -> tuple[str, ...]:
    """Return the class names that a text array holds."""
    if values.dtype.kind != "U" or values.ndim != 1:
        raise DataError(f"{source}: {values.shape} {values.dtype}; a list of texts expected")
    names = tuple(values.tolist())
    check_class_names(names, source)
    return names

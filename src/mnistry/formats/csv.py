"""CSV as Kaggle's digit recognizer has it: one image a line, 784 pixels, with or without its label."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from mnistry.dataset import DIGITS, Dataset
from mnistry.errors import DataError
from mnistry.formats.parts import PIXELS, Part, as_images, as_labels, check_ten_classes

_LABEL_NAMES = ("label", "class")
_ENCODING = "utf-8-sig"  # spreadsheets put a byte order mark in front
_FIRST_LINE_LIMIT = 1 << 20  # bytes


class _Layout(NamedTuple):
    header: bool
    columns: int
    label_column: int | None


def read(path: Path) -> tuple[Part, Part | None]:
    """Return the only part of a CSV file, or the train and test parts of a folder of them.

    With a header, a column named label or class is the label, wherever it stands; without one, the label
    comes first. Pixels are 0..255, or floats of 0..1. In a folder, the file with `train` in its name and, if
    that is labelled, the one with `test`; an unlabelled test file, as in Kaggle's competition, is left out.

    Raises:
        DataError: a line with a wrong number of columns, or with something else than a number in range
            (named with its line and column), no lines, or a folder in which the parts cannot be told.
    """
    if not path.is_dir():
        return _read_file(path), None
    files = find_files(path)
    found: dict[str, list[Path]] = {}
    for file in files:
        role = next((role for role in ("train", "test") if role in file.stem.lower()), "other")
        found.setdefault(role, []).append(file)
    train, test = found.get("train", found.get("other", [])), found.get("test", [])
    if len(train) != 1 or len(test) > 1:
        names = ", ".join(file.name for file in files)
        raise DataError(f"'{path}': CSV files {names}; train.csv and, if there is one, test.csv expected")
    labelled_test = test and _read_layout(test[0]).label_column is not None
    return _read_file(train[0]), _read_file(test[0]) if labelled_test else None


def find_files(folder: Path) -> list[Path]:
    """Return the CSV files in `folder`."""
    return sorted(
        file
        for file in folder.iterdir()
        if file.suffix.lower() == ".csv" and not file.name.startswith(".") and file.is_file()
    )


def write(dataset: Dataset, file: BinaryIO) -> None:
    """Write the header label,pixel0,...,pixel783 and one line an image. Class names are not carried.

    Raises:
        DataError: a label above 9, which no reader of this format would accept.
    """
    check_ten_classes(dataset, "CSV")
    text = [str(value) for value in range(256)]
    file.write(",".join(["label", *(f"pixel{index}" for index in range(PIXELS))]).encode() + b"\n")
    for label, image in zip(dataset.labels.tolist(), dataset.images.reshape(-1, PIXELS), strict=True):
        file.write(",".join([text[label], *map(text.__getitem__, image.tolist())]).encode() + b"\n")


def _read_file(path: Path) -> Part:
    """Return the images and, if there are any, the labels of one file."""
    layout = _read_layout(path)
    try:
        table = _read_table(path, layout, np.uint8)
    except ValueError:  # something else than integers of 0..255: perhaps floats, perhaps a fault
        try:
            table = _read_table(path, layout, np.float32)
        except ValueError as error:
            _raise_fault(path, layout)
            raise DataError(f"'{path}': not readable as CSV: {error}") from error
    if table.size == 0:
        raise DataError(f"'{path}': no lines of data; one line an image expected")
    try:
        return _split_table(table, layout, f"'{path}'")
    except DataError:
        _raise_fault(path, layout)  # the same fault, with its line
        raise


def _read_table(path: Path, layout: _Layout, dtype: DTypeLike) -> NDArray[Any]:
    """Return the (lines, columns) numbers of the file; ValueError if one is not a number of `dtype`."""
    with path.open(encoding=_ENCODING) as file, warnings.catch_warnings(action="ignore"):
        return np.loadtxt(
            file,
            dtype=dtype,
            delimiter=",",
            comments=None,
            quotechar='"',
            skiprows=int(layout.header),
            ndmin=2,
        )


def _split_table(table: NDArray[Any], layout: _Layout, source: str) -> Part:
    """Return the images and labels that a table of numbers holds."""
    if layout.label_column is None:
        return Part(as_images(table, source), None)
    labels = as_labels(table[:, layout.label_column], len(DIGITS), source)
    if layout.label_column == 0:
        return Part(as_images(table[:, 1:], source), labels)
    return Part(as_images(np.delete(table, layout.label_column, axis=1), source), labels)


def _read_layout(path: Path) -> _Layout:
    """Return what the first line says about the columns."""
    with path.open(encoding=_ENCODING, errors="replace") as file:
        names = [_clean(name).lower() for name in file.readline(_FIRST_LINE_LIMIT).split(",")]
    labels = [names.index(name) for name in _LABEL_NAMES if name in names]
    header = bool(labels) or all(_number(name) is None for name in names)
    if header:
        columns, label_column = PIXELS + len(labels), labels[0] if labels else None
    else:
        columns, label_column = (PIXELS, None) if len(names) == PIXELS else (PIXELS + 1, 0)
    if len(names) != columns or len(labels) > 1:
        what = "names" if header else "columns"
        raise DataError(
            f"'{path}': line 1 has {len(names)} {what}; {PIXELS} pixels expected, "
            f"or {PIXELS + 1} with a label (in a header: a column named label)"
        )
    return _Layout(header, columns, label_column)


def _raise_fault(path: Path, layout: _Layout) -> None:
    """Raise a DataError for the first line with a fault; slow, so used only once one is known to exist."""
    with path.open(encoding=_ENCODING, errors="replace") as file:
        for line_number, line in enumerate(file, 1):
            if (layout.header and line_number == 1) or not line.rstrip("\r\n"):
                continue
            fields = line.split(",")
            if len(fields) != layout.columns:
                raise DataError(
                    f"'{path}': line {line_number} has {len(fields)} columns; {layout.columns} expected"
                )
            for column, field in enumerate(fields):
                value, is_label = _number(_clean(field)), column == layout.label_column
                if is_label and (value is None or value not in range(len(DIGITS))):
                    expected = "a label of 0 to 9"
                elif value is None or not 0 <= value <= 255:  # NaN and infinity are not in the range either
                    expected = "a pixel of 0..255"
                else:
                    continue
                raise DataError(
                    f"'{path}': line {line_number}, column {column + 1} is {_clean(field)[:40]!r}; "
                    f"{expected} expected"
                )


def _clean(field: str) -> str:
    return field.strip().strip('"')


def _number(text: str) -> float | None:
    """Return the number that `text` writes, NaN and infinity included, None if it writes none."""
    try:
        return float(text)
    except ValueError:
        return None

"""The file formats of labelled image sets: one module each, with `read(path)` and `write(...)`.

`read` gives a train part and, if the source has one, a test part; a part is images with or without labels.
"""

from __future__ import annotations

import re
from pathlib import Path

from mnistry.errors import DataError
from mnistry.formats import csv, folder, idx, npz, parquet
from mnistry.formats.parts import Part

EXPECTED = (
    "an IDX file (plain or gzip), .npz, CSV, Parquet, a folder with such files, "
    "or a folder with a folder of pictures for each class"
)


def read(path: Path) -> tuple[Part, Part | None]:
    """Return the train and test parts of any source that `recognise` knows.

    Raises:
        DataError: as the format's own `read`, or an unknown kind.
    """
    match recognise(path):
        case "idx":
            return idx.read(path)
        case "npz":
            return npz.read(path)
        case "csv":
            return csv.read(path)
        case "parquet":
            return parquet.read(path)
        case _:
            return folder.read(path)


def recognise(path: Path) -> str:
    """Return the kind of a file, by its first bytes, or of a folder, by what lies in it.

    The kinds are "idx", "npz", "csv", "parquet" and "folder".

    Raises:
        DataError: nothing there, an empty file or folder, or none of the kinds.
    """
    if path.is_dir():
        return _recognise_folder(path)
    if not path.exists():
        raise DataError(f"'{path}': no such file or folder; {EXPECTED} expected")
    with path.open("rb") as file:
        start = file.read(4096)
    if not start:
        raise DataError(f"'{path}': an empty file (0 bytes); {EXPECTED} expected")
    if start.startswith((b"\x1f\x8b", b"\0\0")):
        return "idx"
    if start.startswith(b"PK"):
        return "npz"
    if start.startswith(b"PAR1"):
        return "parquet"
    if b"," in start and not re.search(rb"[\0-\x08\x0e-\x1f]", start):
        return "csv"
    raise DataError(
        f"'{path}': no known kind of data set (first bytes {start[:4].hex(' ')}); {EXPECTED} expected"
    )


def _recognise_folder(path: Path) -> str:
    """Return the kind of a folder; the files that need least guessing are looked for first."""
    if idx.find_files(path):
        return "idx"
    if csv.find_files(path):
        return "csv"
    if parquet.find_files(path):
        return "parquet"
    entries = folder.list_visible(path)
    if not entries:
        raise DataError(f"'{path}': an empty folder; {EXPECTED} expected")
    if any(entry.is_dir() or entry.suffix.lower() in folder.SUFFIXES for entry in entries):
        return "folder"
    names = ", ".join(entry.name for entry in entries[:5])
    raise DataError(f"'{path}': no data set among {names}; {EXPECTED} expected")

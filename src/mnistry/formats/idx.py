"""IDX, the format MNIST was published in: a pair of files, images and labels, plain or gzip-compressed.

A file is a big-endian magic number (0x0803 for images, 0x0801 for labels), one 32-bit size for each
dimension, and the bytes: as the authors of MNIST describe it on its page.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from mnistry.dataset import Dataset
from mnistry.errors import DataError
from mnistry.files import atomic_write
from mnistry.formats.parts import Part, as_images, as_labels, check_counts, check_ten_classes

IMAGES, LABELS = 0x0803, 0x0801
_MEANING = {IMAGES: "images", LABELS: "labels"}
_GZIP = b"\x1f\x8b"
_DEFLATE_LIMIT = 1032  # no deflate stream expands more than this


def read(path: Path) -> tuple[Part, Part | None]:
    """Return the train and test parts of a folder, or the pair that the file `path` belongs to.

    In a folder, pairs whose name has `t10k` or `test` in it are the test part. An images file without its
    labels file gives a part without labels; a file of a pair has the other's name with `images` for
    `labels` and `idx3` for `idx1`, with or without `.gz`.

    Raises:
        DataError: a wrong magic number, a size that the file does not hold, damaged gzip data, a label
            above 9, numbers that differ, or a folder in which the parts cannot be told.
    """
    if not path.is_dir():
        return _read_pair(path), None
    files = [file for file in find_files(path) if file.suffix != ".gz" or not file.with_suffix("").exists()]
    pairs: dict[str, list[Path]] = {"train": [], "test": []}
    for file in files:
        if _holds_labels(file) and _find_partner(file) is not None:
            continue  # read with its images
        pairs["test" if "t10k" in file.name or "test" in file.name else "train"].append(file)
    for role, candidates in pairs.items():
        if len(candidates) > 1:
            names = ", ".join(file.name for file in candidates)
            raise DataError(
                f"'{path}': several IDX {role} sets: {names}; one expected, or name one of the files"
            )
    parts = [_read_pair(file) for candidates in pairs.values() for file in candidates]
    if len(parts) == 2:
        for part, [file] in zip(parts, pairs.values(), strict=True):
            if part.labels is None:
                raise DataError(f"'{file}': the labels file of these images is missing")
    return parts[0], parts[1] if len(parts) == 2 else None


def find_files(folder: Path) -> list[Path]:
    """Return the files in `folder` that are IDX by their customary names or by their first bytes."""
    return sorted(file for file in folder.iterdir() if not file.name.startswith(".") and _is_idx(file))


def read_magic(path: Path) -> int | None:
    """Return the magic number at the start of a plain or gzip-compressed file, None if it has none."""
    try:
        with path.open("rb") as raw:
            start = _decompressed(raw).read(4)
    except (EOFError, zlib.error, gzip.BadGzipFile):
        return None
    return int.from_bytes(start, "big") if len(start) == 4 else None


def _is_idx(file: Path) -> bool:
    """Return whether a file in a folder is IDX; the name comes first, as there may be 60,000 pictures."""
    if "idx1" in file.name or "idx3" in file.name:
        return file.is_file()
    named = "images" in file.name or "labels" in file.name
    return named and file.is_file() and read_magic(file) in _MEANING


def read_images(path: Path) -> NDArray[np.uint8]:
    """Return the (n, 28, 28) uint8 images of one IDX file.

    Raises:
        DataError: a damaged or truncated file, other contents, or pixels that `as_images` refuses.
    """
    return as_images(_read_file(path, IMAGES), f"'{path}'")


def read_labels(path: Path) -> NDArray[np.uint8]:
    """Return the (n,) uint8 labels of one IDX file.

    Raises:
        DataError: a damaged or truncated file, other contents, or labels that `as_labels` refuses.
    """
    return as_labels(_read_file(path, LABELS), 10, f"'{path}'")


def write(train: Dataset, test: Dataset | None, folder: Path, compressed: bool = False) -> None:
    """Write `train-*` and `t10k-*` pairs into `folder`, or one pair without such a prefix if `test` is None.

    Raises:
        DataError: a label above 9, which no reader of this format would accept.
    """
    parts = {"": train} if test is None else {"train-": train, "t10k-": test}
    for prefix, dataset in parts.items():
        check_ten_classes(dataset, "IDX")
        for name, magic, array in (
            ("images-idx3-ubyte", IMAGES, dataset.images),
            ("labels-idx1-ubyte", LABELS, dataset.labels),
        ):
            content = struct.pack(f">I{array.ndim}I", magic, *array.shape) + array.tobytes()
            with atomic_write(folder / f"{prefix}{name}{'.gz' if compressed else ''}") as file:
                file.write(gzip.compress(content, 6, mtime=0) if compressed else content)


def _read_pair(path: Path) -> Part:
    """Return the images and labels of the pair that `path` is one file of."""
    partner = _find_partner(path)
    if _holds_labels(path):
        if partner is None:
            raise DataError(
                f"'{path}': labels without their images; {_partner_name(path)} expected beside it"
            )
        path, partner = partner, path
    images = read_images(path)
    if partner is None:
        return Part(images, None)
    labels = read_labels(partner)
    check_counts(images, labels, f"'{path}' and '{partner.name}'")
    return Part(images, labels)


def _holds_labels(path: Path) -> bool:
    """Return whether a file holds labels, by its magic number or, if that is damaged, by its name."""
    magic = read_magic(path)
    return magic == LABELS or (magic != IMAGES and ("labels" in path.name or "idx1" in path.name))


def _partner_name(path: Path) -> str:
    """Return the customary name, without `.gz`, of the other file of the pair."""
    name = path.name.removesuffix(".gz")
    if _holds_labels(path):
        return name.replace("labels", "images").replace("idx1", "idx3")
    return name.replace("images", "labels").replace("idx3", "idx1")


def _find_partner(path: Path) -> Path | None:
    """Return the other file of the pair, None if there is none."""
    name = _partner_name(path)
    if name == path.name.removesuffix(".gz"):
        return None
    candidates = [path.with_name(name), path.with_name(f"{name}.gz")]
    return next((candidate for candidate in candidates if candidate.is_file()), None)


def _decompressed(raw: BinaryIO) -> BinaryIO | gzip.GzipFile:
    """Return the file itself, or its content if it is gzip-compressed."""
    compressed = raw.read(2) == _GZIP
    raw.seek(0)
    return gzip.GzipFile(fileobj=raw) if compressed else raw


def _read_file(path: Path, expected: int) -> NDArray[np.uint8]:
    """Return the array of one IDX file, never reading more than one byte beyond what its header promises."""
    dimensions = expected & 0xFF
    try:
        with path.open("rb") as raw:
            file = _decompressed(raw)
            shape = parse_header(file.read(4 + 4 * dimensions), expected, f"'{path}'")
            promised = math.prod(shape)
            # A header may promise terabytes: reserve them only if the file could hold them.
            limit = path.stat().st_size * (1 if file is raw else _DEFLATE_LIMIT)
            body = file.read(promised + 1) if promised <= limit else b""
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(
            f"'{path}': damaged or truncated gzip data: {error}. Expected a whole .gz file: copy or download "
            "it again"
        ) from error
    if promised > limit:
        raise DataError(
            f"'{path}': truncated: the header promises {promised} bytes after it for {shape}, the whole file "
            f"has {path.stat().st_size}"
        )
    if len(body) < promised:
        raise DataError(
            f"'{path}': truncated: {len(body)} bytes after the header, which promises {promised} for {shape}"
        )
    if len(body) > promised:
        raise DataError(
            f"'{path}': more than the {promised} bytes that the header promises for {shape}: "
            f"unexpected data from byte {promised + 4 + 4 * dimensions} on"
        )
    return np.frombuffer(body, np.uint8).reshape(shape)


def parse_header(header: bytes, expected: int, source: str) -> tuple[int, ...]:
    """Return the shape that an IDX header states, after checking its length and magic number.

    Raises:
        DataError: it is too short, or has another magic number than `expected`.
    """
    length = 4 + 4 * (expected & 0xFF)
    if len(header) >= 4 and int.from_bytes(header[:4], "big") != expected:
        raise DataError(
            f"{source}: wrong magic number: the first four bytes are {header[:4].hex(' ')}; "
            f"{expected.to_bytes(4, 'big').hex(' ')} (IDX {_MEANING[expected]}) expected"
        )
    if len(header) < length:
        raise DataError(f"{source}: truncated: {len(header)} bytes; a header of {length} bytes expected")
    return struct.unpack(f">{expected & 0xFF}I", header[4:])

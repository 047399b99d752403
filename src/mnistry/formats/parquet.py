"""Parquet with encoded images, as the Hugging Face hub stores image data sets."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO

import numpy as np

from mnistry.dataset import DIGITS, Dataset, check_class_names
from mnistry.errors import DataError, MissingExtraError
from mnistry.formats.parts import Part, as_labels
from mnistry.formats.pictures import decode_picture, encode_png

_METADATA_KEY = b"huggingface"
_BATCH_ROWS = 4096


def read(path: Path) -> tuple[Part, Part | None]:
    """Return the only part of a Parquet file, or the train and test parts of a folder of them.

    A column `image` holds the encoded pictures, as binary or as a struct with a field `bytes`; a column
    `label`, if there is one, integers. Class names come from the Hugging Face metadata in the file. In a
    folder, or in its only sub-folder with Parquet files, train*.parquet and test*.parquet, in any number of
    pieces; if none has such a name, all files are one part.

    Raises:
        DataError: a damaged file, other columns, a missing value, picture or piece, or a label outside the
            classes, each with its row.
        MissingExtraError: pyarrow is not installed.
    """
    if not path.is_dir():
        return _read_files([path], None), None
    files = find_files(path)
    train = [file for file in files if file.name.startswith("train")]
    test = [file for file in files if file.name.startswith("test")]
    if not train:
        train, test = test or files, []
    for part in (train, test):
        _check_pieces(part)
    first = _read_files(train, None)
    if not test:
        return first, None
    second = _read_files(test, first.class_names)
    if second.labels is None and first.labels is not None:
        raise DataError(f"'{test[0]}': no column 'label', which '{train[0].name}' has")
    return first, second


def find_files(folder: Path) -> list[Path]:
    """Return the Parquet files in `folder`, or in the only one of its sub-folders that has any.

    Raises:
        DataError: several sub-folders have Parquet files.
    """
    files = sorted(file for file in folder.glob("*.parquet") if not file.name.startswith("."))
    if files:
        return files
    files = sorted(file for file in folder.glob("*/*.parquet") if not file.name.startswith("."))
    parents = sorted({file.parent.name for file in files})
    if len(parents) > 1:
        raise DataError(f"'{folder}': Parquet files in {', '.join(parents)}; one folder expected, name it")
    return files


def write(dataset: Dataset, file: BinaryIO) -> None:
    """Write the Hugging Face layout, PNG pictures with their labels and class names.

    Raises:
        MissingExtraError: pyarrow is not installed.
    """
    pa, pq = _import_pyarrow()
    features = {
        "image": {"_type": "Image"},
        "label": {"names": list(dataset.class_names), "_type": "ClassLabel"},
    }
    picture = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    schema = pa.schema(
        [("image", picture), ("label", pa.int64())],
        metadata={_METADATA_KEY: json.dumps({"info": {"features": features}})},
    )
    with pq.ParquetWriter(file, schema) as writer:
        for start in range(0, len(dataset), _BATCH_ROWS):
            images = dataset.images[start : start + _BATCH_ROWS]
            labels = dataset.labels[start : start + _BATCH_ROWS]
            pictures = [{"bytes": encode_png(image), "path": None} for image in images]
            columns = [pa.array(pictures, picture), pa.array(labels.tolist(), pa.int64())]
            writer.write_batch(pa.record_batch(columns, schema=schema))


def _read_files(files: list[Path], class_names: tuple[str, ...] | None) -> Part:
    """Return one part, the pieces joined; `class_names`, if given, are what every piece must have."""
    pieces = []
    for file in files:
        piece = _read_file(file)
        if class_names is not None and piece.class_names != class_names:
            raise DataError(
                f"'{file}': classes {piece.class_names}; {class_names} expected, as in the other files"
            )
        class_names = piece.class_names
        pieces.append(piece)
    labels = [piece.labels for piece in pieces if piece.labels is not None]
    if 0 < len(labels) < len(pieces):
        raise DataError(f"'{files[0].parent}': some of its files have a column 'label' and some have none")
    images = np.concatenate([piece.images for piece in pieces])
    return Part(images, np.concatenate(labels) if labels else None, class_names or DIGITS)


def _read_file(path: Path) -> Part:
    """Return the images, labels and class names of one file."""
    pa, pq = _import_pyarrow()
    source = f"'{path}'"
    images: list[np.ndarray[Any, np.dtype[np.uint8]]] = []
    labels: list[int | None] = []
    try:
        with pq.ParquetFile(path) as file:
            schema = file.schema_arrow
            labelled = _check_columns(pa, schema, source)
            for batch in file.iter_batches(
                _BATCH_ROWS, columns=["image", "label"] if labelled else ["image"]
            ):
                column = batch.column("image")
                contents = column.field("bytes") if pa.types.is_struct(column.type) else column
                for content in contents.to_pylist():
                    place = f"{source}, row {len(images)}"
                    if content is None:
                        raise DataError(
                            f"{place}: no image bytes; the pictures themselves expected, not their paths"
                        )
                    images.append(decode_picture(content, place))
                if labelled:
                    labels.extend(batch.column("label").to_pylist())
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DataError(f"{source}: damaged Parquet file: {error}") from error
    if not images:
        raise DataError(f"{source}: no rows; one row an image expected")
    if None in labels:
        raise DataError(f"{source}, row {labels.index(None)}: no label; an integer expected")
    class_names = _read_class_names(schema.metadata or {}, source)
    hint = "" if class_names != DIGITS else "; names in the metadata 'huggingface' declare other classes"
    return Part(
        np.stack(images),
        as_labels(np.array(labels), len(class_names), source, hint) if labelled else None,
        class_names,
    )


def _check_columns(pa: ModuleType, schema: Any, source: str) -> bool:
    """Return whether there are labels, after checking the columns' names and types."""
    if schema.names.count("image") != 1 or schema.names.count("label") > 1:
        names = ", ".join(schema.names)
        raise DataError(f"{source}: columns {names}; one 'image' and, if labelled, one 'label' expected")
    kind = schema.field("image").type
    if pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0:
        kind = kind.field("bytes").type
    if not (pa.types.is_binary(kind) or pa.types.is_large_binary(kind)):
        raise DataError(
            f"{source}: column 'image' of type {schema.field('image').type}; "
            "encoded pictures expected, as binary or struct<bytes: binary, path: string>"
        )
    if "label" not in schema.names:
        return False
    if not pa.types.is_integer(schema.field("label").type):
        raise DataError(f"{source}: column 'label' of type {schema.field('label').type}; integers expected")
    return True


def _read_class_names(metadata: dict[bytes, bytes], source: str) -> tuple[str, ...]:
    """Return the class names that the Hugging Face metadata gives, the digits if it gives none."""
    if _METADATA_KEY not in metadata:
        return DIGITS
    try:
        names = json.loads(metadata[_METADATA_KEY])["info"]["features"]["label"]["names"]
    except KeyError:
        return DIGITS
    except (ValueError, TypeError) as error:
        raise DataError(f"{source}: the metadata 'huggingface' cannot be read: {error}") from error
    if not isinstance(names, list):
        raise DataError(f"{source}: class names {names!r} in the metadata; a list of texts expected")
    check_class_names(tuple(names), source)
    return tuple(names)


def _check_pieces(files: list[Path]) -> None:
    """Raise a DataError if one of the pieces name-00000-of-0000n.parquet is missing."""
    numbered = [match for file in files if (match := re.search(r"-(\d{5})-of-(\d{5})", file.name))]
    missing = set(range(max((int(match[2]) for match in numbered), default=0)))
    missing -= {int(match[1]) for match in numbered}
    if missing:
        raise DataError(
            f"'{files[0].parent}': piece {min(missing)} of {numbered[0][2]} is missing beside {files[0].name}"
        )


def _import_pyarrow() -> tuple[ModuleType, ModuleType]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise MissingExtraError("pyarrow", "parquet", "Reading or writing Parquet") from error
    return pyarrow, pyarrow.parquet

"""A folder with one sub-folder of pictures for each class."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from mnistry.dataset import DIGITS, MAX_CLASSES, Dataset, check_class_names
from mnistry.errors import DataError
from mnistry.formats.parts import Part
from mnistry.formats.pictures import decode_picture, encode_png

SUFFIXES = {".bmp", ".gif", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp"}
CLASS_NAMES_FILE = "class_names.json"
_LITTER = {"thumbs.db", "desktop.ini"}  # what systems leave in folders of pictures
_TRAIN, _TEST = ("train", "training"), ("test", "testing")


def read(path: Path) -> tuple[Part, Part | None]:
    """Return the train and test parts if `path` has such sub-folders, or else the only part.

    A class is a sub-folder, its name the class's name; classes are in the order of their names, numbers by
    value. If all names are single digits, the classes are the ten digits, those without a folder included.
    If `class_names.json` lists the names, sub-folders are named by label instead. Pictures come in the order
    of their file names, then of their classes, so a set written by `write` comes back in its order.
    A folder of pictures without sub-folders gives a part without labels.

    Raises:
        DataError: no pictures, an empty class, something else than a 28 x 28 picture in a class folder, a
            picture beside the class folders, or test classes that the train part does not have.
    """
    train = next((path / name for name in _TRAIN if (path / name).is_dir()), None)
    test = next((path / name for name in _TEST if (path / name).is_dir()), None)
    if train is None:
        return _read_root(path, None), None
    first = _read_root(train, None)
    return first, None if test is None else _read_root(test, first.class_names)


def write(train: Dataset, test: Dataset | None, folder: Path) -> None:
    """Write PNG files named by their index into one sub-folder for each label that occurs.

    With `test`, into `train/` and `test/`. Class names other than the digits go to `class_names.json`.
    """
    if test is None:
        _write_root(train, folder)
    else:
        _write_root(train, folder / "train")
        _write_root(test, folder / "test")


def list_visible(folder: Path) -> list[Path]:
    """Return what lies in `folder`, sorted, without hidden files and what systems leave behind."""
    return sorted(
        entry
        for entry in folder.iterdir()
        if not entry.name.startswith(".") and entry.name.lower() not in _LITTER
    )


def _read_root(root: Path, expected_names: tuple[str, ...] | None) -> Part:
    """Return one part; `expected_names`, if given, are the classes of the train part."""
    entries = list_visible(root)
    folders = [entry for entry in entries if entry.is_dir()]
    pictures = [entry for entry in entries if entry.suffix.lower() in SUFFIXES and not entry.is_dir()]
    if not folders:
        if not pictures:
            raise DataError(f"'{root}': an empty folder; class folders with pictures, or pictures, expected")
        if expected_names is not None:
            raise DataError(f"'{root}': pictures without class folders; {', '.join(expected_names)} expected")
        return Part(_read_pictures(pictures), None)
    if pictures:
        raise DataError(
            f"'{pictures[0]}': a picture beside the class folders; each in its class's folder expected"
        )
    class_names, labels = _name_classes(root, [folder.name for folder in folders], expected_names)
    labelled: list[tuple[str, int, Path]] = []
    for folder in folders:
        files = list_visible(folder)
        if not files:
            raise DataError(f"'{folder}': an empty folder; at least one picture of its class expected")
        labelled.extend((file.name, labels[folder.name], file) for file in files)
    labelled.sort()
    images = _read_pictures([file for _, _, file in labelled])
    return Part(images, np.array([label for _, label, _ in labelled], np.uint8), class_names)


def _name_classes(
    root: Path, folders: list[str], expected: tuple[str, ...] | None
) -> tuple[tuple[str, ...], dict[str, int]]:
    """Return the class names, and the label of each folder."""
    listed = _read_class_names(root)
    if listed is not None:
        names = listed
        labels = {
            folder: int(folder) for folder in folders if folder.isdecimal() and int(folder) < len(names)
        }
    else:
        if expected is not None and set(folders) <= set(expected):
            names = expected  # a test part need not have every class
        elif set(folders) <= set(DIGITS):
            names = DIGITS
        elif all(folder.isdecimal() for folder in folders):
            names = tuple(sorted(folders, key=int))
        else:
            names = tuple(sorted(folders))
        if len(names) > MAX_CLASSES:
            raise DataError(f"'{root}': {len(names)} class folders; at most {MAX_CLASSES} expected")
        labels = {name: label for label, name in enumerate(names)}
    for folder in folders:
        if folder not in labels:
            raise DataError(
                f"'{root / folder}': not one of the {len(names)} classes in {CLASS_NAMES_FILE}; "
                f"folders 0 to {len(names) - 1} expected"
            )
    if expected is not None and names != expected:
        raise DataError(
            f"'{root}': classes {', '.join(names)}; {', '.join(expected)} expected, as in the train part"
        )
    return names, labels


def _read_class_names(root: Path) -> tuple[str, ...] | None:
    """Return the names listed in `class_names.json`, None if there is no such file."""
    path = root / CLASS_NAMES_FILE
    if not path.is_file():
        return None
    try:
        names = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"'{path}': not JSON: {error}") from error
    if not isinstance(names, list):
        raise DataError(f"'{path}': a {type(names).__name__}; a list of class names expected")
    check_class_names(tuple(names), f"'{path}'")
    return tuple(names)


def _read_pictures(files: list[Path]) -> np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]:
    """Return the (n, 28, 28) pictures of the files."""
    for file in files:
        if file.is_dir():
            raise DataError(f"'{file}': a folder inside a class folder; a picture expected")
    return np.stack([decode_picture(file.read_bytes(), f"'{file}'") for file in files])


def _write_root(dataset: Dataset, root: Path) -> None:
    """Write one part. Labels are padded with zeros so that they sort by name as by number."""
    label_width = len(str(dataset.num_classes - 1))
    index_width = len(str(len(dataset) - 1))
    for label in np.unique(dataset.labels):
        (root / f"{label:0{label_width}}").mkdir(parents=True)
    if dataset.class_names != DIGITS:
        (root / CLASS_NAMES_FILE).write_text(json.dumps(dataset.class_names), encoding="utf-8")
    for index, (image, label) in enumerate(zip(*dataset, strict=True)):
        file = root / f"{label:0{label_width}}" / f"{index:0{index_width}}.png"
        file.write_bytes(encode_png(image))

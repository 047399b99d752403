"""Read the digits in a picture: picture -> page -> lines -> Reading.

The classifier is a `Classifier`, or any function images -> logits, (n, 28, 28) uint8 -> (n, classes)
float32; nothing here knows where it comes from.
"""

from __future__ import annotations

import functools
import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mnistry import pictures
from mnistry.classifier import NOT_A_DIGIT, SHIPPED, Classifier
from mnistry.decoding import Predict
from mnistry.errors import ImageError
from mnistry.lines import Options
from mnistry.metrics import softmax
from mnistry.pages import read_page, read_single
from mnistry.patterns import compile_pattern
from mnistry.pictures import Gray, Source
from mnistry.readings import DIGIT_NAMES, Line, Reading
from mnistry.sequences import LineNetworks
from mnistry.writing import LONGEST_PX

__all__ = ["Classify", "Reading", "read", "read_files"]

# What the files of a folder are taken for pictures by.
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".heic", ".heif")

Classify: TypeAlias = Callable[[NDArray[np.uint8]], NDArray[np.floating[Any]]]


def read(
    source: Source,
    classify: Classifier | Classify | None = None,
    *,
    single: bool | None = None,
    invert: bool | None = None,
    threshold: float | None = None,
    class_names: Sequence[str] | None = None,
    expect: int | None = None,
    pattern: str | None = None,
    page: int = 1,
) -> Reading:
    """Return what the picture says: its digits, line by line.

    Args:
        source: a path, the bytes of an image file, an open binary file, a PIL image, or an array (see
            `pictures.load_gray`). The digits may have any size and place, and either polarity.
        classify: a `Classifier`; or images (n, 28, 28) uint8, 0 = background, 255 = ink -> logits
            (n, classes); None for the classifier that comes with mnistry.
        single: True where the picture holds exactly one digit, False where it may hold any number; None is
            False for a network that knows what is no digit, and True for others, which would take every
            part of a digit for one.
        invert: True for light ink on dark paper, False for dark on light, None to find out.
        threshold: confidence, 0..1, from which a digit is accepted; by default what the calibration of the
            `Classifier` found, 0 for a function. A network that knows what is no digit says so itself, so
            with it the default is 0, and a mark is accepted where a digit is likelier than none.
        class_names: what to call the classes, in the order of the logits; by default as the `Classifier`
            does, 0 to 9 for a function. A last one named NOT_A_DIGIT is for what is none.
        expect: how many digits every line has: the most probable reading of that length is taken.
        pattern: a regular expression that the digits of every line match, in place of `expect`; they are
            matched without spaces and signs.
        page: which one of a TIFF file with several, from 1.

    Raises:
        ImageError: the picture cannot be loaded, has no such page, or no ink is found in it.
        ModelError: mnistry came without a classifier, and `classify` is None.
        ValueError: `threshold` is not in 0..1, the logits do not fit `class_names`, or `expect` or `pattern`
            is not usable, or given with `single`.
    """
    options, single = _settle(classify, single, invert, threshold, class_names, expect, pattern)
    name, source = pictures.describe_source(source), pictures.take_stream(source)
    count = pictures.count_pages(source)
    if not 1 <= page <= count:
        raise ImageError(f"{name!r} has {count} page{'s'[: count != 1]}; there is no page {page}")
    gray, size = pictures.load_shrunk(source, LONGEST_PX, page, name)
    lines = _read_lines(name, gray, size, options, single)
    return Reading(name, lines, size, page=page if count > 1 else None, source=source)


def read_files(
    paths: Iterable[str | os.PathLike[str]],
    classify: Classifier | Classify | None = None,
    *,
    single: bool | None = None,
    invert: bool | None = None,
    threshold: float | None = None,
    class_names: Sequence[str] | None = None,
    expect: int | None = None,
    pattern: str | None = None,
) -> Iterator[Reading]:
    """Return one Reading for each picture, in order, each as soon as it is made; arguments as in `read`.

    A folder stands for the image files in it, by name; a TIFF file gives a Reading for each page. A picture
    that cannot be read gives a Reading with `error` and without lines, and the next one follows.

    Raises:
        ModelError: as in `read`.
        ValueError: as in `read`.
    """
    options, single = _settle(classify, single, invert, threshold, class_names, expect, pattern)
    return _read_each(paths, options, single)


def _read_each(paths: Iterable[str | os.PathLike[str]], options: Options, single: bool) -> Iterator[Reading]:
    for path in itertools.chain.from_iterable(map(_list_pictures, paths)):
        count = pictures.count_pages(path)
        for number in range(1, count + 1):
            page = number if count > 1 else None
            size = None
            try:
                if os.path.isdir(path) and os.access(path, os.R_OK):  # noqa: PTH112 - which raises nothing
                    raise ImageError(
                        f"cannot read {pictures.describe_source(path)!r}: the folder has no image file "
                        f"({', '.join(SUFFIXES[:3])} and such) in it; folders inside it are not searched"
                    )
                gray, size = pictures.load_shrunk(path, LONGEST_PX, number)
                lines = _read_lines(pictures.describe_source(path), gray, size, options, single)
                yield Reading(pictures.describe_source(path), lines, size, page=page, source=path)
            except ImageError as error:
                yield Reading(pictures.describe_source(path), (), size, str(error), page, path)


def _list_pictures(path: str | os.PathLike[str]) -> list[str | os.PathLike[str]]:
    """Return the image files in a folder, by name, but hidden ones; what is none with any, as it is."""
    try:
        inside = sorted(Path(path).iterdir())
    except (OSError, ValueError):  # no folder: loading it says what it is
        return [path]
    shown = [file for file in inside if not file.name.startswith(".")]
    return [file for file in shown if file.suffix.lower() in SUFFIXES and file.is_file()] or [path]


def _settle(
    classify: Classifier | Classify | None,
    single: bool | None,
    invert: bool | None,
    threshold: float | None,
    class_names: Sequence[str] | None,
    expect: int | None,
    pattern: str | None,
) -> tuple[Options, bool]:
    """Return how to read, with everything settled that was left out, and whether there is one digit."""
    if threshold is not None and not 0 <= threshold <= 1:
        raise ValueError(f"threshold is {threshold}; expected a probability in 0..1")
    compiled = None if expect is None and pattern is None else compile_pattern(expect, pattern)
    if single and compiled is not None:
        raise ValueError(
            "a single digit has no expected number of digits and no pattern; leave either single or these out"
        )
    if classify is None:
        classify = _load_shipped()
    if isinstance(classify, Classifier):
        rejects, known = classify.rejects, classify.calibration
        names = tuple(class_names or classify.class_names)
        predict: Predict = partial(_predict_with, classify)
        if threshold is None and known is not None and not rejects:
            threshold = known.threshold
    else:
        names = tuple(class_names or DIGIT_NAMES)
        rejects = names[-1] == NOT_A_DIGIT
        predict = partial(_predict, classify, names)
        names = names[:-1] if rejects else names
    if single is None:
        single = not rejects and compiled is None
    shipped = isinstance(classify, Classifier) and classify.path == SHIPPED
    line = _see_line if shipped and names == DIGIT_NAMES else None
    return Options(predict, invert, threshold or 0.0, names, compiled, line), single


@functools.cache
def _load_shipped() -> Classifier:
    return Classifier()


@functools.cache
def _load_line_networks() -> LineNetworks:
    return LineNetworks()


def _see_line(ink: Gray, *, first: bool = False) -> NDArray[np.float32]:
    return _load_line_networks()(ink, first=first)  # loaded for the first line with anything like a digit


def _predict_with(classifier: Classifier, images: NDArray[np.uint8]) -> NDArray[np.float64]:
    return classifier.predict(images).probabilities


def _predict(classify: Classify, names: Sequence[str], images: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the probabilities of all names but NOT_A_DIGIT."""
    if len(images) == 0:
        return np.zeros((0, len(names)))
    logits = np.asarray(classify(images), np.float64)
    if logits.shape != (len(images), len(names)):
        raise ValueError(
            f"the classifier returned logits of shape {logits.shape}; expected "
            f"{(len(images), len(names))}: one row an image, one column a class name"
        )
    if not np.isfinite(logits).all():
        raise ValueError("the classifier returned NaN or infinite logits; it is broken: train it again")
    return softmax(logits)[:, : len(names) - (names[-1] == NOT_A_DIGIT)]


def _read_lines(
    name: str, gray: Gray, size: tuple[int, int], options: Options, single: bool
) -> tuple[Line, ...]:
    described = f"{name!r} ({size[0]} x {size[1]})"
    if single:
        return (read_single(gray, options, size=size, name=described),)
    return tuple(read_page(gray, options, size=size, name=described))

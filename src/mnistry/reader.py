"""Read the digit in a picture: picture -> imaging -> classify -> Reading.

The classifier is a `Classifier`, or any function images -> logits, (n, 28, 28) uint8 -> (n, classes)
float32; nothing here knows where it comes from. So far a picture holds one digit, and a Reading one line
with that digit.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mnistry import imaging, pictures
from mnistry.classifier import Classifier
from mnistry.errors import ImageError
from mnistry.imaging import Box
from mnistry.metrics import softmax
from mnistry.pictures import Source
from mnistry.readings import DIGIT_NAMES, NUM_ALTERNATIVES, Digit, Line, Reading

__all__ = ["Classify", "Reading", "read", "read_files"]

Classify: TypeAlias = Callable[[NDArray[np.uint8]], NDArray[np.floating[Any]]]

LONGEST_PX = 1000  # larger pictures are made smaller first: bounded time and memory, and no digit suffers


def read(
    source: Source,
    classify: Classifier | Classify | None = None,
    *,
    invert: bool | None = None,
    threshold: float | None = None,
    class_names: Sequence[str] | None = None,
) -> Reading:
    """Return what the picture of one digit says.

    Args:
        source: a path, the bytes of an image file, an open binary file, a PIL image, or an array (see
            `pictures.load_gray`). The digit may have any size and place, and either polarity.
        classify: a `Classifier`; or images (n, 28, 28) uint8, 0 = background, 255 = ink -> logits
            (n, classes); None for the classifier that comes with mnistry.
        invert: True for light ink on dark paper, False for dark on light, None to find out.
        threshold: confidence, 0..1, from which a digit is accepted; by default what the calibration of the
            `Classifier` found, 0 for a function.
        class_names: what to call the classes, in the order of the logits; by default as the `Classifier`
            does, 0 to 9 for a function.

    Raises:
        ImageError: the picture cannot be loaded, or no ink is found in it.
        ModelError: mnistry came without a classifier, and `classify` is None.
        ValueError: `threshold` is not in 0..1, or the logits do not fit `class_names`.
    """
    settled = _settle(classify, threshold, class_names)
    return _read_gray(pictures.load_gray(source), source, invert, *settled)


def read_files(
    paths: Iterable[str | os.PathLike[str]],
    classify: Classifier | Classify | None = None,
    *,
    invert: bool | None = None,
    threshold: float | None = None,
    class_names: Sequence[str] | None = None,
) -> Iterator[Reading]:
    """Yield one Reading for each path, in order, each as soon as it is made; arguments as in `read`.

    A picture that cannot be read gives a Reading with `error` and without lines, and the next one follows.

    Raises:
        ModelError: as in `read`.
        ValueError: as in `read`.
    """
    settled = _settle(classify, threshold, class_names)
    for path in paths:
        size = None
        try:
            gray = pictures.load_gray(path)
            size = gray.shape[0], gray.shape[1]
            yield _read_gray(gray, path, invert, *settled)
        except ImageError as error:
            yield Reading(pictures.describe_source(path), lines=(), size=size, error=str(error))


def _settle(
    classify: Classifier | Classify | None, threshold: float | None, class_names: Sequence[str] | None
) -> tuple[Classify, float, Sequence[str]]:
    """The function, threshold and class names to use, in place of what was left out."""
    if threshold is not None and not 0 <= threshold <= 1:
        raise ValueError(f"threshold is {threshold}; expected a probability in 0..1")
    if classify is None:
        classify = _load_shipped()
    if not isinstance(classify, Classifier):
        return classify, threshold or 0.0, class_names or DIGIT_NAMES
    if threshold is None:
        threshold = 0.0 if classify.calibration is None else classify.calibration.threshold
    return classify.calibrated_logits, threshold, class_names or classify.class_names


@functools.cache
def _load_shipped() -> Classifier:
    return Classifier()


def _read_gray(
    gray: pictures.Gray,
    source: Source,
    invert: bool | None,
    classify: Classify,
    threshold: float,
    class_names: Sequence[str],
) -> Reading:
    name = pictures.describe_source(source)
    small = pictures.shrink(gray, LONGEST_PX)
    ink = imaging.to_ink(small, invert, f"{name!r} ({gray.shape[0]} x {gray.shape[1]})")
    box = _scale_box(imaging.find_box(ink), small.shape, gray.shape)
    digits = _classify_digits([imaging.center_digit(ink)], [box], classify, threshold, class_names)
    return Reading(name, lines=(Line(digits),), size=(gray.shape[0], gray.shape[1]))


def _classify_digits(
    images: Sequence[pictures.Gray],
    boxes: Sequence[Box],
    classify: Classify,
    threshold: float,
    class_names: Sequence[str],
) -> tuple[Digit, ...]:
    """Classify all images in one call and return a Digit for each."""
    logits = np.asarray(classify(np.stack(images)), np.float64)
    if logits.shape != (len(images), len(class_names)):
        raise ValueError(
            f"the classifier returned logits of shape {logits.shape}; expected "
            f"{(len(images), len(class_names))}: one row an image, one column a class name"
        )
    if not np.isfinite(logits).all():
        raise ValueError("the classifier returned NaN or infinite logits; it is broken: train it again")
    digits = []
    for image, box, probabilities in zip(images, boxes, softmax(logits), strict=True):
        order = np.argsort(-probabilities, kind="stable")
        ranked = [(class_names[index], float(probabilities[index])) for index in order]
        label, confidence = ranked[0]
        alternatives = tuple(ranked[1 : 1 + NUM_ALTERNATIVES])
        digits.append(Digit(label, box, confidence, alternatives, confidence >= threshold, image))
    return tuple(digits)


def _scale_box(box: Box, small: tuple[int, ...], full: tuple[int, ...]) -> Box:
    """Return the smallest box in the full picture that covers a box found in the small one."""
    x, y, width, height = box
    vertical, horizontal = full[0] / small[0], full[1] / small[1]
    left, top = int(x * horizontal), int(y * vertical)
    right = min(full[1], int(np.ceil((x + width) * horizontal)))
    bottom = min(full[0], int(np.ceil((y + height) * vertical)))
    return left, top, right - left, bottom - top

"""Read the digit in a picture: picture -> imaging -> classify -> Reading.

The classifier is any function images -> logits, (n, 28, 28) uint8 -> (n, classes) float32; nothing here
knows where it comes from. So far a picture holds one digit, and a Reading one line with that digit.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mnistry import imaging, pictures
from mnistry.errors import ImageError
from mnistry.imaging import Box
from mnistry.metrics import softmax
from mnistry.pictures import Source

Classify: TypeAlias = Callable[[NDArray[np.uint8]], NDArray[np.floating[Any]]]

DIGIT_NAMES = tuple("0123456789")
LONGEST_PX = 1000  # larger pictures are made smaller first: bounded time and memory, and no digit suffers
NUM_ALTERNATIVES = 3


@dataclass(frozen=True)
class Digit:
    """One digit that was read.

    Attributes:
        label: name of the most probable class, "7".
        box: (x, y, width, height) in pixels of the upright picture, from its upper left corner.
        confidence: probability of `label`, 0..1: the softmax of the classifier's logits.
        alternatives: the next most probable (label, probability), at most NUM_ALTERNATIVES.
        accepted: whether the confidence reaches the threshold.
        image: (28, 28) uint8, what the classifier saw.
    """

    label: str
    box: Box
    confidence: float
    alternatives: tuple[tuple[str, float], ...]
    accepted: bool
    image: NDArray[np.uint8] = field(repr=False, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the image, ready for JSON."""
        return {
            "label": self.label,
            "box": list(self.box),
            "confidence": self.confidence,
            "accepted": self.accepted,
            "alternatives": [list(alternative) for alternative in self.alternatives],
        }


@dataclass(frozen=True)
class Line:
    """Digits that stand beside each other, from left to right."""

    digits: tuple[Digit, ...]

    @property
    def text(self) -> str:
        """The accepted digits in one string; class names longer than a character are set apart by a space."""
        labels = [digit.label for digit in self.digits if digit.accepted]
        return (" " if any(len(label) > 1 for label in labels) else "").join(labels)

    def to_dict(self) -> dict[str, Any]:
        """Return the line and its digits, ready for JSON."""
        return {"text": self.text, "digits": [digit.to_dict() for digit in self.digits]}


@dataclass(frozen=True)
class Reading:
    """What a picture says.

    Attributes:
        file: the picture's path, or <stdin>, <array>, <bytes>, <image>.
        lines: from top to bottom; none if the picture could not be read.
        size: (height, width) in pixels of the upright picture; None if it could not be loaded.
        error: why the picture could not be read; None if it could.
    """

    file: str
    lines: tuple[Line, ...]
    size: tuple[int, int] | None
    error: str | None = None

    @property
    def text(self) -> str:
        """The accepted digits, a newline between lines."""
        return "\n".join(line.text for line in self.lines)

    def to_dict(self) -> dict[str, Any]:
        """Return the reading, ready for JSON; `size` is [height, width], a `box` [x, y, width, height]."""
        return {
            "file": self.file,
            "size": None if self.size is None else list(self.size),
            "text": self.text,
            "lines": [line.to_dict() for line in self.lines],
            "error": self.error,
        }


def read(
    source: Source,
    classify: Classify,
    *,
    invert: bool | None = None,
    threshold: float = 0.0,
    class_names: Sequence[str] = DIGIT_NAMES,
) -> Reading:
    """Return what the picture of one digit says.

    Args:
        source: a path, the bytes of an image file, an open binary file, a PIL image, or an array (see
            `pictures.load_gray`). The digit may have any size and place, and either polarity.
        classify: images (n, 28, 28) uint8, 0 = background, 255 = ink -> logits (n, classes).
        invert: True for light ink on dark paper, False for dark on light, None to find out.
        threshold: confidence, 0..1, from which a digit is accepted.
        class_names: what to call the classes, in the order of the logits.

    Raises:
        ImageError: the picture cannot be loaded, or no ink is found in it.
        ValueError: `threshold` is not in 0..1, or the logits do not fit `class_names`.
    """
    _check_threshold(threshold)
    return _read_gray(pictures.load_gray(source), source, classify, invert, threshold, class_names)


def read_files(
    paths: Iterable[str | os.PathLike[str]],
    classify: Classify,
    *,
    invert: bool | None = None,
    threshold: float = 0.0,
    class_names: Sequence[str] = DIGIT_NAMES,
) -> Iterator[Reading]:
    """Yield one Reading for each path, in order, each as soon as it is made; arguments as in `read`.

    A picture that cannot be read gives a Reading with `error` and without lines, and the next one follows.

    Raises:
        ValueError: as in `read`.
    """
    _check_threshold(threshold)
    for path in paths:
        size = None
        try:
            gray = pictures.load_gray(path)
            size = gray.shape[0], gray.shape[1]
            yield _read_gray(gray, path, classify, invert, threshold, class_names)
        except ImageError as error:
            yield Reading(pictures.describe_source(path), lines=(), size=size, error=str(error))


def _read_gray(
    gray: pictures.Gray,
    source: Source,
    classify: Classify,
    invert: bool | None,
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


def _check_threshold(threshold: float) -> None:
    if not 0 <= threshold <= 1:
        raise ValueError(f"threshold is {threshold}; expected a probability in 0..1")

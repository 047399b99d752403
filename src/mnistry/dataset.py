"""A labelled set of 28 x 28 images: the one type that training, evaluation and plots take."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnistry.errors import DataError

HEIGHT, WIDTH = 28, 28
DIGITS = tuple("0123456789")
MAX_CLASSES = 256  # labels are uint8


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images with their labels, checked when built and never changed afterwards.

    Unpacks into `images, labels`, so `(x_train, y_train), (x_test, y_test) = load_mnist()` works.
    The arrays are not copied: they are read-only views of those given.

    Attributes:
        images: (n, 28, 28) uint8, 0 = background, 255 = ink; n is at least 1.
        labels: (n,) uint8, each below `num_classes`.
        name: what messages, plots and run records call the set.
        class_names: the name of each label, in label order.

    Raises:
        DataError: an array has another type or shape, the set is empty, images and labels differ in
            number, a label lies outside the classes, or a class name is blank or given twice.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    name: str
    class_names: tuple[str, ...] = DIGITS

    def __post_init__(self) -> None:
        """Check everything the class promises, and make the arrays read-only."""
        check_class_names(self.class_names, self.name)
        _check_array(self.images, "images", f"(n, {HEIGHT}, {WIDTH})", self.name)
        _check_array(self.labels, "labels", "(n,)", self.name)
        if len(self.images) != len(self.labels):
            raise DataError(
                f"{self.name}: {len(self.images)} images but {len(self.labels)} labels; "
                "one label an image expected"
            )
        if len(self.images) == 0:
            raise DataError(f"{self.name}: the set is empty; at least one image expected")
        check_labels(self.labels, len(self.class_names), self.name)
        for field in ("images", "labels"):
            view = getattr(self, field).view()
            view.flags.writeable = False
            object.__setattr__(self, field, view)

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.images)

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        """Yield the images, then the labels."""
        yield self.images
        yield self.labels

    def __repr__(self) -> str:
        """Return the name and the sizes, not 47 million pixels."""
        return f"Dataset({self.name!r}, {len(self)} images, {self.num_classes} classes)"

    @property
    def num_classes(self) -> int:
        """The number of classes, with or without images."""
        return len(self.class_names)

    @cached_property
    def sha256(self) -> str:
        """The hexadecimal SHA-256 of the images' bytes followed by the labels' bytes."""
        digest = hashlib.sha256(np.ascontiguousarray(self.images).data)
        digest.update(np.ascontiguousarray(self.labels).data)
        return digest.hexdigest()

    def class_counts(self) -> NDArray[np.int64]:
        """Return the number of images of each class: (num_classes,) int64."""
        return np.bincount(self.labels, minlength=self.num_classes).astype(np.int64)

    def take(self, items: int | NDArray[Any]) -> Dataset:
        """Return the first `items` images, or those that an index or boolean array selects, in its order.

        Raises:
            ValueError: a number outside 1..len(self), or an array that selects nothing.
            IndexError: an index outside the set.
        """
        if isinstance(items, int | np.integer):
            if not 1 <= items <= len(self):
                raise ValueError(
                    f"take({items}) from {len(self)} images; a number from 1 to {len(self)} expected"
                )
            return Dataset(self.images[:items], self.labels[:items], self.name, self.class_names)
        chosen = np.asarray(items)
        labels = self.labels[chosen]
        if labels.ndim != 1 or len(labels) == 0:
            raise ValueError(
                f"take() with an array of shape {chosen.shape} selects no list of images; "
                f"(n,) indices or ({len(self)},) booleans expected"
            )
        return Dataset(self.images[chosen], labels, self.name, self.class_names)

    def shuffle(self, seed: int) -> Dataset:
        """Return the same images in an order drawn with `seed`."""
        return self.take(np.random.default_rng(seed).permutation(len(self)))

    def split(self, fraction: float, seed: int | None = None) -> tuple[Dataset, Dataset]:
        """Return two parts, the second with the last `fraction` of the images.

        The first part has `int(n * (1 - fraction))` images, as with Keras' `validation_split`. The order
        is kept unless a `seed` is given, with which the set is shuffled first: needed when it is sorted.

        Raises:
            ValueError: `fraction` is not between 0 and 1, or would leave a part empty.
        """
        first = int(len(self) * (1 - fraction))
        if not 0 < fraction < 1 or not 0 < first < len(self):
            raise ValueError(
                f"split({fraction}) of {len(self)} images; a fraction between 0 and 1 "
                "that leaves an image in each part expected"
            )
        whole = self if seed is None else self.shuffle(seed)
        return (
            Dataset(whole.images[:first], whole.labels[:first], f"{self.name}[:{first}]", self.class_names),
            Dataset(whole.images[first:], whole.labels[first:], f"{self.name}[{first}:]", self.class_names),
        )


def check_labels(labels: NDArray[Any], num_classes: int, source: str, hint: str = "") -> None:
    """See that the (n,) integer `labels` lie in 0..num_classes - 1.

    Raises:
        DataError: one does not; names the first and, where that needs more classes, ends with `hint`.
    """
    outside = (labels < 0) | (labels >= num_classes)
    if outside.any():
        index = int(outside.argmax())
        hint = hint if labels[index] >= 0 else ""
        raise DataError(
            f"{source}: the label at index {index} is {labels[index]}, outside the {num_classes} classes; "
            f"0 to {num_classes - 1} expected{hint}"
        )


def check_class_names(names: tuple[str, ...], source: str) -> None:
    """See that there are 1 to 256 names, each printable, not blank and given once.

    Raises:
        DataError: there are not.
    """
    if not 1 <= len(names) <= MAX_CLASSES:
        raise DataError(f"{source}: {len(names)} classes; 1 to {MAX_CLASSES} expected")
    for index, name in enumerate(names):
        if not isinstance(name, str) or not name.strip() or not name.isprintable():
            raise DataError(f"{source}: the name of class {index} is {name!r}; printable text expected")
        if name in names[:index]:
            raise DataError(f"{source}: classes {names.index(name)} and {index} are both named {name!r}")


def _check_array(array: object, field: str, shape: str, source: str) -> None:
    """Raise a DataError unless `array` is uint8 and has the shape of `field`."""
    if not isinstance(array, np.ndarray):
        raise DataError(
            f"{source}: {field} are a {type(array).__name__}; a {shape} uint8 NumPy array expected"
        )
    sized = array.shape[1:] == (HEIGHT, WIDTH) if field == "images" else array.ndim == 1
    if array.dtype != np.uint8 or not sized or array.ndim == 0:
        raise DataError(f"{source}: {field} are {array.shape} {array.dtype}; {shape} uint8 expected")

"""What users hand to `fit` as data, as nested NumPy arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mnistry.dataset import Dataset


def unpack(data: Any, what: str) -> tuple[Any, Any, Any]:
    """(x, y, sample_weight) from a `Dataset` or a tuple as `model.fit` takes it; missing ones are None.

    Raises:
        ValueError: `data` is something else; `what` names it.
    """
    if isinstance(data, Dataset):
        return data.images, data.labels, None
    if isinstance(data, (tuple, list)) and 1 <= len(data) <= 3:
        x, y, sample_weight = [*data, None, None][:3]
        if isinstance(x, Dataset) or not isinstance(y, Dataset):
            return x, y, sample_weight
    raise ValueError(
        f"{what} must be a Dataset or a tuple (x, y) or (x, y, sample_weight), received {type(data).__name__}"
    )


def is_array(leaf: Any) -> bool:
    return (
        hasattr(leaf, "shape") and hasattr(leaf, "__array__") and str(getattr(leaf, "dtype", "")) != "object"
    )


def as_arrays(x: Any, y: Any, sample_weight: Any, what: str) -> tuple[Any, ...]:
    """(x, y) or (x, y, sample_weight) as nested NumPy arrays, double precision reduced to Keras' own.

    Raises:
        ValueError: x or y is missing, or the arrays are empty or differ in length; `what` names them.
    """
    import keras

    if x is None or y is None:
        raise ValueError(f"{what}: both x and y are needed, received None")
    floatx = keras.config.floatx()

    def convert(leaf: Any) -> Any:
        array = np.asarray(leaf)
        return array.astype(floatx) if array.dtype == np.float64 else array

    parts = (x, y) if sample_weight is None else (x, y, sample_weight)
    arrays = tuple(keras.tree.map_structure(convert, part) for part in parts)
    lengths = [len(leaf) for leaf in keras.tree.flatten(arrays)]
    if len(set(lengths)) != 1 or 0 in lengths:
        sizes = ", ".join(map(str, lengths))
        raise ValueError(f"{what} must have the same number of examples, at least one; received {sizes}")
    return arrays


def example_weights(y: Any, class_weight: Mapping[int, float] | None, sample_weight: Any) -> Any:
    """The weight of each example, or None where all weigh the same.

    Raises:
        ValueError: both kinds of weights are given, or `class_weight` for several outputs.
    """
    if class_weight is None:
        return sample_weight
    if sample_weight is not None:
        raise ValueError("class_weight and sample_weight cannot be given together, as in model.fit")
    if not is_array(y):
        raise ValueError("class_weight needs a model with a single output")
    labels = np.asarray(y)
    labels = labels.argmax(axis=1) if labels.ndim == 2 and labels.shape[1] > 1 else labels.ravel()
    weights = np.ones(len(labels))
    for label, weight in class_weight.items():
        weights[labels == label] = weight
    return weights


def split_arrays(arrays: tuple[Any, ...], validation_split: float) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """The arrays before and from the point that `model.fit` would split them at.

    Raises:
        ValueError: one of the two parts would be empty.
    """
    import keras

    count = len(keras.tree.flatten(arrays)[0])
    at = int(np.floor(count * (1.0 - validation_split)))
    if not 0 < at < count:
        raise ValueError(
            f"validation_split={validation_split} of {count} examples leaves one of the two parts empty"
        )
    return (
        keras.tree.map_structure(lambda array: array[:at], arrays),
        keras.tree.map_structure(lambda array: array[at:], arrays),
    )

"""The state of a training in one .npz file: weights, statistics, the optimizer, random seeds, and a note."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mnistry.errors import RunError
from mnistry.files import atomic_write


def save_checkpoint(path: Path, model: Any, about: Mapping[str, Any]) -> None:
    """Write everything that training has changed in a compiled `keras.Model`.

    Args:
        path: the file; an older one is replaced.
        model: the model.
        about: what else to keep; ready for JSON, with the number "format".

    Raises:
        OSError: it cannot be written; an older file is unchanged.
    """
    import keras

    arrays = {f"v{i}": keras.ops.convert_to_numpy(variable) for i, variable in enumerate(_state(model))}
    with atomic_write(path) as file:
        arrays["about"] = np.frombuffer(json.dumps(about).encode(), np.uint8)
        np.savez(file, **arrays)


def read_checkpoint(path: Path, format_known: int) -> tuple[list[Any], dict[str, Any]]:
    """The arrays of the state, and what else was kept.

    Raises:
        RunError: the file is damaged, or of a newer format than `format_known`.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            if damaged := archive.zip.testzip():  # NumPy alone reads some damage without a word
                raise ValueError(f"wrong checksum of {damaged}")
            entries = {name: archive[name] for name in archive.files}
        if not all(isinstance(entry, np.ndarray) for entry in entries.values()):
            raise ValueError("an entry is no array")  # NumPy gives its bytes instead
        about = json.loads(entries.pop("about").tobytes())
    except Exception as error:  # a damaged archive raises a dozen types
        raise RunError(
            f"the checkpoint {str(path)!r} is damaged ({error}): the run cannot go on. "
            "Restore the file from a copy, or start a new run."
        ) from error
    if about["format"] > format_known:
        raise RunError(f"the checkpoint {str(path)!r} was written by a newer mnistry")
    return list(entries.values()), about


def restore_state(model: Any, arrays: Sequence[Any], path: Path) -> None:
    """Put the arrays of the checkpoint at `path` into the built and compiled `model`.

    Raises:
        RunError: they are of another model, which stays as it is.
    """
    variables = _state(model)
    if [array.shape for array in arrays] != [tuple(variable.shape) for variable in variables]:
        raise RunError(f"{str(path)!r} belongs to another model: its weights have other shapes")
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)


def _state(model: Any) -> list[Any]:
    """Every variable that training changes: weights, statistics, random seeds and the optimizer's own."""
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    return [*model.trainable_variables, *model.non_trainable_variables, *model.optimizer.variables]

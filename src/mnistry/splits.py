"""A data set in the three parts of an honest measurement: to train on, to choose by, to test with."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mnistry.dataset import Dataset
from mnistry.errors import DataError
from mnistry.recipes import Config

TEST_SHARE = 0.15  # of a data set that comes without a test part
Loaded = tuple[Dataset, Dataset | None]  # train and test part, as `load_data` gives them
Note = Callable[[str], None]


@dataclass(frozen=True)
class Splits:
    """The three parts of the data; `validation` is None where none is kept apart."""

    train: Dataset
    validation: Dataset | None
    test: Dataset


def prepare_data(loaded: Loaded, config: Config, note: Note | None = None) -> Splits:
    """Training, validation and test part; tells `note` about every choice that was made here.

    Raises:
        DataError: a part would be empty, or train and test have different classes.
    """
    note = note or (lambda text: None)
    train, test = loaded
    if test is None:
        name = train.name
        train, test = _split(train, TEST_SHARE, config.seed)
        note(f"{name} has no test part: {len(test):,} images, drawn with the seed, are kept for the test")
    if test.class_names != train.class_names:
        raise DataError(
            f"{test.name} has the classes {', '.join(test.class_names)}, "
            f"expected those of {train.name}: {', '.join(train.class_names)}"
        )
    if not config.validation:
        return Splits(train, None, test)
    parts = _split(train, config.validation, None)
    lacking = _lacking(train, parts)
    if lacking:
        if np.count_nonzero(np.diff(train.labels)) < np.count_nonzero(train.class_counts()):
            reason = "the training images are sorted by class: they"
        else:
            reason = (
                f"of {lacking}, one of the parts to train on and to validate on would have no image: the "
                "training images"
            )
        note(f"{reason} are shuffled with the seed before the split")
        parts = _split(train, config.validation, config.seed)
        if lacking := _lacking(train, parts):
            note(f"of {lacking}, even so only one of these parts has images")
    return Splits(*parts, test)


def lasting_name(name: str) -> str:
    """The name of data or a model file as a run keeps it: a path that leads there from any folder."""
    return name if name == "mnist" else os.path.abspath(name)  # noqa: PTH100 (keeps links as they are)


def _lacking(train: Dataset, parts: tuple[Dataset, Dataset]) -> str:
    """The classes of `train` that one of its parts lacks, in words; nothing if there are none."""
    in_all = np.min([part.class_counts() for part in parts], axis=0) > 0
    names = [train.class_names[c] for c in np.flatnonzero((train.class_counts() > 0) & ~in_all)]
    return f"class{'es' * (len(names) > 1)} {', '.join(names)}" if names else ""


def _split(data: Dataset, share: float, seed: int | None) -> tuple[Dataset, Dataset]:
    try:
        return data.split(share, seed=seed)
    except ValueError as error:
        raise DataError(
            f"{data.name} has too few images, {len(data)}, to keep {share:g} of them apart"
        ) from error

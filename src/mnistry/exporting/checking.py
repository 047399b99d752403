"""What every kind of export does: read its arguments, compare the file with its source, keep it or not."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from mnistry.calibration import Calibration
from mnistry.classifier import Metadata
from mnistry.errors import ModelError
from mnistry.files import atomic_save
from mnistry.models import as_classifier, average
from mnistry.runs import Run

if TYPE_CHECKING:
    import keras

Images: TypeAlias = npt.NDArray[np.uint8]
Logits: TypeAlias = npt.NDArray[np.float32]
Source: TypeAlias = "keras.Model | Run"

MAX_VALIDATION = 2000  # images to find the ranges of 8 bits with: more change nothing


@dataclass(frozen=True)
class Tolerance:
    """How far a file may stray from its source.

    Attributes:
        difference: of any logit, in units of the source's largest absolute logit.
        disagreements: share of the images, 0..1, that may get another answer.
    """

    difference: float
    disagreements: float


# Why they differ: another order of additions; weights of 11 bits; weights and values of 7 or 8 bits, where
# the largest difference is that of a rare value out of range.
TOLERANCES = {
    "float32": Tolerance(difference=1e-4, disagreements=1e-4),
    "float16": Tolerance(difference=1e-2, disagreements=1e-3),
    "int8": Tolerance(difference=0.2, disagreements=1e-2),
}


@dataclass(frozen=True)
class ExportReport:
    """What the check of a written file against its source found.

    Attributes:
        path: the file, or the directory.
        precision: "float32", "float16" or "int8".
        size_bytes: of the file, or of all files in the directory.
        n: images that both have answered.
        difference: the largest absolute difference of two logits.
        largest_logit: the largest absolute logit of the source, to compare it with.
        disagreements: the numbers of the images that get another answer, in rising order.
        parts_bytes: what a program gets of it, by name; empty where that is the file itself.
    """

    path: Path
    precision: str
    size_bytes: int
    n: int
    difference: float
    largest_logit: float
    disagreements: tuple[int, ...]
    parts_bytes: Mapping[str, int] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Everything in plain Python types, ready for JSON."""
        return dataclasses.asdict(self) | {
            "path": str(self.path),
            "disagreements": list(self.disagreements),
        }

    def __str__(self) -> str:
        share = len(self.disagreements) / self.n
        parts = "".join(f", {name} {size:,} bytes" for name, size in self.parts_bytes.items())
        return (
            f"{self.path}: {self.size_bytes:,} bytes, {self.precision}{parts}; "
            f"{len(self.disagreements):,} of "
            f"{self.n:,} images answered otherwise than by its source ({share:.2%}); largest difference of a "
            f"logit {self.difference:.2g}, of logits up to {self.largest_logit:.3g}"
        )


@dataclass(frozen=True)
class Original:
    """What is exported, and what it answers.

    Attributes:
        sources: the models or runs that were given; in place of an ensemble, the runs of its networks.
        models: the same as models.
        expected: logits of the test images.
        metadata: what travels with the file.
    """

    sources: Sequence[Any]
    models: Sequence[Any]
    expected: Logits
    metadata: Metadata


def read_original(
    source: Source | Sequence[Source],
    images: Images,
    metadata: Metadata | None,
    precision: str,
    known_precisions: Sequence[str],
    validation_images: Images | None,
) -> Original:
    """The models of an export and their answers to `images`, once the arguments have been checked.

    Raises:
        ModelError: the source cannot be loaded, or gives values that are not finite.
        ValueError: an argument is outside of its range.
    """
    sources = list(source) if isinstance(source, Sequence) else [source]
    if not sources:
        raise ValueError("got no model to export")
    if precision not in known_precisions:
        raise ValueError(f"unknown precision {precision!r}: known are {', '.join(known_precisions)}")
    if (precision == "int8") != (validation_images is not None):
        raise ValueError("validation_images are needed for precision 'int8', and of no use for another")
    for name, array in (("images", images), ("validation_images", validation_images)):
        if array is not None and (array.dtype != np.uint8 or array.shape[1:] != (28, 28) or len(array) == 0):
            raise ValueError(
                f"{name} must be uint8 (n, 28, 28) with n >= 1, received {array.dtype} {array.shape}"
            )
    parts = [part for item in sources for part in (item.members() if isinstance(item, Run) else [item])]
    models = [part.load_model() if isinstance(part, Run) else part for part in parts]
    with _full_precision():
        expected = average([as_classifier(model) for model in models])(images)
    if metadata is None:
        metadata = _describe(sources, expected.shape[1])
    if len(metadata.class_names) != expected.shape[1]:
        raise ValueError(f"got {len(metadata.class_names)} class names for {expected.shape[1]} classes")
    return Original(parts, models, expected, dataclasses.replace(metadata, precision=precision))


def save_checked(
    path: str | os.PathLike[str],
    write: Callable[[Path], Logits],
    original: Original,
    tolerance: Tolerance | None,
    save: Callable[[Path, Callable[[Path], object]], None] = atomic_save,
) -> ExportReport:
    """Write a file and keep it only if it answers as its source.

    Args:
        path: the file or directory; an older one is replaced once the new one has passed.
        write: writes it under the temporary name that it is given, and returns what the written file
            answers to the test images.
        original: what to compare with.
        tolerance: what it may differ by; that of `TOLERANCES` by default.
        save: `atomic_save`, or the same for a directory.

    Raises:
        ModelError: it differs by more than the tolerance, or cannot be written. Whatever was at `path` is
            still there, unchanged.
    """
    path = Path(path)
    precision = original.metadata.precision
    report: list[ExportReport] = []

    def write_and_judge(temporary: Path) -> None:
        received = write(temporary)
        report.append(_compare(path, precision, _size(temporary), original.expected, received))
        _judge(report[0], tolerance or TOLERANCES[precision])

    try:
        save(path, write_and_judge)
    except OSError as error:
        raise ModelError(f"cannot write {str(path)!r}: {error.strerror or error}") from error
    return report[0]


def describe_run(run: Run) -> Metadata:
    """What the record of a run says of its classifier."""
    calibration = run.record.get("calibration")
    return Metadata(
        class_names=tuple(run.record["class_names"]),
        calibration=None if calibration is None else Calibration.from_dict(calibration),
        provenance={"runs": [_origin(member) for member in run.members()]},
    )


def _describe(sources: Sequence[Any], num_classes: int) -> Metadata:
    """What the records of the runs say, or for models alone the numbers of the classes."""
    runs = [item for item in sources if isinstance(item, Run)]
    if not runs:
        return Metadata(tuple(map(str, range(num_classes))))
    if len(sources) == 1:
        return describe_run(runs[0])
    origins = [_origin(member) for run in runs for member in run.members()]
    return Metadata(tuple(runs[0].record["class_names"]), provenance={"runs": origins})


def _origin(run: Run) -> dict[str, Any]:
    kept = ("config", "data", "versions", "created")
    return {key: run.record[key] for key in kept if key in run.record}


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def _compare(path: Path, precision: str, size: int, expected: Logits, received: Logits) -> ExportReport:
    different = np.flatnonzero(expected.argmax(axis=1) != received.argmax(axis=1))
    return ExportReport(
        path=path,
        precision=precision,
        size_bytes=size,
        n=len(expected),
        difference=float(np.max(np.abs(expected - received))),
        largest_logit=float(np.max(np.abs(expected))),
        disagreements=tuple(map(int, different)),
    )


def _judge(report: ExportReport, tolerance: Tolerance) -> None:
    # Written so that NaN fails too.
    alike = report.difference <= tolerance.difference * report.largest_logit
    if not (alike and len(report.disagreements) <= tolerance.disagreements * report.n):
        raise ModelError(
            f"the exported file differs too much from its source, so it was not kept. {report}. "
            f"Allowed are a difference of {tolerance.difference * report.largest_logit:.2g} and "
            f"{tolerance.disagreements * report.n:.0f} images."
        )


def _full_precision() -> AbstractContextManager[Any]:
    """Let JAX multiply in float32 where a GPU would take a faster format of fewer bits."""
    import keras

    if keras.backend.backend() != "jax":
        return nullcontext()
    import jax

    on_cpu = jax.default_backend() == "cpu"  # has no such format, and would only compile once more
    return nullcontext() if on_cpu else jax.default_matmul_precision("highest")

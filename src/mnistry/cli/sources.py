"""What a command answers with, and on which images it measures."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnistry.errors import DataError, ModelError, RunError

if TYPE_CHECKING:
    from mnistry.calibration import Calibration
    from mnistry.classifier import Classifier
    from mnistry.dataset import Dataset
    from mnistry.runs import Run


@dataclass(frozen=True)
class Source:
    """A trained network, or several that answer together.

    Attributes:
        name: the path that it was loaded from.
        classify: images -> logits, the softmax of which is calibrated where `calibration` is not None.
        class_names: one name per class.
        calibration: the threshold to accept from, among other things.
        run: where it is one.
        classifier: where ONNX Runtime answers.
    """

    name: str
    classify: Callable[[Any], Any]
    class_names: Sequence[str]
    calibration: Calibration | None = None
    run: Run | None = None
    classifier: Classifier | None = None


def choose_path(path: Path | None) -> Path:
    """The path given, or that of the newest run.

    Raises:
        RunError: there is no run.
    """
    if path is not None:
        return path
    from mnistry.runs import latest_run

    run = latest_run()
    if run is None:
        raise RunError("no trained model in runs/: train one with mnistry train, or name a run directory")
    return run.path


def load_source(path: Path | None, backend: str | None = None) -> Source:
    """What lies at `path`: a run directory, an .onnx or a .keras file; None: what comes with mnistry.

    ONNX Runtime answers where it can, because it starts in a fraction of the time; Keras where `backend`
    is given, for .keras files, and for runs that could not be exported.

    Raises:
        MnistryError: there is nothing of the kind, or it cannot be used.
    """
    from mnistry.runs import Run

    if path is None or path.suffix == ".onnx":
        if backend is not None:
            raise ModelError(
                "ONNX Runtime answers for .onnx files and what comes with mnistry: leave out --backend, or "
                "name a run directory or a .keras file"
            )
        return _open_onnx(path)
    if path.is_dir():
        run = Run.open(path)
        if backend is None and run.onnx_path.exists():
            return _open_onnx(run.onnx_path, run)
        start_keras(backend or os.environ.get("KERAS_BACKEND") or run.record.get("backend"))
        return Source(str(path), run.classifier(), run.record.get("class_names", ()), run.calibration, run)
    from mnistry.models import as_classifier, load_keras

    check_exists(path)
    start_keras(backend)
    model = load_keras(path)
    return Source(str(path), as_classifier(model), [str(label) for label in range(model.output_shape[-1])])


def check_exists(path: Path) -> None:
    """See that there is such a path.

    Raises:
        RunError: there is not.
    """
    if not path.exists():
        found = {run.parent for name in ("keras", "onnx") for run in Path("runs").glob(f"*/model.{name}")}
        runs = ", ".join(map(str, sorted(found))) or "none"
        raise RunError(f"no run directory, .onnx or .keras file {str(path)!r}; in runs/ there are: {runs}")


def start_keras(backend: str | None) -> None:
    """Import Keras on this back end, or else on the usual one."""
    from mnistry.backend import choose_backend

    choose_backend(backend, own_process=True)


def find_test_part(data: str | None, run: Run | None, class_names: Sequence[str]) -> Dataset:
    """The images to measure on: of the data set named, or else of the run's own or of MNIST.

    Raises:
        MnistryError: there are none, or they have other classes.
    """
    from mnistry.data import load_data
    from mnistry.records import read_config, split_as_run
    from mnistry.splits import lasting_name

    own = "mnist" if run is None else read_config(run).data
    name = own if data is None else lasting_name(data)
    check_not_in_memory(name)
    loaded = load_data(name)
    # Foreign data was never trained on: without a test part, all of it counts.
    test = split_as_run(run, loaded).test if run is not None and name == own else loaded[1] or loaded[0]
    if tuple(class_names) != test.class_names:
        raise DataError(
            f"{test.name} has the classes {', '.join(test.class_names)}, "
            f"expected those of the network: {', '.join(class_names)}"
        )
    return test


def check_not_in_memory(name: str) -> None:
    """See that a data set can be loaded by its name.

    Raises:
        RunError: it was only in the memory of the process that trained.
    """
    if name.startswith("<"):
        raise RunError("the run was trained on data in memory: name a data set with --data")


def _open_onnx(path: Path | None, run: Run | None = None) -> Source:
    from mnistry.classifier import Classifier

    if path is not None:
        check_exists(path)
    classifier = Classifier(path)
    return Source(
        str(classifier.path if run is None else run.path),
        classifier.calibrated_logits,
        classifier.class_names,
        classifier.calibration,
        run,
        classifier,
    )

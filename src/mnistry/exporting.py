"""Write trained networks as files for other programs, each checked against its source before it exists.

ONNX is written layer by layer (`graphs`). Where a network has a layer that is not known there, Keras' own
exporter is asked, if the package it needs is installed.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import os
import tempfile
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from mnistry import metrics
from mnistry.calibration import Calibration
from mnistry.classifier import INPUT, OUTPUT, Classifier, Metadata, seal
from mnistry.errors import MissingExtraError, ModelError
from mnistry.files import atomic_save
from mnistry.models import as_classifier
from mnistry.runs import Run

if TYPE_CHECKING:
    import keras
    import onnx

Images: TypeAlias = npt.NDArray[np.uint8]
Logits: TypeAlias = npt.NDArray[np.float32]
Source: TypeAlias = "keras.Model | Run"

MAX_VALIDATION = 2000  # images to find the ranges of an int8 file with: more change nothing
# What is computed in 8 bits; the classes' scores, and what is made of them, stay float.
QUANTIZED = [
    "Add",
    "AveragePool",
    "Conv",
    "Gemm",
    "GlobalAveragePool",
    "MaxPool",
    "Relu",
    "Reshape",
    "Transpose",
]
# What Keras' own exporter needs on each back end.
KERAS_NEEDS = {"jax": "jax2onnx", "tensorflow": "tf2onnx", "torch": "onnxscript"}


@dataclass(frozen=True)
class Tolerance:
    """How far a file may stray from its source.

    Attributes:
        difference: of any logit, in units of the source's largest absolute logit.
        disagreements: share of the images, 0..1, that may get another answer.
    """

    difference: float
    disagreements: float


# Why they differ: another order of additions; weights of 11 bits; weights of 7 bits and values of 8.
TOLERANCES = {
    "float32": Tolerance(difference=1e-4, disagreements=1e-4),
    "float16": Tolerance(difference=1e-2, disagreements=1e-3),
    "int8": Tolerance(difference=0.1, disagreements=1e-2),
}


@dataclass(frozen=True)
class ExportReport:
    """What the check of a written file against its source found.

    Attributes:
        path: the file.
        precision: "float32", "float16" or "int8".
        size_bytes: of the file.
        n: images that both have answered.
        difference: the largest absolute difference of two logits.
        largest_logit: the largest absolute logit of the source, to compare it with.
        disagreements: the numbers of the images that get another answer, in rising order.
    """

    path: Path
    precision: str
    size_bytes: int
    n: int
    difference: float
    largest_logit: float
    disagreements: tuple[int, ...]

    def to_dict(self) -> dict[str, Any]:
        """Everything in plain Python types, ready for JSON."""
        return dataclasses.asdict(self) | {
            "path": str(self.path),
            "disagreements": list(self.disagreements),
        }

    def __str__(self) -> str:
        share = len(self.disagreements) / self.n
        return (
            f"{self.path}: {self.size_bytes:,} bytes, {self.precision}; {len(self.disagreements):,} of "
            f"{self.n:,} images answered otherwise than by its source ({share:.2%}); largest difference of a "
            f"logit {self.difference:.2g}, of logits up to {self.largest_logit:.3g}"
        )


def export_onnx(
    source: Source | Sequence[Source],
    path: str | os.PathLike[str],
    *,
    images: Images,
    metadata: Metadata | None = None,
    precision: str = "float32",
    validation_images: Images | None = None,
    tolerance: Tolerance | None = None,
) -> ExportReport:
    """Write an ONNX file that `Classifier` loads, and compare it with its source.

    Args:
        source: a Keras model, images -> logits; a finished run; or several of them, whose probabilities are
            averaged (see `average`).
        path: the file; an older one is replaced once the new one has passed.
        images: uint8 (n, 28, 28), n >= 1, that the file and its source both answer: the test images.
        metadata: class names, calibration and provenance; by default what the first run's record says, or
            the numbers of the classes. Its precision is set here.
        precision: "float32"; "float16", weights in half the bytes, computed in float32; "int8", weights
            and values in 8 bits.
        validation_images: uint8 (n, 28, 28), for "int8" only: what to find the ranges of the values with.
            Not the test images. At most the first 2,000 are used.
        tolerance: what the file may differ by; that of `TOLERANCES` by default.

    Raises:
        ModelError: the file differs from its source by more than the tolerance, the source cannot be
            loaded or has a layer that cannot be exported, or the file cannot be written. Whatever was at
            `path` is still there, unchanged.
        MissingExtraError: the package onnx is not installed.
        ValueError: an argument is outside of its range.
    """
    sources = list(source) if isinstance(source, Sequence) else [source]
    _check_arguments(sources, images, precision, validation_images)
    if importlib.util.find_spec("onnx") is None:
        raise MissingExtraError("onnx", "export", "exporting to ONNX")
    path = Path(path)
    models = [item.load_model() if isinstance(item, Run) else item for item in sources]
    with _full_precision():
        expected = average([as_classifier(model) for model in models])(images)
    if metadata is None:
        metadata = _describe(sources, expected.shape[1])
    if len(metadata.class_names) != expected.shape[1]:
        raise ValueError(f"got {len(metadata.class_names)} class names for {expected.shape[1]} classes")
    proto = _as_onnx(models, expected.shape[1])
    if precision == "float16":
        from mnistry.graphs import store_as_float16

        store_as_float16(proto)
    elif validation_images is not None:
        proto = _quantize(proto, validation_images[:MAX_VALIDATION])
    content = _with_metadata(proto, dataclasses.replace(metadata, precision=precision))
    report: list[ExportReport] = []

    def write(temporary: Path) -> None:
        temporary.write_bytes(content)
        received = Classifier(temporary)(images)
        report.append(_compare(path, precision, len(content), expected, received))
        _judge(report[0], tolerance or TOLERANCES[precision])

    try:
        atomic_save(path, write)
    except OSError as error:
        raise ModelError(f"cannot write {str(path)!r}: {error.strerror or error}") from error
    return report[0]


def average(classifiers: Sequence[Callable[[Images], Any]]) -> Callable[[Images], Logits]:
    """One function images -> logits out of several: the logarithms of the means of their probabilities.

    A single one is left as it is.
    """

    def classify(images: Images) -> Logits:
        logits = [np.asarray(one(images)) for one in classifiers]
        if len(logits) == 1:
            return logits[0].astype(np.float32)
        total = np.logaddexp.reduce([metrics.log_softmax(rows) for rows in logits])
        return np.asarray(total - np.log(len(logits)), np.float32)

    return classify


def _check_arguments(
    sources: Sequence[Any], images: Images, precision: str, validation_images: Images | None
) -> None:
    if not sources:
        raise ValueError("got no model to export")
    if precision not in TOLERANCES:
        raise ValueError(f"unknown precision {precision!r}: known are {', '.join(TOLERANCES)}")
    if (precision == "int8") != (validation_images is not None):
        raise ValueError("validation_images are needed for precision 'int8', and of no use for another")
    for name, array in (("images", images), ("validation_images", validation_images)):
        if array is not None and (array.dtype != np.uint8 or array.shape[1:] != (28, 28) or len(array) == 0):
            raise ValueError(
                f"{name} must be uint8 (n, 28, 28) with n >= 1, received {array.dtype} {array.shape}"
            )


def _describe(sources: Sequence[Any], num_classes: int) -> Metadata:
    """What the record of the first run says, or for models alone the numbers of the classes."""
    records = [item.record for item in sources if isinstance(item, Run)]
    if not records:
        return Metadata(tuple(map(str, range(num_classes))))
    kept = ("config", "data", "versions", "created")
    calibration = records[0].get("calibration") if len(records) == 1 else None
    return Metadata(
        class_names=tuple(records[0]["class_names"]),
        calibration=None if calibration is None else Calibration.from_dict(calibration),
        provenance={"runs": [{key: record[key] for key in kept if key in record} for record in records]},
    )


def _as_onnx(models: Sequence[keras.Model], num_classes: int) -> onnx.ModelProto:
    from mnistry import graphs

    try:
        return graphs.as_proto(graphs.build_graph(models), num_classes)
    except graphs.UnsupportedError as error:
        if len(models) > 1:
            raise ModelError(
                f"cannot export several models as one: no ONNX form of {error} is known"
            ) from error
        return _export_by_keras(models[0], str(error))


def _export_by_keras(model: keras.Model, layer: str) -> onnx.ModelProto:
    """The graph that Keras' own exporter makes, with the input and output named as everywhere here."""
    import keras
    import onnx

    package = KERAS_NEEDS.get(keras.backend.backend(), "")
    if importlib.util.find_spec(package) is None:
        raise ModelError(
            f"no ONNX form of {layer} is known. Keras' own exporter may know one: pip install {package}"
        )
    signature = [keras.InputSpec(shape=(None, 28, 28), dtype="uint8", name=INPUT)]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.onnx"
        try:
            model.export(file, format="onnx", verbose=False, input_signature=signature)
            proto = onnx.load(file)
        except Exception as error:
            raise ModelError(
                f"no ONNX form of {layer} is known, and Keras' own exporter fails: "
                f"{type(error).__name__}: {error}"
            ) from error
    new_names = {proto.graph.input[0].name: INPUT, proto.graph.output[0].name: OUTPUT}
    for value in (*proto.graph.input, *proto.graph.output):
        value.name = new_names.get(value.name, value.name)
    for node in proto.graph.node:
        node.input[:] = [new_names.get(name, name) for name in node.input]
        node.output[:] = [new_names.get(name, name) for name in node.output]
    return proto


def _quantize(proto: onnx.ModelProto, images: Images) -> onnx.ModelProto:
    """The model with weights and values in 8 bits, in the ranges that these images need."""
    import onnx
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(quantization.CalibrationDataReader):
        def __init__(self) -> None:
            self._batches = ({INPUT: images[start : start + 100]} for start in range(0, len(images), 100))

        def get_next(self) -> dict[str, Images] | None:
            return next(self._batches, None)

    with tempfile.TemporaryDirectory() as folder:
        names = ("float.onnx", "prepared.onnx", "quantized.onnx")
        plain, prepared, quantized = (str(Path(folder) / name) for name in names)
        onnx.save(proto, plain)
        quant_pre_process(plain, prepared, skip_symbolic_shape=True)
        quantization.quantize_static(
            prepared,
            quantized,
            Reader(),
            op_types_to_quantize=QUANTIZED,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            per_channel=True,
            # Weights of 7 bits: processors without VNNI add pairs of products in 16 bits, which overflow.
            reduce_range=True,
            # Logits in 8 bits would cost as many errors again, and make confidences coarse.
            extra_options={"OpTypesToExcludeOutputQuantization": ["Gemm"]},
        )
        return onnx.load(quantized)


def _with_metadata(proto: onnx.ModelProto, metadata: Metadata) -> bytes:
    from onnx import helper

    proto.producer_name = "mnistry"
    helper.set_model_props(proto, metadata.to_properties())
    return seal(proto.SerializeToString(deterministic=True))


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

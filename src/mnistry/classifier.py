"""A trained classifier in one ONNX file, run by ONNX Runtime: no Keras, no pickle, an answer at once.

The file holds the graph, images (n, 28, 28) uint8 -> logits, and what belongs to it as metadata under keys
that begin with "mnistry.": class names, calibration, provenance, and a checksum of everything before it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mnistry.calibration import Calibration
from mnistry.errors import ModelError
from mnistry.metrics import softmax

NOT_A_DIGIT = "none"  # the name of a last class for what is no digit, in networks that have one
FORMAT = 1  # of the metadata; raised whenever an older mnistry could no longer read them
PREFIX = "mnistry."  # of the metadata's keys
CHECKSUM = PREFIX + "sha256"
SHIPPED = Path(str(resources.files("mnistry"))) / "assets" / "classifier.onnx"
NAME_IN_RUN = "model.onnx"
INPUT, OUTPUT = "images", "logits"
CHUNK = 100  # images at a time: bounds the memory of any batch, and stays within the processor's caches


@dataclass(frozen=True)
class Metadata:
    """What travels in the file beside the graph.

    Attributes:
        class_names: one name per class, in the order of the logits.
        calibration: temperature and thresholds; None where they were not fitted.
        provenance: where the weights come from, such as data, recipe and versions; ready for JSON.
        precision: of the weights: "float32", "float16" or "int8".
    """

    class_names: tuple[str, ...]
    calibration: Calibration | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)
    precision: str = "float32"

    def to_properties(self) -> dict[str, str]:
        """The metadata in the form that ONNX keeps: strings by key."""
        values = {
            "format": FORMAT,
            "class_names": list(self.class_names),
            "calibration": None if self.calibration is None else self.calibration.to_dict(),
            "provenance": dict(self.provenance),
            "precision": self.precision,
        }
        return {PREFIX + key: json.dumps(value, allow_nan=False) for key, value in values.items()}

    @classmethod
    def from_properties(cls, properties: Mapping[str, str]) -> Metadata:
        """The metadata that `to_properties` wrote; keys it does not know are left aside.

        Raises:
            ModelError: they are not there, of a newer format, or damaged.
        """
        known = {key: text for key, text in properties.items() if key.startswith(PREFIX) and key != CHECKSUM}
        if not known:
            raise ModelError(f"it has no metadata under {PREFIX}*, so nothing says what its classes mean")
        try:
            values = {key: json.loads(text) for key, text in known.items()}
            if values[PREFIX + "format"] > FORMAT:
                raise ModelError(
                    f"it was written by a newer mnistry (format {values[PREFIX + 'format']}, this one reads "
                    f"up to {FORMAT}): upgrade with pip install --upgrade mnistry"
                )
            calibration = values[PREFIX + "calibration"]
            return cls(
                class_names=tuple(map(str, values[PREFIX + "class_names"])),
                calibration=None if calibration is None else Calibration.from_dict(calibration),
                provenance=dict(values[PREFIX + "provenance"]),
                precision=str(values[PREFIX + "precision"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            reason = f"there is no {error}" if isinstance(error, KeyError) else str(error)
            raise ModelError(f"its metadata are damaged: {reason}") from error


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a classifier says about n images.

    Attributes:
        labels: uint8 (n,), the number of the most probable class.
        probabilities: float64 (n, classes), 0..1, calibrated. The rows of a network that knows what is no
            digit sum to less than 1: the rest is the probability of that.
        accepted: bool (n,), whether the largest probability reaches the threshold of the calibration, and
            exceeds that of being no digit; all True where there is neither.
    """

    labels: npt.NDArray[np.uint8]
    probabilities: npt.NDArray[np.float64]
    accepted: npt.NDArray[np.bool_]


class Classifier:
    """A function images -> logits from a file that `mnistry export` or `export_onnx` wrote.

    Several threads may call one Classifier at the same time.

    Attributes:
        path: the ONNX file.
        metadata: what it says of itself.
        threads: how many threads compute one call.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None, *, threads: int | None = None) -> None:
        """Load the classifier in an ONNX file or run directory.

        Args:
            path: an .onnx file, or a run directory that holds model.onnx; None for the classifier that
                comes with mnistry.
            threads: 1 or more; all cores that this process may use by default.

        Raises:
            ModelError: there is no such file, it is damaged, or it is no classifier written by mnistry.
            ValueError: `threads` is less than 1.
        """
        if threads is not None and threads < 1:
            raise ValueError(f"threads must be at least 1, received {threads}")
        self.path = _find(path)
        self.threads = threads or count_cores()
        try:
            self._session = open_session(read_sealed(self.path), self.threads)
            self.metadata = Metadata.from_properties(self._session.get_modelmeta().custom_metadata_map)
            _check_signature(self._session, self.metadata)
        except ModelError as error:
            raise ModelError(f"cannot use the classifier {str(self.path)!r}: {error}") from error

    @property
    def class_names(self) -> tuple[str, ...]:
        """One name per class that it may answer, in the order of the logits; without NOT_A_DIGIT."""
        return self.metadata.class_names[:-1] if self.rejects else self.metadata.class_names

    @property
    def rejects(self) -> bool:
        """Whether the network has a class for what is no digit."""
        return self.metadata.class_names[-1] == NOT_A_DIGIT

    @property
    def calibration(self) -> Calibration | None:
        """Temperature and thresholds; None where they were not fitted."""
        return self.metadata.calibration

    def __call__(self, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """The logits, float32 (n, classes), as the network gives them, of uint8 images (n, 28, 28).

        One column for each of `metadata.class_names`: where the last is NOT_A_DIGIT, one more than answers.
        Any n, 0 included; memory beyond the result does not grow with it.

        Raises:
            ValueError: the images have another type or shape.
        """
        images = np.asarray(images)
        if images.dtype != np.uint8 or images.ndim != 3 or images.shape[1:] != (28, 28):
            raise ValueError(
                f"got images {images.dtype} {images.shape}; expected uint8 (n, 28, 28), 0 = background and "
                "255 = ink. A single image is image[None]."
            )
        logits = np.empty((len(images), len(self.metadata.class_names)), np.float32)
        for start in range(0, len(images), CHUNK):
            chunk = np.ascontiguousarray(images[start : start + CHUNK])
            logits[start : start + CHUNK] = self._session.run([OUTPUT], {INPUT: chunk})[0]
        return logits

    def calibrated_logits(self, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """The logits of `class_names` divided by the temperature: for images that hold one of them.

        Raises:
            ValueError: the images have another type or shape.
        """
        logits = self(images)[:, : len(self.class_names)]
        return logits if self.calibration is None else logits / np.float32(self.calibration.temperature)

    def predict(self, images: npt.NDArray[np.uint8]) -> Prediction:
        """Classes, calibrated probabilities, and whether to rely on them; images as for a call.

        Raises:
            ValueError: the images have another type or shape.
        """
        logits = self(images)
        if len(logits) == 0:
            probabilities = np.empty(logits.shape, np.float64)
        else:
            probabilities = softmax(logits) if self.calibration is None else self.calibration.apply(logits)
        threshold = 0.0 if self.calibration is None else self.calibration.threshold
        answers = probabilities[:, : len(self.class_names)]
        confidence = answers.max(axis=1)
        return Prediction(
            labels=answers.argmax(axis=1).astype(np.uint8),
            probabilities=answers,
            accepted=(confidence >= threshold) & (confidence >= probabilities.max(axis=1)),
        )

    def __repr__(self) -> str:
        return f"Classifier({str(self.path)!r}, threads={self.threads})"


def seal(content: bytes) -> bytes:
    """The bytes of an ONNX file with one metadata entry more: the SHA-256 of all bytes before it.

    Fields of a protobuf message may be appended to its bytes, so the result is an ONNX file like any other.
    """
    key, digest = CHECKSUM.encode(), hashlib.sha256(content).hexdigest().encode()
    entry = b"\x0a%c%s\x12%c%s" % (len(key), key, len(digest), digest)
    return content + b"\x72%c%s" % (len(entry), entry)  # field 14 of ModelProto: metadata_props


def _find(path: str | os.PathLike[str] | None) -> Path:
    if path is None:
        if not SHIPPED.is_file():
            raise ModelError("this mnistry comes without a classifier: train one with mnistry train")
        return SHIPPED
    found = Path(path)
    if found.is_dir():
        if not (found / NAME_IN_RUN).is_file():
            raise ModelError(
                f"{str(found)!r} has no {NAME_IN_RUN}: write it with mnistry export {found}, or begin with "
                "mnistry train where nothing was trained yet"
            )
        return found / NAME_IN_RUN
    return found


def read_sealed(path: Path) -> bytes:
    """The bytes of a file that `seal` closed; others never reach the native parser.

    Raises:
        ModelError: there is no such file, or it is damaged or not from here.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{error.strerror}") from error
    body = content[: len(content) - len(seal(b""))]
    if seal(body) == content:
        return content
    if content.startswith(b"\x08") and b"mnistry" in content:  # begins as ONNX does, with its version
        raise ModelError(
            "it is damaged, or was changed after it was written: its checksum does not fit. Restore it from "
            "a copy, or write it again with: mnistry export"
        )
    raise ModelError(
        "it was not written by mnistry. Expected is an ONNX file from: mnistry export, which says what its "
        "classes mean and carries a checksum"
    )


def open_session(content: bytes, threads: int) -> Any:
    """An ONNX Runtime session on the CPU.

    Raises:
        ModelError: ONNX Runtime refuses the content.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Idle threads sleep instead of spinning: they would take the cores from whoever else works here.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 4  # errors are raised; nothing goes to standard error
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its types have no common base but Exception
        raise ModelError(f"ONNX Runtime {onnxruntime.__version__} refuses it: {error}") from error


def _check_signature(session: Any, metadata: Metadata) -> None:
    """See that the graph is images -> logits of the classes that the metadata name."""
    received = [
        [(value.name, value.type, value.shape[1:]) for value in values]
        for values in (session.get_inputs(), session.get_outputs())
    ]
    classes = len(metadata.class_names)
    expected = [[(INPUT, "tensor(uint8)", [28, 28])], [(OUTPUT, "tensor(float)", [classes])]]
    if received != expected:
        raise ModelError(
            f"its graph is {received[0]} -> {received[1]}, expected {expected[0]} -> {expected[1]}"
        )
    calibration = metadata.calibration
    if calibration is not None and len(calibration.conformal_thresholds) != classes:
        raise ModelError(
            f"it has {classes} classes and a calibration of {len(calibration.conformal_thresholds)}"
        )


def count_cores() -> int:
    """The cores that this process may use; fewer than the machine's in containers and under taskset."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS and Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1

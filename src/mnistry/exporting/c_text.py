"""The text of a C header: its arrays, its calls, and the template that they are put into."""

from __future__ import annotations

import json
import math
import string
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mnistry import __version__
from mnistry.classifier import Metadata

TEMPLATE, KERNELS = (Path(__file__).parent / name for name in ("header.h", "kernels.h"))
VALUE_LIMIT = 255  # of 8 bits without a sign
C_TYPES = {"int8": ("int8_t", 1), "int16": ("int16_t", 2), "float32": ("float", 4)}
WIDTH = 110  # of a line in the header


@dataclass(frozen=True)
class Value:
    """What goes from one layer to the next: its name in C, its shape without the batch, what 1 stands for."""

    name: str
    shape: tuple[int, ...]
    unit: float = 1.0


@dataclass
class Writer:
    """The parts of the header, as they come up.

    Attributes:
        ranges: the largest value of each output in the graph, by its name there.
        shift: what is taken off the scores.
        arrays: definitions of weights.
        calls: statements that compute the scores.
        array_bytes: size of all weights.
        buffers: bytes of the two buffers that layers write to in turn.
        patch: bytes that the window of a convolution covers, at most.
    """

    ranges: Mapping[str, float]
    shift: npt.NDArray[Any]
    arrays: list[str] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    array_bytes: int = 0
    buffers: list[int] = field(default_factory=lambda: [0, 0])
    patch: int = 1

    def array(self, kind: str, values: npt.NDArray[Any]) -> str:
        """Define a constant array; its name."""
        name = f"mnistry_{kind}_{len(self.arrays)}"
        c_type, size = C_TYPES[values.dtype.name]
        numbers = map(as_float if c_type == "float" else str, values.ravel().tolist())
        self.arrays.append(
            f"static const {c_type} {name}[{values.size}] = {{\n{_wrapped(', '.join(numbers))}\n}};"
        )
        self.array_bytes += size * values.size
        return name

    def window(self, shape: tuple[int, ...], out_shape: tuple[int, ...], options: Mapping[str, Any]) -> str:
        """Define how a window moves over maps of this shape, (channels, height, width); its name."""
        name = f"mnistry_window_{len(self.arrays)}"
        pads = options.get("pads", [0, 0])[:2]
        numbers = [*shape, *out_shape[1:], *options["kernel_shape"], *options.get("strides", [1, 1]), *pads]
        text = ", ".join(map(str, numbers))
        self.arrays.append(f"static const mnistry_window {name} = {{{text}}};")
        return name

    def buffer(self, shape: tuple[int, ...], unit: float, source: Value) -> Value:
        """Room for what a layer gives, not where its input lies."""
        number = 1 if source.name.endswith("_0") else 0
        self.buffers[number] = max(self.buffers[number], math.prod(shape))
        return Value(f"mnistry_values_{number}", shape, unit)

    def unit(self, name: str) -> float:
        """What a byte of this output stands for, so that its largest value still fits."""
        return (self.ranges[name] or 1.0) / VALUE_LIMIT


def fill_template(writer: Writer, metadata: Metadata, parts: Mapping[str, int]) -> str:
    """The header, with what was written and the bytes of its "weights" and "memory"."""
    calibration = metadata.calibration
    replaced = {
        "VERSION": __version__,
        "PROVENANCE": _comment(metadata),
        "CLASSES": str(len(metadata.class_names)),
        "THRESHOLD": as_float(0.0 if calibration is None else calibration.threshold),
        "TEMPERATURE": as_float(1.0 if calibration is None else calibration.temperature),
        "NAMES": ", ".join(map(_string, metadata.class_names)),
        "KERNELS": KERNELS.read_text(encoding="utf-8").strip(),
        "ARRAYS": "\n".join(writer.arrays),
        "SIZE_0": str(max(1, writer.buffers[0])),
        "SIZE_1": str(max(1, writer.buffers[1])),
        "PATCH": str(writer.patch),
        "CALLS": "\n    ".join(writer.calls),
        "WEIGHTS": f"{parts['weights']:,}",
        "MEMORY": f"{parts['memory']:,}",
    }
    return string.Template(TEMPLATE.read_text(encoding="utf-8")).substitute(replaced)


def _comment(metadata: Metadata) -> str:
    """Where the weights come from, as JSON without the star that would end a comment."""
    return json.dumps(dict(metadata.provenance), indent=1).replace("*", "\\u002a")


def _string(text: str) -> str:
    """A string of C; what is not plain ASCII as the octal numbers of its bytes in UTF-8."""
    plain = set(range(32, 127)) - set(b'"\\?')
    return '"' + "".join(chr(byte) if byte in plain else f"\\{byte:03o}" for byte in text.encode()) + '"'


def as_float(value: float) -> str:
    """A number of C with the bits of a float32."""
    text = format(float(np.float32(value)), ".9g")
    return (text if set(text) & set(".e") else text + ".0") + "f"


def _wrapped(text: str) -> str:
    return textwrap.fill(text, WIDTH, initial_indent="    ", subsequent_indent="    ")

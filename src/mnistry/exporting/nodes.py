"""An ONNX graph while it is written: nodes, and the weights and shapes they use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import helper


class UnsupportedError(Exception):
    """A layer, or an option of it, that is not written here."""


@dataclass(frozen=True)
class Tensor:
    """A value in the graph.

    Attributes:
        name: its name there.
        shape: its shape in Keras without the batch, such as (height, width, channels).
        channels_first: whether the graph holds it as (channels, height, width), the order ONNX convolves in.
    """

    name: str
    shape: tuple[int, ...]
    channels_first: bool = False


@dataclass
class Graph:
    """Nodes in the order of computation, and the weights and shapes they use, by name."""

    nodes: list[Any] = field(default_factory=list)
    constants: dict[str, npt.NDArray[Any]] = field(default_factory=dict)

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Append a node; the name of its output."""
        name = f"{operator}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [name], name=name, **attributes))
        return name

    def constant(self, value: npt.ArrayLike, dtype: npt.DTypeLike = np.float32) -> str:
        """Keep a weight or a shape; its name."""
        name = f"constant_{len(self.constants)}"
        self.constants[name] = np.array(value, dtype=dtype)
        return name

    def transpose(self, x: Tensor, *, channels_first: bool) -> Tensor:
        """The same maps, with the channels where they are asked for."""
        if x.channels_first == channels_first or len(x.shape) != 3:
            return x
        order = [0, 3, 1, 2] if channels_first else [0, 2, 3, 1]
        return Tensor(self.add("Transpose", x.name, perm=order), x.shape, channels_first)

    def reshape(self, name: str, shape: Sequence[int]) -> str:
        """The same numbers in another shape; the batch, 0 in ONNX, stays as it is."""
        return self.add("Reshape", name, self.constant([0, *shape], np.int64))

"""An ONNX graph -> the text of a C header: weights and values in bytes, sums in 32 bits, no allocation.

What computes is in kernels.h; here it is called with the sizes and weights of one network. Every value
between two layers is unsigned, so each layer but the last must end in ReLU, as those of `convnet` do.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper, shape_inference

from mnistry.classifier import INPUT, Metadata
from mnistry.exporting.c_text import Value, Writer, as_float, fill_template
from mnistry.exporting.nodes import UnsupportedError

WEIGHT_LIMIT = 127  # of 8 bits with a sign


def outputs_to_measure(proto: onnx.ModelProto) -> list[str]:
    """The names of the values in the graph whose ranges `as_header` must know."""
    kinds = ("Relu", "GlobalAveragePool")
    return [node.output[0] for node in proto.graph.node if node.op_type in kinds]


def as_header(
    proto: onnx.ModelProto,
    ranges: Mapping[str, float],
    metadata: Metadata,
    shift: npt.ArrayLike = 0.0,
) -> tuple[str, dict[str, int]]:
    """The header, and the bytes of weights and of working memory that it takes.

    Args:
        proto: images (n, 28, 28) uint8 -> logits, a chain of layers.
        ranges: the largest value of each of `outputs_to_measure`.
        metadata: what stands in its comment; its temperature and threshold are built in.
        shift: (classes,), to be taken off the scores.

    Raises:
        UnsupportedError: the graph is no such chain, or has an operator that is not written here.
    """
    proto = shape_inference.infer_shapes(proto)
    shapes = {
        value.name: tuple(size.dim_value for size in value.type.tensor_type.shape.dim[1:])
        for value in (*proto.graph.input, *proto.graph.value_info, *proto.graph.output)
    }
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in proto.graph.initializer}
    writer = Writer(ranges, np.asarray(shift))
    nodes = list(proto.graph.node)
    value, expected = Value("image", shapes[INPUT]), INPUT
    while nodes:
        node = nodes.pop(0)
        if node.input[0] != expected:
            raise UnsupportedError(f"branches, at {node.op_type}")
        value = _write_node(writer, node, nodes, value, constants, shapes)
        expected = node.output[0]
        if nodes and nodes[0].op_type == "Relu" and node.op_type in ("Conv", "Gemm"):
            expected = nodes.pop(0).output[0]
    classes = len(metadata.class_names)
    if value.name != "logits" or value.shape != (classes,):
        raise UnsupportedError("a last layer that is not Dense, without activation")
    parts = {"weights": writer.array_bytes, "memory": sum(writer.buffers) + writer.patch}
    return fill_template(writer, metadata, parts), parts


def _write_node(
    writer: Writer,
    node: Any,
    following: list[Any],
    x: Value,
    constants: Mapping[str, npt.NDArray[Any]],
    shapes: Mapping[str, tuple[int, ...]],
) -> Value:
    """Append what a node computes; where its output lies."""
    options = {item.name: helper.get_attribute_value(item) for item in node.attribute}
    parts = [constants[name] for name in node.input[1:] if name in constants]
    shape = shapes[node.output[0]]
    operator = node.op_type
    if operator == "Cast" and x.name == "image":
        return x
    if operator == "Mul" and len(parts) == 1 and parts[0].size == 1 and parts[0] > 0:
        return Value(x.name, x.shape, x.unit * float(parts[0].item()))
    if operator in ("Reshape", "Flatten"):
        return Value(x.name, shape, x.unit)
    if operator == "Transpose":
        return _transpose(writer, x, [axis - 1 for axis in options["perm"][1:]])
    if operator in ("MaxPool", "AveragePool"):
        return _pool(writer, x, shape, options, largest=operator == "MaxPool")
    if operator == "GlobalAveragePool":
        window = {"kernel_shape": x.shape[1:]}
        return _pool(writer, x, shape, window, largest=False, unit=writer.unit(node.output[0]))
    if operator == "Gemm" and not following:
        return _score(writer, x, parts[0], parts[1])
    if operator == "Mul" and [node.op_type for node in following] == ["ReduceSum", "Gemm"]:
        last = following[1]
        following.clear()
        node.output[0] = last.output[0]
        return _score_sums(writer, x, parts[0], *(constants[name] for name in last.input[1:]))
    ends_in_relu = bool(following) and following[0].op_type == "Relu"
    if operator in ("Conv", "Gemm") and not ends_in_relu:
        raise UnsupportedError(f"{operator} without ReLU after it")
    if operator == "Gemm":  # a convolution of maps of one pixel
        unit = writer.unit(following[0].output[0])
        pixels = Value(x.name, (math.prod(x.shape), 1, 1), x.unit)
        kernel = parts[0].T[:, :, None, None]
        y = _convolve(writer, pixels, (len(kernel), 1, 1), kernel, parts[1], {}, unit)
        return Value(y.name, shape, unit)
    if operator == "Conv" and options.get("group", 1) == 1 and set(options.get("dilations", [1])) == {1}:
        unit = writer.unit(following[0].output[0])
        return _convolve(writer, x, shape, parts[0], parts[1], options, unit)
    raise UnsupportedError(operator)


def _score(writer: Writer, x: Value, kernel: npt.NDArray[Any], bias: npt.NDArray[Any]) -> Value:
    """The last layer, with a kernel (inputs, classes)."""
    quantized, scales = _quantize(kernel.T)
    names = _weights(writer, quantized, scales * x.unit, bias - writer.shift)
    writer.calls.append(f"mnistry_score({x.name}, logits, {len(kernel)}, {len(bias)}, {names});")
    return Value("logits", bias.shape)


def _score_sums(
    writer: Writer, x: Value, places: npt.NDArray[Any], kernel: npt.NDArray[Any], bias: npt.NDArray[Any]
) -> Value:
    """The last layer on weighted sums, (places, channels) -> channels, which may be below 0: in one go."""
    weights, scales = _quantize(places.T)
    quantized, factors = _quantize(kernel.T)
    names = ", ".join(
        [
            writer.array("weights", weights),
            writer.array("factors", (scales * x.unit).astype(np.float32)),
            _weights(writer, quantized, factors, bias - writer.shift),
        ]
    )
    sizes = ", ".join(map(str, (*places.shape, len(bias))))
    writer.calls.append(f"mnistry_score_sums({x.name}, logits, {sizes}, {names});")
    return Value("logits", bias.shape)


def _convolve(
    writer: Writer,
    x: Value,
    shape: tuple[int, ...],
    kernel: npt.NDArray[Any],
    bias: npt.NDArray[Any],
    options: Mapping[str, Any],
    unit: float,
) -> Value:
    y = writer.buffer(shape, unit, x)
    writer.patch = max(writer.patch, math.prod(kernel.shape[1:]))
    quantized, scales = _quantize(kernel)
    names = _weights(writer, quantized, scales * (x.unit / unit), bias / unit)
    window = writer.window(x.shape, shape, dict(options) | {"kernel_shape": kernel.shape[2:]})
    writer.calls.append(f"mnistry_convolve({x.name}, {y.name}, &{window}, {len(kernel)}, {names}, patch);")
    return y


def _pool(
    writer: Writer,
    x: Value,
    shape: tuple[int, ...],
    options: Mapping[str, Any],
    *,
    largest: bool,
    unit: float | None = None,
) -> Value:
    unit = x.unit if unit is None else unit
    y = writer.buffer(shape, unit, x)
    window = writer.window(x.shape, shape, options)
    factor = as_float(x.unit / unit)
    writer.calls.append(f"mnistry_pool({x.name}, {y.name}, &{window}, {int(largest)}, {factor});")
    return y


def _transpose(writer: Writer, x: Value, order: list[int]) -> Value:
    shape = tuple(x.shape[axis] for axis in order)
    y = writer.buffer(shape, x.unit, x)
    steps = [math.prod(x.shape[axis + 1 :]) for axis in order]
    names = writer.array("sizes", np.array(shape, np.int16)), writer.array("steps", np.array(steps, np.int16))
    size = math.prod(shape)
    writer.calls.append(f"mnistry_transpose({x.name}, {y.name}, {size}, {len(shape)}, {', '.join(names)});")
    return y


def _weights(
    writer: Writer, kernel: npt.NDArray[Any], factors: npt.NDArray[Any], biases: npt.NDArray[Any]
) -> str:
    """Define the weights of a layer; their names, as arguments of a function."""
    return ", ".join(
        [
            writer.array("weights", kernel),
            writer.array("factors", factors.astype(np.float32)),
            writer.array("biases", biases.astype(np.float32)),
        ]
    )


def _quantize(kernel: npt.NDArray[Any]) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float64]]:
    """Weights (filters, ...) in 8 bits, and for each filter what 1 stands for."""
    rows = kernel.reshape(len(kernel), -1).astype(np.float64)
    largest = np.abs(rows).max(axis=1)
    scales = np.where(largest > 0, largest, 1.0) / WEIGHT_LIMIT
    return np.rint(rows / scales[:, None]).astype(np.int8).reshape(kernel.shape), scales

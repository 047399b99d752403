"""Keras layers -> an ONNX graph, images (n, 28, 28) uint8 -> logits (n, classes) float32.

Written here, layer by layer, because networks for digits need only a dozen kinds of them: so the graph is
the same on every back end, its batch normalisation is folded into the weights, and onnx is all it takes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Any

import keras
import numpy as np
import onnx
from onnx import helper, numpy_helper

from mnistry.classifier import INPUT, OUTPUT
from mnistry.exporting.layers import CONVERTERS
from mnistry.exporting.nodes import Graph, Tensor, UnsupportedError
from mnistry.models import IMAGE_SHAPE

OPSET, IR_VERSION = 17, 8  # of 2022: old enough for every runtime in use, and enough for these operators
FLOAT, UINT8 = onnx.TensorProto.FLOAT, onnx.TensorProto.UINT8


def build_graph(models: Sequence[keras.Model]) -> Graph:
    """The graph of a model, or of several: then the logarithm of the mean of their probabilities.

    Raises:
        UnsupportedError: a model is not made of the layers written here.
    """
    graph = Graph()
    pixels = Tensor(graph.add("Cast", INPUT, to=FLOAT), IMAGE_SHAPE)
    logits = [_convert(graph, model, pixels).name for model in models]
    if len(models) > 1:
        rows = [graph.reshape(graph.add("LogSoftmax", name, axis=1), (1, -1)) for name in logits]
        total = graph.add("ReduceLogSumExp", graph.add("Concat", *rows, axis=1), axes=[1], keepdims=0)
        graph.add("Sub", total, graph.constant(np.log(len(models))))
    graph.nodes[-1].output[0] = OUTPUT
    _fold_batch_normalization(graph)
    return graph


def as_proto(graph: Graph, num_classes: int) -> onnx.ModelProto:
    """The graph as an ONNX model with the input "images" and the output "logits"."""
    proto = helper.make_graph(
        graph.nodes,
        "mnistry",
        [helper.make_tensor_value_info(INPUT, UINT8, ["n", *IMAGE_SHAPE])],
        [helper.make_tensor_value_info(OUTPUT, FLOAT, ["n", num_classes])],
        [numpy_helper.from_array(value, name) for name, value in graph.constants.items()],
    )
    return helper.make_model(proto, ir_version=IR_VERSION, opset_imports=[helper.make_opsetid("", OPSET)])


def store_as_float16(model: onnx.ModelProto) -> None:
    """Store the matrices and kernels of a model in half the bytes; it still computes in float32."""
    for tensor in model.graph.initializer:
        if tensor.data_type == FLOAT and len(tensor.dims) > 1:
            name = f"{tensor.name}_float16"
            value = numpy_helper.to_array(tensor).astype(np.float16)
            model.graph.node.insert(0, helper.make_node("Cast", [name], [tensor.name], to=FLOAT))
            tensor.CopyFrom(numpy_helper.from_array(value, name))


def _convert(graph: Graph, operation: Any, *inputs: Any, **options: Any) -> Tensor:
    """Append what a layer or a whole model computes when it is not training."""
    if isinstance(operation, keras.Sequential):
        for layer in operation.layers:
            inputs = (_convert(graph, layer, *inputs),)
        return inputs[0]  # type: ignore[no-any-return]
    if isinstance(operation, keras.Function):  # a functional model
        # The way Keras itself walks such a model, here with names in place of arrays.
        return operation._run_through_graph(inputs, lambda inner: partial(_convert, graph, inner))  # type: ignore[no-any-return]
    kind = type(operation)
    if kind not in CONVERTERS or any(options.values()):
        raise UnsupportedError(f"{getattr(operation, 'name', kind.__name__)} ({kind.__name__})")
    return CONVERTERS[kind](graph, operation, *inputs)


def _fold_batch_normalization(graph: Graph) -> None:
    """Put each batch normalisation into the weights of the layer that alone feeds it."""
    uses = Counter(name for node in graph.nodes for name in node.input)
    made_by = {node.output[0]: node for node in graph.nodes}
    for node in [node for node in graph.nodes if node.op_type == "BatchNormalization"]:
        source = made_by.get(node.input[0])
        if source is None or source.op_type not in ("Conv", "Gemm") or uses[source.output[0]] > 1:
            continue
        gamma, beta, mean, variance = (
            graph.constants.pop(name).astype(np.float64) for name in node.input[1:]
        )
        scale = gamma / np.sqrt(variance + helper.get_node_attr_value(node, "epsilon"))
        kernel, bias = source.input[1:]
        per_filter = scale[:, None, None, None] if source.op_type == "Conv" else scale
        graph.constants[kernel] = (graph.constants[kernel] * per_filter).astype(np.float32)
        graph.constants[bias] = ((graph.constants[bias] - mean) * scale + beta).astype(np.float32)
        source.output[0] = node.output[0]
        made_by[node.output[0]] = source
        graph.nodes.remove(node)

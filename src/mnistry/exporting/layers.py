"""One Keras layer -> its nodes in an ONNX graph, as it computes when it is not training."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from mnistry.exporting.nodes import Graph, Tensor, UnsupportedError


def _as_is(graph: Graph, layer: Any, x: Tensor) -> Tensor:
    return x


def _rescaling(graph: Graph, layer: Any, x: Tensor) -> Tensor:
    x = graph.transpose(x, channels_first=False)
    scaled = graph.add("Mul", x.name, graph.constant(layer.scale))
    if np.any(layer.offset):
        scaled = graph.add("Add", scaled, graph.constant(layer.offset))
    return Tensor(scaled, x.shape)


def _reshape(graph: Graph, layer: Any, x: Tensor) -> Tensor:
    x = graph.transpose(x, channels_first=False)
    shape = tuple(layer.compute_output_shape((None, *x.shape))[1:])
    return Tensor(graph.reshape(x.name, shape), shape)


def _permute(graph: Graph, layer: Any, x: Tensor) -> Tensor:
    x = graph.transpose(x, channels_first=False)
    shape = tuple(x.shape[axis - 1] for axis in layer.dims)
    return Tensor(graph.add("Transpose", x.name, perm=[0, *layer.dims]), shape)


def _dense(graph: Graph, layer: Any, x: Tensor) -> Tensor:
    if len(x.shape) != 1:
        raise UnsupportedError(f"{layer.name} (Dense on {len(x.shape)} axes)")
    name = graph.add("Gemm", x.name, *_weights(graph, layer, _array(layer.kernel)))
    return _activate(graph, layer, Tensor(name, (layer.units,)))


def _weighted_sums(graph: Graph, layer: Any, x: Tensor) -> Tensor:
    """Each channel's sum over all places, each place with a weight of its own, as `tiny` ends in."""
    equation = re.fullmatch(r"(\w)(\w)(\w),(\w)(\w)->(\w)(\w)", layer.equation)
    n, place, channel, *others = equation.groups() if equation else ("", "", "")
    if not n or others != [place, channel, n, channel] or layer.bias is not None:
        raise UnsupportedError(f"{layer.name} (EinsumDense of {layer.equation!r})")
    products = graph.add("Mul", x.name, graph.constant(_array(layer.kernel)))
    name = graph.add("ReduceSum", products, graph.constant([1], np.int64), keepdims=0)
    return _activate(graph, layer, Tensor(name, x.shape[1:]))


def _conv2d(graph: Graph, layer: Any, x: Tensor) -> Tensor:
    _require(layer, data_format="channels_last")
    x = graph.transpose(x, channels_first=True)
    kernel = _array(layer.kernel).transpose(3, 2, 0, 1)
    name = graph.add(
        "Conv",
        x.name,
        *_weights(graph, layer, kernel),
        strides=layer.strides,
        dilations=layer.dilation_rate,
        group=layer.groups,
        pads=_pads(x, layer.padding, layer.kernel_size, layer.strides, layer.dilation_rate),
    )
    return _activate(graph, layer, Tensor(name, _output_shape(layer, x), channels_first=True))


def _pool2d(operator: str, graph: Graph, layer: Any, x: Tensor) -> Tensor:
    _require(layer, data_format="channels_last")
    x = graph.transpose(x, channels_first=True)
    pads = _pads(x, layer.padding, layer.pool_size, layer.strides, (1, 1))
    name = graph.add(operator, x.name, kernel_shape=layer.pool_size, strides=layer.strides, pads=pads)
    return Tensor(name, _output_shape(layer, x), channels_first=True)


def _global_pool2d(operator: str, graph: Graph, layer: Any, x: Tensor) -> Tensor:
    _require(layer, data_format="channels_last", keepdims=False)
    x = graph.transpose(x, channels_first=True)
    return Tensor(graph.add("Flatten", graph.add(operator, x.name)), x.shape[-1:])


def _batch_normalization(graph: Graph, layer: Any, x: Tensor) -> Tensor:
    if len(x.shape) not in (1, 3) or layer.axis not in (-1, len(x.shape)):
        raise UnsupportedError(f"{layer.name} (BatchNormalization on axis {layer.axis})")
    x = graph.transpose(x, channels_first=True)
    mean, variance = _array(layer.moving_mean), _array(layer.moving_variance)
    gamma = _array(layer.gamma) if layer.scale else np.ones_like(mean)
    beta = _array(layer.beta) if layer.center else np.zeros_like(mean)
    parts = [graph.constant(part) for part in (gamma, beta, mean, variance)]
    name = graph.add("BatchNormalization", x.name, *parts, epsilon=layer.epsilon)
    return Tensor(name, x.shape, x.channels_first)


def _activation(graph: Graph, layer: Any, x: Tensor) -> Tensor:
    return _activate(graph, layer, x)


def _relu(graph: Graph, layer: Any, x: Tensor) -> Tensor:
    _require(layer, max_value=None, negative_slope=0.0, threshold=0.0)
    return Tensor(graph.add("Relu", x.name), x.shape, x.channels_first)


def _leaky_relu(graph: Graph, layer: Any, x: Tensor) -> Tensor:
    name = graph.add("LeakyRelu", x.name, alpha=float(layer.negative_slope))
    return Tensor(name, x.shape, x.channels_first)


def _add(graph: Graph, layer: Any, values: Sequence[Tensor]) -> Tensor:
    first = values[0]
    if any(value.shape != first.shape for value in values):
        raise UnsupportedError(f"{layer.name} (Add of different shapes)")
    total = first.name
    for value in values[1:]:
        total = graph.add("Add", total, graph.transpose(value, channels_first=first.channels_first).name)
    return Tensor(total, first.shape, first.channels_first)


# A subclass may compute something else, so the type must be exactly one of these.
CONVERTERS: dict[Any, Callable[..., Tensor]] = {
    keras.layers.InputLayer: _as_is,
    keras.layers.Dropout: _as_is,
    keras.layers.SpatialDropout2D: _as_is,
    keras.layers.GaussianNoise: _as_is,
    keras.layers.Rescaling: _rescaling,
    keras.layers.Reshape: _reshape,
    keras.layers.Flatten: _reshape,
    keras.layers.Permute: _permute,
    keras.layers.Dense: _dense,
    keras.layers.EinsumDense: _weighted_sums,
    keras.layers.Conv2D: _conv2d,
    keras.layers.MaxPooling2D: partial(_pool2d, "MaxPool"),
    keras.layers.AveragePooling2D: partial(_pool2d, "AveragePool"),
    keras.layers.GlobalMaxPooling2D: partial(_global_pool2d, "GlobalMaxPool"),
    keras.layers.GlobalAveragePooling2D: partial(_global_pool2d, "GlobalAveragePool"),
    keras.layers.BatchNormalization: _batch_normalization,
    keras.layers.Activation: _activation,
    keras.layers.ReLU: _relu,
    keras.layers.LeakyReLU: _leaky_relu,
    keras.layers.Add: _add,
}
ACTIVATIONS = {
    keras.activations.relu: "Relu",
    keras.activations.tanh: "Tanh",
    keras.activations.sigmoid: "Sigmoid",
    keras.activations.elu: "Elu",
    keras.activations.softplus: "Softplus",
}


def _activate(graph: Graph, layer: Any, x: Tensor) -> Tensor:
    function = layer.activation
    if function is keras.activations.linear:
        return x
    if function is keras.activations.silu:
        name = graph.add("Mul", x.name, graph.add("Sigmoid", x.name))
    elif function in ACTIVATIONS:
        name = graph.add(ACTIVATIONS[function], x.name)
    else:
        raise UnsupportedError(
            f"{layer.name} (activation {getattr(function, '__name__', type(function).__name__)})"
        )
    return Tensor(name, x.shape, x.channels_first)


def _require(layer: Any, **expected: Any) -> None:
    for name, value in expected.items():
        if getattr(layer, name) != value:
            raise UnsupportedError(
                f"{layer.name} ({type(layer).__name__} with {name}={getattr(layer, name)!r})"
            )


def _weights(graph: Graph, layer: Any, kernel: npt.NDArray[Any]) -> tuple[str, str]:
    """The kernel and the bias, zeros where the layer has none: batch normalisation may be folded into it."""
    filters = kernel.shape[0] if kernel.ndim == 4 else kernel.shape[1]
    bias = _array(layer.bias) if layer.use_bias else np.zeros(filters)
    return graph.constant(kernel), graph.constant(bias)


def _output_shape(layer: Any, x: Tensor) -> tuple[int, ...]:
    return tuple(layer.compute_output_shape((None, *x.shape))[1:])


def _pads(
    x: Tensor,
    padding: str,
    window: tuple[int, int],
    strides: tuple[int, int],
    dilation: tuple[int, int],
) -> list[int]:
    """Zeros above, left, below and right, as Keras lays them for "same": the odd one at the end."""
    if padding == "valid":
        return [0, 0, 0, 0]
    if padding != "same":
        raise UnsupportedError(f"padding {padding!r}")
    before, after = [], []
    for length, size, stride, step in zip(x.shape, window, strides, dilation, strict=False):
        total = max(0, (-(-length // stride) - 1) * stride + (size - 1) * step + 1 - length)
        before.append(total // 2)
        after.append(total - total // 2)
    return [*before, *after]


def _array(variable: Any) -> npt.NDArray[Any]:
    return np.asarray(keras.ops.convert_to_numpy(keras.ops.convert_to_tensor(variable)), dtype=np.float64)

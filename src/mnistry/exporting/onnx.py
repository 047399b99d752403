"""A network as an ONNX file, which `Classifier` loads.

The graph is written layer by layer (`graphs`). Where a network has a layer that is not known there, the
exporter of Keras is asked, if the package it needs is installed.
"""

from __future__ import annotations

import importlib.util
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from mnistry.classifier import CHUNK, INPUT, OUTPUT, Classifier, Metadata, seal
from mnistry.errors import ModelError
from mnistry.exporting.checking import (
    MAX_VALIDATION,
    ExportReport,
    Images,
    Logits,
    Source,
    Tolerance,
    read_original,
    save_checked,
)

if TYPE_CHECKING:
    import keras
    import onnx

PRECISIONS = ("float32", "float16", "int8")
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
        ValueError: an argument is outside of its range.
    """
    original = read_original(source, images, metadata, precision, PRECISIONS, validation_images)
    proto = _as_onnx(original.models, original.expected.shape[1])
    if precision == "float16":
        from mnistry.exporting.graphs import store_as_float16

        store_as_float16(proto)
    elif validation_images is not None:
        proto = _quantize(proto, validation_images[:MAX_VALIDATION])
    content = _with_metadata(proto, original.metadata)

    def write(temporary: Path) -> Logits:
        temporary.write_bytes(content)
        return Classifier(temporary)(images)

    return save_checked(path, write, original, tolerance)


def _as_onnx(models: Sequence[keras.Model], num_classes: int) -> onnx.ModelProto:
    from mnistry.exporting import graphs
    from mnistry.exporting.nodes import UnsupportedError

    try:
        return graphs.as_proto(graphs.build_graph(models), num_classes)
    except UnsupportedError as error:
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
        except Exception as error:  # whatever a layer of somebody else raises
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
            self._batches = ({INPUT: images[at : at + CHUNK]} for at in range(0, len(images), CHUNK))

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
        return _without_shift(onnx.load(quantized), proto, images)


def _without_shift(quantized: onnx.ModelProto, proto: onnx.ModelProto, images: Images) -> onnx.ModelProto:
    """The quantised model with what it gives too much on average, class by class, taken off its scores.

    Most values in a picture of a digit belong to its background, which is the same everywhere, and then so
    is the error of rounding them. (Nagel et al. 2019, "Data-Free Quantization", section 4.2, here at the
    last layer only.)
    """
    from onnx import helper, numpy_helper

    # In a file of several networks the scores of each, before they are averaged.
    names = [node.input[0] for node in proto.graph.node if node.op_type == "LogSoftmax"] or [OUTPUT]
    shifts = [
        np.mean(received - expected, axis=0)
        for received, expected in zip(
            run_graph(quantized, names, images), run_graph(proto, names, images), strict=True
        )
    ]
    nodes = list(quantized.graph.node)
    for name, shift in zip(names, shifts, strict=True):
        at = next(i for i, node in enumerate(nodes) if name in node.output)
        raw, constant = f"{name}_raw", f"{name}_shift"
        nodes[at].output[:] = [raw if output == name else output for output in nodes[at].output]
        nodes.insert(at + 1, helper.make_node("Sub", [raw, constant], [name], name=f"{name}_corrected"))
        quantized.graph.initializer.append(numpy_helper.from_array(shift, constant))
    del quantized.graph.node[:]
    quantized.graph.node.extend(nodes)
    return quantized


def run_graph(proto: onnx.ModelProto, names: Sequence[str], images: Images) -> list[npt.NDArray[np.float32]]:
    """The values of these names in a graph, each (n, ...), for n images."""
    import onnx
    import onnxruntime

    proto = onnx.ModelProto.FromString(proto.SerializeToString())
    for name in set(names) - {output.name for output in proto.graph.output}:
        proto.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(
        proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    starts = range(0, len(images), CHUNK)
    parts = [session.run(list(names), {INPUT: images[start : start + CHUNK]}) for start in starts]
    return [np.concatenate(part) for part in zip(*parts, strict=True)]


def _with_metadata(proto: onnx.ModelProto, metadata: Metadata) -> bytes:
    from onnx import helper

    proto.producer_name = "mnistry"
    helper.set_model_props(proto, metadata.to_properties())
    return seal(proto.SerializeToString(deterministic=True))

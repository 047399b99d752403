"""Write trained networks as files for other programs, each checked against its source before it exists.

One function a kind of file. All of them take the same arguments, answer with the same `ExportReport` and
raise the same errors; what they share is in `checking`.
"""

from __future__ import annotations

from collections.abc import Callable

from mnistry.exporting import c, onnx, tensorflow
from mnistry.exporting.c import export_c
from mnistry.exporting.checking import TOLERANCES, ExportReport, Tolerance
from mnistry.exporting.onnx import export_onnx
from mnistry.exporting.tensorflow import export_litert, export_saved_model
from mnistry.models import average

__all__ = [
    "EXPORTERS",
    "PRECISIONS",
    "TOLERANCES",
    "ExportReport",
    "Tolerance",
    "average",
    "export_c",
    "export_litert",
    "export_onnx",
    "export_saved_model",
]

# Kind -> the function that writes it, and the precisions that it knows: the first is its default.
EXPORTERS: dict[str, Callable[..., ExportReport]] = {
    "onnx": export_onnx,
    "saved-model": export_saved_model,
    "litert": export_litert,
    "c": export_c,
}
PRECISIONS: dict[str, tuple[str, ...]] = {
    "onnx": onnx.PRECISIONS,
    "saved-model": tensorflow.SAVED_MODEL_PRECISIONS,
    "litert": tensorflow.LITERT_PRECISIONS,
    "c": c.PRECISIONS,
}

"""A network as one C header, for microcontrollers and for programs that want no library."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mnistry.classifier import OUTPUT, Metadata
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
from mnistry.exporting.onnx import run_graph

PRECISIONS = ("int8",)
COMPILERS = ("cc", "gcc", "clang")
FLAGS = ["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]
# Answers to the images in the file that it is given, one after the other, in the file named second.
PROGRAM = """
#include <stdio.h>
#include "mnistry.h"

int main(int count, char **names) {
    static uint8_t image[784];
    static float logits[MNISTRY_CLASSES];
    FILE *in = count == 3 ? fopen(names[1], "rb") : NULL;
    FILE *out = count == 3 ? fopen(names[2], "wb") : NULL;
    if (in == NULL || out == NULL) return 2;
    while (fread(image, sizeof image, 1, in) == 1) {
        mnistry_logits(image, logits);
        if (fwrite(logits, sizeof logits, 1, out) != 1) return 3;
    }
    return fclose(out) == 0 ? 0 : 4;
}
"""
# What a program gets from the header, and nothing besides.
USE = """
#include "mnistry.h"

int read_digit(const uint8_t image[784], float probabilities[MNISTRY_CLASSES]);
int read_digit(const uint8_t image[784], float probabilities[MNISTRY_CLASSES]) {
    return mnistry_read(image, probabilities);
}
"""


def export_c(
    source: Source | Sequence[Source],
    path: str | os.PathLike[str],
    *,
    images: Images,
    metadata: Metadata | None = None,
    precision: str = "int8",
    validation_images: Images | None = None,
    tolerance: Tolerance | None = None,
) -> ExportReport:
    """Write a C header, compile and run it, and compare it with its source.

    It is C99 and C++, allocates nothing, and offers `int mnistry_read(const uint8_t image[784], float
    probabilities[])`. Networks: chains of convolution, pooling and Dense layers with ReLU, such as those
    of `convnet`, `tiny`, `mlp` and `linear`. The report names the bytes of weights, of working memory and
    of machine code with weights.

    Args:
        source: a Keras model, images -> logits; or a finished run.
        path: the file; an older one is replaced once the new one has passed.
        images: uint8 (n, 28, 28), n >= 1, that the program and the source both answer: the test images.
        metadata: as for `export_onnx`.
        precision: "int8": weights and values in 8 bits.
        validation_images: uint8 (n, 28, 28): what to find the ranges of the values with. Not the test
            images. At most the first 2,000 are used.
        tolerance: what it may differ by; that of `TOLERANCES` by default.

    Raises:
        ModelError: the program differs from the source by more than the tolerance, the source cannot be
            loaded or has a layer that cannot be exported, there is no C compiler, or the file cannot be
            written. Whatever was at `path` is still there, unchanged.
        ValueError: an argument is outside of its range.
    """
    compiler = _find_compiler()
    original = read_original(source, images, metadata, precision, PRECISIONS, validation_images)
    if len(original.models) > 1:
        raise ModelError("cannot export several models as one C header: choose one of them")
    some = np.asarray(validation_images)[:MAX_VALIDATION]  # there are some: read_original saw to it
    from mnistry.exporting import c_header, graphs
    from mnistry.exporting.nodes import UnsupportedError

    classes = original.expected.shape[1]
    try:
        proto = graphs.as_proto(graphs.build_graph(original.models), classes)
        names = c_header.outputs_to_measure(proto)
        *values, scores = run_graph(proto, [*names, OUTPUT], some)
        ranges = {name: float(value.max()) for name, value in zip(names, values, strict=True)}
        text, parts = c_header.as_header(proto, ranges, original.metadata)
    except UnsupportedError as error:
        raise ModelError(f"no C form of {error} is known") from error
    # What it gives too much on average, class by class, is taken off: see the same for ONNX.
    shift = np.mean(_run(compiler, text, some, classes)[0] - scores, axis=0)
    text, parts = c_header.as_header(proto, ranges, original.metadata, shift)

    def write(temporary: Path) -> Logits:
        temporary.write_text(text, encoding="utf-8")
        logits, compiled = _run(compiler, temporary.read_text(encoding="utf-8"), images, classes)
        parts.update(compiled)
        return logits

    return dataclasses.replace(save_checked(path, write, original, tolerance), parts_bytes=parts)


def _find_compiler() -> str:
    named = os.environ.get("CC")
    for name in [named] if named else COMPILERS:
        if found := shutil.which(name):
            return found
    raise ModelError(
        f"found no C compiler ({named or ', '.join(COMPILERS)}), and a header that was not compiled and run "
        "cannot be checked. Install gcc or clang, or name a compiler in the environment variable CC."
    )


def _run(compiler: str, header: str, images: Images, classes: int) -> tuple[Logits, dict[str, int]]:
    """The logits that a program with this header gives, and the bytes of its machine code and weights."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, text in (("mnistry.h", header), ("program.c", PROGRAM), ("use.c", USE)):
            (folder / file).write_text(text, encoding="utf-8")
        images.tofile(folder / "images")
        _call([compiler, *FLAGS, "-O3", "-o", "program", "program.c", "-lm"], folder)
        _call([compiler, *FLAGS, "-Os", "-c", "-o", "use.o", "use.c"], folder)
        _call([str(folder / "program"), "images", "logits"], folder)
        logits = np.fromfile(folder / "logits", np.float32).reshape(-1, classes)
        if len(logits) != len(images):
            raise ModelError(f"the compiled program answered {len(logits)} of {len(images)} images")
        return logits, _object_size(folder)


def _object_size(folder: Path) -> dict[str, int]:
    """The bytes of machine code and constants, where the program `size` is installed."""
    if shutil.which("size") is None:
        return {}
    lines = _call(["size", "use.o"], folder).splitlines()
    return {"machine code and weights": int(lines[1].split()[0])}


def _call(command: list[str], folder: Path) -> str:
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, errors="replace", check=False
        )
    except OSError as error:
        raise ModelError(f"cannot run {command[0]}: {error.strerror}") from error
    if done.returncode != 0:
        raise ModelError(f"{Path(command[0]).name} ended with {done.returncode}: {done.stderr.strip()[:500]}")
    return done.stdout

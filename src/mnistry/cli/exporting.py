"""mnistry export."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mnistry.cli.options import BackendOption, JsonOption
from mnistry.cli.sources import check_exists, check_not_in_memory, choose_path, start_keras
from mnistry.errors import ModelError

if TYPE_CHECKING:
    from mnistry.runs import Run
    from mnistry.splits import Splits

# Kind of file -> what its name ends in.
SUFFIXES = {"onnx": ".onnx", "saved-model": "-saved-model", "litert": ".tflite", "c": ".h"}


class Precision(StrEnum):
    """What the weights are kept in."""

    float32 = "float32"
    float16 = "float16"
    int8 = "int8"


def export(
    model: Annotated[
        Path | None,
        typer.Argument(
            metavar="RUN", help="Run directory or .keras file; the newest run in runs/ by default."
        ),
    ] = None,
    to: Annotated[str, typer.Option(metavar="KIND", help=f"One of: {', '.join(SUFFIXES)}.")] = "onnx",
    dtype: Annotated[
        Precision | None,
        typer.Option(help="Of the weights; with int8 it also computes in 8 bits.  [float32; c: int8]"),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The file; beside the network by default.")
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(metavar="PATH", help="Data set to check the file with; the run's own by default."),
    ] = None,
    backend: BackendOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a network in another format, checked on all test images against its source."""
    if to not in SUFFIXES:
        raise typer.BadParameter(f"unknown kind {to!r}: --to takes {', '.join(SUFFIXES)}")
    ending = SUFFIXES[to]
    if out is not None and ending.startswith(".") and out.suffix.lower() != ending:
        raise typer.BadParameter(f"--to {to} writes files that end in {ending}; --out is {str(out)!r}")
    if out is not None and not ending.startswith(".") and out.suffix.lower() in SUFFIXES.values():
        raise typer.BadParameter(f"--to {to} writes a folder; --out is {str(out)!r}")
    path = choose_path(model)
    check_exists(path)
    if path.suffix == ".onnx":
        raise ModelError(f"{str(path)!r} is exported already: name its run directory or .keras file")
    from mnistry.exporting import EXPORTERS, PRECISIONS

    precision = str(dtype or PRECISIONS[to][0])
    if precision not in PRECISIONS[to]:
        raise typer.BadParameter(f"--to {to} takes --dtype {' or '.join(PRECISIONS[to])}, not {precision}")
    from mnistry.models import load_keras
    from mnistry.runs import Run

    run = Run.open(path) if path.is_dir() else None
    splits = _load_splits(run, data)
    start_keras(backend or (run.record.get("backend") if run else None))
    images: dict[str, Any] = {"images": splits.test.images}
    if precision == "int8":
        images["validation_images"] = (splits.validation or splits.train).images
    if out is None:
        stem = ("model" if run else path.stem) + ("" if precision == PRECISIONS[to][0] else f"-{precision}")
        out = (path if run else path.parent) / f"{stem}{SUFFIXES[to]}"
    report = EXPORTERS[to](run or load_keras(path), out, precision=precision, **images)
    print(json.dumps(report.to_dict()) if as_json else report)
    if report.disagreements and not as_json:
        print(f"answered otherwise: images {', '.join(map(str, report.disagreements))}")


def _load_splits(run: Run | None, data: str | None) -> Splits:
    from mnistry.data import load_data
    from mnistry.recipes import Config
    from mnistry.records import read_config, split_as_run
    from mnistry.splits import lasting_name, prepare_data

    own = "mnist" if run is None else read_config(run).data
    name = own if data is None else lasting_name(data)
    check_not_in_memory(name)
    loaded = load_data(name)
    return split_as_run(run, loaded) if run and name == own else prepare_data(loaded, Config())

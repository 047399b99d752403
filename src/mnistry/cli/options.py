"""Options that several commands share, and what they mean."""

from __future__ import annotations

import dataclasses
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

# What pictures are drawn into.
PICTURE_SUFFIXES = (".png", ".pdf", ".svg", ".jpg")


class Backend(StrEnum):
    """The back ends of Keras."""

    jax = "jax"
    tensorflow = "tensorflow"
    torch = "torch"


BackendOption = Annotated[
    Backend | None, typer.Option(help="Back end of Keras; KERAS_BACKEND, or else jax, by default.")
]
AnswerBackendOption = Annotated[
    Backend | None,
    typer.Option(help="Answer through Keras on this back end, where ONNX Runtime would do it otherwise."),
]
DataOption = Annotated[
    str | None,
    typer.Option(
        metavar="PATH",
        help="Data set: 'mnist', or IDX, .npz, CSV or Parquet files, or a folder of class folders.  [mnist]",
    ),
]
DataArgument = Annotated[
    str, typer.Argument(metavar="PATH", help="'mnist', or a path as --data of train takes it.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")]
ModelArgument = Annotated[
    Path | None,
    typer.Argument(
        metavar="RUN", help="Run directory, .onnx or .keras file; the newest run in runs/ by default."
    ),
]
RunArgument = Annotated[
    Path | None, typer.Argument(metavar="RUN", help="Run directory; the newest in runs/ by default.")
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="Any other setting, such as schedule=one-cycle or rotation_deg=10; may be repeated.",
    ),
]


def change_settings(recipe: str, changes: list[str]) -> dict[str, Any]:
    """The settings of `mnistry.recipes.find_recipe` that NAME=VALUE texts ask for.

    Names are those of `Config` and of the strengths of `Augmentation`, which change the recipe's own.

    Raises:
        ModelError: there is no such recipe.
        typer.BadParameter: a text has no such form, name or type of value.
    """
    from mnistry.recipes import find_recipe

    config = find_recipe(recipe)
    plain = {name: value for name, value in vars(config).items() if name not in ("data", "augmentation")}
    strengths = config.augmentation.to_dict()
    settings: dict[str, Any] = {}
    drawn: dict[str, float] = {}
    for change in changes:
        name, _, text = change.partition("=")
        name = name.strip().replace("-", "_")
        if name not in plain | strengths:
            names = ", ".join([*plain, *strengths])
            raise typer.BadParameter(f"--set takes NAME=VALUE, received {change!r}. Names are: {names}")
        kind = type(plain[name]) if name in plain else float
        try:
            value = kind(text)
        except ValueError as error:
            raise typer.BadParameter(
                f"--set {change!r}: {name} is a number such as {(plain | strengths)[name]}"
            ) from error
        (settings if name in plain else drawn)[name] = value
    if drawn:
        try:
            settings["augmentation"] = dataclasses.replace(config.augmentation, **drawn)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from error
    return settings


def print_note(text: str) -> None:
    """Say something beside the results."""
    print(f"note: {text}", file=sys.stderr)

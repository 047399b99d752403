"""The command line: a thin layer that parses, calls and prints.

Results go to standard output, progress and notes to standard error. Nothing heavy is imported before a
command runs, so that help appears at once. One module a group of commands; `main` runs them all.
"""

from __future__ import annotations

import sys
import warnings
from typing import Annotated

import typer

from mnistry import __version__
from mnistry.cli.answering import evaluate, plot
from mnistry.cli.datasets import app as data_app
from mnistry.cli.exporting import export
from mnistry.cli.options import print_note
from mnistry.cli.reading import read
from mnistry.cli.training import train
from mnistry.errors import MnistryError

app = typer.Typer(
    name="mnistry",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Handwritten digits: train on MNIST in seconds, measure honestly, read digits in pictures.\n\n"
    "Begin with: mnistry train",
)
for command in (train, evaluate, read, plot, export):
    app.command()(command)
app.add_typer(data_app, name="data")


def main(argv: list[str] | None = None) -> int:
    """Run the command line; the exit code: 0 done, 1 the input is at fault, 2 usage, 130 interrupted."""
    warnings.showwarning = lambda message, *rest, **named: print_note(str(message))
    try:
        app(argv, prog_name="mnistry")
    except (MnistryError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    return 0


@app.callback(invoke_without_command=True)
def _version(
    version: Annotated[bool, typer.Option("--version", help="Print the version and end.")] = False,
) -> None:
    if version:
        print(f"mnistry {__version__}")
        raise typer.Exit

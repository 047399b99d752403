"""mnistry read: the digits in people's own pictures."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mnistry.cli.options import PICTURE_SUFFIXES, AnswerBackendOption
from mnistry.cli.sources import load_source
from mnistry.errors import ImageError, MnistryError

if TYPE_CHECKING:
    from mnistry.readings import Line, Reading

LIKELY = 0.05  # confidence from which the answer for a refused mark is worth telling


def _name_picture(text: str) -> Path:
    """Return a picture's path; an empty one, of a variable that is not set, would be the current folder."""
    if not text:
        raise typer.BadParameter("a picture's name is empty; write . for the pictures in this folder")
    return Path(text)


def read(
    pictures: Annotated[
        list[Path],
        typer.Argument(
            metavar="PICTURE",
            help="Image files, folders of them, or - for standard input.",
            parser=_name_picture,
        ),
    ],
    model: Annotated[
        Path | None,
        typer.Option(
            "--model",
            metavar="RUN",
            help="Run directory, .onnx or .keras file; by default the classifier that comes with mnistry.",
        ),
    ] = None,
    single: Annotated[
        bool | None,
        typer.Option(
            "--single/--page",
            help="One digit a picture, or any number; a page by default, one digit for a network that does "
            "not know what is no digit.",
        ),
    ] = None,
    expect: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="How many digits every line has.")
    ] = None,
    pattern: Annotated[
        str | None,
        typer.Option(
            metavar="REGEX",
            help=r"What the digits of every line match, without spaces, such as '\d{5}' for a ZIP code.",
        ),
    ] = None,
    invert: Annotated[
        bool | None,
        typer.Option(
            "--invert/--no-invert", help="Light ink on dark, or dark on light; found out by default."
        ),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            min=0,
            max=1,
            help="Confidence from which a digit is accepted; by default any, with the shipped classifier.",
        ),
    ] = None,
    save: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Draw the answers on the picture, and what the network saw, into this file, or into this "
            "folder, as those of several pictures.",
        ),
    ] = None,
    explain: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Draw every step from the picture to the answer, likewise."),
    ] = None,
    backend: AnswerBackendOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a picture.")] = False,
) -> None:
    """Read the digits in each picture, of any size and polarity, line by line.

    Each line is printed with the least confidence of its digits. Marks that are no digit are refused, not
    guessed: that is an answer, so the command ends with 0. It ends with 1 where a picture cannot be read or
    holds no ink.
    """
    from mnistry.pictures import describe_source
    from mnistry.reader import read, read_files
    from mnistry.readings import Reading

    several = len(pictures) > 1 or pictures[0].is_dir()
    drawings = [
        Drawings(target, option, several)
        for option, target in (("--save", save), ("--explain", explain))
        if target is not None
    ]
    if save is not None and save == explain:
        raise typer.BadParameter(
            f"--save and --explain must name two different files, received {str(save)!r}"
        )
    for drawing in drawings:
        if not several and _is_same(drawing.target, pictures[0]):
            raise typer.BadParameter(
                f"{drawing.option} would overwrite the picture itself, {str(drawing.target)!r}; name another"
            )
    source = load_source(model, backend)
    if threshold is None and source.calibration is not None and source.classifier is None:
        threshold = source.calibration.threshold
    options: dict[str, Any] = {
        "classify": source.classifier or source.classify,
        "single": single,
        "invert": invert,
        "threshold": threshold,
        "class_names": source.class_names,
        "expect": expect,
        "pattern": pattern,
    }
    try:
        read_files([], **options)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error

    def read_standard_input() -> Reading:
        try:
            return read(sys.stdin.buffer, **options)
        except ImageError as error:
            return Reading(describe_source(sys.stdin.buffer), (), None, str(error))

    wanted = f"{expect} digits expected" if expect else f"it does not match {pattern}"
    failed = False
    for picture in pictures:
        found = [read_standard_input()] if str(picture) == "-" else read_files([picture], **options)
        for reading in found:
            failed |= reading.error is not None
            _print(reading, as_json, wanted, named=several)
            for drawing in drawings:
                drawing.draw(reading, invert)
    if failed:
        raise typer.Exit(1)


def _is_same(path: Path, other: Path) -> bool:
    """Return whether both are one file, which is there."""
    return path.exists() and other.exists() and path.samefile(other)


@dataclass
class Drawings:
    """Where --save or --explain draws.

    Attributes:
        target: the picture; a folder where there are several, or where it is one.
        option: which of both.
        several: whether more than one picture is read.
    """

    target: Path
    option: str
    several: bool
    _written: set[Path] = field(default_factory=set)

    def __post_init__(self) -> None:
        if str(self.target).startswith("-"):
            raise typer.BadParameter(
                f"{self.option} must be followed by a file, received {str(self.target)!r}"
            )
        if self.several:
            if self.target.exists() and not self.target.is_dir():
                raise typer.BadParameter(
                    f"{self.option} must name a folder for several pictures; {str(self.target)!r} is a file"
                )
            if self.target.suffix.lower() in PICTURE_SUFFIXES and not self.target.exists():
                raise typer.BadParameter(
                    f"{self.option} must name a folder for several pictures, received {str(self.target)!r}; "
                    f"try {str(self.target.with_suffix(''))!r}"
                )
        elif self.target.suffix.lower() not in PICTURE_SUFFIXES and not self.target.is_dir():
            raise typer.BadParameter(
                f"{self.option} must end in {', '.join(PICTURE_SUFFIXES)}, or be a folder that is there, "
                f"received {str(self.target)!r}"
            )

    def draw(self, reading: Reading, invert: bool | None) -> None:
        """Draw one reading and tell where on standard error; one without a picture is left out.

        Where no ink is found there are the first steps to explain, and nothing to save.
        """
        from matplotlib.figure import Figure

        from mnistry.pictures import load_shrunk
        from mnistry.plots import save_figure

        failed, title = reading.error is not None, Path(reading.name).name
        if reading.source is None or reading.size is None or (failed and self.option == "--save"):
            return
        if self.option == "--save":
            figure = reading.plot(Figure())
        else:
            from mnistry.explanation import plot_first_steps, plot_steps
            from mnistry.writing import LONGEST_PX

            gray, _ = load_shrunk(reading.source, LONGEST_PX, reading.page or 1)
            if failed:
                figure = plot_first_steps(gray, invert=invert, title=f"{title}: not read", figure=Figure())
            else:
                figure = plot_steps(gray, reading.lines, invert=invert, title=title, figure=Figure())
        path = self._choose_path(reading)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            save_figure(figure, path)
        except OSError as error:
            raise MnistryError(f"cannot write {str(path)!r}: {error.strerror or error}") from error
        print(path, file=sys.stderr)

    def _choose_path(self, reading: Reading) -> Path:
        """A file of its own for each reading."""
        name = Path(reading.file).stem.strip("<>")
        path = self.target / f"{name}.png" if self.several or self.target.is_dir() else self.target
        if reading.page is not None:
            path = path.with_stem(f"{path.stem}-page-{reading.page}")
        first, number = path, 2
        while path in self._written or (isinstance(reading.source, Path) and _is_same(path, reading.source)):
            path, number = first.with_stem(f"{first.stem}-{number}"), number + 1
        self._written.add(path)
        return path


def _print(reading: Reading, as_json: bool, wanted: str, *, named: bool) -> None:
    if as_json:
        print(json.dumps(reading.to_dict()))
    elif reading.error is not None:
        page = f"page {reading.page}: " if reading.page is not None else ""
        print(f"error: {page}{reading.error}", file=sys.stderr)
    else:
        name = f"{reading.name}: " if named or reading.page is not None else ""
        for line in reading.lines:
            print(f"{name}{_describe(line, wanted)}")
        if not any(line.mismatched or line.crowded or line.text for line in reading.lines):
            seen = (
                "--explain steps.png shows what was seen; a photo may have to be cropped to the paper, "
                "light writing on something dark may need --invert, and where digits touch, --expect N helps"
            )
            print(f"note: nothing in {reading.name} was taken for a digit; {seen}", file=sys.stderr)
    if any(line.crowded for line in reading.lines):
        print(f"note: {reading.name} seems to hold more than one digit; --page reads all", file=sys.stderr)


def _describe(line: Line, wanted: str) -> str:
    """The text of a line, how sure it is, and what was refused; `wanted` is what a match would be."""
    accepted = [digit.confidence for digit in line.digits if digit.accepted]
    refused = [digit for digit in line.digits if not digit.accepted]
    text = f"{line.text}  {min(accepted):.3f}" if accepted else "-"
    if line.free_text is not None and line.free_text != line.text:
        text += f"  (read freely: {line.free_text or '-'})"
    if line.mismatched:
        return f"{text}  (refused: {wanted})"
    if len(line.digits) == 1 and refused and refused[0].confidence >= LIKELY:
        return f"{text}  (refused: {refused[0].label}? {refused[0].confidence:.3f})"
    if refused:
        marks = "1 mark that is no digit" if len(refused) == 1 else f"{len(refused)} marks that are no digits"
        text += f"  (refused: {marks})"
    return text

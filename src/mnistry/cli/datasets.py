"""mnistry data info, show and export."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from mnistry.cli.options import PICTURE_SUFFIXES, DataArgument, JsonOption, change_settings
from mnistry.errors import MnistryError

AUGMENTED_COLUMNS = 10

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Look at a data set, or write it in another format."
)


@app.command()
def info(path: DataArgument = "mnist", as_json: JsonOption = False) -> None:
    """Say what a data set holds: its parts, classes and checksums."""
    from mnistry.data import load_data

    parts = [part for part in load_data(path) if part is not None]
    if as_json:
        print(json.dumps({"parts": [_describe(part) for part in parts]}))
        return
    for part in parts:
        count = f"{len(part):,} image{'s'[: len(part) != 1]}"
        print(f"{part.name}: {count} of 28 x 28 pixels, {part.num_classes} classes")
        for name, count in zip(part.class_names, part.class_counts(), strict=True):
            print(f"  {name:<12} {count:7,}  {count / len(part):6.1%}")
        print(f"  SHA-256 {part.sha256}")


@app.command()
def show(
    path: DataArgument = "mnist",
    out: Annotated[Path, typer.Option(metavar="FILE", help="Where the picture goes.")] = Path("data.png"),
    count: Annotated[int, typer.Option(metavar="N", min=1, max=400, help="Number of images.")] = 50,
    test: Annotated[
        bool, typer.Option("--test", help="Show the test part instead of the training part.")
    ] = False,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Of the choice of images.")] = 0,
    augment: Annotated[
        bool,
        typer.Option("--augment", help="Show what augmentation makes of the images: a row for each change."),
    ] = False,
    recipe: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="With --augment: that of this recipe; by default all kinds."),
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="With --augment: a strength of it, such as rotation_deg=10 or shift_px=2; may be repeated.",
        ),
    ] = None,
) -> None:
    """Draw a sheet of images with their labels, or of their augmentation.

    --augment --set rotation_deg=20 shows that change alone; with --recipe it is one of several.
    """
    if out.suffix.lower() not in PICTURE_SUFFIXES:
        raise typer.BadParameter(f"--out must end in {', '.join(PICTURE_SUFFIXES)}, received {out.name!r}")
    if (recipe or changes) and not augment:
        raise typer.BadParameter("--recipe and --set choose the augmentation: add --augment")
    augmentation = _choose_augmentation(recipe, changes) if augment else None
    from matplotlib.figure import Figure

    from mnistry.data import load_data
    from mnistry.plots import plot_contact_sheet, plot_images, save_figure

    train_part, test_part = load_data(path)
    if test and test_part is None:
        raise MnistryError(f"{path!r} has no test part")
    part = (test_part if test else train_part) or train_part
    sample = part.shuffle(seed).take(min(count, len(part)))
    if augmentation is not None:
        from mnistry.augmentation import contact_sheet
        from mnistry.cli.sources import start_keras

        start_keras("jax")
        figure = plot_contact_sheet(contact_sheet(sample.images, augmentation, seed, AUGMENTED_COLUMNS))
    else:
        columns = min(10, len(sample))
        rows = -(-len(sample) // columns)
        figure = Figure((0.8 * columns + 0.4, 0.95 * rows + 0.6))
        names = part.class_names
        plot_images(sample.images, sample.labels, columns=columns, class_names=names, figure=figure)
    try:
        save_figure(figure, out)
    except OSError as error:
        raise MnistryError(f"cannot write {str(out)!r}: {error.strerror or error}") from error
    print(out)


@app.command()
def export(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="'mnist', or a path as --data takes it.")],
    destination: Annotated[Path, typer.Argument(metavar="DESTINATION", help="File or folder to write.")],
    kind: Annotated[
        str | None,
        typer.Option(
            help="idx, idx.gz, npz, csv, parquet or folder; by default taken from the suffix of DESTINATION "
            "(.npz, .csv or .parquet)."
        ),
    ] = None,
) -> None:
    """Write a data set in another format."""
    from mnistry.data import load_data, save_data

    save_data(load_data(source), destination, kind)
    print(destination)


def _choose_augmentation(recipe: str | None, changes: list[str] | None) -> Any:
    """The recipe's augmentation with the changes; without a recipe, the changes alone; else all kinds."""
    from mnistry.augmentation import Augmentation
    from mnistry.recipes import find_recipe

    if recipe is None and not changes:  # every kind there is
        return replace(find_recipe("best").augmentation, stroke_px=1, erase_px=8)
    # The recipe classic has no augmentation: so the changes stand alone.
    name = recipe or "classic"
    settings = change_settings(name, changes or [])
    others = settings.keys() - {"augmentation"}
    if others:
        raise typer.BadParameter(
            f"{min(others)} is no augmentation: there are {', '.join(vars(Augmentation()))}"
        )
    augmentation = find_recipe(name, **settings).augmentation
    if augmentation == Augmentation(elastic_smoothness_px=augmentation.elastic_smoothness_px):
        raise typer.BadParameter(
            f"the recipe {name} changes no images: choose another, or --set rotation_deg=10"
        )
    return augmentation


def _describe(part: Any) -> dict[str, Any]:
    return {
        "name": part.name,
        "images": len(part),
        "classes": dict(zip(part.class_names, part.class_counts().tolist(), strict=True)),
        "sha256": part.sha256,
    }

"""Figures into files, the same bytes for the same figure."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from mnistry.files import atomic_save

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def save_figure(figure: Figure, path: str | os.PathLike[str], dpi: int = 150) -> None:
    """Write `figure` to `path`, whole or not at all; its suffix chooses the format (.png, .svg, .pdf, ...).

    The same figure gives the same bytes: no date, no program version and no random names are written.

    Raises:
        OSError: the folder is missing or read-only, or the disk is full; an older file is unchanged.
        ValueError: Matplotlib does not know the suffix.
    """
    import matplotlib

    dated: dict[str, dict[str, Any]] = {
        ".png": {"Software": None},
        ".svg": {"Date": None, "Creator": None},
        ".pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    }
    suffix = os.path.splitext(path)[1].lower()  # noqa: PTH122 - `path` may be any path-like object
    with matplotlib.rc_context({"svg.hashsalt": "mnistry"}):
        atomic_save(path, lambda temporary: figure.savefig(temporary, dpi=dpi, metadata=dated.get(suffix)))

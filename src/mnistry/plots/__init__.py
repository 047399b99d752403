"""Numbers in, pictures out. Nothing is computed here that `metrics` or `evaluation` should compute.

Without `ax` or `figure` the picture is made through matplotlib.pyplot, so a notebook shows it. Drawing
into the caller's `ax` or `figure` never imports pyplot, which keeps programs free of windows and state.
Every meaning is carried by a shape, a position or a word as well as by a colour: the pictures can be
read in greyscale and by the colour-blind.
"""

from __future__ import annotations

from mnistry.plots.charts import plot_confusion_matrix, plot_history
from mnistry.plots.images import MAX_IMAGES, plot_contact_sheet, plot_images, plot_mistakes, plot_prediction
from mnistry.plots.saving import save_figure
from mnistry.plots.style import (
    BLUE,
    GRID,
    INK,
    MUTED,
    PAPER,
    RUST,
    SMALL_PT,
    TEXT_PT,
    TITLE_PT,
    VERMILLION,
)

__all__ = [
    "BLUE",
    "GRID",
    "INK",
    "MAX_IMAGES",
    "MUTED",
    "PAPER",
    "RUST",
    "SMALL_PT",
    "TEXT_PT",
    "TITLE_PT",
    "VERMILLION",
    "plot_confusion_matrix",
    "plot_contact_sheet",
    "plot_history",
    "plot_images",
    "plot_mistakes",
    "plot_prediction",
    "save_figure",
]

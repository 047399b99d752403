"""Pictures whose truth is known: pages of digits from a data set, and marks that are no digits."""

from __future__ import annotations

from mnistry.synthesis.outliers import make_letters, make_outliers
from mnistry.synthesis.pages import DIFFICULTIES, Line, Mark, Page, make_line, make_page
from mnistry.synthesis.papers import SCENES
from mnistry.synthesis.plans import LAYOUTS
from mnistry.synthesis.strokes import LOOKALIKES

__all__ = [
    "DIFFICULTIES",
    "LAYOUTS",
    "LOOKALIKES",
    "SCENES",
    "Line",
    "Mark",
    "Page",
    "make_letters",
    "make_line",
    "make_outliers",
    "make_page",
]

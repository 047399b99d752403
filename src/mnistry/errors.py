"""What can go wrong, as one small tree.

    MnistryError            the user's data, file, model or installation is at fault; exit code 1
      DataError             a data set cannot be used
      ImageError            a picture cannot be read
      ModelError            a model cannot be built, loaded or used
      RunError              a run directory cannot be written, read or resumed
      MissingExtraError     an optional package is not installed; names its install line

A programmer's mistake is a plain ValueError or TypeError instead.
"""

from __future__ import annotations


class MnistryError(Exception):
    """Base of every error whose cause is the user's data, file, model or installation."""


class DataError(MnistryError):
    """A data set cannot be used."""


class ImageError(MnistryError):
    """A picture cannot be read."""


class CrowdedError(ImageError):
    """A picture has more marks, or more ways to put them together, than a page of digits."""


class ModelError(MnistryError):
    """A model cannot be built, loaded or used."""


class RunError(MnistryError):
    """A run directory cannot be written, read or resumed."""


class MissingExtraError(MnistryError):
    """An optional package is not installed."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        """State that `purpose` needs `package`, and how to install it through the extra `extra`."""
        super().__init__(
            f"{purpose} needs the package {package}, which is not installed. "
            f"Install it with: pip install 'mnistry[{extra}]'"
        )
        self.package = package
        self.extra = extra

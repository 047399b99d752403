"""From whatever holds a picture (file, bytes, PIL image, array) to gray levels, (height, width) uint8."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mnistry.containers import MAX_FILE_BYTES, count_tiff_pages, find_format
from mnistry.errors import ImageError
from mnistry.pixels import MAX_PIXELS, Gray, lay_over_paper, resize, shrink, shrink_array, to_gray, to_uint8
from mnistry.rasters import damage_explained, decode, to_pixels

if TYPE_CHECKING:
    from PIL import Image

Source: TypeAlias = "str | os.PathLike[str] | bytes | BinaryIO | Image.Image | NDArray[Any]"

__all__ = [
    "MAX_PIXELS",
    "Gray",
    "Source",
    "count_pages",
    "describe_source",
    "load_colours",
    "load_gray",
    "load_shrunk",
    "resize",
    "shrink",
    "take_stream",
]


def load_gray(source: Source) -> Gray:
    """Return the picture as gray levels, (height, width) uint8, upright, over white where transparent.

    Args:
        source: a path; the bytes of an image file or an open binary file; a PIL image; or an array of
            shape (h, w), (h, w, 1), (h, w, 3) RGB or (h, w, 4) RGBA, of bool, of float in 0..1, or of
            integers in 0..255, or of 10, 12, 14 or 16 bits, or 0 and 1 (in uint8 all are in 0..255).

    Coloured pictures are projected on the line in colour space that leads from the paper to the ink, so
    yellow on white or red on black keeps its contrast, which luminance would lose.

    Raises:
        ImageError: the file cannot be opened or decoded, or has more than MAX_PIXELS pixels; the array
            holds NaN or values outside the ranges above.
        TypeError: the source is none of these.
    """
    return load_shrunk(source, None)[0]


def load_shrunk(
    source: Source, longest_px: int | None, page: int = 1, name: str = ""
) -> tuple[Gray, tuple[int, int]]:
    """Return the picture as gray levels, no side over `longest_px`, and its (height, width) in the file.

    A large picture is made smaller before anything else is done with it, a JPEG already while it is decoded:
    that saves most of the time and of the memory. The arguments are those of `load_gray`; None for
    `longest_px` keeps the size, `page` counts from 1 in a TIFF file with several, and `name` is what an error
    calls the picture in place of `describe_source`.

    Raises:
        ImageError, TypeError: as `load_gray`.
    """
    with _named(name or describe_source(source)):
        pixels, size = _load_pixels(source, longest_px, page)
        gray = to_gray(to_uint8(pixels))
        return gray if longest_px is None else shrink(gray, longest_px), size


def load_colours(source: Source, longest_px: int, page: int = 1) -> tuple[Gray, tuple[int, int]]:
    """Return the picture to look at, and its size; as `load_shrunk`, but in colour if it has any.

    Returns:
        (height, width) or (height, width, 3) uint8; and (height, width) in the file.

    Raises:
        ImageError, TypeError: as `load_gray`.
    """
    with _named(describe_source(source)):
        pixels, size = _load_pixels(source, longest_px, page)
        pixels = to_uint8(pixels)
        return shrink(lay_over_paper(pixels) if pixels.shape[2:] == (4,) else pixels, longest_px), size


def count_pages(source: Source) -> int:
    """Return how many pages a picture has: those of a TIFF file; 1 for all others, moving ones too.

    At most MOST_PAGES are counted. What cannot be read at all has 1, with which `load_shrunk` says why.
    """
    if not isinstance(source, (str, os.PathLike, bytes)):
        return 1
    try:
        with io.BytesIO(source) if isinstance(source, bytes) else _open_regular_file(Path(source)) as file:
            tiff = find_format(file.read(64)) == "TIFF"
            file.seek(0)
            return count_tiff_pages(file) if tiff else 1
    except (ImageError, OSError):
        return 1


def take_stream(source: Source) -> Source:
    """Return a source that can be loaded again: the bytes of an open file, everything else as it is.

    Raises:
        ImageError: there are more than MAX_FILE_BYTES bytes.
    """
    from PIL import Image

    if isinstance(source, (str, os.PathLike, bytes, np.ndarray, Image.Image)) or not hasattr(source, "read"):
        return source
    with _named(describe_source(source)):
        return _read_stream(source)


@contextmanager
def _named(name: str) -> Iterator[None]:
    """Say in an ImageError which picture it was."""
    try:
        yield
    except ImageError as error:
        raise ImageError(f"cannot read {name!r}: {error}") from error


def describe_source(source: Source) -> str:
    """Return what to call a picture: its path, a name such as <stdin>, or <array>, <bytes>, <image>."""
    if isinstance(source, (str, os.PathLike)):
        return os.fspath(source)
    if isinstance(source, (np.ndarray, bytes)):
        return "<array>" if isinstance(source, np.ndarray) else "<bytes>"
    name = getattr(source, "name", None) or getattr(source, "filename", None)
    return name if isinstance(name, str) else "<image>"


def _load_pixels(source: Source, longest_px: int | None, page: int) -> tuple[NDArray[Any], tuple[int, int]]:
    from PIL import Image

    if isinstance(source, np.ndarray):
        array = np.asarray(source)  # of a subclass, such as a masked array, the values
        return shrink_array(array, longest_px), (array.shape[0], array.shape[1])
    if isinstance(source, (str, os.PathLike)):
        with _open_regular_file(Path(source)) as file:
            return decode(file, longest_px, page)
    if isinstance(source, bytes):
        return decode(io.BytesIO(source), longest_px, page)
    if isinstance(source, Image.Image):
        with damage_explained():
            return to_pixels(source, longest_px)
    if hasattr(source, "read"):
        return decode(io.BytesIO(_read_stream(source)), longest_px, page)
    raise TypeError(
        f"expected a path, bytes, a file, a PIL image or an array, received {type(source).__name__}"
    )


def _open_regular_file(path: Path) -> BinaryIO:
    """Open `path` for reading unless that could block or never end, as with a pipe or a device."""
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise ImageError(
                "it is a folder. Name image files; `mnistry read` also takes a folder that holds some, "
                "and in Python its files are read one by one"
            )
        if not stat.S_ISREG(status.st_mode):
            raise ImageError("it is a pipe, socket or device; expected an image file. Save the picture first")
        if status.st_size == 0:
            raise ImageError("the file is empty (0 bytes); expected an image. Save or download it again")
        if status.st_size > MAX_FILE_BYTES:
            raise _too_many_bytes(f"{status.st_size:,} bytes")
        return path.open("rb")
    except FileNotFoundError:
        raise ImageError("no such file. Check the spelling and the current folder") from None
    except PermissionError:
        raise ImageError("no permission to read the file. Allow it, for example with chmod +r") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL character in the name
        raise ImageError(f"the system says {error}. Check the name and the disk") from error


def _read_stream(stream: BinaryIO) -> bytes:
    try:
        content = stream.read(MAX_FILE_BYTES + 1) or b""
    except OSError as error:
        raise ImageError(f"the system says {error}. Save the picture to a file first") from error
    if len(content) > MAX_FILE_BYTES:
        raise _too_many_bytes(f"more than {MAX_FILE_BYTES:,} bytes")
    return content


def _too_many_bytes(received: str) -> ImageError:
    return ImageError(
        f"it has {received}; at most {MAX_FILE_BYTES:,} can be read. Make it smaller first, or a JPEG"
    )

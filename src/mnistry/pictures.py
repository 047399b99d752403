"""From whatever holds a picture (file, bytes, PIL image, array) to gray levels, (height, width) uint8."""

from __future__ import annotations

import io
import os
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from mnistry.containers import (
    MAX_FILE_BYTES,
    MAX_HEADER_BYTES,
    READ_AT_ONCE,
    MeteredFile,
    check_jpeg,
    count_tiff_pages,
    find_format,
)
from mnistry.errors import ImageError
from mnistry.pixels import (
    MAX_PIXELS,
    Gray,
    average,
    find_scale,
    lay_over_paper,
    list_bands,
    rescale,
    resize,
    shrink,
    shrink_array,
    to_gray,
    to_uint8,
    too_large,
)

if TYPE_CHECKING:
    from PIL import Image

Source: TypeAlias = "str | os.PathLike[str] | bytes | BinaryIO | Image.Image | NDArray[Any]"

# MAX_PIXELS is for a byte each, and for JPEG pictures, which are made smaller while they are decoded.
MAX_COLOUR_PIXELS = 52_000_000  # others in colour or of 16 bits, four bytes each
MAX_WEBP_PIXELS = 25_000_000  # seventeen bytes each, as its decoder holds them
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

EXIF_ORIENTATION = 0x0112  # the tag; 5 to 8 mean that height and width are exchanged

# What people give a picture's suffix although it is something else, by its first bytes.
_LOOKALIKES = {
    b"<": "It looks like text (SVG, HTML or XML).",
    b"%PDF": "It is a PDF document.",
    b"PK": "It is a ZIP archive, or a document or array file that is one.",
}


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
            return _decode(file, longest_px, page)
    if isinstance(source, bytes):
        return _decode(io.BytesIO(source), longest_px, page)
    if isinstance(source, Image.Image):
        with _damage_explained():
            return _to_pixels(source, longest_px)
    if hasattr(source, "read"):
        return _decode(io.BytesIO(_read_stream(source)), longest_px, page)
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


def _decode(file: BinaryIO, longest_px: int | None, page: int) -> tuple[NDArray[Any], tuple[int, int]]:
    """Decode the first frame of an image file, or a page of a TIFF file, the first being 1."""
    from PIL import Image, UnidentifiedImageError

    head = b""
    try:
        with _damage_explained():
            head = file.read(64)
            if not head:
                raise ImageError("the file is empty (0 bytes); expected an image. Save or download it again")
            file.seek(0)
            name = find_format(head)
            if name is None:
                raise UnidentifiedImageError
            if name == "JPEG":
                check_jpeg(file)
            metered = MeteredFile(file, 2 * MAX_FILE_BYTES if name in READ_AT_ONCE else MAX_HEADER_BYTES)
            with (
                _open_heif(metered)
                if name == "HEIF"
                else Image.open(cast(BinaryIO, metered), formats=[name]) as image
            ):
                if page > 1:
                    image.seek(page - 1)
                metered.allow_pixels()
                return _to_pixels(image, longest_px)
    except UnidentifiedImageError:
        if find_format(head):
            raise ImageError("it is damaged or cut short. Save, copy or download it again") from None
        hint = next((text for start, text in _LOOKALIKES.items() if head.lstrip().startswith(start)), "")
        raise ImageError(
            f"it is not an image, whatever its name says (first bytes {head[:8]!r}). {hint}".rstrip()
            + " Expected PNG, JPEG, WebP, BMP, GIF or TIFF. Save it in one of these formats"
        ) from None


def _open_heif(file: MeteredFile) -> Image.Image:
    try:
        from pillow_heif import HeifImageFile
    except ImportError:
        raise ImageError(
            "it is a HEIC picture, for which a package is missing. Install it with "
            "pip install 'mnistry[heic]', or save the picture as JPEG"
        ) from None
    return HeifImageFile(file)


@contextmanager
def _damage_explained() -> Iterator[None]:
    """Turn whatever Pillow raises on a damaged or oversized picture into an ImageError."""
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's remarks on odd files: it decodes them or it does not
            yield
    except (ImageError, UnidentifiedImageError):
        raise
    except Image.DecompressionBombError:
        raise too_large("more pixels than Pillow accepts") from None
    except Exception as error:  # on damaged files its decoders raise nearly everything
        raise ImageError(f"it is damaged or cut short ({error}). Save, copy or download it again") from error


def _to_pixels(image: Image.Image, longest_px: int | None) -> tuple[NDArray[Any], tuple[int, int]]:
    """Turn a PIL image upright and into an array of one, three (RGB) or four (RGBA) channels, shrunk on wish.

    Returns:
        the pixels, and (height, width) of the upright image before it was made smaller.
    """
    width, height = image.size
    described = f"{height} x {width} pixels"
    if width * height > MAX_PIXELS:
        raise too_large(described)
    if longest_px is not None:
        scale = min(1.0, longest_px / max(width, height))
        # Of JPEG only, and it stays at least so large.
        image.draft(None, (round(width * scale), round(height * scale)))
    held = image.size[0] * image.size[1]
    if image.format == "WEBP" and held > MAX_WEBP_PIXELS:
        raise too_large(f"{described} in WebP", MAX_WEBP_PIXELS)
    if image.mode not in ("1", "L", "P") and held > MAX_COLOUR_PIXELS:
        raise too_large(f"{described} of mode {image.mode}", MAX_COLOUR_PIXELS)
    image.load()  # before Exif is asked for: it may stand behind the pixels, and Pillow turns TIFF by itself
    orientation = 1 if image.format == "TIFF" else image.getexif().get(EXIF_ORIENTATION, 1)
    turned = orientation in (5, 6, 7, 8)
    factor = 1 if longest_px is None else max(1, max(image.size) // longest_px)
    return _turn_upright(_to_array(image, factor), orientation), (
        (width, height) if turned else (height, width)
    )


def _to_array(image: Image.Image, factor: int) -> NDArray[Any]:
    """Return the pixels of an image made smaller by a whole factor, band by band: a copy would be large."""
    width, height = image.size
    if image.mode.startswith(("I", "F")):
        if factor == 1:
            return np.asarray(image)
        scale = find_scale(np.asarray(image.crop((0, 0, 1, 1))).dtype, *image.getextrema())
    mode = "RGBA" if image.has_transparency_data else "L" if image.mode in ("1", "L") else "RGB"
    bands = []
    for top, bottom in list_bands(height, width, factor):
        band = image if factor == 1 else image.crop((0, top, width, bottom))
        if image.mode.startswith(("I", "F")):
            bands.append(average(rescale(np.asarray(band), scale), factor))
        elif image.mode == "CMYK":
            bands.append(np.asarray(band.reduce(factor).convert(mode)))
        else:
            bands.append(np.asarray(band.convert(mode).reduce(factor)))
    return bands[0] if len(bands) == 1 else np.concatenate(bands)


def _turn_upright(pixels: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Return the picture as it is to be seen, by the number that Exif gives."""
    if orientation in (2, 4, 5, 7):
        pixels = pixels[:, ::-1]
    turns = {3: 2, 4: 2, 5: 1, 6: -1, 7: -1, 8: 1}.get(orientation, 0)
    return np.ascontiguousarray(np.rot90(pixels, turns))

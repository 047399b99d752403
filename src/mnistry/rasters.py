"""Image files and PIL images to arrays: decoded, upright, and made smaller on the way."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from mnistry.containers import (
    MAX_FILE_BYTES,
    MAX_HEADER_BYTES,
    READ_AT_ONCE,
    MeteredFile,
    check_jpeg,
    find_format,
)
from mnistry.errors import ImageError
from mnistry.pixels import MAX_PIXELS, average, find_scale, list_bands, rescale, too_large

if TYPE_CHECKING:
    from PIL import Image

# MAX_PIXELS is for a byte each, and for JPEG pictures, which are made smaller while they are decoded.
MAX_COLOUR_PIXELS = 52_000_000  # others in colour or of 16 bits, four bytes each
MAX_WEBP_PIXELS = 25_000_000  # seventeen bytes each, as its decoder holds them
EXIF_ORIENTATION = 0x0112  # the tag; 5 to 8 mean that height and width are exchanged

# What people give a picture's suffix although it is something else, by its first bytes.
_LOOKALIKES = {
    b"<": "It looks like text (SVG, HTML or XML).",
    b"%PDF": "It is a PDF document.",
    b"PK": "It is a ZIP archive, or a document or array file that is one.",
}


def decode(file: BinaryIO, longest_px: int | None, page: int) -> tuple[NDArray[Any], tuple[int, int]]:
    """Decode the first frame of an image file, or a page of a TIFF file, the first being 1."""
    from PIL import Image, UnidentifiedImageError

    head = b""
    try:
        with damage_explained():
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
                return to_pixels(image, longest_px)
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
def damage_explained() -> Iterator[None]:
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


def to_pixels(image: Image.Image, longest_px: int | None) -> tuple[NDArray[Any], tuple[int, int]]:
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

"""Single 28 x 28 pictures in the encodings people store them in."""

from __future__ import annotations

import struct
import warnings
import zlib
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from mnistry.dataset import HEIGHT, WIDTH
from mnistry.errors import DataError

# Named, because Pillow would otherwise also try formats that start other programs (EPS).
ENCODINGS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "PPM")

# What Pillow's decoders raise on damaged bytes: there is no common base class.
_DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    LookupError,
    TypeError,
    OverflowError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)


def decode_picture(content: bytes, source: str) -> NDArray[np.uint8]:
    """Return the (28, 28) uint8 grey values of an encoded picture; colours become their luminance.

    Raises:
        DataError: not a picture, a damaged one, another size, more than 8 bits a pixel, or transparent
            pixels, whose grey value is a guess.
    """
    try:
        # Pillow warns of large pictures and odd metadata; the size is checked before any pixel is decoded.
        with (
            warnings.catch_warnings(action="ignore"),
            Image.open(BytesIO(content), formats=ENCODINGS) as image,
        ):
            if image.size != (WIDTH, HEIGHT):
                raise DataError(
                    f"{source}: a picture of {image.height} x {image.width} pixels; "
                    f"{HEIGHT} x {WIDTH} expected: scale it first"
                )
            if image.mode.startswith(("I", "F")):
                raise DataError(f"{source}: pixels of more than 8 bits (mode {image.mode}); 8 bits expected")
            if image.has_transparency_data and image.convert("RGBA").getchannel("A").getextrema() != (
                255,
                255,
            ):
                raise DataError(f"{source}: transparent pixels; save the picture on an opaque background")
            return np.asarray(image.convert("L"))
    except UnidentifiedImageError as error:
        raise DataError(
            f"{source}: not a picture (first bytes {content[:4].hex(' ')}); {', '.join(ENCODINGS)} expected"
        ) from error
    except _DAMAGE as error:
        raise DataError(f"{source}: a damaged picture: {error}") from error


def encode_png(image: NDArray[np.uint8]) -> bytes:
    """Return the PNG file of a (28, 28) uint8 image."""
    file = BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()

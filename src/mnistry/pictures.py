"""From whatever holds a picture (file, bytes, PIL image, array) to gray levels, (height, width) uint8."""

from __future__ import annotations

import io
import os
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mnistry.errors import ImageError

if TYPE_CHECKING:
    from PIL import Image

Gray: TypeAlias = NDArray[np.uint8]
Source: TypeAlias = "str | os.PathLike[str] | bytes | BinaryIO | Image.Image | NDArray[Any]"

MAX_PIXELS = 178_000_000  # just under the 2**30 / 6 pixels at which Pillow itself refuses
EXIF_ORIENTATION = 0x0112  # the tag; 5 to 8 mean that height and width are exchanged
MAX_DECODED_BYTES = 400 * 10**6  # as Pillow holds a picture: a byte a pixel in gray, else four
MAX_STREAM_BYTES = 256 * 2**20  # of a pipe or another source whose size is not known beforehand

_HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1")

# What people give a picture's suffix although it is something else, by its first bytes.
_LOOKALIKES = {
    b"<": "It looks like text (SVG, HTML or XML).",
    b"%PDF": "It is a PDF document.",
}


def load_gray(source: Source) -> Gray:
    """Return the picture as gray levels, (height, width) uint8, upright, over white where transparent.

    Args:
        source: a path; the bytes of an image file or an open binary file; a PIL image; or an array of
            shape (h, w), (h, w, 1), (h, w, 3) RGB or (h, w, 4) RGBA, of bool, of float in 0..1, or of
            integers in 0..255 (or in 0..65535: 16-bit).

    Coloured pictures are projected on the line in colour space that leads from the paper to the ink, so
    yellow on white or red on black keeps its contrast, which luminance would lose.

    Raises:
        ImageError: the file cannot be opened or decoded, or has more than MAX_PIXELS pixels; the array
            holds NaN or values outside the ranges above.
        TypeError: the source is none of these.
    """
    return load_shrunk(source, None)[0]


def load_shrunk(source: Source, longest_px: int | None, page: int = 1) -> tuple[Gray, tuple[int, int]]:
    """Return the picture as gray levels, no side over `longest_px`, and its (height, width) in the file.

    A large picture is made smaller before anything else is done with it, a JPEG already while it is decoded:
    that saves most of the time and of the memory. The arguments are those of `load_gray`; None for
    `longest_px` keeps the size, and `page` counts from 1 in a TIFF file with several.

    Raises:
        ImageError, TypeError: as `load_gray`.
    """
    with _named(source):
        pixels, size = _load_pixels(source, longest_px, page)
        gray = _to_gray(_to_uint8(pixels))
        return gray if longest_px is None else shrink(gray, longest_px), size


def load_colours(source: Source, longest_px: int, page: int = 1) -> tuple[Gray, tuple[int, int]]:
    """Return the picture to look at, and its size; as `load_shrunk`, but in colour if it has any.

    Returns:
        (height, width) or (height, width, 3) uint8; and (height, width) in the file.

    Raises:
        ImageError, TypeError: as `load_gray`.
    """
    with _named(source):
        pixels, size = _load_pixels(source, longest_px, page)
        pixels = _to_uint8(pixels)
        return shrink(_lay_over_paper(pixels) if pixels.shape[2:] == (4,) else pixels, longest_px), size


def count_pages(source: Source) -> int:
    """Return how many pages a picture has: those of a TIFF file; 1 for all others, moving ones too.

    What cannot be read at all has 1, with which `load_shrunk` says why.
    """
    from PIL import Image, UnidentifiedImageError

    if not isinstance(source, (str, os.PathLike, bytes)):
        return 1
    try:
        with _damage_explained():
            file = io.BytesIO(source) if isinstance(source, bytes) else _open_regular_file(Path(source))
            with file, Image.open(file) as image:
                return int(getattr(image, "n_frames", 1)) if image.format == "TIFF" else 1
    except (ImageError, UnidentifiedImageError):
        return 1


def take_stream(source: Source) -> Source:
    """Return a source that can be loaded again: the bytes of an open file, everything else as it is.

    Raises:
        ImageError: there are more than MAX_STREAM_BYTES bytes.
    """
    from PIL import Image

    if isinstance(source, (str, os.PathLike, bytes, np.ndarray, Image.Image)) or not hasattr(source, "read"):
        return source
    with _named(source):
        return _read_stream(source)


@contextmanager
def _named(source: Source) -> Iterator[None]:
    """Say in an ImageError which picture it was."""
    try:
        yield
    except ImageError as error:
        raise ImageError(f"cannot read {describe_source(source)!r}: {error}") from error


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
        # Values outside their range must not hide in an average: only bytes are made smaller beforehand.
        if longest_px is None or source.dtype != np.uint8 or source.ndim not in (2, 3) or source.size == 0:
            return source, (source.shape[0], source.shape[1]) if source.ndim > 1 else (0, 0)
        if source.shape[0] * source.shape[1] > MAX_PIXELS or source.shape[2:] not in ((), (1,), (3,), (4,)):
            return source, (source.shape[0], source.shape[1])
        return shrink(source, longest_px), (source.shape[0], source.shape[1])
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
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise ImageError("it is a folder; expected an image file. Name files, or a folder with images")
        if not stat.S_ISREG(mode):
            raise ImageError("it is a pipe, socket or device; expected an image file. Save the picture first")
        return path.open("rb")
    except FileNotFoundError:
        raise ImageError("no such file. Check the spelling and the current folder") from None
    except PermissionError:
        raise ImageError("no permission to read the file. Allow it, for example with chmod +r") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL character in the name
        raise ImageError(f"the system says {error}. Check the name and the disk") from error


def _read_stream(stream: BinaryIO) -> bytes:
    content = stream.read(MAX_STREAM_BYTES + 1)
    if len(content) > MAX_STREAM_BYTES:
        raise ImageError(
            f"it has more than {MAX_STREAM_BYTES:,} bytes; expected one image. Make it smaller first"
        )
    return content


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
            with _open_heif(file) if _is_heif(head) else Image.open(file) as image:
                if page > 1:
                    image.seek(page - 1)
                return _to_pixels(image, longest_px)
    except UnidentifiedImageError:
        hint = next((text for start, text in _LOOKALIKES.items() if head.lstrip().startswith(start)), "")
        raise ImageError(
            f"it is not an image, whatever its name says (first bytes {head[:8]!r}). {hint}".rstrip()
            + " Expected PNG, JPEG, WebP, BMP, GIF or TIFF. Save it in one of these formats"
        ) from None


def _is_heif(head: bytes) -> bool:
    """Return whether these first bytes are those of HEIC, as telephones make it."""
    return head[4:8] == b"ftyp" and head[8:12] in _HEIF_BRANDS


def _open_heif(file: BinaryIO) -> Image.Image:
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
        raise _too_large("more pixels than Pillow accepts") from None
    except Exception as error:  # on damaged files its decoders raise nearly everything
        raise ImageError(f"it is damaged or cut short ({error}). Save, copy or download it again") from error


def _too_large(received: str) -> ImageError:
    return ImageError(
        f"it is too large: {received}; at most {MAX_PIXELS:,} pixels can be read. Make it smaller first"
    )


def _to_pixels(image: Image.Image, longest_px: int | None) -> tuple[NDArray[Any], tuple[int, int]]:
    """Turn a PIL image upright and into an array of one, three (RGB) or four (RGBA) channels, shrunk on wish.

    Returns:
        the pixels, and (height, width) of the upright image before it was made smaller.
    """
    from PIL import ImageOps

    width, height = image.size
    if width * height > MAX_PIXELS:
        raise _too_large(f"{height} x {width} pixels")
    turned = image.getexif().get(EXIF_ORIENTATION) in (5, 6, 7, 8)
    size = (width, height) if turned else (height, width)
    if longest_px is not None:
        scale = min(1.0, longest_px / max(width, height))
        # Of JPEG only, and it stays at least so large.
        image.draft(None, (round(width * scale), round(height * scale)))
    decoded = image.size[0] * image.size[1] * (1 if image.mode in ("1", "L", "P") else 4)
    if decoded > MAX_DECODED_BYTES:
        raise _too_large(f"{height} x {width} pixels of mode {image.mode}, {decoded:,} bytes")
    if longest_px is not None:
        factor = max(image.size) // longest_px
        if factor >= 2 and image.mode in ("L", "RGB", "RGBA", "CMYK"):
            orientation = image.getexif().get(EXIF_ORIENTATION)
            image = image.reduce(factor)
            image.getexif()[EXIF_ORIENTATION] = orientation or 1
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith(("I", "F")):
        return np.asarray(image), size
    if image.has_transparency_data:
        return np.asarray(image.convert("RGBA")), size
    return np.asarray(image.convert("L" if image.mode in ("1", "L") else "RGB")), size


def _to_uint8(pixels: NDArray[Any]) -> Gray:
    """Check an array's shape and values and scale them to 0..255; (h, w), (h, w, 3) or (h, w, 4)."""
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    if not (pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] in (3, 4))):
        raise ImageError(
            f"its shape {pixels.shape} is not that of one picture; expected (height, width), "
            "(height, width, 3) or (height, width, 4)"
        )
    if pixels.size == 0:
        raise ImageError(f"it has no pixels (shape {pixels.shape}); expected at least one")
    if pixels.shape[0] * pixels.shape[1] > MAX_PIXELS:
        raise _too_large(f"{pixels.shape[0]} x {pixels.shape[1]} pixels")
    if pixels.dtype == np.uint8:
        return pixels
    if pixels.dtype == np.bool_:
        return pixels.astype(np.uint8) * np.uint8(255)
    if pixels.dtype.kind not in "uif":
        raise ImageError(f"its values are {pixels.dtype}; expected bool, integers or floats")
    low, high = pixels.min(), pixels.max()
    largest = 1 if pixels.dtype.kind == "f" else (255 if high <= 255 and pixels.dtype != np.uint16 else 65535)
    if not (low >= 0 and high <= largest):  # false for NaN too
        raise ImageError(
            f"its values lie in {low}..{high} ({pixels.dtype}); expected floats in 0..1, integers in "
            "0..255 or 16-bit integers in 0..65535, and no NaN. Scale them first"
        )
    return np.rint(pixels * np.float32(255 / largest)).astype(np.uint8)


def _to_gray(pixels: Gray) -> Gray:
    """Lay alpha over white and reduce colours to the one gray scale that shows the ink best."""
    if pixels.ndim == 2:
        return pixels
    if pixels.shape[2] == 4:
        pixels = _lay_over_paper(pixels)
    if (pixels[:, :, 0] == pixels[:, :, 1]).all() and (pixels[:, :, 1] == pixels[:, :, 2]).all():
        return np.ascontiguousarray(pixels[:, :, 0])
    import cv2

    # The direction is found on a small copy: averaged colours are free of sensor and JPEG colour noise.
    colours = shrink(pixels, 256).reshape(-1, 3).astype(np.float32)
    deviations = colours - np.median(colours, axis=0)
    strengths = np.abs(deviations).max(axis=1)
    ink = deviations[strengths >= strengths.max() / 2]
    direction = np.linalg.eigh(ink.T @ ink)[1][:, -1]  # of the largest eigenvalue; its sign is arbitrary
    direction *= (1 if direction.sum() >= 0 else -1) / np.abs(direction).sum()
    offset = -255 * direction[direction < 0].sum()
    return np.asarray(cv2.transform(pixels, np.append(direction, offset)[None]), np.uint8)


def _lay_over_paper(rgba: Gray) -> Gray:
    """Lay a transparent picture over white, or over black where it holds nearly white ink and little else."""
    from PIL import Image

    if rgba[:, :, 3].min() == 255:
        return rgba[:, :, :3]
    small = shrink(rgba, 256).astype(np.float32)
    cover = small[:, :, 3:] / 255
    white_ink = 0 < cover.mean() < 0.5 and (small[:, :, :3] * cover).mean() > 192 * cover.mean()
    paper = Image.new("RGBA", (rgba.shape[1], rgba.shape[0]), "black" if white_ink else "white")
    paper.alpha_composite(Image.fromarray(rgba))
    return np.asarray(paper.convert("RGB"))


def shrink(pixels: Gray, longest_px: int) -> Gray:
    """Return the picture made smaller by area averaging until no side is longer than `longest_px`."""
    height, width = pixels.shape[:2]
    scale = min(1.0, longest_px / max(height, width))
    return resize(pixels, round(width * scale), round(height * scale))


def resize(pixels: Gray, width: int, height: int) -> Gray:
    """Return the picture with a new size, at least 1 x 1: averaged to become smaller, else linear."""
    import cv2

    size = (max(1, width), max(1, height))
    smaller = size[0] < pixels.shape[1] or size[1] < pixels.shape[0]
    interpolation = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(pixels, size, interpolation=interpolation), np.uint8)

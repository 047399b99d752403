"""Throw mutated inputs at the reader, guided by the code that they reach: only an ImageError may come out.

    pip install atheris
    python tools/fuzz_reader.py decoder FOLDER -runs=150000 -timeout=10 -rss_limit_mb=1500
    python tools/fuzz_reader.py segmenter FOLDER -runs=60000 -timeout=10 -rss_limit_mb=1500 -max_len=400

The decoder gets the bytes of a file, the segmenter a small gray picture (`interpret`) and a classifier that
guesses. FOLDER keeps the inputs that reached something new; while it is empty, small pictures in every format
are put there first. All that follows is for libFuzzer. An input that breaks the reader is written to the
current folder; run it again by naming it in the place of FOLDER.
"""

from __future__ import annotations

import contextlib
import io
import operator
import sys
from pathlib import Path

import atheris
import numpy as np
from PIL import Image

with atheris.instrument_imports(include=["mnistry"]):
    from mnistry import containers, pictures, rasters, reader, readings
    from mnistry.errors import ImageError

NAMES = (*readings.DIGIT_NAMES, "none")
LONGEST_PX = 400
SEED_SIZE = (23, 17)
COMPARE = (operator.lt, operator.le, operator.eq, operator.ne, operator.gt, operator.ge)


def guess(images: np.ndarray) -> np.ndarray:
    """Logits (n, 11) for images (n, 28, 28) that depend on nothing but where the ink is."""
    flat = images.reshape(len(images), 28, 28).astype(np.float64)
    rows = flat.mean(axis=2)[:, 3:25:2] / 20
    return rows - rows.mean(axis=1, keepdims=True)


def interpret(data: bytes) -> tuple[np.ndarray, dict[str, object]]:
    """Return a picture at most 32 pixels wide, up to 5 times enlarged and cut to 96, and how to read it."""
    head, body = data[:4].ljust(4, b"\0"), data[4:1028]
    width = 1 + head[0] % 32
    levels = np.frombuffer(body.ljust(-(-max(1, len(body)) // width) * width, b"\xff"), np.uint8)
    if head[1] & 1:  # ink and paper alone, a bit a pixel
        levels = np.unpackbits(levels)[: len(levels)] * np.uint8(255)
    factor = 1 + head[2] % 5
    gray = np.repeat(np.repeat(levels.reshape(-1, width), factor, axis=0), factor, axis=1)
    known: dict[str, object] = {"single": bool(head[1] & 2), "invert": (None, True, False)[head[3] % 3]}
    if known["single"]:
        return gray[:160, :160], known
    if head[1] & 4:
        known["expect"] = 1 + head[3] % 7
    elif head[1] & 8:
        known["pattern"] = r"1\d*(00)?"
    return gray[:160, :160], known


def try_decoder(data: bytes) -> None:
    """Decode a file in both ways, and count its pages."""
    pages_counted = pictures.count_pages(data)
    assert 1 <= pages_counted <= containers.MOST_PAGES
    for load in (pictures.load_shrunk, pictures.load_colours):
        with contextlib.suppress(ImageError):
            picture, size = load(data, LONGEST_PX, 2 if pages_counted > 1 else 1)
            assert picture.dtype == np.uint8
            assert 0 < max(picture.shape[:2]) <= LONGEST_PX
            assert min(size) > 0


def try_segmenter(data: bytes) -> None:
    """Read a small picture, and see that what is found lies in it."""
    gray, known = interpret(data)
    with contextlib.suppress(ImageError):
        reading = reader.read(gray, guess, class_names=NAMES, **known)
        for digit in (digit for line in reading.lines for digit in line.digits):
            x, y, width, height = digit.box
            assert 0 <= x < x + width <= gray.shape[1]
            assert 0 <= y < y + height <= gray.shape[0]
            assert 0 <= digit.confidence <= 1


def make_seeds(target: str) -> list[bytes]:
    """Return small inputs to begin with."""
    picture = Image.new("L", SEED_SIZE, 230)
    picture.paste(30, (8, 3, 11, 14))
    if target == "segmenter":
        levels = np.asarray(picture).tobytes()
        return [bytes((SEED_SIZE[0] - 1, flags, flags % 5, flags)) + levels for flags in range(16)]
    seeds = []
    for format, modes in {
        "PNG": ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"),
        "TIFF": ("1", "L", "P", "RGB", "CMYK", "I;16", "F"),
        "JPEG": ("L", "RGB", "CMYK"),
        "WEBP": ("RGB", "RGBA"),
        "GIF": ("L", "P"),
        "BMP": ("1", "L", "P", "RGB"),
    }.items():
        for mode in modes:
            image = (
                picture.convert("RGB").convert(mode) if mode != "I;16" else picture.convert("I").convert(mode)
            )
            for options in _list_options(format, picture):
                buffer = io.BytesIO()
                image.save(buffer, format, **options)
                seeds.append(buffer.getvalue())
    return seeds


def _list_options(format: str, picture: Image.Image) -> list[dict[str, object]]:
    exif = Image.Exif()
    exif[rasters.EXIF_ORIENTATION] = 6
    options: list[dict[str, object]] = [{}]
    if format in ("PNG", "JPEG", "WEBP"):
        options.append({"exif": exif.tobytes()})
    if format == "JPEG":
        options.append({"progressive": True})
    if format == "TIFF":
        options += [{"compression": "tiff_adobe_deflate"}, {"compression": "tiff_lzw"}]
    if format in ("GIF", "TIFF", "WEBP"):
        options.append({"save_all": True, "append_images": [picture]})
    return options


def compare_arrays_plainly() -> None:
    """Let atheris compare all but arrays: 3.0 keeps the result of every comparison, megabytes an input."""
    trace = atheris._trace_cmp

    def compare(left: object, right: object, kind: int, *where: object) -> object:
        if isinstance(left, np.ndarray) or isinstance(right, np.ndarray):
            return COMPARE[kind](left, right)
        return trace(left, right, kind, *where)

    atheris._trace_cmp = compare


def main() -> None:
    """Fill the folder if it is empty, and hand over to libFuzzer."""
    if len(sys.argv) < 3 or sys.argv[1] not in ("decoder", "segmenter"):
        raise SystemExit(__doc__)
    target, folder = sys.argv.pop(1), Path(sys.argv[1])
    if not folder.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        if not any(folder.iterdir()):
            for number, seed in enumerate(make_seeds(target)):
                (folder / f"seed-{number}").write_bytes(seed)
    tries = try_decoder if target == "decoder" else try_segmenter
    begun = False

    def try_one(data: bytes) -> None:
        nonlocal begun
        if not begun:  # atheris sets its functions when it starts
            begun = True
            compare_arrays_plainly()
        tries(data)

    atheris.Setup(sys.argv, try_one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()

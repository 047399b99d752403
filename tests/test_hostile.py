"""Whatever a picture is, it is read or it is one ImageError: nothing else, and soon."""

from __future__ import annotations

import contextlib
import io
import pickle
import socket
import struct
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from drawing import draw_seven, encode
from mnistry import (
    ImageError,
    containers,
    decoding,
    grouping,
    pictures,
    pixels,
    rasters,
    read,
    segmentation,
    straightening,
)
from mnistry.classifier import NOT_A_DIGIT
from mnistry.cutting import find_cuts
from mnistry.readings import DIGIT_NAMES

NAMES = [*DIGIT_NAMES, NOT_A_DIGIT]
FORMATS = ("png", "jpeg", "gif", "bmp", "tiff", "webp")


def answer(images: np.ndarray) -> np.ndarray:
    """Logits that depend on the image, as those of a network do."""
    return np.random.default_rng(len(images)).normal(0, 3, (len(images), len(NAMES)))


def read_all_ways(picture: object) -> None:
    """Read it as a page, as one digit, and with something known; only an ImageError may come out."""
    for known in ({}, {"single": True}, {"expect": 3}, {"pattern": r"\d*", "invert": True}):
        with contextlib.suppress(ImageError):
            read(picture, answer, class_names=NAMES, **known)


# ---- files ------------------------------------------------------------------------------------------


def make_png(width: int, height: int, *chunks: tuple[bytes, bytes], depth: int = 8, colour: int = 0) -> bytes:
    """A PNG file of these chunks, whatever stands in them."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in ((b"IHDR", header), *chunks, (b"IEND", b""))
    )


def make_tiff(*entries: tuple[int, int, int, int], following: int = 0) -> bytes:
    """A TIFF file of one directory of (tag, type, count, value or place)."""
    directory = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\0" + struct.pack("<I", 8) + directory + struct.pack("<I", following)


def make_tiff_chain(pages: int) -> bytes:
    """A TIFF file of so many empty directories, each six bytes long."""
    places = 8 + 6 * np.arange(1, pages + 1)
    places[-1] = 0
    return b"II*\0" + struct.pack("<I", 8) + b"".join(b"\0\0" + struct.pack("<I", p) for p in places.tolist())


def make_tiff_of_tags() -> bytes:
    """A TIFF file of 4,000 tags with one megabyte each, all of it the same."""
    return make_tiff(*((tag, 7, 2**20, 8) for tag in range(40_000, 44_000))) + bytes(2**20)


def make_jpeg_of_scans(size: int, scans: int) -> bytes:
    """A progressive JPEG file whose last scan comes so many times."""
    plain = encode(Image.new("L", (size, size), 200), "jpeg", progressive=True)
    last = plain.rindex(b"\xff\xda")
    return plain[:last] + plain[last:-2] * scans + plain[-2:]


def make_zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("digit.png", encode(draw_seven()))
    return buffer.getvalue()


def make_gif_of_comments(blocks: int) -> bytes:
    plain = encode(draw_seven(), "gif")
    start = plain.index(b"\x2c")  # the image
    return plain[:start] + b"\x21\xfe" + b"\x01x" * blocks + b"\0" + plain[start:]


def make_heic(width: int, height: int) -> bytes:
    """A small HEIC file that says it is so large."""
    heif = pytest.importorskip("pillow_heif")
    buffer = io.BytesIO()
    heif.from_pillow(Image.fromarray(draw_seven(64, 64)).convert("RGB")).save(buffer)
    honest = struct.pack(">II", 64, 64)
    assert honest in buffer.getvalue()
    return buffer.getvalue().replace(honest, struct.pack(">II", width, height))


MANY = 60_000
FILES: dict[str, tuple[Callable[[], bytes], str]] = {
    "bomb.png": (lambda: make_png(60_000, 60_000, (b"IDAT", zlib.compress(bytes(10**6)))), "too large"),
    "bomb of 130 megapixels.png": (lambda: make_png(13_000, 10_000), "too large: 10000 x 13000"),
    "colour.png": (lambda: make_png(8_000, 8_000, colour=2), "at most 52,000,000"),
    "sixteen.png": (lambda: make_png(8_000, 8_000, depth=16), "at most 52,000,000"),
    "bomb.gif": (lambda: b"GIF89a" + b"\x60\xea" * 2 + encode(draw_seven(), "gif")[10:], "too large"),
    "bomb.bmp": (lambda: encode(draw_seven(), "bmp")[:18] + struct.pack("<ii", 30_000, 30_000), "."),
    "bomb.webp": (
        lambda: (
            b"RIFF\x16\0\0\0WEBPVP8X\x0a\0\0\0" + bytes(4) + b"\xff\x3f\0" * 2
        ),
        "."
    ),
    "bomb.heic": (lambda: make_heic(16_000, 12_500), "too large|damaged"),
    "tiles.tif": (
        lambda: make_tiff(
            (256, 4, 1, 20), (257, 4, 1, 20), (258, 3, 1, 8), (259, 3, 1, 8), (262, 3, 1, 1), (277, 3, 1, 1),
            (322, 4, 1, 2**30), (323, 4, 1, 2**30), (324, 4, 1, 8), (325, 4, 1, 100),
        ),
        "."
    ),
    "loop.tif": (lambda: make_tiff((256, 4, 1, 10), following=8), "damaged"),
    "chain.tif": (lambda: make_tiff_chain(200_000), "damaged"),
    "tags.tif": (make_tiff_of_tags, "."),
    "scans.jpg": (lambda: make_jpeg_of_scans(2_000, 400), "scans"),
    "coefficients.jpg": (
        lambda: encode(Image.new("RGB", (64, 64)), "jpeg", progressive=True, subsampling=0).replace(
            struct.pack(">HH", 64, 64), struct.pack(">HH", 9_000, 9_000)
        ),
        "progressive",
    ),
    "segments.jpg": (
        lambda: b"\xff\xd8" + b"\xff\xe5\0\x02" * MANY + encode(draw_seven(), "jpeg")[2:],
        "segments",
    ),
    "stuffed.jpg": (lambda: b"\xff\xd8\xff" + b"\xff" * 10**6 + b"\0" * 10**6, "."),
    "profiles.jpg": (
        lambda: b"\xff\xd8" + (b"\xff\xe2\xff\xff" + bytes(65533)) * 300 + encode(draw_seven(), "jpeg")[2:],
        "beside its pixels",
    ),
    "chunks.png": (lambda: make_png(9, 9, *((b"teXt", b"") for _ in range(MANY))), "more parts"),
    "text.png": (
        lambda: make_png(9, 9, *((b"zTXt", b"a\0\0" + zlib.compress(bytes(10**6))) for _ in range(99))),
        "."
    ),
    "comments.gif": (lambda: make_gif_of_comments(MANY), "more parts"),
    "drawing.png": (lambda: b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', "SVG"),
    "page.png": (lambda: b"  \n<html><body>404</body></html>", "HTML"),
    "archive.png": (make_zip, "ZIP"),
    "pickle.png": (lambda: pickle.dumps({"image": 1}), "not an image"),
    "program.eps": (lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(x) run\n", "not an image"),
    "plain.pgm": (lambda: b"P2 9 9 255\n" + b"0 " * 81, "not an image"),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_a_hostile_file_is_one_clear_error(name: str, tmp_path: Path) -> None:
    make, message = FILES[name]
    path = tmp_path / name
    path.write_bytes(make())
    with pytest.raises(ImageError, match=message) as caught:
        read(path, answer, class_names=NAMES)
    assert str(caught.value).count(name) == 1
    assert len(str(caught.value)) < 600
    with pytest.raises(ImageError):
        read(path.read_bytes(), answer, class_names=NAMES)


@pytest.mark.parametrize("portion", [0.02, 0.3, 0.6])
@pytest.mark.parametrize("format", FORMATS)
def test_a_file_that_was_cut_short_is_one_clear_error(format: str, portion: float) -> None:
    rng = np.random.default_rng(1)
    content = encode(rng.integers(0, 256, (200, 160), np.uint8), format)
    with pytest.raises(ImageError, match=r"damaged or cut short|not an image"):
        pictures.load_gray(content[: int(portion * len(content))])


def test_a_socket_and_a_file_that_is_too_long_are_refused_unread(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s.png"))
        with pytest.raises(ImageError, match="socket"):
            read(tmp_path / "s.png", answer, class_names=NAMES)
    with (tmp_path / "long.png").open("wb") as file:
        file.write(encode(draw_seven()))
        file.truncate(containers.MAX_FILE_BYTES + 1)
    with pytest.raises(ImageError, match="160,000,001 bytes; at most"):
        read(tmp_path / "long.png", answer, class_names=NAMES)


def test_an_embedded_thumbnail_and_a_film_behind_the_picture_are_no_scans() -> None:
    plain = encode(draw_seven(), "jpeg", progressive=True)
    thumbnail = b"\xff\xe5" + struct.pack(">H", 2 + 60_000) + b"\xff\xda\0\x08" * 15_000
    film = b"\xff\xda\0\x08" * 100_000
    np.testing.assert_array_equal(
        pictures.load_gray(plain[:2] + thumbnail + plain[2:] + film), pictures.load_gray(plain)
    )


def test_pages_of_a_tiff_file_are_counted_without_reading_them() -> None:
    three = encode(Image.new("L", (9, 9)), "tiff", save_all=True, append_images=[Image.new("L", (9, 9))] * 2)
    assert pictures.count_pages(three) == 3
    assert pictures.count_pages(make_tiff_chain(200_000)) == containers.MOST_PAGES
    assert pictures.count_pages(make_tiff(following=8)) == 1
    assert pictures.count_pages(three[: len(three) // 2]) < 3
    assert (
        pictures.count_pages(
            encode(draw_seven(), "gif", save_all=True, append_images=[Image.new("L", (9, 9))])
        )
        == 1
    )


@pytest.mark.parametrize("format", ["gif", "webp", "png"])
def test_of_a_moving_picture_the_first_frame_is_read(format: str) -> None:
    first, second = (Image.fromarray(draw_seven(ink=ink, paper=255 - ink)).convert("RGB") for ink in (0, 255))
    lossless = {"lossless": True} if format == "webp" else {}
    moving = encode(first, format, save_all=True, append_images=[second, first], duration=100, **lossless)
    assert pictures.count_pages(moving) == 1
    np.testing.assert_array_equal(pictures.load_gray(moving), draw_seven())


@pytest.mark.parametrize("format", ["png", "tiff", "jpeg", "webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_large_pictures_are_made_smaller_and_turned_as_pillow_does(
    orientation: int, format: str, tmp_path: Path
) -> None:
    from PIL import ImageOps

    exif = Image.Exif()
    exif[rasters.EXIF_ORIENTATION] = orientation
    colours = np.dstack(
        [draw_seven(600, 448), draw_seven(600, 448, pen_px=30), np.zeros((600, 448), np.uint8)]
    )
    content = encode(colours, format, exif=exif if format == "tiff" else exif.tobytes())
    picture, size = pictures.load_colours(content, 150)
    # Gray and uncompressed, a TIFF file can be mapped into memory.
    Image.fromarray(draw_seven()).save(tmp_path / "gray", format, exif=exif)
    assert pictures.load_gray(tmp_path / "gray").shape == ((160, 200) if orientation > 4 else (200, 160))
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(content)))
    assert size == upright.size[::-1]
    assert np.abs(picture.astype(int) - np.asarray(upright.reduce(4)).astype(int)).max() <= (
        40 if format in ("jpeg", "webp") else 1
    )


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGB", "RGBA", "CMYK", "I;16", "I", "F"])
def test_bands_make_the_same_of_a_large_picture_as_one_piece(
    mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    levels = np.add.outer(np.arange(900), np.arange(700)) % 251
    if mode in ("I;16", "I"):
        image = Image.fromarray((levels * 257).astype(np.uint16 if mode == "I;16" else np.int32))
    elif mode == "F":
        image = Image.fromarray((levels / 255).astype(np.float32))
    else:
        image = Image.fromarray(levels.astype(np.uint8)).convert("RGB").convert(mode)
    whole = pictures.load_colours(image, 200)[0]
    monkeypatch.setattr(pixels, "BAND_PIXELS", 10_000)
    np.testing.assert_array_equal(pictures.load_colours(image, 200)[0], whole)


@given(
    format=st.sampled_from(FORMATS),
    changes=st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=6)), min_size=1, max_size=4),
    cut=st.floats(0.5, 1.5),
)
@settings(max_examples=250, deadline=None)
def test_damaged_files_are_read_or_are_an_image_error(
    format: str, changes: list[tuple[float, bytes]], cut: float
) -> None:
    content = bytearray(SMALL[format])
    for place, values in changes:
        start = int(place * (len(content) - 1))
        content[start : start + len(values)] = values
    try:
        gray, size = pictures.load_shrunk(bytes(content[: int(cut * len(content))]), 400)
    except ImageError:
        pass
    else:
        assert gray.dtype == np.uint8
        assert 0 < max(gray.shape) <= 400
        assert len(size) == 2
    assert 1 <= pictures.count_pages(bytes(content)) <= containers.MOST_PAGES


SMALL = {format: encode(draw_seven(40, 30, pen_px=3), format) for format in FORMATS}
SMALL["tiff"] = encode(
    draw_seven(40, 30, pen_px=3), "tiff", save_all=True, append_images=[Image.new("L", (8, 8))]
)


# ---- arrays and what is on them ---------------------------------------------------------------------

RNG = np.random.default_rng(4)
ARRAYS = {
    "nan": np.full((28, 28), np.nan),
    "one nan": np.where(np.eye(5000, 40) > 0, np.nan, 0.5),
    "inf": np.full((28, 28), np.inf, np.float16),
    "objects": np.full((28, 28), None),
    "numbers as objects": np.zeros((28, 28), object),
    "texts": np.full((28, 28), "7"),
    "dates": np.zeros((28, 28), "datetime64[s]"),
    "records": np.zeros((28, 28), [("r", np.uint8), ("g", np.uint8)]),
    "complex": np.zeros((28, 28), complex),
    "no picture": np.array(3.0),
    "empty": np.zeros((0, 0)),
    "deep": np.zeros((2, 2, 2, 2)),
    "too large": np.broadcast_to(np.uint8(0), (20_000, 20_000)),
    "1 x 1": np.zeros((1, 1), np.uint8),
    "1 x 100,000": np.zeros((1, 100_000)),
    "100,000 x 1": RNG.integers(0, 256, (100_000, 1)).astype(np.uint8),
    "white": np.full((300, 300), 255, np.uint8),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_an_array_without_a_picture_is_one_clear_error(name: str) -> None:
    with pytest.raises(ImageError):
        read(ARRAYS[name], answer, class_names=NAMES)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int64, np.float64, ">u2", bool])
def test_large_arrays_of_every_type_and_layout_are_made_smaller_alike(dtype: object) -> None:
    levels = np.repeat(np.repeat(draw_seven(80, 60), 50, axis=0), 50, axis=1)
    kind = np.dtype(dtype).kind
    scale = {"f": 1 / 255, "b": 1}.get(kind, 257 if np.dtype(dtype).itemsize == 2 else 1)
    array = (levels.astype(float) * scale).astype(dtype) if kind != "b" else levels > 127
    expected = pictures.load_shrunk(levels if kind != "b" else (levels > 127) * np.uint8(255), 1000)[0]
    for view in (array, np.asfortranarray(array)):
        assert np.abs(pictures.load_shrunk(view, 1000)[0].astype(int) - expected).max() <= 1
    assert pictures.load_shrunk(np.ma.masked_array(array), 1000)[0].shape == (1000, 750)


def draw_page(kind: str, size: int = 600) -> np.ndarray:
    page = np.full((size, size), 255, np.uint8)
    rows = np.arange(0, size, 25)
    if kind == "noise":
        return RNG.integers(0, 256, page.shape).astype(np.uint8)
    if kind == "halftone":
        for x, y in np.argwhere(np.add.outer(rows, rows) >= 0) * 25:
            cv2.circle(page, (int(x) + 12, int(y) + 12), 8, 0, -1)
    elif kind == "text":
        for y in range(20, size, 18):
            cv2.putText(page, "the quick brown fox 0123456789 " * 2, (4, y), 0, 0.5, 0, 1, cv2.LINE_AA)
    elif kind == "comb":
        for y in range(40, size, 60):
            cv2.line(page, (9, y), (size - 9, y), 0, 2)
            for x in range(9, size - 9, 7):
                cv2.line(page, (x, y - 14), (x, y + 14), 0, 2)
    elif kind == "rings":
        for inset in range(4, size // 2, 6):
            cv2.rectangle(page, (inset, inset), (size - inset, size - inset), 0, 2)
    elif kind == "chevrons":
        for y in range(-size, size, 20):
            cv2.polylines(page, [np.array([[5, y], [size // 2, y + size // 2], [size - 5, y]])], False, 0, 2)
    elif kind == "stairs":
        for x in range(5, size - 20, 4):
            cv2.line(page, (x, x), (x, x + 12), 0, 2)
    elif kind == "rules":
        page[::4] = 0
    return page


@pytest.mark.parametrize(
    "kind", ["noise", "halftone", "text", "comb", "rings", "chevrons", "stairs", "rules"]
)
def test_a_page_of_anything_else_is_read_or_is_an_image_error(kind: str) -> None:
    read_all_ways(draw_page(kind))
    with contextlib.suppress(ImageError):
        read(255 - draw_page(kind)[:, :90], answer, class_names=NAMES)


def test_more_marks_or_ways_to_put_them_together_than_can_be_tried_are_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(ImageError, match=r"2,500 marks, which is no page of digits"):
        segmentation.find_marks(np.tile(np.pad([[255]], 1), (50, 50)).astype(np.uint8))
    ring = np.zeros((400, 400), np.uint8)
    for inset in range(5, 180, 4):
        cv2.rectangle(ring, (inset, inset), (400 - inset, 400 - inset), 255, 1)
    with pytest.raises(ImageError, match="times the page's area"):
        segmentation.find_marks(ring)
    monkeypatch.setattr(decoding, "MOST_SEGMENTS", 3)
    with pytest.raises(ImageError, match=r"can be put together to .* different digits; at most 3"):
        read(draw_page("text")[:100], answer, class_names=NAMES)


def test_a_line_across_the_page_has_a_strip_of_bounded_size() -> None:
    size = 1600
    page = np.zeros((size, size), np.uint8)
    for x in range(10, size - 40, 12):
        cv2.line(page, (x, x), (x, x + 14), 255, 2)
    for line in grouping.group_lines(segmentation.find_marks(page)):
        assert straightening.straighten(line).ink.size <= 1.1 * straightening.MOST_STRIP_PIXELS


def test_cuts_of_a_mark_do_not_depend_on_how_many_are_cut_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    from mnistry import cutting

    rng = np.random.default_rng(6)
    strip = cv2.GaussianBlur(rng.integers(0, 256, (128, 900)).astype(np.uint8), (0, 0), 6)
    strip = np.where(strip > 130, 255, 0).astype(np.uint8)
    together = cutting.cut_pieces(strip, 8.0)
    monkeypatch.setattr(cutting, "MOST_CELLS", 1)
    apart = cutting.cut_pieces(strip, 8.0)
    assert len(together) == len(apart) > 5
    for one, other in zip(together, apart, strict=True):
        assert (one.box, one.cut) == (other.box, other.cut)
        np.testing.assert_array_equal(one.ink, other.ink)
    for shape in ((1, 1), (1, 90), (90, 1), (2, 2)):
        assert find_cuts(np.full(shape, 255, np.uint8), 3.0)[0].shape[1] == shape[0]


@given(
    height=st.integers(1, 90),
    width=st.integers(1, 90),
    seed=st.integers(0, 2**32 - 1),
    sigma=st.sampled_from([0, 0, 0.8, 2, 5]),
    levels=st.integers(2, 256),
    ink=st.floats(0.01, 0.99),
)
@settings(max_examples=60, deadline=None)
def test_any_gray_levels_are_read_or_are_an_image_error(
    height: int, width: int, seed: int, sigma: float, levels: int, ink: float
) -> None:
    rng = np.random.default_rng(seed)
    noise = rng.random((height, width)).astype(np.float32)
    if sigma:
        noise = cv2.GaussianBlur(noise, (0, 0), sigma)
        noise = (noise - noise.min()) / max(1e-6, float(np.ptp(noise)))
    gray = np.floor(np.where(noise < ink, noise / ink, 1.0).clip(0, 0.999) * levels) * (255 // (levels - 1))
    try:
        reading = read(gray.clip(0, 255).astype(np.uint8), answer, class_names=NAMES)
    except ImageError:
        pass
    else:
        for line in reading.lines:
            for digit in line.digits:
                x, y, wide, high = digit.box
                assert 0 <= x < x + wide <= width
                assert 0 <= y < y + high <= height


MEASURE = """
import resource, sys
import numpy as np
import mnistry
mnistry.read(np.pad(np.zeros((60, 9), np.uint8), 30, constant_values=255))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for path in sys.argv[1:]:
    try:
        mnistry.read(path)
    except mnistry.ImageError:
        pass
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


@pytest.mark.slow
def test_the_largest_pictures_that_are_read_take_less_than_500_mb(tmp_path: Path) -> None:
    pytest.importorskip("resource")
    blank = Image.new("L", (12_000, 9_900), 200)
    large = {
        "l.png": blank,
        "p.png": blank.convert("P"),
        "one.gif": blank,
        "progressive.jpg": Image.new("RGB", (12_000, 9_000)),
        "rgba.png": Image.new("RGBA", (8_000, 6_400), (9, 9, 9, 99)),
        "i16.tif": Image.fromarray(np.zeros((6_400, 8_000), np.uint16)),
        "lossless.webp": Image.new("RGB", (5_500, 4_500)),
    }
    options = {"progressive.jpg": {"progressive": True}, "lossless.webp": {"lossless": True, "method": 0}}
    for name, image in large.items():
        image.save(tmp_path / name, **options.get(name, {}))
    for name in large:
        result = subprocess.run(
            [sys.executable, "-c", MEASURE, str(tmp_path / name)], capture_output=True, text=True, check=True
        )
        assert float(result.stdout) < 500, name

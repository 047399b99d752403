from __future__ import annotations

import io
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from drawing import draw_seven, encode
from mnistry import ImageError, imaging, pictures, read
from mnistry.paper import find_page_ink

MODES = {
    "png": ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"],
    "tiff": ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "I"],
    "jpeg": ["1", "L", "RGB", "CMYK", "YCbCr"],
    "webp": ["RGB", "RGBA"],
    "gif": ["1", "L", "P"],
    "bmp": ["1", "L", "P", "RGB"],
}


@pytest.mark.parametrize(("format", "mode"), [(format, mode) for format in MODES for mode in MODES[format]])
def test_every_format_and_mode_gives_the_same_gray(format: str, mode: str) -> None:
    seven = draw_seven() // 128 * 255
    if mode.startswith("I"):
        image = Image.fromarray(seven.astype(np.uint16 if mode == "I;16" else np.int32) * 257)
    else:
        image = Image.fromarray(seven).convert("RGB").convert(mode)
    gray = pictures.load_gray(encode(image, format))
    assert gray.dtype == np.uint8
    assert gray.shape == seven.shape
    assert np.abs(gray.astype(int) - seven).mean() < (3 if format in ("jpeg", "webp") else 0.01)


def test_path_bytes_stream_image_and_array_give_the_same(tmp_path: Path) -> None:
    seven = draw_seven()
    path = tmp_path / "seven.png"
    path.write_bytes(encode(seven))
    sources = [path, str(path), path.read_bytes(), io.BytesIO(path.read_bytes()), Image.open(path), seven]
    with path.open("rb") as file:
        for source in [*sources, file]:
            np.testing.assert_array_equal(pictures.load_gray(source), seven)


def test_a_pipe_on_standard_input_is_read_although_it_cannot_seek() -> None:
    seven = draw_seven()
    reading_end, writing_end = os.pipe()
    with os.fdopen(reading_end, "rb") as reader, os.fdopen(writing_end, "wb") as writer:
        writer.write(encode(seven))
        writer.close()
        np.testing.assert_array_equal(pictures.load_gray(reader), seven)


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (np.array([[0.0, 0.5, 1.0]]), [[0, 128, 255]]),
        (np.array([[0.0, 0.5, 1.0]], np.float32), [[0, 128, 255]]),
        (np.array([[False, True]]), [[0, 255]]),
        (np.array([[0, 200]], np.int64), [[0, 200]]),
        (np.array([[0, 257, 65535]], np.uint16), [[0, 1, 255]]),
        (np.array([[0, 2048, 4095]], np.uint16), [[0, 128, 255]]),  # a camera's 12 bits
        (np.array([[0, 200]], np.uint16), [[0, 200]]),
        (np.array([[0, 1]], np.int64), [[0, 255]]),  # a mask
        (np.array([[[7], [9]]], np.uint8), [[7, 9]]),
        (np.full((1, 2, 3), 9, np.uint8), [[9, 9]]),
    ],
)
def test_arrays_of_every_type_become_gray_levels(array: np.ndarray, expected: list[list[int]]) -> None:
    np.testing.assert_array_equal(pictures.load_gray(array), expected)


def test_exif_orientation_is_applied() -> None:
    seven = draw_seven()
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera lay on its side: turn clockwise
    turned = encode(np.rot90(seven), "jpeg", exif=exif.tobytes(), quality=95)
    gray = pictures.load_gray(turned)
    assert gray.shape == seven.shape
    assert np.abs(gray.astype(int) - seven).mean() < 3


def test_damaged_exif_does_not_stop_a_good_picture() -> None:
    jpeg = encode(draw_seven(), "jpeg")
    segment = b"\xff\xe1\x00\x10Exif\x00\x00garbage!"
    np.testing.assert_array_equal(pictures.load_gray(jpeg[:2] + segment + jpeg[2:]), pictures.load_gray(jpeg))


def test_transparent_is_white_paper() -> None:
    seven = draw_seven()
    clear = np.zeros((*seven.shape, 4), np.uint8)  # black ink, and black where nothing is
    clear[..., 3] = 255 - seven
    np.testing.assert_array_equal(pictures.load_gray(clear), seven)


def test_white_ink_on_a_clear_canvas_is_seen() -> None:
    seven = draw_seven(ink=255, paper=0)
    clear = np.full((*seven.shape, 4), 255, np.uint8)
    clear[..., 3] = seven
    np.testing.assert_array_equal(pictures.load_gray(clear), seven)


def test_palette_with_a_transparent_colour_is_laid_over_white() -> None:
    image = Image.fromarray(draw_seven() // 255).convert("P")
    image.putpalette([0, 0, 0, 1, 1, 1])  # ink black, paper nearly black, but clear
    gray = pictures.load_gray(encode(image, "png", transparency=1))
    assert np.array_equal(np.unique(gray), [0, 255])
    assert gray[0, 0] == 255


@pytest.mark.parametrize(
    ("paper", "ink"),
    [
        ("white", "yellow"),
        ("white", "cyan"),
        ("black", "red"),
        ("black", "blue"),
        ("khaki", "blue"),
        ((0, 130, 0), (255, 0, 0)),  # the same luminance
        ((0, 255, 0), (255, 0, 0)),
    ],
)
def test_coloured_ink_keeps_its_contrast(paper: str, ink: str) -> None:
    seven = draw_seven() < 128
    image = Image.new("RGB", seven.shape[::-1], paper)
    image.paste(ink, mask=Image.fromarray(seven))
    gray = pictures.load_gray(image).astype(int)
    assert abs(gray[seven].mean() - gray[~seven].mean()) > 100
    box = imaging.find_box(find_page_ink(gray.astype(np.uint8)).ink)
    np.testing.assert_allclose(box, cv2.boundingRect(seven.astype(np.uint8)), atol=2)


def test_of_an_animation_the_first_frame_is_read() -> None:
    first, second = Image.fromarray(draw_seven()), Image.fromarray(255 - draw_seven())
    animation = encode(first, "gif", save_all=True, append_images=[second])
    assert pictures.load_gray(animation)[0, 0] > 250


# ---- what cannot be loaded --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.png", b"", "empty"),
        ("drawing.png", b'<svg xmlns="http://www.w3.org/2000/svg"></svg>', "SVG"),
        ("page.jpg", b"\n<!doctype html><title>404</title>", "HTML"),
        ("sheet.png", b"%PDF-1.7\n", "PDF"),
        ("noise.png", b"not a picture at all", "not an image"),
        ("half.jpg", encode(draw_seven(), "jpeg")[:900], "damaged or cut short"),
        ("half.png", encode(draw_seven())[:300], "damaged or cut short"),
        ("bomb.png", encode(Image.new("1", (20_000, 20_000))), "too large"),
        ("large.png", encode(Image.new("1", (13_500, 13_200))), "too large: 13200 x 13500"),
    ],
)
def test_a_file_that_is_no_picture_is_one_clear_error(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ImageError, match=message) as caught:
        pictures.load_gray(path)
    assert str(caught.value).count(name) == 1


def test_missing_file_folder_and_name_with_nul_are_clear_errors(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="no such file"):
        pictures.load_gray(tmp_path / "seven.png")
    with pytest.raises(ImageError, match="folder"):
        pictures.load_gray(tmp_path)
    with pytest.raises(ImageError, match="null"):
        pictures.load_gray("seven\0.png")


def test_no_permission_is_a_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    path = tmp_path / "seven.png"
    path.write_bytes(encode(draw_seven()))
    monkeypatch.setattr(Path, "open", refuse)  # root, who often runs tests, may read everything
    with pytest.raises(ImageError, match="no permission"):
        pictures.load_gray(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_named_pipes_and_devices_are_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    for path in (tmp_path / "pipe.png", Path("/dev/zero")):
        with pytest.raises(ImageError, match="pipe"):
            pictures.load_gray(path)


def test_an_endless_stream_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "MAX_FILE_BYTES", 1000)
    with pytest.raises(ImageError, match="more than 1,000 bytes"):
        pictures.load_gray(io.BytesIO(encode(draw_seven()) + b"\0" * 1000))


@pytest.mark.parametrize(
    "array",
    [
        np.full((28, 28), np.nan),
        np.full((28, 28), np.inf),
        np.full((28, 28), 255.0),
        np.full((28, 28), -1),
        np.full((28, 28), 70_000),
        np.full((28, 28), 1j),
        np.full((28, 28), None),
        np.zeros(784, np.uint8),
        np.zeros((5, 28, 28), np.uint8),
        np.zeros((0, 28), np.uint8),
    ],
    ids=lambda array: f"{array.dtype}-{array.shape}-{array.flat[0] if array.size else ''}",
)
def test_an_array_that_is_no_picture_is_an_error(array: np.ndarray) -> None:
    with pytest.raises(ImageError, match="expected"):
        pictures.load_gray(array)


def test_something_else_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="received int"):
        pictures.load_gray(7)  # type: ignore[arg-type]


@given(
    position=st.integers(0, 10**6),
    values=st.binary(min_size=1, max_size=8),
    format=st.sampled_from(["png", "jpeg", "gif", "tiff"]),
)
@settings(max_examples=150, deadline=None)
def test_damaged_bytes_give_a_picture_or_an_image_error(position: int, values: bytes, format: str) -> None:
    content = bytearray(encode(draw_seven(60, 50, pen_px=4), format))
    position %= len(content)
    content[position : position + len(values)] = values
    try:
        gray = pictures.load_gray(bytes(content))
    except ImageError:
        return
    assert gray.dtype == np.uint8
    assert gray.ndim == 2


# ---- ink --------------------------------------------------------------------------------------------


def test_ink_on_a_note_of_another_colour_than_its_wall_is_seen() -> None:
    """Between yellow and the white of the wall there is more blue than between blue ink and yellow."""
    wall = np.full((300, 400, 3), (232, 230, 226), np.uint8)
    wall[60:240, 90:310] = (236, 208, 72)
    seven = draw_seven(120, 100, pen_px=5) == 0
    note = wall[90:210, 150:250]
    note[seven] = (44, 58, 120)
    gray = pictures.load_gray(wall).astype(int)
    field = gray[90:210, 150:250]
    assert abs(np.median(field[seven]) - np.median(field[~seven])) > 100
    assert read(wall).text == "7"

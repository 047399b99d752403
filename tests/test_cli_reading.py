"""mnistry read: where pictures come from, and what is drawn of the answers."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from PIL import Image

from mnistry import read
from mnistry.cli import main


def draw_one(height: int = 200) -> Image.Image:
    page = np.full((height, 160), 235, np.uint8)
    cv2.line(page, (82, 30), (76, height - 40), 25, 12, cv2.LINE_AA)
    return Image.fromarray(page)


def draw_line() -> Image.Image:
    """1 1 1, and a dash."""
    page = np.full((120, 400), 240, np.uint8)
    for x in (60, 140, 220):
        cv2.line(page, (x + 4, 20), (x, 95), 20, 9, cv2.LINE_AA)
    cv2.line(page, (290, 60), (350, 60), 20, 9, cv2.LINE_AA)
    return Image.fromarray(page)


def run(capsys, *arguments) -> tuple[int, str, str]:
    status = main(["read", *map(str, arguments)])
    printed = capsys.readouterr()
    return status, printed.out, printed.err


def test_standard_input_is_a_picture(capsys, monkeypatch) -> None:
    content = io.BytesIO()
    draw_one().save(content, "PNG")
    for data, status, text in ((content.getvalue(), 0, "1"), (b"<svg/>", 1, ""), (b"", 1, "")):
        monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(data)))
        done, out, _ = run(capsys, "-", "--json")
        reading = json.loads(out)
        assert (done, reading["text"]) == (status, text)
        assert (reading["error"] is None) == (status == 0)


def test_a_folder_stands_for_the_pictures_in_it(tmp_path: Path, capsys) -> None:
    for name in ("b.png", "a.JPG", "c.tif"):
        draw_one().save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("not a picture")
    (tmp_path / "._a.jpg").write_bytes(b"what another system keeps beside a.jpg")
    (tmp_path / "inner").mkdir()
    draw_one().save(tmp_path / "inner" / "d.png")
    status, out, _ = run(capsys, tmp_path)
    assert status == 0
    assert [Path(line.split(": ")[0]).name for line in out.splitlines()] == ["a.JPG", "b.png", "c.tif"]
    status, _, err = run(capsys, tmp_path / "inner" / "d.png", tmp_path / "empty")
    assert status == 1
    assert "no such file" in err


def test_a_folder_without_pictures_says_so(tmp_path: Path, capsys) -> None:
    status, out, err = run(capsys, tmp_path)
    assert (status, out) == (1, "")
    assert "the folder has no image file" in err


def test_an_empty_name_is_not_the_current_folder(tmp_path: Path, capsys, monkeypatch) -> None:
    draw_one().save(tmp_path / "one.png")
    monkeypatch.chdir(tmp_path)
    status, printed, error = run(capsys, "")
    assert (status, printed) == (2, "")
    assert "empty" in error
    assert run(capsys, ".")[0] == 0


def test_the_picture_itself_is_never_drawn_over(tmp_path: Path, capsys) -> None:
    picture = tmp_path / "one.png"
    draw_one().save(picture)
    before = picture.read_bytes()
    status, out, err = run(capsys, picture, "--save", picture)
    assert (status, out) == (2, "")
    assert "would overwrite the picture itself" in err
    other = tmp_path / "other.png"
    status, _, err = run(capsys, picture, "--save", other, "--explain", other)
    assert status == 2
    assert "two different files" in err
    status, _, _ = run(capsys, tmp_path, "--save", tmp_path)
    assert status == 0
    assert picture.read_bytes() == before
    assert (tmp_path / "one-2.png").exists()


def test_a_tiff_file_is_read_page_by_page(tmp_path: Path, capsys) -> None:
    blank = Image.new("L", (160, 200), 240)
    draw_one().save(tmp_path / "scan.tif", save_all=True, append_images=[blank, draw_one(260)])
    status, out, _ = run(capsys, tmp_path / "scan.tif", "--json")
    readings = [json.loads(line) for line in out.splitlines()]
    assert [reading["page"] for reading in readings] == [1, 2, 3]
    assert [reading["text"] for reading in readings] == ["1", "", "1"]
    assert [reading["size"] for reading in readings] == [[200, 160], [200, 160], [260, 160]]
    assert "no ink" in readings[1]["error"]
    assert status == 1
    _, out, err = run(capsys, tmp_path / "scan.tif")
    assert out.splitlines()[0].startswith(f"{tmp_path / 'scan.tif'}, page 1: 1  ")
    assert err.startswith("error: page 2: no ink found")


def test_a_moving_picture_is_its_first_frame(tmp_path: Path, capsys) -> None:
    draw_one().save(tmp_path / "moving.gif", save_all=True, append_images=[draw_line().resize((160, 200))])
    status, out, _ = run(capsys, tmp_path / "moving.gif", "--json")
    assert status == 0
    assert [json.loads(line)["text"] for line in out.splitlines()] == ["1"]
    assert "page" not in json.loads(out)


def test_save_and_explain_draw_pictures(tmp_path: Path, capsys) -> None:
    draw_line().save(tmp_path / "line.png")
    overlay, steps = tmp_path / "new" / "overlay.png", tmp_path / "steps.pdf"
    status, out, err = run(capsys, tmp_path / "line.png", "--save", overlay, "--explain", steps)
    assert status == 0
    assert out.startswith("111  ")
    assert "refused" in out
    assert err.splitlines() == [str(overlay), str(steps)]
    drawn = np.asarray(Image.open(overlay).convert("RGB")).astype(int)
    assert ((drawn[:, :, 2] - drawn[:, :, 0]) > 100).any()  # blue boxes
    assert ((drawn[:, :, 0] - drawn[:, :, 2]) > 100).any()  # and that of what was refused
    assert steps.read_bytes().startswith(b"%PDF")


def test_where_no_ink_is_found_the_first_steps_are_drawn(tmp_path: Path, capsys) -> None:
    light = np.tile(np.linspace(230, 80, 400).astype(np.uint8), (300, 1))
    Image.fromarray(light).save(tmp_path / "light.png")
    overlay, steps = tmp_path / "overlay.png", tmp_path / "steps.png"
    status, out, err = run(capsys, tmp_path / "light.png", "--save", overlay, "--explain", steps)
    assert (status, out) == (1, "")
    assert "no ink found" in err
    assert not overlay.exists()
    drawn = np.asarray(Image.open(steps).convert("L"))
    assert drawn[200, 100] > drawn[200, 700] + 50  # the picture, dark on its right


def test_of_several_pictures_each_is_drawn_into_a_folder(tmp_path: Path, capsys) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        draw_one().save(tmp_path / folder / "one.png")
    draw_one().save(tmp_path / "scan.tif", save_all=True, append_images=[draw_line()])
    pictures = [
        tmp_path / "a" / "one.png",
        tmp_path / "b" / "one.png",
        tmp_path / "scan.tif",
        tmp_path / "gone",
    ]
    status, _, _ = run(capsys, *pictures, "--save", tmp_path / "drawn")
    assert status == 1
    names = sorted(path.name for path in (tmp_path / "drawn").iterdir())
    assert names == ["one-2.png", "one.png", "scan-page-1.png", "scan-page-2.png"]


def test_a_single_picture_is_drawn_into_a_folder_that_is_there(tmp_path: Path, capsys) -> None:
    picture = tmp_path / "one.jpg"
    draw_one().save(picture)
    (tmp_path / "drawn").mkdir()
    for expected in ("one.png", "one-page-1.png"):
        status, _, err = run(capsys, picture, "--save", tmp_path / "drawn")
        assert status == 0
        assert str(tmp_path / "drawn" / expected) in err
        picture = tmp_path / "one.tif"
        draw_one().save(picture, save_all=True, append_images=[draw_line()])


@pytest.mark.parametrize(
    ("target", "said"), [("answers", "must end in .png"), ("line.xyz", "must end in .png")]
)
def test_a_target_that_cannot_be_drawn_is_an_error_before_anything_is_read(
    tmp_path: Path, capsys, target, said
) -> None:
    draw_line().save(tmp_path / "line.png")
    status, out, err = run(capsys, tmp_path / "line.png", "--save", tmp_path / target)
    assert (status, out) == (2, "")
    assert said in err
    status, out, err = run(capsys, tmp_path / "line.png", tmp_path, "--explain", tmp_path / "line.png")
    assert (status, out) == (2, "")
    assert "must name a folder" in err
    status, out, err = run(capsys, tmp_path / "line.png", tmp_path, "--save", tmp_path / "both.png")
    assert (status, out) == (2, "")
    assert "must name a folder" in err
    assert not (tmp_path / "both.png").exists()


def test_a_picture_that_cannot_be_written_is_an_error_that_names_it(tmp_path: Path, capsys) -> None:
    draw_line().save(tmp_path / "line.png")
    status, out, err = run(capsys, tmp_path / "line.png", "--save", "/proc/overlay.png")
    assert status == 1
    assert out.startswith("111")
    assert "cannot write '/proc/overlay.png'" in err


def test_heic_as_telephones_make_it(tmp_path: Path, capsys, monkeypatch) -> None:
    heif = pytest.importorskip("pillow_heif")
    heif.from_pillow(draw_line().convert("RGB")).save(tmp_path / "photo.heic", quality=80)
    assert run(capsys, tmp_path / "photo.heic")[1].startswith("111  ")
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    status, _, err = run(capsys, tmp_path / "photo.heic")
    assert status == 1
    assert "pip install 'mnistry[heic]'" in err


def test_an_option_is_no_file_to_draw_into(tmp_path: Path, capsys) -> None:
    draw_line().save(tmp_path / "line.png")
    status, out, err = run(capsys, "--explain", "--save", tmp_path / "line.png")
    assert (status, out) == (2, "")
    assert "--explain must be followed by a file" in " ".join(err.split())


def test_a_line_of_another_length_says_what_was_expected_and_what_was_read(tmp_path: Path, capsys) -> None:
    draw_line().save(tmp_path / "line.png")
    for told, said in (
        (("--expect", "7"), "7 digits expected"),
        (("--pattern", "2.*"), "it does not match 2.*"),
    ):
        status, out, _ = run(capsys, tmp_path / "line.png", *told)
        assert (status, out) == (0, f"-  (read freely: 111)  (refused: {said})\n")
    figure = read(tmp_path / "line.png", expect=7).plot()
    written = [text.get_text() for ax in figure.axes for text in ax.texts]
    assert figure.get_suptitle() == "111: no match"
    assert "1" in written  # what was read is shown


def test_several_digits_where_one_was_told_are_noted(tmp_path: Path, capsys) -> None:
    draw_line().save(tmp_path / "line.png")
    draw_one().save(tmp_path / "one.png")
    _, out, err = run(capsys, tmp_path / "line.png", "--single")
    assert out.count("\n") == 1
    assert err == f"note: {tmp_path / 'line.png'} seems to hold more than one digit; --page reads all\n"
    _, out, err = run(capsys, tmp_path / "one.png", "--single")
    assert (out[:3], err) == ("1  ", "")
    _, out, err = run(capsys, tmp_path / "line.png", "--single", "--json")
    assert json.loads(out)["error"] is None
    assert "--page reads all" in err


def test_what_matches_nothing_shows_only_what_would_be_accepted_without(tmp_path: Path) -> None:
    draw_line().save(tmp_path / "line.png")
    line = read(tmp_path / "line.png", expect=8).lines[0]
    assert line.mismatched
    assert [label for label, free in zip("111-", line.free, strict=True) if free] == ["1", "1", "1"]
    figure = read(tmp_path / "line.png", expect=8).plot()
    assert [text.get_text() for text in figure.axes[1].texts].count("no digit") == 1


def test_where_nothing_is_a_digit_a_note_says_how_to_see_why(tmp_path: Path, capsys) -> None:
    cross = np.full((200, 200), 240, np.uint8)
    for start, end in (((40, 40), (160, 160)), ((160, 40), (40, 160)), ((100, 30), (100, 170))):
        cv2.line(cross, start, end, 20, 8, cv2.LINE_AA)
    Image.fromarray(cross).save(tmp_path / "star.png")
    draw_line().save(tmp_path / "line.png")
    status, out, err = run(capsys, tmp_path / "star.png")
    assert (status, out) == (0, "-  (refused: 1 mark that is no digit)\n")
    assert err.startswith(f"note: nothing in {tmp_path / 'star.png'} was taken for a digit; --explain")
    assert run(capsys, tmp_path / "line.png")[2] == ""
    assert run(capsys, tmp_path / "line.png", "--expect", "5")[2] == ""  # it is told already why

"""Paper of any form on a dark desk is read, and bold light digits are no paper."""

from __future__ import annotations

import subprocess
import sys

import cv2
import numpy as np
import pytest

from mnistry import load_mnist, read
from mnistry.explanation import plot_steps
from mnistry.pictures import load_gray
from mnistry.scraps import find_scraps
from mnistry.sheets import cover_tools, find_sheet


def write(text: str, size: tuple[int, int] = (260, 360)) -> np.ndarray:
    """Paper of this height and width with MNIST digits on it, 58 pixels high."""
    _, test = load_mnist()
    paper = np.full(size, 210, np.uint8)
    for place, digit in enumerate(text):
        image = test.images[np.flatnonzero(test.labels == int(digit))[1]]
        large = cv2.resize(image, (80, 80), interpolation=cv2.INTER_CUBIC)
        field = paper[80:160, 10 + 72 * place : 90 + 72 * place]
        field[:] = (field * (1 - large / 255 * 0.8)).astype(np.uint8)
    return paper


def lay(*sheets: tuple[np.ndarray, np.ndarray, tuple[int, int]], desk: int = 60) -> np.ndarray:
    """A photo of a grainy desk with paper on it: each with where it is paper, and x and y of its corner."""
    rng = np.random.default_rng(0)
    photo = np.clip(rng.normal(desk, 4, (480, 860)), 0, 255)
    for paper, form, (x, y) in sheets:
        field = photo[y : y + len(paper), x : x + paper.shape[1]]
        field[:] = np.where(form, paper, field)
    return cv2.GaussianBlur(photo, (0, 0), 1.0).round().astype(np.uint8)


def cut(form: str, size: tuple[int, int] = (260, 360)) -> np.ndarray:
    """Where paper of this form is paper."""
    height, width = size
    mask = np.zeros(size, np.uint8)
    if form == "round":
        radius = 40
        cv2.rectangle(mask, (radius, 0), (width - radius, height), 1, -1)
        cv2.rectangle(mask, (0, radius), (width, height - radius), 1, -1)
        for x in (radius, width - radius):
            for y in (radius, height - radius):
                cv2.circle(mask, (x, y), radius, 1, -1)
    elif form == "torn":
        rng = np.random.default_rng(1)
        x, y = np.arange(0, width + 1, 12), np.arange(0, height + 1, 12)
        edge = [(a, rng.integers(0, 14)) for a in x] + [(width - rng.integers(0, 14), b) for b in y]
        edge += [(a, height - rng.integers(0, 14)) for a in x[::-1]] + [
            (rng.integers(0, 14), b) for b in y[::-1]
        ]
        cv2.fillPoly(mask, [np.array(edge, np.int32)], 1)
    elif form == "held":  # by a thumb, at the lower left
        mask[:] = 1
        cv2.ellipse(mask, (20, 235), (30, 60), 20, 0, 360, 0, -1)
    else:
        mask[:] = 1
    return mask > 0


@pytest.mark.parametrize("form", ["round", "torn", "held"])
def test_paper_of_any_form_is_read(form: str) -> None:
    photo = lay((write("4735"), cut(form), (200, 100)))
    assert find_sheet(photo) is None or form == "held"
    reading = read(photo)
    assert reading.text.replace(" ", "") == "4735"
    for digit in reading.lines[0].digits:
        x, y, width, height = digit.box
        assert 200 < x < x + width < 560
        assert 170 < y < y + height < 270


def test_several_sheets_are_read_one_after_the_other() -> None:
    sheets = [
        (write(text), cut("square"), place) for text, place in (("4735", (30, 90)), ("2086", (470, 130)))
    ]
    photo = lay(*sheets)
    assert len(find_scraps(photo)) == 2
    reading = read(photo)
    assert [line.text.replace(" ", "") for line in reading.lines] == ["4735", "2086"]
    assert max(digit.box[0] for digit in reading.lines[0].digits) < 400
    assert min(digit.box[0] for digit in reading.lines[1].digits) > 470
    assert plot_steps(load_gray(photo), reading.lines).axes


def test_a_sheet_without_writing_is_left_out_beside_one_with_a_digit() -> None:
    blank = np.full((260, 360), 210, np.uint8)
    photo = lay((blank, cut("round"), (30, 90)), (write("47"), cut("round"), (470, 130)))
    assert read(photo).text.replace(" ", "") == "47"
    assert (
        read(lay((blank, cut("round"), (30, 90)), (write("4"), cut("round"), (470, 130))), single=True).text
        == "4"
    )


@pytest.mark.parametrize("angle", [50, 130])
def test_a_pen_across_the_edge_is_covered(angle: float) -> None:
    photo = lay((write("4735"), cut("square"), (200, 100)))
    way = np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle))])
    start = np.array([400.0, 300.0])
    cv2.line(photo, start.astype(int).tolist(), (start + 130 * way).astype(int).tolist(), 25, 12, cv2.LINE_AA)
    assert read(photo).text.replace(" ", "") == "4735"


def test_printed_lines_that_reach_the_edge_are_not_taken_for_a_pen() -> None:
    paper = write("4735")
    for y in range(30, 260, 60):
        cv2.line(paper, (0, y), (360, y), 150, 2)
    photo = lay((paper, cut("square"), (200, 100)))
    (sheet,) = find_scraps(photo)
    assert cover_tools(photo, sheet) is photo
    assert read(photo).text.replace(" ", "") == "4735"


@pytest.mark.parametrize("thickness", [5, 10, 20])
def test_bold_light_digits_are_no_paper(thickness: int) -> None:
    train, _ = load_mnist()
    rng = np.random.default_rng(thickness)
    brush = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (thickness, thickness))
    for _ in range(30):
        picture = np.zeros((280, 480), np.uint8)
        for place in (30, 160, 250):
            image = train.images[rng.integers(len(train.images))]
            field = picture[40:240, place : place + 200]
            np.maximum(field, cv2.resize(image, (200, 200), interpolation=cv2.INTER_CUBIC), out=field)
        picture = cv2.GaussianBlur(cv2.dilate(picture, brush), (0, 0), 1.5)
        assert find_scraps(picture) == []


def test_a_light_page_has_no_scraps() -> None:
    assert find_scraps(write("4735")) == []
    assert find_scraps(np.full((1, 3000), 255, np.uint8)) == []
    assert find_scraps(np.full((300, 300), 30, np.uint8)) == []


def test_light_writing_beside_a_card_is_not_covered() -> None:
    _, test = load_mnist()
    board = lay((write("47", (180, 180)), np.ones((180, 180), np.bool_), (640, 30)), desk=40)
    for place, digit in enumerate("2086"):
        image = test.images[np.flatnonzero(test.labels == int(digit))[1]]
        field = board[270:400, 100 + 150 * place : 230 + 150 * place]
        np.maximum(field, cv2.resize(image, (130, 130), interpolation=cv2.INTER_CUBIC), out=field)
    assert find_scraps(board) == []
    assert "2086" in read(board).text.replace(" ", "")


@pytest.mark.parametrize("text", ["473", "4735"])
def test_two_notes_are_read_with_little_and_with_much_writing(text: str) -> None:
    def note(first: str, second: str) -> np.ndarray:
        return np.vstack([write(first, (200, 310))[50:190], write(second, (200, 310))[50:190]])

    half = len(text) // 2
    square = np.ones((280, 310), np.bool_)
    photo = lay((note(text, ""), square, (60, 90)), (note(text[:half], text[half:]), square, (480, 90)))
    lines = [line.text.replace(" ", "") for line in read(photo).lines]
    assert lines == [text[:4], text[:half], text[half:]]


def test_python_m_mnistry_is_the_command(tmp_path) -> None:
    path = tmp_path / "card.png"
    cv2.imwrite(str(path), lay((write("4735"), cut("round"), (200, 100))))
    done = subprocess.run(
        [sys.executable, "-m", "mnistry", "read", str(path)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[0] == "4735"

from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from mnistry import Dataset, imaging, load_mnist, synthesis
from mnistry.paper import find_page_ink
from mnistry.synthesis import glyphs, outliers, pens, strokes, writing
from mnistry.synthesis.papers import LIGHT_ON_DARK, SCENES

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def digits() -> Dataset:
    train, _ = load_mnist()
    return train.take(3000)


def find_ink(page: synthesis.Page) -> np.ndarray:
    """Where a page of an evenly lit scene has ink: further from the paper than from the ink."""
    gray = page.image.max(axis=2) if page.scene in LIGHT_ON_DARK else 255 - page.image.min(axis=2)
    paper = np.median(gray)
    return (gray > paper + 0.4 * (gray.max() - paper)).astype(np.uint8)


def covered(page: synthesis.Page, margin: int = 1) -> np.ndarray:
    mask = np.zeros(page.image.shape[:2], bool)
    for mark in (mark for line in page.lines for mark in line.digits + line.signs):
        x, y, width, height = mark.box
        mask[max(0, y - margin) : y + height + margin, max(0, x - margin) : x + width + margin] = True
    return mask


# ---- truth ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", synthesis.LAYOUTS)
@pytest.mark.parametrize("difficulty", synthesis.DIFFICULTIES)
def test_a_page_is_described_by_its_truth(digits: Dataset, difficulty: str, layout: str) -> None:
    page = synthesis.make_page(digits, 3, difficulty, layout)
    height, width = page.image.shape[:2]
    assert page.image.dtype == np.uint8
    assert page.image.shape == (height, width, 3)
    assert page.image.std() > 3
    assert page.scene in SCENES
    assert page.text == "\n".join(line.text for line in page.lines)
    tops = [np.mean([mark.box[1] + mark.box[3] / 2 for mark in line.digits]) for line in page.lines]
    assert tops == sorted(tops)
    for line in page.lines:
        assert line.text.replace(" ", "") == "".join(mark.label for mark in line.digits)
        middles = [mark.box[0] + mark.box[2] / 2 for mark in line.digits]
        assert middles == sorted(middles)
        for mark in line.digits:
            assert mark.label == str(digits.labels[mark.index])
        for x, y, box_width, box_height in (mark.box for mark in line.digits + line.signs):
            assert 0 <= x < x + box_width <= width
            assert 0 <= y < y + box_height <= height
    assert any(line.signs for line in page.lines) == (layout == "expression") or layout == "amount"


def test_a_sheet_has_its_size_and_many_lines(digits: Dataset) -> None:
    page = synthesis.make_page(digits, 0, "medium", "sheet")
    assert page.image.shape[0] >= 1400
    assert page.image.shape[1] >= 1000
    assert len(page.lines) >= 9
    assert any(" " in line.text for line in page.lines)


@pytest.mark.parametrize("scene", ["paint", "canvas", "scan"])
def test_boxes_hold_all_ink_and_nothing_else(digits: Dataset, scene: str) -> None:
    for seed in range(4):
        page = synthesis.make_page(digits, seed, "easy", "lines", scene=scene, touching=0.0)
        ink = find_ink(page)
        assert not (ink & ~covered(page)).any()
        boxes = [mark.box for line in page.lines for mark in line.digits]
        for x, y, width, height in boxes:
            found = cv2.boundingRect(ink[y : y + height, x : x + width])
            np.testing.assert_allclose(found, (0, 0, width, height), atol=3)


def test_boxes_follow_the_camera(digits: Dataset) -> None:
    for seed in range(5):
        page = synthesis.make_page(digits, seed, "hard", "lines", scene="board")
        light = cv2.GaussianBlur(page.image.max(axis=2), (0, 0), 2)
        chalk = light > np.median(light) + 0.5 * (np.percentile(light, 99.8) - np.median(light))
        assert (chalk & covered(page, 2)).sum() > 0.99 * chalk.sum()
        boxes = [mark.box for line in page.lines for mark in line.digits]
        assert np.mean([chalk[y : y + h, x : x + w].any() for x, y, w, h in boxes]) > 0.8


def test_a_digit_on_a_page_is_the_data_sets(digits: Dataset) -> None:
    ranks = []
    for seed in range(20):
        page = synthesis.make_page(digits, seed, "easy", "single", scene="canvas")
        (mark,) = page.lines[0].digits
        image = imaging.center_digit(find_page_ink(page.image.max(axis=2), invert=True).ink)
        others = np.concatenate([digits.images[[mark.index]], digits.images[:400]]).reshape(401, -1)
        others = others - others.mean(axis=1, keepdims=True)
        likeness = others @ image.ravel() / np.linalg.norm(others, axis=1)
        ranks.append((likeness[1:] > likeness[0]).sum())
    assert np.median(ranks) <= 2  # though another pen is at work
    assert max(ranks) < 100


def test_a_given_text_is_written(digits: Dataset) -> None:
    page = synthesis.make_line(digits, 1, "easy", "4711  20")
    assert page.text == "4711 20"
    boxes = [mark.box for mark in page.lines[0].digits]
    ends = [x + width for x, _, width, _ in boxes]
    gaps = [boxes[number + 1][0] - ends[number] for number in range(5)]
    assert np.argmax(gaps) == 3
    page = synthesis.make_page(digits, 1, rows=["1.234,-", "8+3=11"], layout="lines")
    assert page.text == "1234\n8 3 11"
    assert [mark.label for mark in page.lines[0].signs] == [".", ",", "-"]
    assert all(mark.index == -1 for line in page.lines for mark in line.signs)


def test_only_digits_of_the_data_set_are_drawn(digits: Dataset) -> None:
    few = digits.take(digits.labels > 7)
    for layout in synthesis.LAYOUTS:
        assert set(synthesis.make_page(few, 0, "medium", layout).text) <= set("89 \n")


def test_digits_touch_when_they_shall(digits: Dataset) -> None:
    for seed in range(5):
        apart = synthesis.make_line(digits, seed, "easy", "20354", scene="scan", touching=0.0)
        _, labels = cv2.connectedComponents(find_ink(apart), connectivity=8)
        seen: set[int] = set()
        for x, y, width, height in (mark.box for mark in apart.lines[0].digits):
            parts = labels[y : y + height, x : x + width]
            names, counts = np.unique(parts[parts > 0], return_counts=True)
            own = set(names[counts > 0.3 * counts.max()].tolist())
            assert not own & seen
            seen |= own
        touching = synthesis.make_line(digits, seed, "easy", "20354", scene="scan", touching=1.0)
        assert len(touching.lines[0].digits) == 5
        assert cv2.connectedComponents(find_ink(touching), connectivity=8)[0] - 1 <= 3


# ---- seeds ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scene", SCENES)
def test_a_seed_decides_everything(digits: Dataset, scene: str) -> None:
    first, again = (synthesis.make_page(digits, 5, "hard", "line", scene=scene) for _ in range(2))
    np.testing.assert_array_equal(first.image, again.image)
    assert (first.text, first.lines) == (again.text, again.lines)
    other = synthesis.make_page(digits, 6, "hard", "line", scene=scene)
    assert other.image.shape != first.image.shape or (other.image != first.image).any()


def test_making_pages_leaves_the_global_random_state_and_the_data_alone(digits: Dataset) -> None:
    before = digits.sha256, np.random.get_state()[1].copy()  # noqa: NPY002
    synthesis.make_page(digits, 0, "hard", "lines")
    synthesis.make_outliers(digits, 40, 0)
    fresh = Dataset(digits.images, digits.labels, "again")
    assert fresh.sha256 == before[0]
    np.testing.assert_array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"difficulty": "brutal"}, "unknown difficulty 'brutal'; one of easy, medium, hard"),
        ({"layout": "circle"}, "unknown layout 'circle'; one of single, line"),
        ({"scene": "wall"}, "unknown scene 'wall'; one of photo"),
        ({"touching": 1.5}, "touching=1.5; a portion from 0 to 1"),
        ({"rows": ["12a"]}, "cannot write 'a'"),
        ({"rows": ["12", " "]}, "one character a row"),
        ({"rows": ["+-"]}, "at least one digit"),
    ],
)
def test_a_wrong_argument_is_named(digits: Dataset, arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        synthesis.make_page(digits, 0, **arguments)


# ---- glyphs and pens --------------------------------------------------------------------------------


def write(shapes: glyphs.Glyphs, number: int, pen: pens.Pen, size_px: int) -> np.ndarray:
    """One glyph, its field of 36 x 36 MNIST pixels enlarged to size_px."""
    to_grid = np.array([[1.0, 0, 0], [0, 1, 0]]) * glyphs.GRID / size_px
    return pens.write(shapes, number, pen, to_grid, (size_px, size_px))


def test_an_enlarged_digit_is_the_digit_without_its_pixels(digits: Dataset) -> None:
    shapes = glyphs.trace_images(digits.images[:40])
    for number in range(40):
        width = 2 * shapes.half_widths[number] / glyphs.DIGIT_GRID
        cover = write(shapes, number, pens.Pen("", (0, 0, 0), float(width), as_written=True), 720)
        small = cv2.resize(cover, (36, 36), interpolation=cv2.INTER_AREA)[4:-4, 4:-4] * 255
        assert np.abs(small - digits.images[number]).mean() < 12
        # Blocks of 20 x 20 pixels would leave an outline of steps: long level and upright stretches.
        (outline, *_), _ = cv2.findContours(
            (cover > 0.5).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
        )
        steps = np.diff(outline[::8, 0], axis=0)
        assert (np.abs(steps).min(axis=1) == 0).mean() < 0.5


@pytest.mark.parametrize("width", [0.04, 0.08, 0.14])
def test_a_pen_has_its_width(digits: Dataset, width: float) -> None:
    shapes = glyphs.trace_images(digits.images[digits.labels == 0][:20])
    measured = []
    for number in np.flatnonzero(~shapes.filled):
        cover = write(shapes, number, pens.Pen("", (0, 0, 0), width), 360)
        measured.append(imaging.measure_stroke((cover * 255).astype(np.uint8)) / (360 * 20 / 36))
    assert np.median(measured) == pytest.approx(width, rel=0.15)


def test_thinning_keeps_strokes_and_loops(digits: Dataset) -> None:
    for image in digits.images[:30]:
        mask = (cv2.resize(image, (112, 112), interpolation=cv2.INTER_CUBIC) > 90).astype(np.uint8)
        line = glyphs.thin(mask)
        assert not (line & ~mask).any()
        assert cv2.connectedComponents(line)[0] == cv2.connectedComponents(mask)[0]
        for picture in (mask, line):
            picture[0, :] = 0
        assert (
            cv2.connectedComponents(1 - line, connectivity=4)[0]
            == cv2.connectedComponents(1 - mask, connectivity=4)[0]
        )
        np.testing.assert_array_equal(glyphs.thin(line), line)
        assert cv2.erode(line, np.ones((3, 3), np.uint8)).sum() == 0


def test_the_gap_between_two_marks_is_that_of_their_ink() -> None:
    slash = np.fliplr(np.eye(20, dtype=np.float32))
    before, after = writing.Written("1", 0, slash, 0, 0), writing.Written("1", 1, slash, 12, 0)
    # 11 columns lie between them on the same row; a neighbouring row takes one away.
    assert writing.measure_gap(before, after) == pytest.approx(10, abs=1)
    above = writing.Written("1", 1, slash, 30, 200)
    assert writing.measure_gap(before, above) == 10


# ---- outliers ---------------------------------------------------------------------------------------


def test_outliers_are_centred_like_digits_and_of_every_family(digits: Dataset) -> None:
    images, names = synthesis.make_outliers(digits, 400, 0)
    assert images.shape == (400, 28, 28)
    assert images.dtype == np.uint8
    assert names.shape == (400,)
    assert {name.split()[0] for name in names} == set(outliers.FAMILIES)
    assert images.max(axis=(1, 2)).min() > 60
    rows, columns = np.indices((28, 28))
    for image in images:
        assert abs(np.average(rows, weights=image) - 14) < 2.5
        assert abs(np.average(columns, weights=image) - 14) < 2.5


def test_outliers_depend_on_their_seed_alone(digits: Dataset) -> None:
    images, names = synthesis.make_outliers(digits, 150, 7)
    again, again_names = synthesis.make_outliers(digits, 150, 7)
    np.testing.assert_array_equal(images, again)
    np.testing.assert_array_equal(names, again_names)
    assert (synthesis.make_outliers(digits, 150, 8)[0] != images).any()


def test_outliers_can_be_drawn_of_some_families_alone(digits: Dataset) -> None:
    drawn = list(outliers.draw_outliers(digits, 200, {"doodle": 0.5, "blob": 0.5}, 3))
    assert {name.split()[0] for _, name in drawn} == {"doodle", "blob"}
    assert all(ink.dtype == np.uint8 and ink.ndim == 2 and ink.any() for ink, _ in drawn)


def test_no_outlier_has_the_shape_of_a_digit(digits: Dataset) -> None:
    _, names = synthesis.make_outliers(digits, 900, 1)
    for name in names:
        family, *what = name.split()
        if family in ("letter", "sign"):
            assert what[0] not in strokes.LOOKALIKES
        if family == "fragment":
            assert what[-1] not in outliers.DIGIT_HALVES[what[0]]
    letters = {name.split()[1] for name in names if name.startswith("letter")}
    assert letters == set(strokes.LETTERS)
    assert not letters & set(strokes.LOOKALIKES)
    assert {letter for letter in strokes.LOOKALIKES if letter.isalpha()} | letters == set(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    )


def test_letters_are_made_one_by_one() -> None:
    images = synthesis.make_letters("OI", 6, 0)
    assert images.shape == (6, 28, 28)
    wide = [np.ptp(np.flatnonzero((image > 80).any(axis=0))) for image in images]
    assert min(wide[0::2]) > max(wide[1::2]) - 8  # an O is about round, an I is narrow but for serifs
    np.testing.assert_array_equal(images, synthesis.make_letters("OI", 6, 0))


@pytest.mark.parametrize(("letters", "n"), [("A1", 3), ("", 3), ("A", 0), ("Ä", 1)])
def test_letters_that_cannot_be_made_are_refused(letters: str, n: int) -> None:
    with pytest.raises(ValueError, match="letters from A to Z and at least 1 image"):
        synthesis.make_letters(letters, n, 0)


def test_at_least_one_outlier_is_made(digits: Dataset) -> None:
    assert len(synthesis.make_outliers(digits, 1, 0)[0]) == 1
    with pytest.raises(ValueError, match="at least 1"):
        synthesis.make_outliers(digits, 0, 0)


# ---- documentation ----------------------------------------------------------------------------------


def test_the_example_in_the_documentation_runs() -> None:
    text = (Path(__file__).parent.parent / "docs" / "synthesis.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    names: dict[str, object] = {}
    exec(code.replace("1000", "100").replace("500", "50"), names)
    assert isinstance(names["page"], synthesis.Page)
    for mark in strokes.LOOKALIKES:
        assert f" {mark} " in text.replace("\\", "").replace("(", " ").replace("|", " | ") or mark in "\\|"

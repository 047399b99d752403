"""Tables, drawn by hand: their lines are taken away, what is written in them stays, each cell apart."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from mnistry import load_mnist, read
from mnistry.grids import find_grid

DIGIT_PX, ACROSS, DOWN, EDGE = 56, 170, 100, 60


def draw_line(ink: np.ndarray, start: tuple[float, float], end: tuple[float, float], bend_px: float) -> None:
    """Draw a line that bends to one side and back, as by hand."""
    along = np.linspace(0, 1, 40)[:, None]
    straight = np.array(start) + along * (np.array(end) - np.array(start))
    aside = np.array([end[1] - start[1], start[0] - end[0]]) / np.hypot(*np.subtract(end, start))
    points = straight + np.sin(along * 2 * np.pi) * bend_px * aside
    cv2.polylines(ink, [points.round().astype(np.int32)], False, 255, 5, cv2.LINE_AA)


def draw_table(
    rows: list[list[str]], *, bend_px: float = 6.0, shift: float = 0.0, short_px: float = 0.0, boxes: int = 0
) -> np.ndarray:
    """A table of test digits, dark on light, as wide as its first row.

    Args:
        rows: what is written in the cells.
        bend_px: how far lines leave their way.
        shift: of a cell's width, by which all is written further to the right.
        short_px: so far from the next line the upright lines between the cells end.
        boxes: cells' width, or that of tables.
    """
    _, digits = load_mnist()
    across = boxes or ACROSS
    height, width = 2 * EDGE + DOWN * len(rows), 2 * EDGE + across * len(rows[0])
    ink = np.zeros((height, width), np.uint8)
    for row in range(len(rows) + 1):
        draw_line(ink, (EDGE, EDGE + row * DOWN), (width - EDGE, EDGE + row * DOWN), bend_px)
    for column in range(len(rows[0]) + 1):
        x, inner = EDGE + column * across, 0 < column < len(rows[0])
        draw_line(ink, (x, EDGE + short_px * inner), (x, height - EDGE), bend_px)
    for row, cells in enumerate(rows):
        for column, text in enumerate(cells):
            x = EDGE + (column + 0.5 + shift) * across - len(text) * DIGIT_PX * 0.4
            for place, name in enumerate(text):
                image = digits.images[digits.labels == int(name)][3]
                large = cv2.resize(image, (DIGIT_PX, DIGIT_PX), interpolation=cv2.INTER_CUBIC)
                left, top = round(x + place * DIGIT_PX * 0.8), EDGE + row * DOWN + (DOWN - DIGIT_PX) // 2
                field = ink[top : top + DIGIT_PX, left : left + DIGIT_PX]
                np.maximum(field, large, out=field)
    return 255 - ink


ROWS = [["42", "57", "36"], ["83", "69", "25"], ["74", "32", "96"]]
TEXT = "42 57 36\n83 69 25\n74 32 96"


@pytest.mark.parametrize("bend_px", [0.0, 4.0, 9.0])
def test_lines_drawn_by_hand_are_taken_away(bend_px: float) -> None:
    assert read(draw_table(ROWS, bend_px=bend_px)).text == TEXT


def test_lines_may_end_before_the_next_one() -> None:
    assert read(draw_table(ROWS, short_px=12)).text == TEXT


def test_digits_that_reach_into_a_line_stay_whole() -> None:
    assert read(draw_table(ROWS, shift=0.2)).text == TEXT


def test_a_turned_table_is_read() -> None:
    page = draw_table(ROWS)
    middle = (page.shape[1] / 2, page.shape[0] / 2)
    turn = cv2.getRotationMatrix2D(middle, 4, 1.0)
    assert read(cv2.warpAffine(page, turn, page.shape[::-1], borderValue=255)).text == TEXT


def test_each_cell_is_a_number_of_its_own() -> None:
    rows = [list("4736"), list("8625"), list("7329")]
    assert read(draw_table(rows, boxes=78)).text == "4 7 3 6\n8 6 2 5\n7 3 2 9"


def test_a_row_of_boxes_is_one_number() -> None:
    assert read(draw_table([list("473625")], boxes=78, bend_px=0)).text == "473625"


def find(page: np.ndarray) -> object:
    """The grid that the largest mark of a page is."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats((page < 128).astype(np.uint8))
    largest = 1 + int(stats[1:, 2:4].prod(axis=1).argmax())
    return find_grid(labels == largest, (labels > 0) & (labels != largest))


def test_a_table_is_one_where_something_is_written_in_cells_beside_and_below_each_other() -> None:
    assert find(draw_table(ROWS)) is not None
    assert find(draw_table([["", ""], ["", ""]])) is None
    assert find(draw_table([["42", "57", "36", "83", "69"]])) is None
    assert find(draw_table([["42"], ["57"], ["36"], ["83"], ["69"]])) is None


def test_the_cells_are_where_they_were_drawn() -> None:
    grid = find(draw_table(ROWS, bend_px=0))
    assert len(grid.cells) == 9
    expected = [(EDGE + ACROSS * column, EDGE + DOWN * row) for row in range(3) for column in range(3)]
    assert np.allclose(sorted(cell[:2] for cell in grid.cells), sorted(expected), atol=4)


def test_eights_below_each_other_are_no_table() -> None:
    page = np.full((500, 420), 255, np.uint8)
    for row in range(2):
        for column in range(2):
            for half in (0, 1):
                center = (110 + 98 * column, 90 + 190 * row + 95 * half)
                cv2.ellipse(page, center, (48, 46), 0, 0, 360, 0, 8, cv2.LINE_AA)
                cv2.circle(page, center, 9, 0, -1)
    assert find(page) is None


def test_a_table_that_fills_its_picture_keeps_none_of_its_lines() -> None:
    """Lines from border to border seem printed; where some are bent, all are a table's."""
    page = draw_table(ROWS, bend_px=5)
    assert read(page[EDGE - 8 : 8 - EDGE, EDGE - 8 : 8 - EDGE]).text == TEXT


def test_a_digit_near_a_thick_line_does_not_part_its_cell() -> None:
    page = draw_table([list("4736"), list("8625"), list("7329")], boxes=70, bend_px=0)
    ink = cv2.erode(page, np.ones((3, 3), np.uint8))
    assert read(ink).text.replace(" ", "") == "4736\n8625\n7329"


def test_a_digit_that_touches_its_ring_is_read() -> None:
    _, digits = load_mnist()
    page = np.zeros((260, 300), np.uint8)
    cv2.ellipse(page, (150, 130), (105, 95), 0, 0, 360, 255, 5, cv2.LINE_AA)
    for place, name in enumerate((2, 4)):
        image = cv2.resize(digits.images[digits.labels == name][3], (90, 90), interpolation=cv2.INTER_CUBIC)
        left = 72 + 88 * place  # the 4 runs into the ring
        field = page[85:175, left : left + 90]
        np.maximum(field, image, out=field)
    assert read(255 - page).text == "24"

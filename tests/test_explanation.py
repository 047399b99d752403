"""Pictures of what was read, and of how."""

from __future__ import annotations

import cv2
import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure

from mnistry.errors import ImageError
from mnistry.explanation import plot_steps
from mnistry.plots.readings import plot_reading
from mnistry.readings import Digit, Line, Reading

matplotlib.use("Agg")


def _digit(label: str, left: int, accepted: bool) -> Digit:
    image = np.zeros((28, 28), np.uint8)
    image[4:24, 12:16] = 255
    return Digit(label, (left, 40, 60, 100), 0.912, (), accepted, image)


LINES = (Line((_digit("1", 40, True), _digit("7", 170, False))),)


@pytest.fixture
def picture() -> np.ndarray:
    picture = np.full((200, 300), 255, np.uint8)
    cv2.line(picture, (70, 50), (70, 130), 0, 6)
    cv2.line(picture, (200, 50), (200, 130), 0, 6)
    return picture


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for ax in figure.axes for text in ax.texts]


def test_the_answers_stand_at_their_boxes_and_what_was_refused_has_none(picture: np.ndarray) -> None:
    figure = plot_reading(picture, LINES, figure=Figure())
    photo, seen = figure.axes
    boxes = [(patch.get_xy(), patch.get_width(), patch.get_height()) for patch in photo.patches]
    assert boxes == [((40, 40), 60, 100), ((170, 40), 60, 100)]
    assert photo.patches[0].get_linestyle() != photo.patches[1].get_linestyle()
    assert [text.get_text() for text in photo.texts] == ["1", "0.91", "?"]
    assert [text.get_text() for text in seen.texts] == ["1  0.91", "no digit"]


def test_boxes_count_in_pixels_of_the_file(picture: np.ndarray) -> None:
    figure = plot_reading(picture, LINES, size=(400, 600), figure=Figure())
    assert figure.axes[0].images[0].get_extent() == [0, 600, 400, 0]


def test_a_wide_picture_has_what_the_network_saw_below(picture: np.ndarray) -> None:
    beside = plot_reading(picture, LINES, figure=Figure())
    below = plot_reading(picture[30:150], LINES, figure=Figure())
    for figure in (beside, below):
        figure.canvas.draw()
    assert beside.axes[1].get_position().x0 > beside.axes[0].get_position().x1
    assert below.axes[1].get_position().y1 < below.axes[0].get_position().y0


@pytest.mark.parametrize("digits", [0, 1, 5, 200])
def test_any_number_of_digits_can_be_drawn(picture: np.ndarray, digits: int) -> None:
    line = Line(tuple(_digit("1", index % 200, True) for index in range(digits)))
    figure = plot_reading(picture, (line,), figure=Figure())
    figure.canvas.draw()
    assert len(texts(figure)) == 3 * digits
    assert max(figure.get_size_inches()) < 40


def test_the_steps_have_a_panel_each(picture: np.ndarray) -> None:
    figure = plot_steps(picture, LINES, figure=Figure())
    captions = [ax.get_title(loc="left") for ax in figure.axes]
    assert [caption[0] for caption in captions] == ["1", "2", "3", "4", "5", "6"]
    ink = figure.axes[2].images[0].get_array()
    assert ink[90, 70] < 64
    assert ink[90, 130] == 255


def test_the_steps_of_light_ink_are_those_of_dark_ink(picture: np.ndarray) -> None:
    dark, light = (plot_steps(gray, LINES, figure=Figure()) for gray in (picture, 255 - picture))
    for step in (1, 2, 3):
        assert np.array_equal(*(figure.axes[step].images[0].get_array() for figure in (dark, light)))


def test_a_picture_without_ink_has_no_steps() -> None:
    with pytest.raises(ImageError, match="no ink"):
        plot_steps(np.full((100, 100), 255, np.uint8), [], figure=Figure())


def test_a_reading_draws_itself(picture: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    reading = Reading("<array>", LINES, (200, 300), source=picture)
    assert "1" in texts(reading.plot(Figure()))
    shown = []
    monkeypatch.setattr("matplotlib.pyplot.show", lambda: shown.append(matplotlib.pyplot.gcf()))
    reading.show()
    assert "1" in texts(shown[0])
    matplotlib.pyplot.close("all")
    with pytest.raises(ValueError, match="does not know its picture"):
        Reading("gone.png", (), None).plot(Figure())

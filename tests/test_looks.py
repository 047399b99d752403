"""What is in doubt is looked at again, and what most looks say is taken."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from mnistry import load_mnist, pages, read, voting
from mnistry.errors import ImageError
from mnistry.explanation import plot_steps
from mnistry.looks import FIRST, Look, look_at
from mnistry.segmentation import Mark
from mnistry.voting import LOOKS, choose_most, is_settled, list_looks


def write_on_cheque(seed: int, pattern: float) -> tuple[np.ndarray, str]:
    """Five MNIST digits on paper with two sets of waves printed on it, `pattern` gray levels dark."""
    rng = np.random.default_rng(seed)
    _, test = load_mnist()
    ink = np.zeros((70, 190), np.float32)
    labels, left = rng.integers(0, 10, 5), 20
    for label in labels:
        image = test.images[rng.choice(np.flatnonzero(test.labels == label))]
        scale = rng.uniform(1.3, 1.6)
        large = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
        columns = np.flatnonzero(large.max(axis=0) > 50)
        large = large[:, columns[0] : columns[-1] + 1].astype(np.float32) / 255
        top = (len(ink) - len(large)) // 2 + int(rng.integers(-2, 3))
        field = ink[top : top + len(large), left : left + large.shape[1]]
        np.maximum(field, large, out=field)
        left += large.shape[1] + int(rng.integers(2, 6))
    rows, columns = np.indices(ink.shape, np.float32)
    waves = np.zeros_like(ink)
    for turn in rng.uniform(-0.6, 0.6, 2):
        bend = 3 * np.sin(columns / rng.uniform(20, 40) + rng.uniform(0, 6))
        across = (rows * np.cos(turn) + columns * np.sin(turn) + bend) / rng.uniform(7, 11)
        waves = np.maximum(waves, np.clip(1.6 * np.cos(2 * np.pi * across) - 0.6, 0, 1))
    page = cv2.GaussianBlur(195 - pattern * waves - 95 * ink + rng.normal(0, 3, ink.shape), (0, 0), 0.7)
    return np.clip(page, 0, 255).astype(np.uint8), "".join(map(str, labels))


def count_right(pattern: float) -> int:
    cheques = [write_on_cheque(seed, pattern) for seed in range(40)]
    return sum(read(picture).text.replace(" ", "") == text for picture, text in cheques)


def test_numbers_on_printed_waves_are_read_more_often_at_several_looks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    several = count_right(45.0)
    monkeypatch.setattr(pages, "MOST_AGAIN", 0)
    assert several >= max(30, count_right(45.0))


def test_digits_that_are_sure_are_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    picture = 255 - np.hstack(
        [np.pad(load_mnist()[1].images[index], 6) for index in (0, 1, 2, 3)]  # 7 2 1 0
    )
    large = cv2.resize(picture, None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC)
    reading = read(large)
    assert reading.text.replace(" ", "") == "7210"
    assert reading.lines[0].look == FIRST
    monkeypatch.setattr(pages, "list_looks", lambda page, found: pytest.fail("looked at again"))
    assert read(large) == reading


def test_boxes_and_steps_are_those_of_the_look_that_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    picture, text = write_on_cheque(0, 30.0)
    first = read(picture).lines[0]
    coarse = Look("again, coarser", size=0.6)
    monkeypatch.setattr(pages, "FIRST", coarse)
    monkeypatch.setattr(pages, "MOST_AGAIN", 0)
    (line,) = read(picture).lines
    assert line.look.size == 0.6
    assert line.text == first.text == text
    for digit, other in zip(line.digits, first.digits, strict=True):
        np.testing.assert_allclose(digit.box, other.box, atol=4)
    captions = [ax.get_title(loc="left") for ax in plot_steps(picture, [line]).axes]
    assert any("looked at again, coarser" in caption for caption in captions)
    assert not any("looked at" in ax.get_title(loc="left") for ax in plot_steps(picture, [first]).axes)


def test_boxes_are_in_place_where_only_a_part_of_the_page_is_looked_at_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    number, text = write_on_cheque(0, 0.0)
    picture = np.full((800, 900), 195, np.uint8)
    picture[350:420, 600:790] = number
    first = read(picture).lines[0]
    seen = []

    def look_and_keep(page: np.ndarray, look: Look) -> tuple[np.ndarray, np.ndarray]:
        seen.append(look_at(page, look))
        return seen[-1]

    monkeypatch.setattr(pages, "look_at", look_and_keep)
    monkeypatch.setattr(voting, "CERTAIN", 2.0)
    monkeypatch.setattr(pages, "choose_most", lambda answers: 2)
    (line,) = read(picture).lines
    assert line.look.darkness > 1
    assert line.text == first.text == text
    assert seen[0][0].shape == picture.shape
    assert max(seen[1][0].shape) < 400
    for digit, other in zip(line.digits, first.digits, strict=True):
        np.testing.assert_allclose(digit.box, other.box, atol=3)


def test_what_is_seen_is_a_part_coarser_or_smoother() -> None:
    page = np.random.default_rng(0).integers(0, 256, (100, 200), np.uint8)
    same, to_page = look_at(page, FIRST)
    np.testing.assert_array_equal(same, page)
    np.testing.assert_array_equal(to_page, np.eye(3))
    part, to_page = look_at(page, Look("", part=(30, 20, 50, 40)))
    np.testing.assert_array_equal(part, page[20:60, 30:80])
    np.testing.assert_array_equal(to_page @ (1, 2, 1), (31, 22, 1))
    coarse, to_page = look_at(page, Look("", size=0.5, part=(30, 20, 50, 40)))
    assert (coarse.shape, coarse.dtype) == ((20, 25), np.uint8)
    np.testing.assert_array_equal(to_page @ (1, 2, 1), (32, 24, 1))
    smooth, _ = look_at(page, Look("", blur_px=1.0))
    assert smooth.shape == page.shape
    assert smooth.std() < 0.5 * page.std()


def test_faint_digits_stay_read_though_other_looks_find_no_ink(monkeypatch: pytest.MonkeyPatch) -> None:
    picture, text = write_on_cheque(0, 0.0)
    expected = read(picture).text
    assert expected == text
    looked = []

    def find_nothing(page: np.ndarray, look: Look) -> tuple[np.ndarray, np.ndarray]:
        looked.append(look)
        if look != FIRST:
            raise ImageError("no ink found")
        return look_at(page, look)

    monkeypatch.setattr(voting, "CERTAIN", 2.0)
    monkeypatch.setattr(pages, "look_at", find_nothing)
    assert read(picture).text == expected
    assert len(looked) == LOOKS


@pytest.mark.parametrize(
    ("answers", "chosen"),
    [("abb", 1), ("ab", 0), ("abc", 0), ("abbaa", 0), ("abbcc", 1), ("abcab", 0), ("a", 0)],
)
def test_the_answer_given_most_often_is_chosen_and_the_first_of_a_tie(answers: str, chosen: int) -> None:
    assert choose_most([((answer,),) for answer in answers]) == chosen


def test_it_is_settled_once_most_looks_agree() -> None:
    assert (
        len(list_looks(np.zeros((9, 9), np.uint8), [[Mark((0, 0, 5, 5), np.ones((5, 5), np.uint8))]])) + 1
        == LOOKS
    )
    settled = {
        answers: is_settled([((answer,),) for answer in answers])
        for answers in ("a", "ab", "aa", "abaa", "abba")
    }
    assert [answers for answers, is_it in settled.items() if is_it] == ["abaa"]

"""Signs that look like digits by themselves: the slashes of a date, and commas."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from mnistry import brackets, load_mnist, read, signs
from mnistry.cutting import Piece
from mnistry.segments import CutLine
from mnistry.synthesis import make_page

SEEDS = range(20)


@pytest.fixture(scope="module")
def digits():
    return load_mnist()[1]


@pytest.mark.parametrize(("row", "least"), [("24/12/2026", 12), ("5/3/24", 12), ("2026/08/30", 12)])
def test_a_date_is_read_without_its_slashes(digits, row, least):
    texts = [read(make_page(digits, seed, "easy", rows=[row]).image).text for seed in SEEDS]
    assert sum(text == row.replace("/", " ") for text in texts) >= least, texts


def test_a_slash_is_refused_and_not_lost(digits):
    (line,) = read(make_page(digits, 0, "easy", rows=["24/12/2026"]).image).lines
    assert [digit.accepted for digit in line.digits] == [c != "/" for c in "24/12/2026"]
    left, slash, right = line.digits[1:4]
    assert left.box[0] < slash.box[0] < right.box[0]
    assert slash.box[3] >= 0.8 * left.box[3]


def test_the_pattern_of_a_date_is_that_of_its_digits(digits):
    page = make_page(digits, 0, "easy", rows=["24/12/2026"])
    assert read(page.image, pattern=r"\d{8}").text == "24 12 2026"


def test_ones_where_a_date_has_slashes_stay_ones(digits):
    rows = ["2411212026", "51324122", "2026118130", "30105197"]
    for row in rows:
        texts = [read(make_page(digits, seed, "easy", rows=[row]).image).text for seed in SEEDS]
        whole = [text.replace(" ", "") for text in texts]
        assert sum(len(text) == len(row) for text in whole) >= len(whole) - 2, texts


@pytest.mark.parametrize("row", ["8,250", "12,75", "1,250,000"])
def test_a_comma_is_no_digit_and_no_line(digits, row):
    for seed in range(8):
        reading = read(make_page(digits, seed, "easy", rows=[row]).image)
        assert len(reading.lines) == 1
        assert len(reading.text.replace(" ", "")) == len(row) - row.count(","), reading.text


def write(mark: NDArray[np.int32]) -> NDArray[np.uint8]:
    """Return a 2, a 3 and a 4 in print, and a stroke between the first two."""
    page = np.full((240, 420), 255, np.uint8)
    for place, text in ((40, "2"), (190, "3"), (290, "4")):
        cv2.putText(page, text, (place, 160), cv2.FONT_HERSHEY_SIMPLEX, 4, 0, 9, cv2.LINE_AA)
    return cv2.polylines(page, [mark], False, 0, 9, cv2.LINE_AA)


def test_a_slash_higher_than_the_digits_needs_no_date():
    assert read(write(np.array([[120, 190], [175, 50]]))).text.replace(" ", "") == "234"


def test_an_upright_stroke_as_high_as_the_digits_is_a_one():
    assert read(write(np.array([[150, 160], [150, 75]]))).text.replace(" ", "") == "2134"


def test_a_low_bar_that_ends_where_the_digits_do_is_a_comma():
    (line,) = read(write(np.array([[155, 134], [150, 158]]))).lines
    assert [digit.accepted for digit in line.digits] == [True, False, True, True]


def test_a_low_bar_behind_all_digits_is_no_comma():
    page = write(np.array([[155, 150], [155, 165], [143, 186]]))[:, 170:]
    cv2.line(page, (210, 134), (205, 158), 0, 9, cv2.LINE_AA)
    (line,) = read(page).lines
    assert [digit.accepted for digit in line.digits[:2]] == [True, True]
    assert line.digits[-1].confidence > 0


def test_a_large_comma_that_begins_below_a_line_stays_in_it():
    reading = read(write(np.array([[155, 150], [155, 165], [143, 186]])))
    assert [line.text.replace(" ", "") for line in reading.lines] == ["234"]


def end(mark: NDArray[np.int32], dash: bool = True) -> NDArray[np.uint8]:
    """Return a 2, a 3 and a 4 in print, a stroke behind them, and perhaps a dash at its middle."""
    page = write(mark - (0, 1000))
    page = np.hstack([page, np.full((240, 180), 255, np.uint8)])
    page = cv2.polylines(page, [mark], False, 0, 9, cv2.LINE_AA)
    return cv2.line(page, (470, 125), (520, 122), 0, 8, cv2.LINE_AA) if dash else page


@pytest.mark.parametrize("stroke", [[[410, 162], [421, 75]], [[405, 158], [430, 79]]])
@pytest.mark.parametrize(("dash", "text"), [(True, "234"), (False, "2341")])
def test_a_slash_before_a_dash_at_the_end_is_no_one(stroke, dash, text):
    """One reaches above and below the digits, the other one leans."""
    reading = read(end(np.array(stroke), dash))
    assert reading.text.replace(" ", "") == text


def test_a_slash_before_two_dashes_at_the_end_is_no_one():
    page = end(np.array([[400, 162], [432, 75]]))
    cv2.line(page, (472, 105), (522, 102), 0, 8, cv2.LINE_AA)
    assert read(page).text.replace(" ", "") == "234"


def test_a_one_before_a_dash_at_the_end_stays_one():
    assert read(end(np.array([[420, 160], [420, 77]]))).text.replace(" ", "") == "2341"


def test_the_comma_of_an_amount_without_cents_is_no_line():
    page = end(np.array([[420, 152], [419, 165], [407, 187]]))
    assert [line.text.replace(" ", "") for line in read(page).lines] == ["234"]


def test_a_long_line_is_looked_at_once(monkeypatch):
    measured = []
    monkeypatch.setattr(signs, "measure_slant", lambda inks: measured.append(len(inks)) or 0.0)
    page = np.full((120, 4880), 255, np.uint8)
    for number, x in enumerate(range(40, 4840, 40)):
        if number % 3:
            cv2.line(page, (x, 90 - number % 2 * 10), (x + 10, 30 + number % 2 * 10), 0, 4, cv2.LINE_AA)
        else:
            cv2.ellipse(page, (x + 8, 60), (10, 22), 0, 0, 360, 0, 4, cv2.LINE_AA)
    assert len(read(page).text) > 60
    assert len(measured) <= 1


def write_hand(
    digits, row: str, seed: int, bow: float = 0.12, one: int | None = None, slash: tuple[int, int] = (46, 114)
) -> NDArray[np.uint8]:
    """Return a row of MNIST digits with signs by a pen of 7 pixels; `one` numbers the 1 that all 1s are."""
    rng = np.random.default_rng(seed)
    page, x = np.full((170, 150 + 75 * len(row)), 255, np.uint8), 40.0
    along = np.linspace(-1, 1, 20)
    for character in row:
        if character in "()":
            arc = 90 * bow * (1 - along**2)
            points = np.column_stack([x + (12 - arc if character == "(" else arc), 80 + 48 * along])
            cv2.polylines(page, [np.rint(points * 16).astype(np.int32)], False, 0, 7, cv2.LINE_AA, 4)
            x += 34
        elif character == "-":
            cv2.line(page, (round(x), 82), (round(x) + 34, 80), 0, 7, cv2.LINE_AA)
            x += 48
        elif character == ":":
            for height in (58, 112):
                cv2.circle(page, (round(x) + 8, height), 5, 0, -1, cv2.LINE_AA)
            x += 32
        elif character == "+":
            cv2.line(page, (round(x), 82), (round(x) + 42, 80), 0, 7, cv2.LINE_AA)
            cv2.line(page, (round(x) + 20, 60), (round(x) + 22, 102), 0, 7, cv2.LINE_AA)
            x += 56
        elif character == "x":  # at the foot of the digits, as it is written between numbers
            left = round(x)
            cv2.line(page, (left, 82), (left + 38, 124), 0, 7, cv2.LINE_AA)
            cv2.line(page, (left + 38, 82), (left, 124), 0, 7, cv2.LINE_AA)
            x += 50
        elif character == "/":
            across, high = slash
            start, stop = (round(x), 81 + high // 2), (round(x) + across, 81 - high // 2)
            cv2.line(page, start, stop, 0, 7, cv2.LINE_AA)
            x += across + 14
        elif character == " ":
            x += 55
        else:
            known = np.flatnonzero(digits.labels == int(character))
            index = rng.choice(known) if one is None or character != "1" else known[one]
            large = cv2.resize(digits.images[index], (126, 126), interpolation=cv2.INTER_CUBIC)
            columns = np.flatnonzero(large.max(axis=0) > 60)
            large = large[:, columns[0] : columns[-1] + 1]
            field = page[18:144, round(x) : round(x) + large.shape[1]]
            np.minimum(field, 255 - large, out=field)
            x += large.shape[1] + 14
    return page


def stack(rows: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    width = max(row.shape[1] for row in rows)
    return np.vstack([np.pad(row, ((0, 0), (0, width - row.shape[1])), constant_values=255) for row in rows])


@pytest.mark.parametrize(("row", "text"), [("(52)", "52"), ("(089) 42", "089 42"), ("3-(7-2)", "3 7 2")])
def test_brackets_around_digits_are_no_ones(digits, row, text):
    texts = [read(write_hand(digits, row, seed)).text for seed in range(10)]
    assert texts.count(text) >= 7, texts


def test_who_stands_behind_brackets_stays(digits):
    texts = [read(write_hand(digits, "(6) 41", seed)).text for seed in range(50, 62)]
    assert texts.count("6 41") >= 10, texts


def test_a_0_in_two_halves_is_no_pair_of_brackets():
    page = np.full((170, 260), 255, np.uint8)
    for start, stop in ((105, 255), (-75, 75)):
        cv2.ellipse(page, (60, 83), (28, 48), 0, start, stop, 0, 7, cv2.LINE_AA)
    cv2.putText(page, "47", (120, 130), cv2.FONT_HERSHEY_SIMPLEX, 3, 0, 7, cv2.LINE_AA)
    assert read(page).text.replace(" ", "") == "047"


@pytest.mark.parametrize("first", [1, 4])
def test_brackets_behind_the_numbers_of_a_list_are_no_ones(digits, first):
    right = 0
    for seed in range(6):
        numbers = [45, 80, 9]
        rows = [
            write_hand(digits, f"{first + place}) {number}", 10 * seed + place, 0.12)
            for place, number in enumerate(numbers)
        ]
        right += read(stack(rows)).text == "\n".join(
            f"{first + place} {number}" for place, number in enumerate(numbers)
        )
    assert right >= 4


def test_numbers_that_end_in_ones_by_one_hand_are_no_list(digits):
    lost = 0
    for one in range(0, 120, 6):
        rows = ["11 45", "21 80", "31 97"]
        lines = read(stack([write_hand(digits, row, one + len(row), one=one) for row in rows])).lines
        lost += any(len(line.text.replace(" ", "")) < 4 for line in lines)
    assert lost <= 1


def test_ones_stay_ones_however_hands_bow_them(digits):
    ones = digits.images[digits.labels == 1]
    bows = [brackets.measure_bow(cv2.resize(one, (84, 84), interpolation=cv2.INTER_CUBIC)) for one in ones]
    assert np.mean(np.abs(bows) >= brackets.BOW) < 0.005
    assert np.mean(np.abs(bows) >= brackets.BOW_OF_PAIR) < 0.06


@pytest.mark.parametrize("way", [-1, 1])
def test_the_bow_of_an_arc_is_measured(way):
    ink, along = np.zeros((120, 100), np.uint8), np.linspace(-1, 1, 30)
    points = np.column_stack([50 - way * 15 * (1 - along**2), 60 + 50 * along])
    cv2.polylines(ink, [np.rint(points * 16).astype(np.int32)], False, 255, 8, cv2.LINE_AA, 4)
    assert brackets.measure_bow(ink) == pytest.approx(way * 0.15, abs=0.03)
    corner = np.array([[50 + way * 30, 10], [50 - way * 30, 60], [50 + way * 30, 110]])
    assert brackets.measure_bow(cv2.polylines(np.zeros_like(ink), [corner], False, 255, 8)) == 0


@pytest.mark.parametrize("sign", ["-", ":", "+", "x"])
def test_a_sign_between_digits_is_in_none_of_them_and_parts_them(digits, sign):
    parted = 0
    for seed in range(10):
        (line,) = read(write_hand(digits, f"42{sign}75", seed)).lines
        parted += line.text == "42 75"
    assert parted >= 6


def write_time(digits, hour: str, minute: str, seed: int) -> NDArray[np.uint8]:
    """Return a time, its colon of thick points close to the digits."""
    points = np.full((170, 32), 255, np.uint8)
    for place in ((19, 60), (13, 100)):
        cv2.circle(points, place, 7, 0, -1, cv2.LINE_AA)
    parts = [write_hand(digits, text, seed + 100 * number) for number, text in enumerate((hour, minute))]
    inked = [np.flatnonzero((part < 128).any(axis=0)) for part in parts]
    left, right = (
        part[:, columns[0] - 2 : columns[-1] + 3] for part, columns in zip(parts, inked, strict=True)
    )
    return np.pad(np.hstack([left, points, right]), ((20, 20), (40, 40)), constant_values=255)


def test_the_points_of_a_colon_are_no_parts_of_the_digits_beside_it(digits, monkeypatch):
    times = [("9", "45"), ("7", "15"), ("12", "30"), ("6", "05")]

    def read_all() -> int:
        pages = [(write_time(digits, *time, seed), list(time)) for seed in range(5) for time in times]
        return sum(read(page).text.split() == time for page, time in pages)

    right = read_all()
    monkeypatch.setattr(signs, "find_colons", lambda line: [])
    assert right >= max(17, read_all() + 1)


def test_points_without_a_digit_on_both_sides_or_beside_each_other_are_no_colon():
    ink = np.zeros((64, 40), np.uint8)
    ink[:, 10:30] = 255
    for middles in ([(55, 20), (57, 45)], [(52, 40), (66, 40)], [(110, 20), (112, 45)]):
        points = [Piece((x - 5, y - 5, 10, 10), np.full((10, 10), 255, np.uint8), 2, 0.0) for x, y in middles]
        digits = [Piece((x, 0, 40, 64), ink, x, 0.0) for x in (0, 66)]
        pieces = sorted(
            [*digits, points[0], replace(points[1], mark=3)],
            key=lambda piece: piece.box[0] + piece.box[2] / 2,
        )
        found = signs.find_colons(CutLine(pieces, {}, 6.0))
        assert sorted(found) == (sorted(point.box for point in points) if middles[0] == (55, 20) else [])


@pytest.mark.parametrize(("rule", "slash"), [("FAR_LEANING", (66, 104)), ("LONG_REACH", (46, 114))])
def test_a_slash_between_digits_that_leans_or_reaches_far_is_no_one(digits, monkeypatch, rule, slash):
    def read_all() -> int:
        rows = [write_hand(digits, "6/4", seed, slash=slash) for seed in range(10)]
        return [read(row).text for row in rows].count("6 4")

    right = read_all()
    monkeypatch.setattr(signs, rule, 9.0)
    assert right >= max(5, read_all() + 1)

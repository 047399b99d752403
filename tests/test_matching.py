"""Which reading of each line of a page fits what is known of all."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from mnistry.decoding import Path
from mnistry.matching import choose_fitting
from mnistry.segments import Segment

IMAGE = np.zeros((28, 28), np.uint8)


def write(text: str, sure: float = 0.99, price: float = 0.0) -> Path:
    """Return a path of the digits of a text, so sure; a letter is no digit, and a blank parts words."""
    segments = []
    for place, sign in enumerate(text):
        if sign != " ":
            probabilities = np.full(10, sure if sign.isdigit() else 0.01) * (
                np.arange(10) == int(sign, 36) % 10
            )
            box = (60 * place, 32, 50, 64)
            number = len(segments)
            segments.append(Segment(number, number + 1, box, IMAGE, probabilities, sign.isdigit()))
    return Path(tuple(segments), price)


def choose(lines: Sequence[tuple[Path, str, Path | None]], pattern: str = r"\d{5}") -> list[str]:
    """Return what is read of (path, accepted "0" or "1" of each mark, match)."""

    def fits(labels: Sequence[int]) -> bool:
        return re.fullmatch(pattern, "".join(map(str, labels))) is not None

    found = choose_fitting(
        [path for path, _, _ in lines],
        [[answer == "1" for answer in accepted] for _, accepted, _ in lines],
        [match for _, _, match in lines],
        fits,
    )
    return [
        "".join(
            str(segment.answer)
            for segment, answer in zip(fitting.path.segments, fitting.accepted, strict=True)
            if answer
        )
        for fitting in found
    ]


def test_a_line_that_fits_as_it_is_read_is_taken_so() -> None:
    assert choose([(write("12a345"), "110111", write("12845"))]) == ["12345"]


def test_the_best_way_that_fits_is_taken_unless_it_is_forced() -> None:
    assert choose([(write("123456"), "111111", write("12346", price=7.0))]) == ["12346"]
    assert choose([(write("123456"), "111111", write("12346", price=9.0))]) == [""]
    assert choose([(write("123456"), "111111", write("12346", sure=0.0005))]) == [""]


def test_a_code_before_a_town_is_taken_out_of_its_line() -> None:
    assert choose([(write("80331 4ab1"), "111111001", None)]) == ["80331"]
    assert choose([(write("a4 80331"), "0111111", write("48033", sure=0.4))]) == ["80331"]


def test_part_of_a_number_is_no_code() -> None:
    assert choose([(write("80331 40"), "1111111", None)]) == [""]
    assert choose([(write("80331 40667 a"), "11111111110", None)]) == [""]
    assert choose([(write("803314a"), "1111110", None)]) == [""]
    assert choose([(write("ab 030 12345"), "0011111111", None)]) == [""], "a telephone number"
    assert choose([(write("ab 0x0 12345"), "0010111111", None)]) == [""], "one that is torn"


def test_a_number_before_another_one_is_no_code() -> None:
    """Nor is one between slashes that were found, of which no digit is at all probable."""
    date = write("24 12 20263")
    slashes = [Segment(9, 10, (60 * place, 32, 20, 64), IMAGE, np.zeros(10)) for place in (2, 5)]
    segments = sorted([*date.segments, *slashes], key=lambda segment: segment.box[0])
    assert choose([(Path(tuple(segments), 0.0), "11011011111", None)]) == [""]


def test_words_beside_a_line_that_fits_are_not_made_to() -> None:
    code = (write("80331"), "11111", write("80331"))
    doubtful = (write("a4b011"), "010111", write("84011", sure=0.4))
    refused = (write("abc0112"), "0000000", write("40112", sure=0.9))
    assert choose([doubtful]) == ["84011"]
    assert choose([doubtful, refused, code]) == ["", "", "80331"]
    assert choose([(write("80331"), "00000", write("80332", sure=0.9)), code]) == ["80332", "80331"]


def test_a_line_that_fits_firmly_does_not_refuse_itself() -> None:
    refused = (write("abc0112"), "0000000", write("40112", sure=0.9))
    assert choose([refused]) == ["40112"]

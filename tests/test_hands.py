"""Digits by other hands: read from coarse bitmaps, written anew in fine ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mnistry import Classifier
from mnistry.errors import DataError
from mnistry.synthesis.hands import load_hands, write_hands

# Two forms that nobody would take for another digit, as their counts of ink in 8 x 8 fields.
ZERO = """
0 0 6 14 14 6 0 0
0 4 16 8 8 16 4 0
0 10 12 0 0 12 10 0
0 12 9 0 0 9 12 0
0 12 9 0 0 9 12 0
0 10 12 0 0 12 10 0
0 4 16 8 8 16 4 0
0 0 6 14 14 6 0 0
"""
SEVEN = """
0 12 16 16 16 16 12 0
0 4 6 6 6 12 14 0
0 0 0 0 0 14 8 0
0 0 0 0 8 14 0 0
0 0 0 2 14 6 0 0
0 0 0 8 14 0 0 0
0 0 2 14 8 0 0 0
0 0 6 16 2 0 0 0
"""


def write_file(path: Path) -> Path:
    rows = [f"{','.join(form.split())},{label}" for form, label in ((ZERO, 0), (SEVEN, 7))]
    path.write_text("@relation digits\n" + "\n".join(rows) + "\n")
    return path


def test_a_file_is_read(tmp_path: Path) -> None:
    bitmaps, labels = load_hands(write_file(tmp_path / "digits.dat"))
    assert bitmaps.shape == (2, 8, 8)
    assert bitmaps.dtype == np.float32
    assert labels.tolist() == [0, 7]
    assert bitmaps[1, 0].tolist() == [0, 0.75, 1, 1, 1, 1, 0.75, 0]


def test_what_is_written_is_still_that_digit_and_never_twice_the_same(tmp_path: Path) -> None:
    hands = write_hands(*load_hands(write_file(tmp_path / "digits.dat")), copies=20, seed=0)
    assert hands.images.shape == (40, 28, 28)
    assert hands.labels.tolist() == [0, 7] * 20
    assert len({image.tobytes() for image in hands.images}) == 40
    assert (Classifier().predict(hands.images).labels == hands.labels).all()


def test_a_seed_fixes_what_is_written(tmp_path: Path) -> None:
    bitmaps, labels = load_hands(write_file(tmp_path / "digits.dat"))
    first, again, other = (write_hands(bitmaps, labels, 2, seed).images for seed in (3, 3, 4))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1,2,3\n",
        "a,b\n",
        ",".join(["17"] * 65),
        ",".join(["1"] * 64 + ["11"]),
        ",".join(["nan"] * 64 + ["1"]),
    ],
)
def test_another_file_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "digits.dat").write_text(text)
    with pytest.raises(DataError, match="8 x 8"):
        load_hands(tmp_path / "digits.dat")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"digits\.dat"):
        load_hands(tmp_path / "digits.dat")

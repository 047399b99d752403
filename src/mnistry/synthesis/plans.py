"""What stands on a page: rows of digits, spaces and signs."""

from __future__ import annotations

import numpy as np

from mnistry.synthesis.signs import SIGNS

LAYOUTS = ("single", "line", "groups", "lines", "grid", "sheet", "amount", "expression")


def plan_rows(rng: np.random.Generator, layout: str, digits: list[str]) -> list[str]:
    """Return the rows of a page, written with `digits`."""

    def number(low: int, high: int) -> str:
        return "".join(rng.choice(digits, rng.integers(low, high + 1)))

    if layout == "single":
        return [number(1, 1)]
    if layout == "line":
        return [number(5, 8)]
    if layout == "groups":
        return [" ".join(number(1, 5) for _ in range(rng.integers(2, 5)))]
    if layout == "lines":
        return [number(2, 8) for _ in range(rng.integers(2, 6))]
    if layout == "grid":
        columns = int(rng.integers(3, 11))
        return [number(columns, columns) for _ in range(rng.integers(2, 9))]
    if layout == "sheet":
        return [" ".join(number(1, 5) for _ in range(rng.integers(1, 5))) for _ in range(rng.integers(9, 15))]
    if layout == "expression":
        signs = rng.choice(list("+-*="), rng.integers(1, 3))
        return [number(1, 2) + "".join(f"{sign}{number(1, 2)}" for sign in signs)]
    amount = number(2, 6)
    if rng.random() < 0.6:
        point = "." if rng.random() < 0.9 else ","
        thousands = [amount[max(0, end - 3) : end] for end in range(len(amount), 0, -3)]
        amount = point.join(reversed(thousands))
    return [amount + str(rng.choice(["", "", "", ".", "-", ".-", "="]))]


def check_rows(rows: list[str], digits: str, name: str) -> None:
    """See that `digits` and SIGNS can write the rows, and that there is something to write.

    Raises:
        ValueError: it is not so.
    """
    if not any(character in digits for character in "".join(rows)) or not all(rows):
        raise ValueError(f"rows={rows}: at least one digit in all and one character a row expected")
    for character in "".join(rows):
        if character not in digits and character != " " and character not in SIGNS:
            raise ValueError(f"cannot write {character!r} with {name}; {digits}, spaces and {SIGNS} expected")


def read_row(row: str) -> str:
    """Return what a reader should answer for a row of digits, spaces and signs."""
    for sign in SIGNS:
        row = row.replace(sign, "" if sign in ".," else " ")
    return " ".join(row.split())

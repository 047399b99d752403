"""A line as a whole: how probable a text is, by networks that see the line uncut.

They are convolutional and were trained by connectionist temporal classification (Graves et al. 2006):
for every few columns of the strip each says which digit is recognised there, or none. A text's probability is
the sum over all ways in which these can spell it, repeated answers merged and blanks left out.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnistry.classifier import count_cores, open_session, read_sealed
from mnistry.errors import ModelError
from mnistry.pictures import Gray

SHIPPED = Path(str(resources.files("mnistry"))) / "assets" / "lines.onnx"
SCALE = 0.375  # of the networks' strip to that of `straightening.straighten`
HEIGHT_PX = 48
EDGE_PX = 3  # empty columns on both sides
INK = 60  # level, from which a column has any
BLANK = 0  # the class of no digit; digit d is class d + 1
PADDING_PX = 32  # empty columns behind a line, as far as a network sees
FAINT = 15  # level, up to which a column of a shrunk strip is empty
WIDEST_GAP_PX = 12  # empty columns between marks: of wider gaps no more is shown, as in what it learned from
BEAM = 8  # beginnings of a text that are kept
LEAST = 1e-3  # probability of a digit at a time step that is looked at
INPUT, OUTPUT = "strips", "log_probabilities"
FIRST = "first"  # input: whether the first network alone is asked


class LineNetworks:
    """The networks that come with mnistry, in one file; several threads may use them at the same time."""

    def __init__(self, path: Path = SHIPPED, *, threads: int | None = None) -> None:
        """Load them; `threads` as for a `Classifier`.

        Raises:
            ModelError: the file is missing or damaged.
        """
        try:
            self._session = open_session(read_sealed(path), threads or count_cores())
        except ModelError as error:
            raise ModelError(f"cannot use the networks for lines {str(path)!r}: {error}") from error

    def __call__(self, ink: Gray, *, first: bool = False) -> NDArray[np.float32]:
        """Return the natural logarithms of the classes' probabilities at every time step.

        Of each network: (networks, steps, 11) float32.

        Args:
            ink: a line, (128, any) uint8, from `straightening.straighten`.
            first: ask the first network alone, which takes less time.
        """
        strip = shrink_strip(ink)
        strip = np.pad(strip[:, _list_shown(strip)], ((0, 0), (0, PADDING_PX)))
        return np.asarray(
            self._session.run([OUTPUT], {INPUT: strip[None], FIRST: np.array(first)})[0][0], np.float32
        )


def shrink_strip(ink: Gray) -> Gray:
    """Return a strip, (128, any) uint8, as the networks take it: (HEIGHT_PX, any), cut to its ink's columns.

    Its width is 0 where there is no ink.
    """
    import cv2

    start, stop = _find_columns(ink)
    if start == stop:
        return np.zeros((HEIGHT_PX, 0), np.uint8)
    size = (max(1, round((stop - start) * SCALE)), HEIGHT_PX)
    return np.asarray(cv2.resize(ink[:, start:stop], size, interpolation=cv2.INTER_AREA), np.uint8)


def _find_columns(ink: Gray) -> tuple[int, int]:
    """Return the first column of a strip that the networks see, and the one behind the last."""
    columns = np.flatnonzero(ink.max(axis=0, initial=0) > INK)
    if not len(columns):
        return 0, 0
    edge = round(EDGE_PX / SCALE)
    return max(0, int(columns[0]) - edge), min(ink.shape[1], int(columns[-1]) + 1 + edge)


def _list_shown(strip: Gray) -> NDArray[np.int64]:
    """Return the columns of a shrunk strip that the networks see: all but most of those in wide gaps."""
    inked = np.flatnonzero(strip.max(axis=0, initial=0) > FAINT)
    columns = np.arange(strip.shape[1])
    if not len(inked):
        return columns
    place = np.searchsorted(inked, columns, side="right") - 1
    behind = columns - inked[place.clip(0)]  # columns behind the last one with ink
    between = (place >= 0) & (columns < inked[-1])
    return np.asarray(columns[~between | (behind <= WIDEST_GAP_PX)], np.int64)


def condense(log_probabilities: NDArray[np.floating[Any]], digits: int = 1) -> NDArray[np.floating[Any]]:
    """Return the time steps without those that surely see nothing, but one between others that do.

    What texts cost in comparison to each other stays, and it is found sooner. Where so few are left that a
    text of so many digits could not be spelt, all are returned. Shapes as for `score_labels`.
    """
    sure = log_probabilities[:, BLANK] > np.log1p(-LEAST)
    kept = np.asarray(log_probabilities[~sure | ~np.append(False, sure[:-1])])
    return kept if len(kept) >= 2 * digits - 1 else log_probabilities


def list_likely(log_probabilities: NDArray[np.floating[Any]], most: int) -> list[tuple[int, ...]]:
    """Return about the most probable labels, the best first, at most so many.

    A search along the time steps that keeps the BEAM most probable beginnings after each (Hannun et al. 2014,
    "First-pass large vocabulary continuous speech recognition", algorithm 1, without its language model).

    Args:
        log_probabilities: as for `score_labels`.
        most: at most BEAM.
    """
    beginnings: dict[tuple[int, ...], tuple[float, float]] = {(): (1.0, 0.0)}  # ending with a blank, or not
    for answer in np.exp(np.asarray(log_probabilities, np.float64)):
        likely = [int(c) for c in np.flatnonzero(answer > LEAST) if c != BLANK]
        after: dict[tuple[int, ...], list[float]] = {}
        for digits, (blank, digit) in beginnings.items():
            stay = after.setdefault(digits, [0.0, 0.0])
            stay[0] += (blank + digit) * answer[BLANK]
            if digits:
                stay[1] += digit * answer[digits[-1] + 1]
            for c in likely:
                longer = after.setdefault((*digits, c - 1), [0.0, 0.0])
                longer[1] += (blank if digits and digits[-1] == c - 1 else blank + digit) * answer[c]
        kept = heapq.nlargest(BEAM, after.items(), key=lambda item: item[1][0] + item[1][1])
        total = sum(blank + digit for _, (blank, digit) in kept)
        beginnings = {digits: (blank / total, digit / total) for digits, (blank, digit) in kept}
    ranked = sorted(beginnings, key=lambda digits: -sum(beginnings[digits]))
    return ranked[:most]


def score_labels(
    log_probabilities: NDArray[np.floating[Any]], labels: Sequence[tuple[int, ...]]
) -> NDArray[np.float64]:
    """Return the natural logarithms of the probabilities of some labels, float64 (len(labels),).

    Args:
        log_probabilities: natural logarithms for every time step and class, (steps, 11).
        labels: digits 0 to 9 from left to right; () for a line without any.
    """
    if not labels:
        return np.zeros(0)
    # States: blank, first digit, blank, second digit, ..., blank.
    lengths = np.array([len(digits) for digits in labels])
    classes = np.full((len(labels), 2 * lengths.max() + 1), BLANK)
    for row, digits in zip(classes, labels, strict=True):
        row[1 : 2 * len(digits) : 2] = np.array(digits, int) + 1
    skips = np.full(classes.shape, -np.inf)  # to a digit from another one, without a blank between them
    skips[:, 3::2] = np.where(classes[:, 3::2] != classes[:, 1:-2:2], 0.0, -np.inf)
    answers = np.asarray(log_probabilities, np.float64)[:, classes]
    ways = np.full((len(labels), classes.shape[1] + 2), -np.inf)  # with two states before the first
    ways[:, 2:4] = answers[0, :, :2]
    for answer in answers[1:]:
        stay, step, skip = ways[:, 2:], ways[:, 1:-1], ways[:, :-2] + skips
        ways[:, 2:] = np.logaddexp(np.logaddexp(stay, step), skip) + answer
    rows = np.arange(len(labels))
    blank, digit = ways[rows, 2 * lengths + 2], ways[rows, 2 * lengths + 1]
    return np.asarray(np.logaddexp(blank, np.where(lengths > 0, digit, -np.inf)), np.float64)


def judge_places(
    log_probabilities: NDArray[np.floating[Any]], labels: tuple[int, ...]
) -> NDArray[np.float64]:
    """Return for every digit of a text what stands in its place, the others being as they are.

    Args:
        log_probabilities: as for `score_labels`, (steps, 11).
        labels: at least one digit.

    Returns:
        probabilities, float64 (len(labels), 11): of each digit and, last, of none; a row's sum is 1.
    """
    answers = np.asarray(log_probabilities, np.float64)
    steps, count = len(answers), len(labels)
    places = 2 * np.arange(count) + 1  # of the digits among the states: blank, digit, blank, ..., blank
    digits = np.array(labels)
    classes = np.full(2 * count + 1, BLANK)
    classes[places] = digits + 1
    seen = answers[:, classes]
    skips = np.full(len(classes), -np.inf)
    skips[3::2] = np.where(digits[1:] != digits[:-1], 0.0, -np.inf)

    # Of every step and state: what leads there, and what may follow; with two states around all others.
    before = np.full((steps, len(classes) + 2), -np.inf)
    before[0, 2:4] = seen[0, :2]
    for step in range(1, steps):
        stay, move, skip = before[step - 1, 2:], before[step - 1, 1:-1], before[step - 1, :-2] + skips
        before[step, 2:] = np.logaddexp(np.logaddexp(stay, move), skip) + seen[step]
    after = np.full((steps + 1, len(classes) + 2), -np.inf)  # with the step's own answer
    after[steps, -4:-2] = 0.0  # the text may end with its last digit or behind it
    behind = np.append(skips[2:], [-np.inf, -np.inf])
    after[steps - 1, -4:-2] = seen[-1, -2:]
    for step in range(steps - 2, -1, -1):
        stay, move, skip = after[step + 1, :-2], after[step + 1, 1:-1], after[step + 1, 2:] + behind
        after[step, :-2] = np.logaddexp(np.logaddexp(stay, move), skip) + seen[step]

    # A digit in a place comes from the blank before it, or from another digit; so it goes on.
    blank_before, digit_before = before[:, places + 1], before[:, places]
    blank_after, digit_after = after[:, places + 1], after[:, places + 2]
    other = np.arange(10)[None, :]
    from_digit = np.where(np.append([-1], digits[:-1])[:, None] != other, 0.0, -np.inf)
    to_digit = np.where(np.append(digits[1:], [-1])[:, None] != other, 0.0, -np.inf)
    inside = np.full((count, 10), -np.inf)
    total = np.full((count, 11), -np.inf)
    ends = np.where(places == places[-1], 0.0, -np.inf)
    for step in range(steps):
        if step:
            enter = np.logaddexp(
                blank_before[step - 1][:, None], digit_before[step - 1][:, None] + from_digit
            )
            inside = np.logaddexp(inside, enter)
        else:
            inside[0] = 0.0
        inside = inside + answers[step, 1:]
        leave = (
            np.logaddexp(blank_after[step + 1][:, None], digit_after[step + 1][:, None] + to_digit)
            if step + 1 < steps
            else ends[:, None]
        )
        total[:, :10] = np.logaddexp(total[:, :10], inside + leave)
    # Without the digit the blanks around it are one.
    straight = np.where(np.append([-1], digits[:-1]) != np.append(digits[1:], [-2]), 0.0, -np.inf)
    reached = np.logaddexp(blank_before, digit_before + straight)
    total[:, 10] = np.logaddexp.reduce(reached[:-1] + digit_after[1:-1], axis=0, initial=-np.inf)
    total[0, 10] = np.logaddexp(total[0, 10], digit_after[0, 0])
    total[-1, 10] = np.logaddexp(blank_before[-1, -1], digit_before[-1, -1])
    total -= np.logaddexp.reduce(total, axis=1, keepdims=True)
    return np.asarray(np.exp(total), np.float64)


def find_boundaries(
    ink: Gray, log_probabilities: NDArray[np.floating[Any]], labels: tuple[int, ...]
) -> list[int]:
    """Return where each digit but the first begins, most probably: columns of the strip.

    Args:
        ink: the line, as `LineNetworks` takes it.
        log_probabilities: what a network said of it.
        labels: its digits.
    """
    start, stop = _find_columns(ink)
    strip = shrink_strip(ink)
    shown = _list_shown(strip)
    if not len(shown):
        return [start] * (len(labels) - 1)
    step_px = (len(shown) + PADDING_PX) / len(log_probabilities)
    steps = _align(np.asarray(log_probabilities, np.float64), labels)
    places = [(end + begin + 1) / 2 * step_px for (_, end), (begin, _) in pairwise(steps)]
    columns = np.interp(places, np.arange(len(shown)) + 0.5, shown + 0.5)
    return [round(start + column * (stop - start) / strip.shape[1]) for column in columns.tolist()]


def _align(answers: NDArray[np.float64], labels: tuple[int, ...]) -> list[tuple[int, int]]:
    """Return the first and the last step of each digit, in the most probable way to spell the labels."""
    classes = np.full(2 * len(labels) + 1, BLANK)
    classes[1::2] = np.array(labels, int) + 1
    seen = answers[:, classes]
    skips = np.zeros(len(classes))
    skips[:2] = -np.inf
    skips[::2] = -np.inf
    skips[3::2] = np.where(classes[3::2] != classes[1:-2:2], 0.0, -np.inf)
    best = np.full(len(classes) + 2, -np.inf)  # with two states before the first
    best[2:4] = seen[0, :2]
    moves = np.zeros(seen.shape, int)
    for step in range(1, len(seen)):
        ways = np.stack([best[2:], best[1:-1], best[:-2] + skips])
        moves[step] = ways.argmax(axis=0)
        best[2:] = ways.max(axis=0) + seen[step]
    state = len(classes) - 1 if best[-1] >= best[-2] else len(classes) - 2
    found = [(0, 0)] * len(labels)
    for step in range(len(seen) - 1, -1, -1):
        if state % 2:
            end = found[state // 2][1] or step
            found[state // 2] = (step, end)
        state -= moves[step, state]
    return found

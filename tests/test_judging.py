"""Which way to read a line, when a second judge sees the line uncut."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mnistry import judging
from mnistry.cutting import Piece, join
from mnistry.decoding import Path, find_paths
from mnistry.judging import MOST_SEEN, TRUST, rank_likely
from mnistry.segments import CutLine, Segment
from mnistry.sequences import score_labels

WIDTH = 40


def draw_line(answers: Sequence[dict[int, float]]) -> CutLine:
    """A line of one piece a digit, each with these probabilities to the classifier."""
    ink = np.full((64, 30), 255, np.uint8)
    pieces = [Piece((WIDTH * i, 0, 30, 64), ink, i, 0.0) for i in range(len(answers))]
    segments = {}
    for i, answer in enumerate(answers):
        probabilities = np.zeros(10)
        probabilities[list(answer)] = list(answer.values())
        segments[i, i + 1] = Segment(i, i + 1, pieces[i].box, np.zeros((28, 28), np.uint8), probabilities)
    return CutLine(pieces, segments, 6.0)


def see(labels: Sequence[int], sure: float = 0.98) -> NDArray[np.float64]:
    """What a judge gives that sees these digits, one after the other."""
    rows = np.full((2 * len(labels) + 1, 11), (1 - sure) / 10)
    rows[::2, 0] = sure
    for place, label in enumerate(labels):
        rows[2 * place + 1, 1 + label] = sure
    return np.log(rows / rows.sum(axis=1, keepdims=True))


def predict(images: NDArray[np.uint8]) -> NDArray[np.float64]:
    return np.full((len(images), 10), 0.1)


def choose(*arguments) -> Path:
    path, _ = judging.choose(*arguments)
    return path


def read(
    answers: Sequence[dict[int, float]],
    seen: Sequence[int] | None,
    fits=lambda labels: True,
    predict=predict,
    sure: float = 0.98,
):
    line = draw_line(answers)
    paths = find_paths(line, 16)
    ink = np.zeros((128, WIDTH * len(answers)), np.uint8)
    see_line = None if seen is None else lambda ink: see(seen, sure)[None]
    return choose(paths, line, ink, predict, see_line, fits)


UNSURE = [{4: 0.99}, {9: 0.6, 4: 0.38}, {1: 0.97}]


def test_without_a_second_judge_the_cheapest_way_is_taken() -> None:
    assert read(UNSURE, None).labels == (4, 9, 1)


def test_the_second_judge_decides_where_the_classifier_is_unsure() -> None:
    assert read(UNSURE, (4, 4, 1)).labels == (4, 4, 1)
    assert read(UNSURE, (4, 9, 1)).labels == (4, 9, 1)


def test_of_two_who_see_the_line_the_surer_one_is_believed_and_confidence_is_the_mean() -> None:
    line = draw_line(UNSURE)
    paths, ink = find_paths(line, 16), np.zeros((128, 3 * WIDTH), np.uint8)
    alone, other = see((4, 4, 1)), see((4, 9, 1), sure=0.6)

    def choose_with(*seen: NDArray[np.float64]):
        return choose(paths, line, ink, predict, lambda ink: np.stack(seen), lambda labels: True)

    both = choose_with(alone, other)
    assert both.labels == choose_with(other, alone).labels == choose_with(alone).labels == (4, 4, 1)
    assert choose_with(other).labels == (4, 9, 1)
    assert both.segments[1].seen < 0.8 * choose_with(alone).segments[1].seen


def test_a_text_is_as_probable_as_in_the_mean_of_all_networks() -> None:
    seen, texts = [see((4, 9, 1), 0.7), see((4, 4, 1), 0.95)], [(4, 9, 1), (4, 4, 1), (4, 1)]
    expected = np.mean([np.exp(score_labels(answers, texts)) for answers in seen], axis=0)
    np.testing.assert_allclose(np.exp(judging._score(seen, texts)), expected)
    assert rank_likely(seen)[:2] == rank_likely(seen[::-1])[:2] == [(4, 4, 1), (4, 9, 1)]


def test_one_who_surely_sees_nothing_on_the_line_has_a_say_too() -> None:
    line = draw_line(UNSURE)
    paths, ink = find_paths(line, 16), np.zeros((128, 3 * WIDTH), np.uint8)
    nothing = np.log(np.full((7, 11), 1e-5))  # but for one step all would be left out as surely empty
    nothing[:, 0] = np.log(0.9999)
    seen = np.stack([nothing, see((4, 4, 1))])
    path = choose(paths, line, ink, predict, lambda ink: seen, lambda labels: True)
    assert path.labels == (4, 4, 1)
    assert path.segments[1].seen < 0.01
    assert path.segments[1].confidence < 0.7 * read(UNSURE, (4, 4, 1)).segments[1].confidence
    alone = choose(paths, line, ink, predict, lambda ink: seen[:1], lambda labels: True)
    assert all(not segment.digit or segment.confidence < 0.55 for segment in alone.segments)


def test_a_single_mark_is_judged_too() -> None:
    line = draw_line([{0: 0.99}])
    paths, ink = find_paths(line, 16), np.zeros((128, WIDTH), np.uint8)
    ways = [(see((0,)), 0.95, 1.0), (see(()), 0.4, 0.55), (see((6,)), 0.4, 0.55), (see((0, 0)), 0.4, 0.55)]
    for seen, least, most in ways:
        (segment,) = choose(
            paths, line, ink, predict, lambda ink, first, s=seen: s[None], lambda _: True
        ).segments
        assert least < segment.confidence < most


def test_confidences_are_the_mean_of_both_judges() -> None:
    second = read(UNSURE, (4, 4, 1)).segments[1]
    assert abs(second.confidence - ((1 - TRUST) * 0.38 + TRUST * second.seen)) < 1e-9
    assert second.seen > 0.9


def test_the_second_judge_does_not_overrule_a_sure_classifier_by_half() -> None:
    sure = [{4: 0.9999}, {9: 0.9999}, {1: 0.9999}]
    line = draw_line(sure)
    doubtful = choose(
        find_paths(line, 16),
        line,
        np.zeros((128, 3 * WIDTH), np.uint8),
        predict,
        lambda ink: see((4, 4, 1), 0.5)[None],
        lambda labels: True,
    )
    assert doubtful.labels == (4, 9, 1)


def test_the_second_judge_cannot_make_a_sure_digit_be_left_out() -> None:
    sure, unsure = [[{4: 0.99}, {0: portion}, {6: 0.99}] for portion in (0.9999, 0.6)]

    def see_none(images: NDArray[np.uint8]) -> NDArray[np.float64]:  # in what was cut otherwise
        return np.zeros((len(images), 10))

    assert read(sure, (4, 6), predict=see_none).labels == (4, 0, 6)
    assert read(unsure, (4, 6), predict=see_none).labels == (4, 6)


def test_what_does_not_fit_is_not_proposed() -> None:
    # The classifier gives no 7 any chance: only a proposal could have it.
    assert read(UNSURE, (7, 4, 1)).labels == (7, 4, 1)
    assert read(UNSURE, (7, 4, 1), lambda labels: labels[0] == 4).labels[0] == 4


def test_long_lines_are_left_to_the_classifier() -> None:
    answers = [{9: 0.6, 4: 0.38}] * (MOST_SEEN + 1)
    assert set(read(answers, (4,) * len(answers)).labels) == {9}


def test_what_the_second_judge_is_sure_of_costs_no_more_than_a_little() -> None:
    # To the classifier the 7 is all but impossible: it may have seen a digit that was cut wrongly.
    answers = [{4: 0.99}, {1: 0.999, 7: 1e-6}, {6: 0.99}]
    assert read(answers, (4, 7, 6), sure=0.95).labels == (4, 7, 6)
    assert read(answers, (4, 7, 6), sure=0.7).labels == (4, 1, 6)


def test_a_sign_that_was_emptied_stays_one_where_a_line_is_cut_again() -> None:
    """Of two marks the first is cut again for 4 and 4; between them is a sign, in the middle of the line."""
    ink = np.full((64, 60), 255, np.uint8)
    pieces = [
        Piece((0, 0, 60, 64), ink, 0, 0.0),
        Piece((70, 0, 20, 64), np.zeros((64, 20), np.uint8), 1, 0.0),
        Piece((100, 0, 30, 64), ink[:, :30], 2, 0.0),
    ]
    segments = {}
    for index, (piece, label, sure) in enumerate(zip(pieces, (9, 0, 1), (0.6, 0.0, 0.97), strict=True)):
        probabilities = np.zeros(10)
        probabilities[label] = sure
        image = np.zeros((28, 28), np.uint8)
        segments[index, index + 1] = Segment(index, index + 1, piece.box, image, probabilities)
    line = CutLine(pieces, segments, 6.0)
    shown = np.zeros((128, 140), np.uint8)
    shown[:64, :60] = shown[:64, 100:130] = 255
    seen = np.log(np.full((20, 11), 1e-5))
    seen[:, 0] = np.log(0.9999)
    for step, label in ((2, 4), (5, 4), (11, 1)):
        seen[step, 0], seen[step, 1 + label] = np.log(1e-4), np.log(0.9999)

    def see_some(images: NDArray[np.uint8]) -> NDArray[np.float64]:
        return np.tile(0.48 * (np.eye(10)[4] + np.eye(10)[1]), (len(images), 1))

    path, again = judging.choose(
        find_paths(line, 16), line, shown, see_some, lambda ink: seen[None], lambda labels: True
    )
    assert path.labels == (4, 4, 1)
    assert [segment.box for segment in path.segments if not segment.digit] == [(70, 0, 20, 64)]
    assert again is not line
    for segment in path.segments:
        assert join(again.pieces[segment.start : segment.stop])[1] == segment.box

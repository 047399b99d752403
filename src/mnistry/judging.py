"""Which of the ways to read a line: the classifier's prices, and what networks say that see it uncut."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mnistry.cutting import cut_again, join
from mnistry.decoding import Path, Predict, classify_segments, find_path_with, list_spans
from mnistry.pictures import Gray
from mnistry.segments import LEAST, CutLine, Segment
from mnistry.sequences import condense, find_boundaries, judge_places, list_likely, score_labels

MOST_SEEN, MOST_PROPOSED = 60, 16  # marks of a line that they look at, and make proposals for
SEEN = 4  # of them
WEIGHT = 0.8  # of that
WIDE = 0.75  # widths per height, from which what is no digit may be two
LEAST_SURE, LEAST_SEEN = 0.5, 0.8  # confidence and `seen` of each of them
FAR = 3.0  # their favourite is at most so much dearer than the best path; where it is, the line is cut for it
TRUST = 0.5  # see `judge`;
STRICT_TRUST = 0.51  # the same, where it is strict
TALL = 3.0  # heights per width of what may be a plain stroke


class SeeLine(Protocol):
    """What networks say that see a line uncut, as `sequences.LineNetworks` does."""

    def __call__(self, ink: Gray, *, first: bool = False) -> NDArray[np.floating[Any]]:
        """Return natural logarithms of every network's answers, or the first one's: (networks, steps, 11)."""


Seen: TypeAlias = Sequence[NDArray[np.floating[Any]]]  # (steps, 11) of each network


def choose(
    paths: Sequence[Path],
    line: CutLine,
    ink: Gray,
    predict: Predict,
    see_line: SeeLine | None,
    fits: Callable[[tuple[int, ...]], bool],
) -> tuple[Path, CutLine]:
    """Return the best of some paths through a line; the networks that see the line uncut have a say in it.

    The likeliest labels that they see are tried too, if they fit, and the line may be cut again for them:
    the one that the path leads through is returned, too. A single mark that is not wide enough for two
    digits is only judged, and not if it is no digit. Long lines are left out: they would take long.

    Args:
        paths: the cheapest, the best first; at least one.
        line: what they lead through.
        ink: of the line, as `see_line` takes it.
        predict: images -> probabilities (see `decoding`).
        see_line: the networks that see the line uncut; None without them.
        fits: whether labels may be read at all.
    """
    count = len(paths[0].segments)
    if see_line is None or not 0 < count <= MOST_SEEN:
        return paths[0], line
    alone = judge_alone(paths[0], ink, see_line) if count == 1 else None
    if alone is not None and is_one_mark(paths[0]):
        return alone, line
    everywhere = list(see_line(ink))
    seen = [condense(answers, max(len(path.labels) for path in paths)) for answers in everywhere]
    ways = [(path, line) for path in paths]
    if len(paths[0].segments) <= MOST_PROPOSED:
        likely = [labels for labels in rank_likely(seen) if fits(labels)]
        ways += _propose(paths, line, ink, everywhere, likely, predict)
    scores = _score(seen, [path.labels for path, _ in ways])
    if not math.isfinite(scores[0]):  # more digits than they can tell apart
        return alone or paths[0], line
    judged = [
        (path._replace(doubt=-WEIGHT * score), through)
        for (path, through), score in zip(ways, scores.tolist(), strict=True)
        if math.isfinite(score)
    ]
    favourite, through = min(judged, key=lambda way: way[0].doubt)
    if len(favourite.labels) >= len(paths[0].labels):  # no digit that the classifier is sure of is left out
        judged.append((favourite._replace(price=min(favourite.price, paths[0].price + FAR)), through))
    drawn = len({piece.mark for piece in line.pieces}) == 1  # as drawings are
    best, through = min(judged, key=lambda way: way[0].price + way[0].doubt)
    best = judge(best, seen, strict=drawn)
    return (best, through) if alone is None or _is_sure(best) else (alone, line)


def is_one_mark(path: Path) -> bool:
    """Return whether a path is one segment that is a digit, or is not wide enough to be two that touch."""
    if len(path.segments) != 1:
        return False
    (segment,) = path.segments
    _, _, width, height = segment.box
    return segment.none <= segment.confidence or width < WIDE * height


def _is_sure(path: Path) -> bool:
    """Return whether a path has several digits and each judge is sure of all, as drawings look like some."""
    digits = [segment for segment in path.segments if segment.digit]
    return len(digits) > 1 and all(
        segment.confidence >= LEAST_SURE and segment.seen >= LEAST_SEEN for segment in digits
    )


def judge_alone(path: Path, ink: Gray, see_line: SeeLine | None) -> Path:
    """Return a path of one segment as `judge` does, strictly, by the first network alone; or unchanged.

    What it says of the digit is how probable that is as the text of all the ink: where there may be two it is
    neither. Which one it is the classifier says. Unchanged is what is no digit, or where there is no network.
    """
    (segment,) = path.segments
    if see_line is None or not segment.digit:
        return path
    texts = [(label,) for label in range(len(segment.probabilities))]
    digits = np.exp([score_labels(condense(answers), texts) for answers in see_line(ink, first=True)])
    return path._replace(segments=(_weigh(replace(segment, label=segment.answer), digits, strict=True),))


def _score(seen: Seen, labels: Sequence[tuple[int, ...]]) -> NDArray[np.float64]:
    """Return the natural logarithms of the labels' probabilities, in the mean of all networks."""
    scores = [score_labels(answers, labels) for answers in seen]
    return np.asarray(np.logaddexp.reduce(scores, axis=0) - math.log(len(seen)), np.float64)


def rank_likely(seen: Seen) -> list[tuple[int, ...]]:
    """Return the SEEN most probable labels of those that are likely to any network, the best first."""
    labels = list(dict.fromkeys(labels for answers in seen for labels in list_likely(answers, SEEN)))
    order = np.argsort(-_score(seen, labels), kind="stable")
    return [labels[index] for index in order[:SEEN]]


def _propose(
    paths: Sequence[Path],
    line: CutLine,
    ink: Gray,
    seen: Seen,
    likely: Sequence[tuple[int, ...]],
    predict: Predict,
) -> list[tuple[Path, CutLine]]:
    """Return paths with the labels that are the likeliest to those who see the line uncut, the best first.

    And the line that each leads through: for the first of them that is cut where the surest has its digits,
    if it cannot be read so otherwise, or hardly.
    """
    known = {path.labels: path.price for path in paths}
    found = [path for labels in likely if labels not in known and (path := find_path_with(line, labels))]
    known |= {path.labels: path.price for path in found}
    proposed = [(path, line) for path in found]
    favourite = likely[0] if likely else ()
    if favourite and known.get(favourite, math.inf) > paths[0].price + FAR:
        surest = max(seen, key=lambda answers: float(score_labels(answers, [favourite])[0]))
        pieces = cut_again(line.pieces, find_boundaries(ink, surest, favourite))
        segments = classify_segments([pieces], predict)[0]
        emptied = {segment.box: segment for segment in line.segments.values() if segment.confidence == 0}
        for start, stop in set(list_spans(pieces)) - set(segments):
            _, box = join(pieces[start:stop])
            if box in emptied:
                segments[start, stop] = replace(emptied[box], start=start, stop=stop)
        again = CutLine(pieces, segments, line.stroke_px)
        path = find_path_with(again, favourite)
        proposed += [(path, again)] if path else []
    return proposed


def judge(path: Path, seen: Seen, *, strict: bool = False) -> Path:
    """Return the path with probabilities that are the mean of two judges': who saw the digit, and the line.

    The other one's portion is TRUST. Which digit it sees is the mean of what the networks said of the line,
    `seen`, condensed; that there is any, what the most doubtful of them said. One for which the line is too
    short for so many digits is not asked. Where one judge is sure of a digit and the other of none, it is
    none if that is `strict`. A segment's own `seen` is the least of what they said.
    """
    if not path.labels:
        return path
    able = [answers for answers in seen if math.isfinite(score_labels(answers, [path.labels])[0])]
    # Of every digit, (networks, 11): each may doubt that it is one.
    places = iter(np.stack([judge_places(answers, path.labels) for answers in able], axis=1))

    segments = (
        _weigh(segment, next(places)[:, :-1], strict=strict) if segment.digit else segment
        for segment in path.segments
    )
    return path._replace(segments=tuple(segments))


def _weigh(segment: Segment, digits: NDArray[np.float64], *, strict: bool) -> Segment:
    """Return a segment as both judges see it; what each network says of its digits is (networks, 10).

    They do not count where they see no digit in a stroke: a bar is a 1, though they have learned of hatching.
    """
    trust = STRICT_TRUST if strict else TRUST
    mean = digits.mean(axis=0)
    _, _, width, height = segment.box
    there = 1.0 if height >= TALL * width else digits.sum(axis=1).min()
    other = mean * there / max(LEAST, mean.sum())
    probabilities = (1 - trust) * segment.probabilities + trust * other
    return replace(segment, probabilities=probabilities, seen=float(digits[:, segment.answer].min()))

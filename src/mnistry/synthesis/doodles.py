"""Doodles and scribbles: strokes that are neither digits nor letters, each drawn anew."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mnistry.synthesis.strokes import Stroke, bend, parse_stroke

Random = np.random.Generator


def draw_doodle(rng: Random, name: str) -> list[Stroke]:
    """Return a doodle of DOODLES in the field of 20 x 20 of `strokes`, with a hand that is not quite sure."""
    return [stroke + rng.normal(0, 0.25, stroke.shape) for stroke in DOODLES[name](rng)]


def _circle(x: float, y: float, radius: float, start: float = 0, end: float = 2 * np.pi) -> Stroke:
    angles = np.linspace(start, end, 6 + round(abs(end - start) * radius / 3))
    return bend(np.stack([x + radius * np.cos(angles), y + radius * np.sin(angles)], 1))


def _lines(text: str) -> list[Stroke]:
    return [parse_stroke(part) for part in text.split(";")]


def _rays(x: float, y: float, inner: float, outer: float, count: int) -> list[Stroke]:
    angles = 2 * np.pi * np.arange(count) / count
    ways = np.stack([np.cos(angles), np.sin(angles)], 1)
    return [np.array([[x, y] + inner * way, [x, y] + outer * way]) for way in ways]


def _face(rng: Random) -> list[Stroke]:
    mood = rng.choice([-1, 1])
    mouth = np.array([[5.5, 13.5], [10, 13.5 + 2.5 * mood], [14.5, 13.5]])
    return [_circle(10, 10, 10), _circle(6.5, 7, 0.8), _circle(13.5, 7, 0.8), bend(mouth)]


def _star(rng: Random) -> list[Stroke]:
    turns = np.pi * (4 * np.arange(6) / 5 - 0.5)
    return [np.stack([10 + 10 * np.cos(turns), 10 + 10 * np.sin(turns)], 1)]


def _outlined_star(rng: Random) -> list[Stroke]:
    points = int(rng.integers(4, 8))
    turns = np.pi * np.arange(2 * points + 1) / points
    reach = np.where(np.arange(2 * points + 1) % 2, rng.uniform(3.5, 6), 10)
    return [np.stack([10 + reach * np.sin(turns), 10 - reach * np.cos(turns)], 1)]


def _sun(rng: Random) -> list[Stroke]:
    return [_circle(10, 10, 5), *_rays(10, 10, 6.5, 10, int(rng.integers(7, 12)))]


def _flower(rng: Random) -> list[Stroke]:
    count = int(rng.integers(5, 8))
    angles = 2 * np.pi * np.arange(count) / count
    petals = [_circle(10 + 5 * np.cos(a), 7 + 5 * np.sin(a), 2.6) for a in angles]
    return [_circle(10, 7, 2.2), *petals, np.array([[10, 14.0], [10, 22]])]


def _cloud(rng: Random) -> list[Stroke]:
    angles = 2 * np.pi * np.arange(8) / 8
    return [_circle(10 + 7 * np.cos(a), 10 + 4 * np.sin(a), 3.3, a - 1.5, a + 1.5) for a in angles]


def _outlined_cloud(rng: Random) -> list[Stroke]:
    count = int(rng.integers(6, 11))
    angles = np.linspace(0, 2 * np.pi, 12 * count + 1)
    reach = 1 + rng.uniform(0.2, 0.4) * np.abs(np.sin(count * angles / 2 + rng.uniform(0, 3)))
    return [np.stack([10 + 7.5 * reach * np.cos(angles), 10 + 4.8 * reach * np.sin(angles)], 1)]


def _amoeba(rng: Random) -> list[Stroke]:
    """Return a closed curve with three to six arms: with fewer, or short ones, it might be a 0 or an 8."""
    angles = np.linspace(0, 2 * np.pi, 80)
    arms, depth = int(rng.integers(3, 7)), rng.uniform(0.3, 0.6)
    reach = 7 * (
        1
        + depth * np.cos(arms * angles + rng.uniform(0, 6.3))
        + 0.15 * np.cos(2 * angles + rng.uniform(0, 6.3))
    )
    return [np.stack([10 + reach * np.cos(angles), 10 + reach * np.sin(angles)], 1)]


def _spiral(rng: Random) -> list[Stroke]:
    turns = rng.uniform(2.6, 4)
    angles = np.linspace(0, 2 * np.pi * turns, round(14 * turns))
    reach = 10 * angles / angles[-1]
    start = rng.uniform(0, 2 * np.pi)
    return [np.stack([10 + reach * np.cos(angles + start), 10 + reach * np.sin(angles + start)], 1)]


def _zigzag(rng: Random) -> list[Stroke]:
    count = int(rng.integers(6, 12))
    x = np.linspace(0, 20, count)
    y = np.where(np.arange(count) % 2, 10 + rng.uniform(3, 10), 10 - rng.uniform(3, 10))
    points = np.stack([x, y + rng.normal(0, 0.8, count)], 1)
    return [points if rng.random() < 0.6 else points[:, ::-1]]


def _coil(rng: Random) -> list[Stroke]:
    loops = rng.uniform(3, 6)
    t = np.linspace(0, 2 * np.pi * loops, round(12 * loops))
    x = 20 * t / t[-1] + 3 * np.cos(t)
    return [np.stack([x, 10 + rng.uniform(4, 9) * np.sin(t)], 1)]


def _hatching(rng: Random) -> list[Stroke]:
    count, lean = int(rng.integers(4, 9)), rng.uniform(-5, 5)
    x = np.linspace(0, 20, count) + rng.normal(0, 0.5, count)
    lines = [np.array([[a + lean, rng.uniform(0, 3)], [a - lean, rng.uniform(17, 20)]]) for a in x]
    return [line if rng.random() < 0.9 else line[:, ::-1] for line in lines]


def _scribble(rng: Random) -> list[Stroke]:
    return [bend(rng.uniform(0, 20, (int(rng.integers(8, 18)), 2)), closed=bool(rng.random() < 0.3))]


def _wander(rng: Random) -> list[Stroke]:
    way = np.cumsum(rng.normal(0, 1, (int(rng.integers(14, 26)), 2)), axis=0)
    spread = np.ptp(way, axis=0)
    return [bend((way - way.min(axis=0)) / spread.max() * 20)]


def _strokes(rng: Random) -> list[Stroke]:
    """Return a few strokes across each other, at least three, or they might be a 4 or a 7."""
    return [bend(rng.uniform(0, 20, (int(rng.integers(2, 5)), 2))) for _ in range(rng.integers(3, 7))]


def _grid(rng: Random) -> list[Stroke]:
    count = int(rng.integers(2, 5))
    places = np.linspace(0, 20, count + 1)[1:-1] if rng.random() < 0.5 else np.linspace(0, 20, count + 1)
    across = [np.array([[0, place], [20, place]]) for place in places]
    return [*across, *(line[:, ::-1] for line in across), *([_square()] if len(places) < 2 else [])]


def _square() -> Stroke:
    return np.array([[0, 0], [20, 0], [20, 20], [0, 20], [0, 0.0]])


def _drawing(text: str) -> Callable[[Random], list[Stroke]]:
    return lambda rng: _lines(text)


DOODLES: dict[str, Callable[[Random], list[Stroke]]] = {
    "face": _face,
    "star": _star,
    "outlined star": _outlined_star,
    "sun": _sun,
    "flower": _flower,
    "cloud": _cloud,
    "outlined cloud": _outlined_cloud,
    "closed curve": _amoeba,
    "spiral": _spiral,
    "zigzag": _zigzag,
    "coil": _coil,
    "hatching": _hatching,
    "scribble": _scribble,
    "wandering line": _wander,
    "strokes": _strokes,
    "grid": _grid,
    "heart": _drawing("~10 5 6 0 1 2 0 7 4 13 10 20; ~10 5 14 0 19 2 20 7 16 13 10 20"),
    "house": _drawing("2 20 2 8 10 0 18 8 18 20 2 20; 2 8 18 8; 8 20 8 13 12 13 12 20"),
    "tree": _drawing("8 20 8 13; 12 20 12 13; ~8 13 2 12 1 6 6 2 10 0 14 2 19 6 18 12 12 13"),
    "fir": _drawing("10 0 4 7 8 7 2 14 8 14 8 20 12 20 12 14 18 14 12 7 16 7 10 0"),
    "man": _drawing("~10 0 7 2.5 10 5 13 2.5 10 0; 10 5 10 13; 3 8 17 8; 10 13 4 20; 10 13 16 20"),
    "arrow": _drawing("0 10 20 10; 13 4 20 10 13 16"),
    "tick": _drawing("0 12 6 20 20 0"),
    "fish": _drawing("~20 4 10 14 3 14 0 10 3 6 10 6 20 16; 20 4 20 16; 4 9 4.5 9.2"),
    "cat": _drawing(
        "~4 6 2 11 4 17 10 20 16 17 18 11 16 6; 4 6 4 0 8 4 12 4 16 0 16 6; 7 9 7.4 9; 13 9 13.4 9;"
        "10 13 0 11; 10 13 20 11; 10 13 0 15; 10 13 20 15"
    ),
    "cube": _drawing("0 6 13 6 13 20 0 20 0 6; 7 0 20 0 20 13; 0 6 7 0; 13 6 20 0; 13 20 20 13"),
    "envelope": _drawing("0 4 20 4 20 17 0 17 0 4 10 12 20 4"),
    "triangle": _drawing("10 1 20 19 0 19 10 1"),
    "eye": _drawing("~0 10 5 5 10 4 15 5 20 10 15 15 10 16 5 15 0 10; ~10 7 7 10 10 13 13 10 10 7"),
    "moon": _drawing("~13 0 6 2 3 10 6 18 13 20 9 15 8 10 9 5 13 0"),
    "umbrella": _drawing("~0 10 3 3 10 0 17 3 20 10; 0 10 20 10; ~10 10 10 18 8 20 5 18"),
    "crossed out": _drawing("0 0 20 20; 20 0 0 20; ~10 1 3 4 1 10 3 16 10 19 17 16 19 10 17 4 10 1"),
    "butterfly": _drawing(
        "10 4 10 16; ~10 9 4 1 0 4 3 9 10 10 2 13 4 19 10 11; ~10 9 16 1 20 4 17 9 10 10 18 13 16 19 10 11"
    ),
    "boat": _drawing("0 14 20 14 16 20 4 20 0 14; 10 14 10 0 18 11 10 11"),
    "car": _drawing(
        "0 15 0 10 4 9 7 4 14 4 17 9 20 10 20 15 0 15; ~3 15 5 12.5 7 15 5 18 3 15;"
        "~13 15 15 12.5 17 15 15 18 13 15"
    ),
    "cup": _drawing("2 3 4 20 13 20 15 3 2 3; ~15 6 20 7 19 13 14 14"),
    "bird": _drawing("~0 6 4 2 8 4 10 10; ~10 10 12 4 16 2 20 6"),
    "key": _drawing("~7 10 4 6 0 10 4 14 7 10; 7 10 20 10; 16 10 16 14; 19 10 19 14"),
    "ladder": _drawing("5 0 5 20; 15 0 15 20; 5 4 15 4; 5 8 15 8; 5 12 15 12; 5 16 15 16"),
    "lightning": _drawing("12 0 4 11 9 11 6 20 16 8 10 8 14 0 12 0"),
    "leaf": _drawing(
        "~10 0 3 6 3 13 10 18 17 13 17 6 10 0; 10 4 10 20; 10 8 6 6; 10 8 14 6; 10 13 6 11; 10 13 14 11"
    ),
    "mushroom": _drawing(
        "~1 10 3 3 10 0 17 3 19 10; 1 10 19 10; ~7 10 8 15 6 20; ~13 10 12 15 14 20; 6 20 14 20"
    ),
    "glasses": _drawing("~8 10 4 6 0 10 4 14 8 10; ~20 10 16 6 12 10 16 14 20 10; ~8 10 10 9 12 10"),
    "crown": _drawing("0 18 0 4 5 11 10 2 15 11 20 4 20 18 0 18"),
    "kite": _drawing("10 0 17 7 10 15 3 7 10 0 10 15; 3 7 17 7; ~10 15 12 17 9 18 11 20"),
    "flag": _drawing("3 20 3 0; 3 1 18 3 13 6 18 9 3 11"),
    "anchor": _drawing("10 4 10 20; 5 7 15 7; ~10 4 8 2 10 0 12 2 10 4; ~1 13 4 18 10 20 16 18 19 13"),
    "cross in a circle": _drawing("~10 0 3 3 0 10 3 17 10 20 17 17 20 10 17 3 10 0; 3 3 17 17; 17 3 3 17"),
    "square in a square": _drawing("0 0 20 0 20 20 0 20 0 0; 6 6 14 6 14 14 6 14 6 6"),
    "box of triangles": _drawing("0 20 5 10 10 20 0 20; 10 20 15 10 20 20 10 20; 5 10 10 0 15 10 5 10"),
    "wave": _drawing("~0 8 4 4 8 8 12 12 16 8 20 4; ~0 15 4 11 8 15 12 19 16 15 20 11"),
}

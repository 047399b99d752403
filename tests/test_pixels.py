"""Arrays of pixels."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from mnistry.pixels import find_connected, quantile


@pytest.mark.parametrize("seed", range(5))
def test_what_hangs_together_is_what_opencv_says(seed: int) -> None:
    rng = np.random.default_rng(seed)
    noise = cv2.GaussianBlur(rng.random(rng.integers(1, 90, 2)), (0, 0), 1.5)
    mask = noise > noise.mean()
    numbers, stats = find_connected(mask)
    count, expected, expected_stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    np.testing.assert_array_equal(numbers, expected)
    np.testing.assert_array_equal(stats[1:], expected_stats[1:])
    assert len(stats) == count


def test_marks_that_meet_at_a_corner_hang_together() -> None:
    numbers, stats = find_connected(np.array([[1, 0, 0], [0, 1, 0], [0, 0, 0], [0, 0, 1]], np.uint8))
    assert numbers.tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 0], [0, 0, 2]]
    assert stats[1:].tolist() == [[0, 0, 2, 2, 2], [2, 3, 1, 1, 1]]
    assert len(find_connected(np.zeros((4, 4), bool))[1]) == 1


@pytest.mark.parametrize("portion", [0.0, 0.25, 0.5, 0.995, 1.0])
def test_a_quantile_is_what_numpy_says(portion: float) -> None:
    rng = np.random.default_rng(0)
    for values in (rng.normal(size=(7, 5)), np.zeros((3, 2)), rng.integers(0, 4, 1000), np.array([3.0])):
        assert quantile(values, portion) == pytest.approx(np.quantile(values, portion))

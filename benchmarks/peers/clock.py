"""What a peer prints: when its training begins, then the seconds it has trained and the accuracy it has."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager


class Clock:
    """Counts the seconds of training alone; to be made where everything is ready for the first step.

    Each report is a line of JSON at once, so that a peer that takes too long can be stopped and still count.
    """

    def __init__(self) -> None:
        self._seconds = 0.0
        print(json.dumps({"began": time.time()}), flush=True)

    @contextmanager
    def training(self) -> Iterator[None]:
        """Count the seconds of this block."""
        since = time.perf_counter()
        yield
        self._seconds += time.perf_counter() - since

    def report(self, accuracy: float) -> None:
        """Tell the accuracy on the test images, 0..1, after the training so far."""
        print(json.dumps({"seconds": self._seconds, "accuracy": accuracy}), flush=True)

"""What a peer prints: the seconds it has trained, and the accuracy it has reached, after each epoch."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType


class Clock:
    """Counts the seconds of training alone; its block begins where everything is ready for the first step."""

    def __enter__(self) -> Clock:
        self._began = time.time()
        self._epochs: list[dict[str, float]] = []
        self._seconds = 0.0
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            print(json.dumps({"began": self._began, "epochs": self._epochs}))

    @contextmanager
    def training(self) -> Iterator[None]:
        """Count the seconds of this block."""
        since = time.perf_counter()
        yield
        self._seconds += time.perf_counter() - since

    def report(self, accuracy: float) -> None:
        """Note the accuracy on the test images, 0..1, after the training so far."""
        self._epochs.append({"seconds": self._seconds, "accuracy": accuracy})

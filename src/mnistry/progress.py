"""The progress of a training, for people: a live line on a terminal, one plain line an epoch elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np


def make_progress(images_per_epoch: int, verbose: str | int) -> EpochProgress:
    """The display that `verbose` asks for: 1 live, 2 a line an epoch, "auto" what suits the output."""
    return EpochProgress(images_per_epoch, live=None if verbose == "auto" else verbose == 1)


class EpochProgress(keras.callbacks.Callback):
    """Prints epoch, metrics, images a second and the time left.

    On standard error; in a notebook, which shows that as if something were wrong, on standard output.
    """

    def __init__(self, images_per_epoch: int, *, live: bool | None = None) -> None:
        """Report the speed for `images_per_epoch`; `live` None means: where standard error is a terminal."""
        super().__init__()
        self._count = images_per_epoch
        self._live = live
        self._display: Any = None

    def on_train_begin(self, logs: Any = None) -> None:
        self._stream = sys.stdout if "ipykernel" in sys.modules else sys.stderr
        live = self._stream.isatty() if self._live is None else self._live
        self._seconds: list[float] = []
        if live:
            self._start_display()

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._started = time.perf_counter()
        if self._display is not None and not self._seconds:
            self._display.update(self._task, text="compiling and training the first epoch")

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        self._seconds.append(time.perf_counter() - self._started)
        epochs = self.params["epochs"]
        # The first epoch contains the compilation and says little of the others.
        steady = self._seconds[1:] or self._seconds
        left_s = (epochs - epoch - 1) * sum(steady) / len(steady)
        line = describe_epoch(epoch, epochs, logs or {})
        speed = f"{self._count / self._seconds[-1]:,.0f} images/s"
        if epoch + 1 < epochs:
            speed += f"  {'under ' if len(self._seconds) == 1 else ''}{left_s:.0f} s left"
        if self._display is not None:
            console = self._display.console
            whole = f"{line}  {speed}"  # a narrow terminal has the speed beside the bar alone
            console.print(whole if len(whole) <= console.width else line, highlight=False)
            self._display.update(self._task, completed=epoch + 1, total=epochs, text=speed)
        else:
            print(f"{line}  {speed}", file=self._stream, flush=True)

    def close(self) -> None:
        """Give the terminal back, whatever has ended the training."""
        if self._display is not None:
            self._display.stop()
            self._display = None

    def _start_display(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        self._display = Progress(
            TextColumn("epoch"),
            MofNCompleteColumn(),
            BarColumn(bar_width=20),
            TimeElapsedColumn(),
            TextColumn("{task.fields[text]}"),
            console=Console(file=self._stream),
            transient=True,
        )
        self._task = self._display.add_task("train", total=self.params["epochs"], text="")
        self._display.start()


def describe_epoch(epoch: int, epochs: int, logs: Mapping[str, float]) -> str:
    """An epoch's number, from 1, and its metrics."""
    parts = [f"epoch {epoch + 1:{len(str(epochs))}}/{epochs}"]
    return "  ".join([*parts, *(f"{name} {_format(name, value)}" for name, value in logs.items())])


def _format(name: str, value: float) -> str:
    value = float(np.mean(value))  # of a metric with a number for each class
    if name.removeprefix("val_").endswith("accuracy"):
        return f"{value:.2%}"
    return f"{value:.2e}" if 0 < abs(value) < 1e-3 else f"{value:.4f}"

"""What runs the steps of an epoch: one compiled program on JAX and on TensorFlow.

An engine has five verbs. `put(arrays)` takes arrays to the device. `capacity()` is the number of bytes of
data that it may keep there. `train(arrays, rows, first_step)` takes one step for every row of `rows`
(steps, batch) and `test(arrays, rows)` measures; both leave the new state in the model's own variables, so
that between two calls the model is an ordinary Keras model. `wait()` returns when the work is done.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Augment = Callable[[Any, Any], Any]


class Engine(Protocol):
    """See the module's docstring."""

    def put(self, arrays: Any) -> Any: ...
    def capacity(self) -> int: ...
    def train(self, arrays: Any, rows: NDArray[np.int32], first_step: int) -> None: ...
    def test(self, arrays: Any, rows: NDArray[np.int32]) -> None: ...
    def wait(self) -> None: ...


def make_engine(model: Any, augment: Augment | None, seed: int) -> Engine:
    """The engine of the back end that Keras runs on (JAX or TensorFlow)."""
    import keras

    if keras.backend.backend() == "jax":
        from mnistry.engines.on_jax import JaxEngine

        return JaxEngine(model, augment, seed)
    from mnistry.engines.on_tensorflow import TensorFlowEngine

    return TensorFlowEngine(model, augment, seed)


def host_capacity() -> int:
    """Bytes of data that may be copied within this machine's memory: half of what is free now."""
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (AttributeError, ValueError, OSError):
        return 2**31

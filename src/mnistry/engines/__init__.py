"""What runs the steps of an epoch: one compiled program on JAX and on TensorFlow.

An engine has five verbs. `put(arrays)` takes arrays to the device. `capacity()` is the number of bytes of
data that it may keep there. `train(arrays, rows, first_step, seed)` takes one step for every row of `rows`
(steps, batch) and `test(arrays, rows)` measures; both leave the new state in the model's own variables, so
that between two calls the model is an ordinary Keras model. `wait()` returns when the work is done.
"""

from __future__ import annotations

import operator
import os
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Augment = Callable[[Any, Any], Any]
_KEPT = "_mnistry_engine"


class Engine(Protocol):
    """See the module's docstring."""

    def put(self, arrays: Any) -> Any: ...
    def capacity(self) -> int: ...
    def train(self, arrays: Any, rows: NDArray[np.int32], first_step: int, seed: int) -> None: ...
    def test(self, arrays: Any, rows: NDArray[np.int32]) -> None: ...
    def wait(self) -> None: ...


def make_engine(model: Any, augment: Augment | None) -> Engine:
    """The engine of the back end that Keras runs on; that of an earlier call where nothing has changed since.

    The engine stays with the model, so that a second call of `fit` need not compile again.
    """
    import keras

    parts = [model.optimizer, model._compile_loss, model._compile_metrics, *model.trainable_variables]
    known: list[Any]
    known_augment: Augment | None
    engine: Engine | None
    known, known_augment, engine = vars(model).get(_KEPT, ([], None, None))
    same = len(known) == len(parts) and all(map(operator.is_, known, parts))
    if engine is not None and same and known_augment == augment:
        return engine
    if keras.backend.backend() == "jax":
        from mnistry.engines.on_jax import JaxEngine

        engine = JaxEngine(model, augment)
    else:
        from mnistry.engines.on_tensorflow import TensorFlowEngine

        engine = TensorFlowEngine(model, augment)
    # Past Keras' tracking of attributes: this is no state of the model.
    vars(model)[_KEPT] = (parts, augment, engine)
    return engine


def host_capacity() -> int:
    """Bytes of data that may be copied within this machine's memory: a quarter of what is free now.

    Of data in chunks, two and the gathering of a third may be alive at once.
    """
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 4
    except (AttributeError, ValueError, OSError):
        return 2**30

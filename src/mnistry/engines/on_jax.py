"""A whole epoch as one compiled `jax.lax.scan` over the model's own `train_step`."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from mnistry.engines import Augment, host_capacity
from mnistry.engines.convolution import fast_convolutions

DEVICE_MEMORY_SHARE = 0.5  # of an accelerator's free memory, for data; the rest is for the network


class JaxEngine:
    """Runs a compiled Keras model on JAX; see `mnistry.engines`."""

    def __init__(self, model: Any, augment: Augment | None) -> None:
        self._model = model
        self._augment = augment
        self._train_epoch = jax.jit(self._scan_training)
        self._test_epoch = jax.jit(self._scan_test)
        self._device = jax.devices()[0]

    def put(self, arrays: Any) -> Any:
        return jax.tree.map(jnp.asarray, arrays)

    def capacity(self) -> int:
        memory = self._device.memory_stats()
        if not memory or "bytes_limit" not in memory:
            return host_capacity()
        return int((memory["bytes_limit"] - memory["bytes_in_use"]) * DEVICE_MEMORY_SHARE)

    def train(self, arrays: Any, rows: NDArray[np.int32], first_step: int, seed: int) -> None:
        variables = self._training_variables()
        with self._fast_layers():
            state = self._train_epoch(_values(variables), arrays, rows, first_step, seed)
        _assign(variables, state)

    def test(self, arrays: Any, rows: NDArray[np.int32]) -> None:
        model = self._model
        variables = (model.trainable_variables, model.non_trainable_variables, model.metrics_variables)
        with self._fast_layers():
            *_, metrics = self._test_epoch(_values(variables), arrays, rows)
        _assign((model.metrics_variables,), (metrics,))

    def wait(self) -> None:
        jax.block_until_ready(_values(self._training_variables()))

    def _training_variables(self) -> tuple[list[Any], ...]:
        model = self._model
        return (
            model.trainable_variables,
            model.non_trainable_variables,
            model.optimizer.variables,
            model.metrics_variables,
        )

    def _fast_layers(self) -> AbstractContextManager[None]:
        # Only XLA's CPU compiler falls to naive kernels for convolution and pooling inside a loop.
        return fast_convolutions(self._model) if self._device.platform == "cpu" else nullcontext()

    def _scan_training(self, state: Any, arrays: Any, rows: Any, first_step: Any, seed: Any) -> Any:
        key = jax.random.key(seed)

        def step(state: Any, numbered: Any) -> tuple[Any, None]:
            number, row = numbered
            batch = jax.tree.map(lambda array: array[row], arrays)
            if self._augment is not None:
                batch = (self._augment(jax.random.fold_in(key, number), batch[0]), *batch[1:])
            _, state = self._model.train_step(state, batch)
            return state, None

        return jax.lax.scan(step, state, (first_step + jnp.arange(len(rows)), rows))[0]

    def _scan_test(self, state: Any, arrays: Any, rows: Any) -> Any:
        def step(state: Any, row: Any) -> tuple[Any, None]:
            _, state = self._model.test_step(state, jax.tree.map(lambda array: array[row], arrays))
            return state, None

        return jax.lax.scan(step, state, rows)[0]


def _values(variables: tuple[list[Any], ...]) -> tuple[list[Any], ...]:
    return tuple([variable.value for variable in group] for group in variables)


def _assign(variables: tuple[list[Any], ...], values: tuple[list[Any], ...]) -> None:
    for group, new in zip(variables, values, strict=True):
        for variable, value in zip(group, new, strict=True):
            variable.assign(value)

"""A whole epoch as one `tf.while_loop` over the model's own `train_step`, compiled by XLA."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from mnistry.engines import Augment, host_capacity
from mnistry.engines.convolution import fast_convolutions

ACCELERATOR_BYTES = 2**31  # TensorFlow does not tell how much memory a device has: at most 2 GiB of data


class TensorFlowEngine:
    """Runs a compiled Keras model on TensorFlow; see `mnistry.engines`."""

    def __init__(self, model: Any, augment: Augment | None) -> None:
        self._model = model
        self._augment = augment
        self._train_epoch = tf.function(self._loop_training, jit_compile=True)
        self._test_epoch = tf.function(self._loop_test, jit_compile=True)

    def put(self, arrays: Any) -> Any:
        return tf.nest.map_structure(tf.constant, arrays)

    def capacity(self) -> int:
        return ACCELERATOR_BYTES if tf.config.list_logical_devices("GPU") else host_capacity()

    def train(self, arrays: Any, rows: NDArray[np.int32], first_step: int, seed: int) -> None:
        with self._fast_layers():
            self._train_epoch(arrays, tf.constant(rows), tf.constant([seed % 2**31, first_step], tf.int32))

    def test(self, arrays: Any, rows: NDArray[np.int32]) -> None:
        with self._fast_layers():
            self._test_epoch(arrays, tf.constant(rows))

    def wait(self) -> None:
        self._model.optimizer.iterations.numpy()

    def _fast_layers(self) -> AbstractContextManager[None]:
        gpus = tf.config.list_logical_devices("GPU")
        return nullcontext() if gpus else fast_convolutions(self._model)

    def _loop_training(self, arrays: Any, rows: Any, seed: Any) -> None:
        def step(number: Any) -> tuple[Any]:
            batch = tf.nest.map_structure(lambda array: tf.gather(array, rows[number]), arrays)
            if self._augment is not None:
                batch = (self._augment(seed + tf.stack([0, number]), batch[0]), *batch[1:])
            self._model.train_step(batch)
            return (number + 1,)

        tf.while_loop(lambda number: number < len(rows), step, (tf.constant(0),))

    def _loop_test(self, arrays: Any, rows: Any) -> None:
        def step(number: Any) -> tuple[Any]:
            self._model.test_step(tf.nest.map_structure(lambda array: tf.gather(array, rows[number]), arrays))
            return (number + 1,)

        tf.while_loop(lambda number: number < len(rows), step, (tf.constant(0),))

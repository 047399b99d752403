"""A data set in memory, given to a device at once or, where it does not fit, in chunks of an epoch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

Order = NDArray[np.int32]


class Feed:
    """Arrays with a common first axis, handed to the device as (arrays there, order of rows in them).

    Attributes:
        count: number of examples.
        resident: whether the arrays stay on the device; otherwise every epoch sends them in chunks.
    """

    def __init__(self, arrays: Any, batch_size: int, put: Callable[[Any], Any], chunk_bytes: int) -> None:
        """Prepare to feed `arrays`.

        Args:
            arrays: a nested structure of NumPy arrays with the same length, at least one.
            batch_size: examples a step.
            put: takes such a structure to the device.
            chunk_bytes: data of more bytes than this is fed in chunks of at most this many.

        Raises:
            ValueError: the batch size is less than 1.
        """
        import keras

        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, received {batch_size}")
        leaves = keras.tree.flatten(arrays)
        self.count = len(leaves[0])
        self._arrays = arrays
        self._batch_size = batch_size
        self._put = put
        self._map = keras.tree.map_structure
        total = count_bytes(arrays)
        self.resident = total <= chunk_bytes
        if self.resident:
            self._arrays = put(arrays)
        bytes_per_step = max(1, total // self.count * batch_size)
        self._steps_per_chunk = max(1, chunk_bytes // bytes_per_step)

    @property
    def steps(self) -> int:
        """Steps an epoch; the last one may be short."""
        return -(-self.count // self._batch_size)

    def chunks(self, order: Order) -> Iterator[tuple[Any, Order]]:
        """The epoch in the given order, as pairs (arrays on the device, rows of them by step).

        Args:
            order: (n,) the rows of the arrays in the order of training.

        Yields:
            The arrays, and an int32 array (steps, batch) of rows. A last batch that is short comes by itself.
        """
        full = len(order) // self._batch_size * self._batch_size
        pieces = [order[:full].reshape(-1, self._batch_size), order[full:].reshape(1, -1)]
        for rows in pieces:
            if not rows.size:
                continue
            if self.resident:
                yield self._arrays, rows
                continue
            for start in range(0, len(rows), self._steps_per_chunk):
                part = rows[start : start + self._steps_per_chunk]
                chosen = self._put(self._map(lambda array, part=part: array[part.ravel()], self._arrays))
                yield chosen, np.arange(part.size, dtype=np.int32).reshape(part.shape)


def count_bytes(arrays: Any) -> int:
    """The bytes of a nested structure of arrays."""
    import keras

    return sum(leaf.nbytes for leaf in keras.tree.flatten(arrays))


def epoch_order(count: int, seed: int, epoch: int, shuffle: bool) -> Order:
    """The rows of one epoch, (count,) int32: a function of seed and epoch alone, so resuming repeats it."""
    if not shuffle:
        return np.arange(count, dtype=np.int32)
    return np.random.default_rng([seed, epoch]).permutation(count).astype(np.int32)

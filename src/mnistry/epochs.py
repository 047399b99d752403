"""The epochs of a training: compiled as a whole where that is possible, by `model.fit` where not."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from mnistry.engines import Engine
from mnistry.feeding import Feed, Order, count_bytes, epoch_order
from mnistry.inputs import is_array

Logs = dict[str, Any]


class Epochs(Protocol):
    """Trains one epoch, and measures on the validation data; `count` images are trained on."""

    count: int
    validates: bool

    def train(self, epoch: int) -> Logs: ...
    def validate(self) -> Logs: ...


class CompiledEpochs:
    """Each epoch is one program of an engine."""

    def __init__(
        self,
        model: Any,
        engine: Engine,
        training: Any,
        validation: Any,
        batch_sizes: tuple[int, int],
        chunk_bytes: int,
        seed: int,
        shuffle: bool,
    ) -> None:
        self._model, self._engine, self._seed, self._shuffle = model, engine, seed, shuffle
        self.validates = validation is not None
        if validation is not None:
            # Half of the room, or more where the training data does not need its own half.
            share = max(chunk_bytes // 2, chunk_bytes - count_bytes(training))
            share = min(share, count_bytes(validation))
            self._validation = Feed(validation, batch_sizes[1], engine.put, share)
            chunk_bytes -= share
        self._training = Feed(training, batch_sizes[0], engine.put, chunk_bytes)
        self.count = self._training.count

    def train(self, epoch: int) -> Logs:
        self._model.reset_metrics()
        order = epoch_order(self.count, self._seed, epoch, self._shuffle)
        step = epoch * self._training.steps
        for arrays, rows in self._chunks(self._training, order):
            self._engine.train(arrays, rows, step, self._seed)
            step += len(rows)
        self._engine.wait()
        return _metrics(self._model)

    def validate(self) -> Logs:
        self._model.reset_metrics()
        order = epoch_order(self._validation.count, self._seed, 0, shuffle=False)
        for arrays, rows in self._chunks(self._validation, order):
            self._engine.test(arrays, rows)
        return _metrics(self._model)

    def _chunks(self, feed: Feed, order: Order) -> Iterator[tuple[Any, Order]]:
        for arrays, rows in feed.chunks(order):
            if not feed.resident:
                self._engine.wait()  # for the chunk before: while it was computed this one was sent, no more
            yield arrays, rows


class KerasEpochs:
    """Each epoch is a call of `model.fit`, in the order that a compiled epoch would have."""

    def __init__(
        self,
        model: Any,
        training: Any,
        validation: Any,
        batch_sizes: tuple[int, int],
        seed: int,
        shuffle: bool,
    ) -> None:
        self._model, self._training, self._validation = model, training, validation
        self._batch_sizes, self._seed, self._shuffle = batch_sizes, seed, shuffle
        self.count = _count(training)
        self.validates = validation is not None

    def train(self, epoch: int) -> Logs:
        import keras

        order = epoch_order(self.count, self._seed, epoch, self._shuffle)
        x, y, *weights = keras.tree.map_structure(lambda array: array[order], self._training)
        history = self._model.fit(
            x,
            y,
            self._batch_sizes[0],
            verbose=0,
            shuffle=False,
            sample_weight=weights[0] if weights else None,
        )
        return {name: values[-1] for name, values in history.history.items()}

    def validate(self) -> Logs:
        x, y, *weights = self._validation
        logs: Logs = self._model.evaluate(
            x, y, self._batch_sizes[1], 0, weights[0] if weights else None, return_dict=True
        )
        return logs


def run_epochs(
    model: Any, epochs_of: Epochs, callbacks: Any, first: int, last: int, validation_freq: int | Sequence[int]
) -> None:
    """Train the epochs from `first` to before `last`, with the callbacks at the places of `model.fit`."""
    logs: Logs = {}
    model.stop_training = False
    callbacks.on_train_begin()
    first = getattr(model, "_initial_epoch", None) or first  # where BackupAndRestore goes on
    with _interruptible() as interrupts:
        for epoch in range(first, last):
            callbacks.on_epoch_begin(epoch)
            logs = epochs_of.train(epoch)
            if epochs_of.validates and _is_due(epoch, validation_freq):
                callbacks.on_test_begin()
                measured = epochs_of.validate()
                callbacks.on_test_end(measured)
                logs |= {f"val_{name}": value for name, value in measured.items()}
            callbacks.on_epoch_end(epoch, logs)
            if interrupts:
                model.stop_training = True
            if model.stop_training:
                break
    # Optimizers that average the weights (use_ema) hand over the average here, as in model.fit.
    model.optimizer.finalize_variable_values(model.trainable_variables)
    callbacks.on_train_end(logs)


def why_not_by_epochs(model: Any, data: tuple[Any, ...], callbacks: Any, steps: int | None) -> str | None:
    """Why only `model.fit` itself can do this training, or None where it can go epoch by epoch."""
    import keras

    for leaf in keras.tree.flatten(data):
        if leaf is not None and not is_array(leaf):
            return f"the data is not arrays in memory (received {type(leaf).__name__})"
    if data[1] is None:
        return "there are no targets y"
    if steps is not None:
        return "steps_per_epoch or validation_steps is given"
    for callback in keras.tree.flatten(callbacks or []):
        if _acts_on_batches(callback):
            return f"the callback {type(callback).__name__} acts on every batch"
    if why_not_compiled(model) and model.optimizer.use_ema:
        return f"the optimizer averages the weights, and {why_not_compiled(model)}"
    return None


def why_not_compiled(model: Any) -> str | None:
    """Why an epoch cannot be one program, or None where it can."""
    import keras

    if keras.backend.backend() not in ("jax", "tensorflow"):
        return f"the back end is {keras.backend.backend()}"
    if model.run_eagerly:
        return "the model was compiled with run_eagerly=True"
    if keras.distribution.distribution() is not None:
        return "a keras.distribution is set"
    for name in ("train_step", "test_step"):
        if getattr(type(model), name) is not getattr(keras.Model, name):
            return f"the model has a {name} of its own"
    unsupported = [layer.name for layer in model._flatten_layers() if not layer.supports_jit]
    return f"XLA cannot compile the layer {unsupported[0]!r}" if unsupported else None


_BATCH_HOOKS = (
    "on_batch_begin",
    "on_batch_end",
    "on_train_batch_begin",
    "on_train_batch_end",
    "on_test_batch_begin",
    "on_test_batch_end",
)
# Keras' own callbacks with batch hooks that do nothing unless this attribute asks for more than epochs.
_FREQUENCY_OPTION = {
    "BackupAndRestore": "save_freq",
    "ModelCheckpoint": "save_freq",
    "TensorBoard": "update_freq",
}


def _acts_on_batches(callback: Any) -> bool:
    import keras

    base = keras.callbacks.Callback
    for name in _BATCH_HOOKS:
        hook = getattr(callback, name)
        owner = getattr(hook, "__self__", None)
        if owner is callback and getattr(hook, "__func__", None) is getattr(base, name):
            continue
        option = _FREQUENCY_OPTION.get(getattr(hook, "__qualname__", "").split(".")[0])
        if option is None or getattr(callback, option, None) != "epoch":
            return True
    return bool(getattr(callback, "_start_batch", 0))  # TensorBoard(profile_batch=...)


def _is_due(epoch: int, validation_freq: int | Sequence[int]) -> bool:
    if isinstance(validation_freq, int):
        return (epoch + 1) % validation_freq == 0
    return epoch + 1 in validation_freq


def _metrics(model: Any) -> Logs:
    """The metrics of the model: numbers as float, anything else (a score for each class) as it is."""
    import keras

    values = {name: keras.ops.convert_to_numpy(value) for name, value in model.get_metrics_result().items()}
    return {name: float(value) if value.ndim == 0 else value for name, value in values.items()}


def _count(arrays: Any) -> int:
    import keras

    return len(keras.tree.flatten(arrays)[0])


@contextmanager
def _interruptible() -> Iterator[list[int]]:
    """Give a list that a first Ctrl-C puts something in; a second one acts as usual."""
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield received  # signals reach the main thread only
        return
    usual = signal.getsignal(signal.SIGINT)

    def finish_epoch(signum: int, frame: Any) -> None:
        received.append(signum)
        os.write(2, b"\nfinishing this epoch; Ctrl-C once more stops at once\n")  # print is not safe here
        signal.signal(signal.SIGINT, usual)

    signal.signal(signal.SIGINT, finish_epoch)
    try:
        yield received
    finally:
        signal.signal(signal.SIGINT, usual)

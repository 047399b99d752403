"""The fused trainer: `fit` is `model.fit` for data in memory, with whole epochs compiled."""

from __future__ import annotations

import random
import signal
import sys
import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from mnistry.dataset import Dataset
from mnistry.engines import Augment, Engine, make_engine
from mnistry.feeding import Feed, epoch_order
from mnistry.inputs import as_arrays, example_weights, is_array, split_arrays, unpack

DEFAULT_BATCH_SIZE = 32  # as in model.fit


def fit(
    model: Any,
    x: Any = None,
    y: Any = None,
    batch_size: int | None = None,
    epochs: int = 1,
    verbose: str | int = "auto",
    callbacks: Any = None,
    validation_split: float = 0.0,
    validation_data: Any = None,
    shuffle: bool = True,
    class_weight: Mapping[int, float] | None = None,
    sample_weight: Any = None,
    initial_epoch: int = 0,
    steps_per_epoch: int | None = None,
    validation_steps: int | None = None,
    validation_batch_size: int | None = None,
    validation_freq: int | Sequence[int] = 1,
    *,
    seed: int | None = None,
    augment: Augment | None = None,
    chunk_bytes: int | None = None,
) -> Any:
    """Train a compiled Keras model as `model.fit` does, with each epoch as one compiled program.

    On JAX and TensorFlow the data lies on the device and an epoch is one XLA program. What cannot be
    compiled so (the PyTorch back end, a generator as data, a callback that acts on every batch) goes to
    `model.fit` itself; where that costs speed on JAX or TensorFlow, a warning says why.

    Args:
        model: a compiled `keras.Model`.
        x: array, or nested arrays, or a `Dataset`, of n examples.
        y: targets for x; None with a `Dataset`.
        batch_size: examples a step, 32 by default; the last batch may be short and counts by its size.
        epochs: number of the last epoch, counted from `initial_epoch`.
        verbose: 0 silent, 1 a live line, 2 a line an epoch, "auto" 1 on a terminal and 2 elsewhere.
        callbacks: `keras.callbacks.Callback`s that act on epochs.
        validation_split: share of x and y, 0..1, taken from the end before any shuffling.
        validation_data: (x, y), (x, y, sample_weight) or a `Dataset`, measured after each epoch.
        shuffle: whether the order of training changes every epoch.
        class_weight: weight of the loss by class; classes left out weigh 1.
        sample_weight: (n,) weight of the loss by example; not together with `class_weight`.
        initial_epoch: the epoch to begin with, counted from 0.
        steps_per_epoch: passed to `model.fit`, which then does the work.
        validation_steps: likewise.
        validation_batch_size: examples a step of validation; `batch_size` by default.
        validation_freq: validate every so many epochs, or after the epochs listed (counted from 1).
        seed: of the order and the augmentation; by default drawn from `random`, so that
            `keras.utils.set_random_seed` fixes it. The order is a function of seed and epoch alone.
        augment: (key, images) -> images, a pure function in the back end's own operations, applied to
            each batch of x inside the program. The key is a `jax.random` key, or on TensorFlow an int32
            seed of shape (2,) for `tf.random.stateless_*`.
        chunk_bytes: data larger than this is sent to the device in chunks of an epoch; by default what
            the device can hold.

    Returns:
        The `keras.callbacks.History`. After a first Ctrl-C the epoch is finished and training ends as if
        a callback had stopped it, with `model.stop_training` true; a second one raises KeyboardInterrupt.

    Raises:
        ValueError: the model is not compiled, or the data is empty, differs in length or has no such form.
    """
    import keras

    if not getattr(model, "compiled", False):
        raise ValueError("the model must be compiled before it is trained: call model.compile(...) first")
    if isinstance(x, Dataset) or (y is None and isinstance(x, tuple)):
        if y is not None:
            raise ValueError("y must be None where x is a Dataset, which brings its own labels")
        x, y, own_weight = unpack(x, "x")
        sample_weight = own_weight if sample_weight is None else sample_weight
    if isinstance(validation_data, Dataset):
        validation_data = tuple(validation_data)
    unfused = _why_not_fused(
        model, (x, y, sample_weight, validation_data), callbacks, steps_per_epoch or validation_steps
    )
    if unfused:
        if augment is not None:
            raise ValueError(f"augment works only where epochs are compiled, but {unfused}")
        if keras.backend.backend() != "torch":
            warnings.warn(f"mnistry.fit hands over to model.fit, which is slower: {unfused}", stacklevel=2)
        if seed is not None:
            keras.utils.set_random_seed(seed)
        return model.fit(
            x,
            y,
            batch_size=batch_size,
            epochs=epochs,
            verbose=(1 if sys.stderr.isatty() else 2) if verbose == "auto" else verbose,
            callbacks=callbacks,
            validation_split=validation_split,
            validation_data=validation_data,
            shuffle=shuffle,
            class_weight=class_weight,
            sample_weight=sample_weight,
            initial_epoch=initial_epoch,
            steps_per_epoch=steps_per_epoch,
            validation_steps=validation_steps,
            validation_batch_size=validation_batch_size,
            validation_freq=validation_freq,
        )

    training = as_arrays(x, y, example_weights(y, class_weight, sample_weight), "x and y")
    validation = None
    if validation_data is not None:
        validation = as_arrays(*unpack(validation_data, "validation_data"), "validation_data")
    elif validation_split:
        training, validation = split_arrays(training, validation_split)
    batch_size = batch_size or DEFAULT_BATCH_SIZE
    _build(model, training, batch_size)
    seed = random.randrange(2**31) if seed is None else seed
    engine = make_engine(model, augment)
    feed = Feed(training, batch_size, engine.put, chunk_bytes or engine.capacity())
    validation_feed = None
    if validation is not None:
        size = validation_batch_size or batch_size
        room = chunk_bytes or engine.capacity()
        validation_feed = Feed(validation, size, engine.put, room)
    callback_list = keras.callbacks.CallbackList(
        [*keras.tree.flatten(callbacks or []), *_progress(verbose, feed.count)],
        add_history=True,
        model=model,
        verbose=verbose,
        epochs=epochs,
        steps=feed.steps,
    )
    loop = _Loop(model, engine, callback_list, feed, validation_feed, validation_freq, seed, shuffle)
    loop.run(range(initial_epoch, epochs))
    return model.history


@dataclass
class _Loop:
    """The epochs of one call of `fit`."""

    model: Any
    engine: Engine
    callbacks: Any
    training: Feed
    validation: Feed | None
    validation_freq: int | Sequence[int]
    seed: int
    shuffle: bool

    def run(self, epochs: range) -> None:
        logs: dict[str, float] = {}
        self.model.stop_training = False
        self.callbacks.on_train_begin()
        with _stop_after_epoch_on_interrupt(self.model):
            for epoch in epochs:
                self.callbacks.on_epoch_begin(epoch)
                logs = self._train(epoch)
                if self.validation is not None and self._validates_after(epoch):
                    logs |= self._validate(self.validation)
                self.callbacks.on_epoch_end(epoch, logs)
                if self.model.stop_training:
                    break
        # Optimizers that average the weights (use_ema) hand over the average here, as in model.fit.
        self.model.optimizer.finalize_variable_values(self.model.trainable_variables)
        self.callbacks.on_train_end(logs)

    def _train(self, epoch: int) -> dict[str, float]:
        self.model.reset_metrics()
        step = epoch * self.training.steps
        for arrays, rows in self.training.chunks(
            epoch_order(self.training.count, self.seed, epoch, self.shuffle)
        ):
            self.engine.train(arrays, rows, step, self.seed)
            step += len(rows)
        self.engine.wait()
        return _metrics(self.model)

    def _validate(self, validation: Feed) -> dict[str, float]:
        self.callbacks.on_test_begin()
        self.model.reset_metrics()
        for arrays, rows in validation.chunks(epoch_order(validation.count, self.seed, 0, shuffle=False)):
            self.engine.test(arrays, rows)
        logs = _metrics(self.model)
        self.callbacks.on_test_end(logs)
        return {f"val_{name}": value for name, value in logs.items()}

    def _validates_after(self, epoch: int) -> bool:
        if isinstance(self.validation_freq, int):
            return (epoch + 1) % self.validation_freq == 0
        return epoch + 1 in self.validation_freq


def _metrics(model: Any) -> dict[str, float]:
    return {name: float(value) for name, value in model.get_metrics_result().items()}


@contextmanager
def _stop_after_epoch_on_interrupt(model: Any) -> Iterator[None]:
    """Turn a first Ctrl-C into `model.stop_training`; a second one acts as usual."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals reach the main thread only
        return
    usual = signal.getsignal(signal.SIGINT)

    def finish_epoch(signum: int, frame: Any) -> None:
        model.stop_training = True
        signal.signal(signal.SIGINT, usual)

    signal.signal(signal.SIGINT, finish_epoch)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, usual)


def _build(model: Any, arrays: tuple[Any, ...], batch_size: int) -> None:
    """Create every variable of model, metrics and optimizer, as the first batch of `model.fit` does."""
    import keras

    # Private, but the only way to build the state of compiled metrics without running and compiling a step.
    model._symbolic_build(data_batch=keras.tree.map_structure(lambda array: array[:batch_size], arrays))
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)


def _progress(verbose: str | int, count: int) -> list[Any]:
    from mnistry.progress import EpochProgress

    return [EpochProgress(count, live=None if verbose == "auto" else verbose == 1)] if verbose else []


def _why_not_fused(model: Any, data: tuple[Any, ...], callbacks: Any, steps: int | None) -> str | None:
    """Why an epoch cannot be one program, or None where it can."""
    import keras

    if keras.backend.backend() not in ("jax", "tensorflow"):
        return f"the back end is {keras.backend.backend()}"
    if model.run_eagerly:
        return "the model was compiled with run_eagerly=True"
    unsupported = [layer.name for layer in model._flatten_layers() if not layer.supports_jit]
    if unsupported:
        return f"XLA cannot compile the layer {unsupported[0]!r}"
    if keras.distribution.distribution() is not None:
        return "a keras.distribution is set"
    for leaf in keras.tree.flatten(data):
        if leaf is not None and not is_array(leaf):
            return f"the data is not arrays in memory (received {type(leaf).__name__})"
    if steps is not None:
        return "steps_per_epoch or validation_steps is given"
    for callback in keras.tree.flatten(callbacks or []):
        if _acts_on_batches(callback):
            return f"the callback {type(callback).__name__} acts on every batch"
    return None


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

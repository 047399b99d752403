"""The fused trainer: `fit` is `model.fit` for data in memory, with whole epochs compiled."""

from __future__ import annotations

import random
import sys
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from mnistry.dataset import Dataset
from mnistry.engines import Augment, make_engine
from mnistry.epochs import (
    CompiledEpochs,
    Epochs,
    KerasEpochs,
    run_epochs,
    why_not_by_epochs,
    why_not_compiled,
)
from mnistry.inputs import as_arrays, example_weights, split_arrays, unpack
from mnistry.progress import make_progress

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
        chunk_bytes: what training and validation data may take on the device together; what is larger is
            sent in chunks of an epoch, of which one more may be on its way. By default what the device can
            hold.

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
    data = (x, y, sample_weight, validation_data)
    unlooped = why_not_by_epochs(model, data, callbacks, steps_per_epoch or validation_steps)
    uncompiled = unlooped or why_not_compiled(model)
    if uncompiled:
        if augment is not None:
            raise ValueError(f"augment works only where epochs are compiled, but {uncompiled}")
        if keras.backend.backend() != "torch":
            warnings.warn(f"mnistry.fit hands over to model.fit, which is slower: {uncompiled}", stacklevel=2)
    if unlooped:
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
    sizes = (batch_size, validation_batch_size or batch_size)
    seed = (random.randrange(2**31) if seed is None else seed) % 2**31
    _build(model, training, batch_size)
    epochs_of: Epochs
    if uncompiled:
        epochs_of = KerasEpochs(model, training, validation, sizes, seed, shuffle)
    else:
        engine = make_engine(model, augment)
        room = chunk_bytes or engine.capacity()
        epochs_of = CompiledEpochs(model, engine, training, validation, sizes, room, seed, shuffle)
    progress = [] if not verbose else [make_progress(epochs_of.count, verbose)]
    callback_list = keras.callbacks.CallbackList(
        [*keras.tree.flatten(callbacks or []), *progress],
        add_history=True,
        model=model,
        verbose=verbose,
        epochs=epochs,
        steps=-(-epochs_of.count // batch_size),
    )
    history = model.history
    try:
        run_epochs(model, epochs_of, callback_list, initial_epoch, epochs, validation_freq)
    finally:
        for display in progress:
            display.close()
        model.history = history
    return history


def _build(model: Any, arrays: tuple[Any, ...], batch_size: int) -> None:
    """Create every variable of model, metrics and optimizer, as the first batch of `model.fit` does."""
    import keras

    # Private, but the only way to build the state of compiled metrics without running and compiling a step.
    model._symbolic_build(data_batch=keras.tree.map_structure(lambda array: array[:batch_size], arrays))
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)

"""Which back end Keras runs on, settled before Keras is imported for the first time."""

from __future__ import annotations

import importlib.util
import logging
import os
import random
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from mnistry.errors import MissingExtraError, MnistryError

DEFAULT_BACKEND = "jax"
# Back end -> the extra that installs it; None: installed with mnistry.
BACKENDS: dict[str, str | None] = {"jax": None, "tensorflow": "tensorflow", "torch": "torch"}

# Loaded by Keras wherever they are installed, at its import or later: seconds and hundreds of megabytes for
# nothing, in a process in which no one uses them through Keras.
OPTIONAL_TO_KERAS = {"matplotlib", "pandas", "sklearn", "tensorflow", "torch"}


def choose_backend(name: str | None = None, *, own_process: bool = False) -> str:
    """Settle the back end (the name given, else KERAS_BACKEND, else JAX) and import Keras without log noise.

    Called by the entry points (command line, `train`) only; a library must leave the choice to its user.

    Args:
        name: a key of `BACKENDS`.
        own_process: nothing but mnistry runs here, so Keras need not load the optional packages it finds.

    Raises:
        MissingExtraError: the back end is not installed.
        MnistryError: the name is unknown, or Keras already runs on another back end.
    """
    if "keras" in sys.modules:
        import keras

        current: str = keras.backend.backend()
        if name is not None and name != current:
            raise MnistryError(
                f"Keras already runs on {current}, so it cannot change to {name}: "
                f"set KERAS_BACKEND={name} before Keras is imported, or start a new process"
            )
        return current
    name = name or os.environ.get("KERAS_BACKEND") or DEFAULT_BACKEND
    if name not in BACKENDS:
        raise MnistryError(f"unknown back end {name!r}: known are {', '.join(BACKENDS)}")
    if importlib.util.find_spec(name) is None:
        raise MissingExtraError(name, BACKENDS[name] or name, f"the {name} back end")
    os.environ["KERAS_BACKEND"] = name
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # JAX mentions hardware that it could use if other packages were installed; nothing a user has to act on.
    logging.getLogger("jax._src.xla_bridge").setLevel(logging.ERROR)
    with _muted_standard_error(), _hidden(OPTIONAL_TO_KERAS - {name} if own_process else set()):
        import keras
    if own_process and name != "tensorflow":
        # Saving a model would load TensorFlow wherever it is installed. Private, but Keras' own switch: with
        # an import that fails, other packages stumble, which ask whether TensorFlow is installed.
        from keras.src.utils import module_utils

        module_utils.tensorflow._available = False
    return keras.backend.backend()  # type: ignore[no-any-return]


def fix_seed(seed: int) -> None:
    """Fix what Keras draws its own seeds from: first weights, dropout, the order of `fit` without a seed."""
    import keras

    if keras.backend.backend() == "jax":
        # As keras.utils.set_random_seed does, which however loads TensorFlow wherever it is installed.
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002
    else:
        keras.utils.set_random_seed(seed)


@contextmanager
def hasty_compilation() -> Iterator[None]:
    """While the block runs, let JAX compile without most optimisations.

    The first weights of a model are a dozen programs that each run once: XLA spends a second on making fast
    what takes microseconds anyway. The values are the same up to rounding, and the same every time.
    """
    import keras

    if keras.backend.backend() != "jax":
        yield
        return
    import jax

    usual = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", True)
    try:
        # The precision is part of what JAX knows a program by, the option above is not: without it a program
        # that was compiled before, in earnest, could be taken, which rounds otherwise.
        with jax.default_matmul_precision("highest"):
            yield
    finally:
        jax.config.update("jax_disable_most_optimizations", usual)


@contextmanager
def _hidden(packages: set[str]) -> Iterator[None]:
    """While the block runs, let imports of `packages` fail, except of those that are loaded already."""
    hidden = packages - sys.modules.keys()
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for package in hidden:
            del sys.modules[package]


@contextmanager
def _muted_standard_error() -> Iterator[None]:
    """Hold back what native libraries write to standard error; show it if the block fails.

    TensorFlow's C++ side greets every import with lines that its own log level does not reach.
    """
    sys.stderr.flush()
    saved = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except (
            BaseException
        ):  # raised again: Ctrl-C, too, ends the block, and what was held back may explain it
            os.dup2(saved, 2)
            held.seek(0)
            sys.stderr.write(held.read().decode(errors="replace"))
            raise
        finally:
            os.dup2(saved, 2)
            os.close(saved)

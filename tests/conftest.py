"""The back end of the tests is JAX unless KERAS_BACKEND says otherwise."""

from __future__ import annotations

import os

import pytest

os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("MPLBACKEND", "agg")


@pytest.fixture(scope="module")
def compiled_programs(tmp_path_factory):
    """A folder in which JAX keeps what it has compiled: many small trainings are equal programs."""
    import keras

    folder = str(tmp_path_factory.mktemp("compiled"))
    if keras.backend.backend() != "jax":
        yield folder
        return
    import jax
    from jax.experimental.compilation_cache import compilation_cache

    settings = {
        "jax_compilation_cache_dir": folder,
        "jax_persistent_cache_min_compile_time_secs": 0.0,
        "jax_persistent_cache_min_entry_size_bytes": -1,
    }
    before = {name: getattr(jax.config, name) for name in settings}
    for name, value in settings.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()
    yield folder
    for name, value in before.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()

"""The back end is settled once, in silence, before Keras is imported; most of it shows in new processes."""

from __future__ import annotations

import importlib.util
import json
import os
import random
import subprocess
import sys

import keras
import numpy as np
import pytest

from mnistry.backend import BACKENDS, choose_backend, fix_seed, hasty_compilation
from mnistry.errors import MissingExtraError, MnistryError

CURRENT = keras.backend.backend()


def run_python(code, *, path=None, **environment):
    """A new Python without a back end in its environment, unless one is given."""
    inherited = {name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"}
    if path is not None:
        inherited["PYTHONPATH"] = str(path)
    return subprocess.run(
        [sys.executable, "-c", code],
        env=inherited | environment,
        capture_output=True,
        text=True,
        timeout=300,
    )


CHOOSE = """
from mnistry.backend import choose_backend
from mnistry.errors import MnistryError
try:
    print(choose_backend({name!r}))
except MnistryError as error:
    print(f"{{type(error).__name__}}: {{error}}")
"""

# In place of Keras where only the choice matters, because Keras itself takes seconds to import.
KERAS_DOUBLE = """
import os

class backend:
    backend = staticmethod(lambda: "Keras on " + os.environ["KERAS_BACKEND"])
"""


@pytest.fixture
def with_double(tmp_path):
    (tmp_path / "keras.py").write_text(KERAS_DOUBLE)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "variable", "expected"),
    [
        (None, None, "Keras on jax"),
        (None, "", "Keras on jax"),
        (None, "jax", "Keras on jax"),
        (None, "tensorflow", "Keras on tensorflow"),
        ("tensorflow", None, "Keras on tensorflow"),
        ("tensorflow", "jax", "Keras on tensorflow"),
        ("jax", "theano", "Keras on jax"),
        ("theano", None, "MnistryError: unknown back end 'theano': known are jax, tensorflow, torch"),
        (None, "theano", "MnistryError: unknown back end 'theano': known are jax, tensorflow, torch"),
    ],
)
def test_the_name_given_comes_before_the_variable_and_jax_is_the_default(
    with_double, name, variable, expected
):
    if expected.endswith("tensorflow") and importlib.util.find_spec("tensorflow") is None:
        pytest.skip("TensorFlow is not installed")
    variables = {} if variable is None else {"KERAS_BACKEND": variable}
    done = run_python(CHOOSE.format(name=name), path=with_double, **variables)
    assert done.stdout == f"{expected}\n"
    assert done.stderr == ""


@pytest.mark.slow
def test_keras_backend_is_honoured_and_tensorflow_starts_in_silence():
    done = run_python(CHOOSE.format(name=None), KERAS_BACKEND="tensorflow")
    assert done.stdout == "tensorflow\n"
    assert done.stderr == ""


WITHOUT_PACKAGE = """
import importlib.machinery, sys
name = {name!r}

class Without(importlib.machinery.PathFinder):
    @classmethod
    def find_spec(cls, fullname, path=None, target=None):
        return None if fullname.partition(".")[0] == name else super().find_spec(fullname, path, target)

sys.meta_path = [Without if finder is importlib.machinery.PathFinder else finder for finder in sys.meta_path]
from mnistry.backend import choose_backend
from mnistry.errors import MissingExtraError
try:
    choose_backend(name)
except MissingExtraError as error:
    print(error)
print("keras" in sys.modules)
"""


@pytest.mark.parametrize("name", ["tensorflow", "torch"])
def test_a_back_end_that_is_not_installed_names_its_install_line(name):
    done = run_python(WITHOUT_PACKAGE.format(name=name))
    message, keras_loaded = done.stdout.splitlines()
    assert message == (
        f"the {name} back end needs the package {name}, which is not installed. "
        f"Install it with: pip install 'mnistry[{name}]'"
    )
    assert keras_loaded == "False"


def test_keras_that_runs_already_is_kept():
    assert choose_backend() == CURRENT
    assert choose_backend(CURRENT) == CURRENT
    assert choose_backend(own_process=True) == CURRENT


@pytest.mark.parametrize("name", [name for name in BACKENDS if name != CURRENT])
def test_keras_that_runs_on_another_back_end_is_an_error_with_a_way_out(name):
    with pytest.raises(MnistryError, match=f"already runs on {CURRENT}.*set KERAS_BACKEND={name} before"):
        choose_backend(name)
    assert keras.backend.backend() == CURRENT


OWN_PROCESS = """
import json, sys
from mnistry.backend import choose_backend
choose_backend(own_process=True)
import keras, numpy as np
from mnistry.recipes import Config; from mnistry.training import build_compiled
loaded = {"by Keras": sorted(sys.modules)}
model = build_compiled(Config(), 10, 100)
images, labels = np.zeros((40, 28, 28), np.uint8), np.zeros(40, np.uint8)
from mnistry import fit
fit(model, images, labels, verbose=0)
model.save("model.keras")
keras.saving.load_model("model.keras").predict(images, verbose=0)
loaded["by the job"] = sorted(sys.modules)
import importlib.util, matplotlib, sklearn  # for others they are there as ever
importlib.util.find_spec("tensorflow")
loaded["back end"] = keras.backend.backend()
print(json.dumps(loaded))
"""


def test_on_jax_a_process_of_its_own_loads_nothing_that_it_does_not_use(tmp_path):
    code = f"import os; os.chdir({str(tmp_path)!r})\n" + OWN_PROCESS
    done = run_python(code)
    assert done.returncode == 0, done.stderr
    loaded = json.loads(done.stdout)
    for stage in ("by Keras", "by the job"):
        assert "jax" in loaded[stage]
        assert not {"tensorflow", "torch", "sklearn", "pandas", "matplotlib"} & set(loaded[stage])
    assert loaded["back end"] == "jax"
    assert done.stderr == ""


def test_choosing_in_somebodys_program_hides_nothing(with_double):
    code = """
import sys
from mnistry.backend import choose_backend
before = list(sys.meta_path)
choose_backend()
print(sys.meta_path == before)
"""
    assert run_python(code, path=with_double).stdout == "True\n"


def test_what_a_failing_back_end_wrote_is_shown_and_standard_error_lives_on(tmp_path):
    (tmp_path / "torch.py").write_text(
        "import os\nos.write(2, b'the driver is too old\\n')\nraise ImportError('no torch today')\n"
    )
    code = """
import os, sys
from mnistry.backend import choose_backend
try:
    choose_backend("torch")
except ImportError as error:
    print(error)
print("still here", file=sys.stderr)
os.write(2, b"and the descriptor too")
"""
    done = run_python(code, path=tmp_path)
    assert done.stdout == "no torch today\n"
    assert done.stderr.splitlines() == ["the driver is too old", "still here", "and the descriptor too"]


TRAINING_ON_TENSORFLOW = """
import sys
from mnistry.backend import choose_backend
choose_backend("tensorflow", own_process=True)
print("after the choice", file=sys.stderr, flush=True)
import numpy as np
from mnistry import fit
from mnistry.recipes import Config; from mnistry.training import build_compiled
model = build_compiled(Config(), 10, 100)
history = fit(model, np.zeros((40, 28, 28), np.uint8), np.zeros(40, np.uint8), verbose=0)
print(len(history.history["loss"]))
"""


@pytest.mark.slow
def test_training_on_tensorflow_writes_nothing_to_standard_error():
    done = run_python(TRAINING_ON_TENSORFLOW)
    assert done.stdout == "1\n"
    assert done.stderr == "after the choice\n"


def test_importing_the_module_does_not_import_keras():
    done = run_python("import sys, mnistry.backend; print('keras' in sys.modules, 'jax' in sys.modules)")
    assert done.stdout == "False False\n"


def test_fixing_the_seed_fixes_weights_and_python_and_numpy():
    def draw():
        layer = keras.layers.Dense(5)
        layer.build((None, 7))
        dropout = keras.layers.Dropout(0.5)
        return [
            keras.ops.convert_to_numpy(layer.kernel).tolist(),
            keras.ops.convert_to_numpy(dropout.seed_generator.state).tolist(),
            random.random(),
            np.random.random(),  # noqa: NPY002 - the global state is what is fixed
        ]

    drawn = []
    for seed in (3, 3, 4):
        fix_seed(seed)
        drawn.append(draw())
    keras.utils.set_random_seed(3)
    assert drawn[0] == drawn[1] == draw()
    assert all(first != other for first, other in zip(drawn[0], drawn[2], strict=True))


def test_the_missing_extra_is_an_error_of_ours():
    assert issubclass(MissingExtraError, MnistryError)


def test_hasty_compilation_draws_the_same_weights_whatever_ran_before_up_to_rounding():
    def first_weights():
        return np.asarray(keras.initializers.GlorotUniform(seed=3)((31, 17)))

    def hasty_weights():
        with hasty_compilation():
            return first_weights()

    hasty, usual = hasty_weights(), first_weights()
    np.testing.assert_allclose(usual, hasty, atol=1e-7)
    if CURRENT == "jax":
        import jax

        assert not jax.config.read("jax_disable_most_optimizations")
        jax.clear_caches()
        first_weights()
    np.testing.assert_array_equal(hasty_weights(), hasty)

"""The tutorial, as a script in a process of its own and as a notebook in a kernel of its own."""

from __future__ import annotations

import ast
import base64
import importlib.util
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

EXAMPLES = Path(__file__).parent.parent / "examples"
SCRIPT, NOTEBOOK = EXAMPLES / "tutorial.py", EXAMPLES / "tutorial.ipynb"

# What TensorFlow's C++ side writes on import, whatever its log level.
BANNER = re.compile(
    r"WARNING: All log messages before absl::InitializeLog\(\)|I0000 .* (port|cudart_stub)\.cc:"
)
PROGRESS = re.compile(r"epoch 1/1  accuracy 9\d\.\d\d%  loss ")

needs_torch = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="the package torch is not installed"
)
script_backends = pytest.mark.parametrize(
    "backend", ["jax", "tensorflow", pytest.param("torch", marks=needs_torch)]
)


def environment(backend: str, **settings: str) -> dict[str, str]:
    """The variables of this process, less those that would choose for the tutorial how it draws and logs."""
    names = ("DISPLAY", "KERAS_BACKEND", "MPLBACKEND", "PYTHONWARNINGS", "TF_CPP_MIN_LOG_LEVEL")
    kept = {name: value for name, value in os.environ.items() if name not in names}
    chosen = (
        {} if backend == "jax" else {"KERAS_BACKEND": backend}
    )  # JAX is what the tutorial takes by itself
    return kept | chosen | settings


def backend_of_only_run(folder: Path) -> str:
    (record,) = folder.glob("runs/*/run.json")
    assert (record.parent / "model.keras").exists()
    backend: str = json.loads(record.read_text(encoding="utf-8"))["backend"]
    return backend


def recorded_nll(folder: Path) -> str:
    """The NLL of the only run, as an evaluation prints it."""
    (record,) = folder.glob("runs/*/run.json")
    return format(json.loads(record.read_text(encoding="utf-8"))["metrics"]["nll"], ".4f")


def percentages(pattern: str, text: str) -> list[float]:
    return [float(number) for number in re.findall(pattern + r"(\d+\.\d+) ?%", text)]


def assert_shows_something(picture: Image.Image) -> None:
    gray = np.asarray(picture.convert("L"))
    assert min(gray.shape) >= 200
    assert 0.01 < np.mean(gray != gray[0, 0]) < 0.99, "the picture is blank"


@pytest.mark.slow
@script_backends
def test_the_tutorial_runs_from_load_to_prediction(backend: str, tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPT), "--epochs", "1", "--out", "pictures"]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env=environment(backend, MPLBACKEND="agg"),
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=900,
    )
    assert done.returncode == 0, done.stderr
    (accuracy,) = percentages("Model Accuracy: ", done.stdout)
    assert 90 < accuracy < 100
    assert re.findall(r"Model Prediction: (\S+)", done.stdout) == ["7"]

    # Both ways of training are timed, side by side, and reach the same.
    for name in ("model.fit", "mnistry.fit"):
        row = rf"^{re.escape(name)} +\d+\.\d s +\d+\.\d\d s +"
        (reached,) = percentages(f"(?m){row}", done.stdout)
        assert abs(reached - accuracy) < 2
    assert percentages(r"mnist test: [^$]*?accuracy +", done.stdout)[0] > 90
    assert re.findall(r"nll +(\S+)", done.stdout) == [recorded_nll(tmp_path)]  # of the calibrated network

    pictures = tmp_path / "pictures"
    names = {path.name for path in pictures.iterdir()}
    assert names == {"learning_curves.png", "prediction.png", "mistakes.png"}
    for name in names:
        with Image.open(pictures / name) as picture:
            assert_shows_something(picture)
    assert backend_of_only_run(tmp_path) == backend

    # Nothing on standard error but the progress of mnistry.fit and mnistry.train.
    lines = [line for line in done.stderr.splitlines() if line.strip() and not BANNER.match(line)]
    assert len(lines) == 2
    assert all(PROGRESS.match(line) for line in lines), done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "tensorflow"])
def test_the_notebook_runs_from_load_to_prediction(backend: str, tmp_path: Path) -> None:
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    client = nbclient.NotebookClient(notebook, timeout=900, resources={"metadata": {"path": str(tmp_path)}})
    client.execute(env=environment(backend, TUTORIAL_EPOCHS="1"))

    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    printed = "".join(output.text for output in outputs if output.get("name") == "stdout")
    (accuracy,) = percentages("Model Accuracy: ", printed)
    assert 90 < accuracy < 100
    assert re.findall(r"Model Prediction: (\S+)", printed) == ["7"]
    assert re.search(r"model\.fit took \d+\.\d times as long", printed)
    assert backend_of_only_run(tmp_path) == backend

    pictures = [output.data["image/png"] for output in outputs if "image/png" in output.get("data", {})]
    # Some digits, the two curves, the prediction; then loss, confusion matrix and mistakes.
    assert len(pictures) == 6
    for picture in pictures:
        assert_shows_something(Image.open(io.BytesIO(base64.b64decode(picture))))

    complaints = "".join(output.text for output in outputs if output.get("name") == "stderr").splitlines()
    complaints = [line for line in complaints if not BANNER.match(line) and not PROGRESS.match(line)]
    assert complaints == []


def test_the_notebook_is_kept_without_outputs() -> None:
    nbformat = pytest.importorskip("nbformat")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "python3"
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code)
    assert all(cell.metadata == {} for cell in notebook.cells)


def test_script_and_notebook_teach_the_same_network_and_training() -> None:
    nbformat = pytest.importorskip("nbformat")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    in_notebook = "\n".join(
        re.sub(r"(?m)^%.*$", "", cell.source) for cell in notebook.cells if cell.cell_type == "code"
    )
    in_script = SCRIPT.read_text(encoding="utf-8").replace("options.epochs", "EPOCHS")
    for function in ("Sequential", "compile", "fit", "predict", "accuracy_score"):
        assert calls(function, in_script) == calls(function, in_notebook) != []


def calls(function: str, source: str) -> list[str]:
    """Every call of a function or method of this name, as text without comments and line breaks."""
    return [
        ast.unparse(node)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] == function
    ]

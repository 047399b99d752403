"""What an import may load, and how the layers of the package may depend on each other."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import mnistry

HEAVY = {
    "cv2",
    "jax",
    "keras",
    "matplotlib",
    "onnxruntime",
    "pandas",
    "pyarrow",
    "ray",
    "sklearn",
    "tensorflow",
    "torch",
}
SOURCE = Path(mnistry.__file__).parent


def loaded_by(code: str) -> set[str]:
    program = f"import sys\n{code}\nprint(*sorted(name.partition('.')[0] for name in sys.modules))"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(result.stdout.splitlines()[-1].split())


def test_importing_the_package_loads_nothing_heavy_not_even_numpy():
    assert not loaded_by("import mnistry") & (HEAVY | {"numpy", "typer", "rich"})


@pytest.mark.parametrize("command", ["", "train", "evaluate", "read", "plot", "export", "data", "data show"])
def test_help_loads_nothing_heavy(command):
    arguments = [*command.split(), "--help"]
    loaded = loaded_by(f"from mnistry.cli import main; assert main({arguments}) == 0")
    assert not loaded & (HEAVY | {"numpy"})


def test_loading_data_needs_neither_keras_nor_anything_heavy():
    assert not loaded_by("import mnistry; mnistry.load_mnist()") & HEAVY


def test_every_public_name_exists_and_is_documented():
    for name in mnistry.__all__:
        if name != "__version__":
            assert getattr(mnistry, name).__doc__
    assert set(dir(mnistry)) == set(mnistry.__all__)


def test_the_function_fit_is_not_hidden_by_importing_modules():
    loaded_by("import mnistry, mnistry.fitting, mnistry.training; assert callable(mnistry.fit)")


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        mnistry.nothing  # noqa: B018


def imports_of(path: Path) -> set[str]:
    """The modules of the package that a file imports at run time (not only for type checking)."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typing_only = [
        node
        for branch in ast.walk(tree)
        if isinstance(branch, ast.If) and "TYPE_CHECKING" in ast.dump(branch.test)
        for statement in branch.body
        for node in ast.walk(statement)
    ]
    found = set()
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.ImportFrom)
            and node not in typing_only
            and (node.module or "").startswith("mnistry")
        ):
            parts = (node.module or "").split(".")
            names = [parts[1]] if len(parts) > 1 else [alias.name for alias in node.names]
            found |= {"__init__" if name.startswith("__") else name for name in names}
    return found


def test_imports_go_one_way_through_the_layers():
    table = (Path(__file__).parents[1] / "docs" / "design.md").read_text(encoding="utf-8")
    rows = re.findall(r"^    (\d+) +(\w+)/? +\S", table, re.MULTILINE)
    level = {name: int(number) for number, name in rows} | {"__init__": 0}
    for name in level:
        assert (SOURCE / f"{name}.py").exists() or (SOURCE / name / "__init__.py").exists(), name
    modules = [path for path in SOURCE.rglob("*.py") if path.name != "__init__.py" or path.parent != SOURCE]
    for path in modules:
        relative = path.relative_to(SOURCE)
        name = relative.parts[0].removesuffix(".py")
        assert name in level, f"{name} has no place in the table of docs/design.md"
        for imported in imports_of(path) - {name}:
            assert level[imported] < level[name], f"{relative} imports {imported}, which is not below it"


def run_clean(code: str, home: Path, hidden: str = "") -> subprocess.CompletedProcess[str]:
    """Run a program with a home of its own, without choices of the environment and without a package."""
    program = f"import sys, importlib.util as util\nfind = util.find_spec\nhidden = {hidden!r}\n"
    program += "util.find_spec = lambda name, *more: None if name == hidden else find(name, *more)\n"
    program += "sys.modules.update({hidden: None} if hidden else {})\n" + code
    chosen = {"KERAS_BACKEND", "KERAS_HOME", "ORT_DISABLE_TELEMETRY"}
    environment = {name: value for name, value in os.environ.items() if name not in chosen}
    return subprocess.run(
        [sys.executable, "-c", program],
        env={**environment, "HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_keras_runs_on_jax_where_its_own_choice_is_missing(tmp_path: Path) -> None:
    code = "import mnistry, keras; from mnistry import fit; print(keras.backend.backend())"
    done = run_clean(code, tmp_path, hidden="tensorflow")
    assert done.stdout == "jax\n", done.stderr
    (tmp_path / ".keras").mkdir(exist_ok=True)
    for backend, expected in (("jax", "None"), ("tensorflow", "jax"), ("nowhere", "jax"), ("", "jax")):
        (tmp_path / ".keras" / "keras.json").write_text(f'{{"backend": "{backend}"}}' if backend else "{")
        code = "import os, mnistry; print(os.environ.get('KERAS_BACKEND'))"
        assert run_clean(code, tmp_path, hidden="tensorflow").stdout == f"{expected}\n"


def test_a_choice_that_is_made_stays() -> None:
    code = (
        "import os; os.environ['KERAS_BACKEND'] = 'torch'; import mnistry; print(os.environ['KERAS_BACKEND'])"
    )
    assert run_clean(code, Path("/nowhere"), hidden="tensorflow").stdout == "torch\n"


def test_reading_leaves_nothing_in_the_home_folder(tmp_path: Path) -> None:
    code = "from mnistry import Classifier, load_mnist\n"
    code += "print(Classifier().predict(load_mnist()[1].images[:1]).labels)"
    done = run_clean(code, tmp_path)
    assert done.stdout == "[7]\n", done.stderr
    assert list(tmp_path.rglob("*")) == []

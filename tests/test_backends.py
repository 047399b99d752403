"""What trains and what is trained, tested once more on the other back ends, each in a process of its own."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
FILES = {
    "tensorflow": (
        "test_fitting.py",
        "test_models.py",
        "test_convolution.py",
        "test_augmentation.py",
        "test_exporting.py",
    ),
    "torch": ("test_fitting.py", "test_models.py"),  # nothing is augmented on PyTorch
}


@pytest.mark.slow
@pytest.mark.parametrize("backend", list(FILES))
def test_what_trains_and_what_is_trained_pass_their_tests_on(backend):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        + [str(TESTS / name) for name in FILES[backend]],
        cwd=TESTS.parent,
        env=os.environ | {"KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
        timeout=1200,
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed, done.stdout
    assert int(passed.group(1)) >= 20, done.stdout

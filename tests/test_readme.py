"""Every command and every piece of Python in the README runs, in the order in which it stands there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.M | re.S)


@pytest.mark.slow
def test_every_command_and_program_of_the_readme_runs(tmp_path):
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    commands = re.findall(r"^\$ (mnistry .*?)\s*(?:#.*)?$", "".join(blocks("console")), re.M)
    assert len(commands) >= 8
    environment = {
        **os.environ,
        "KERAS_BACKEND": "jax",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    outputs = {}
    for command in commands:
        result = subprocess.run(
            command.split(), cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600
        )
        assert result.returncode == 0, f"{command}: {result.stderr}"
        outputs[command] = result.stdout
    assert re.search(r"^Model Accuracy: 97\.\d\d% ", outputs["mnistry train"], re.M)
    assert "Model Prediction: 7" in outputs["mnistry train"]
    assert outputs["mnistry read examples/line.jpg"].startswith("65230001 ")
    assert (tmp_path / "seen.png").stat().st_size > 10_000
    for program in blocks("python"):
        result = subprocess.run(
            [sys.executable, "-c", program],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=600,
        )
        assert result.returncode == 0, result.stderr
        assert "Model Accuracy: 9" in result.stdout


def test_every_link_in_the_pages_leads_to_a_file():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"

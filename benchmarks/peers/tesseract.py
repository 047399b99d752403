"""What Tesseract's digit mode reads: https://github.com/tesseract-ocr/tesseract, Debian's tesseract-ocr."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

# What it is told about a picture: its page segmentation mode.
ONE_DIGIT, ONE_LINE, ONE_BLOCK = "10", "7", "6"


def find_version() -> str | None:
    """Return "tesseract 5.3.0" or the like; None where it is not installed."""
    if shutil.which("tesseract") is None:
        return None
    done = subprocess.run(["tesseract", "--version"], capture_output=True, text=True, check=True)
    return (done.stdout or done.stderr).splitlines()[0]


def read_text(path: Path, mode: str) -> str:
    """Return what it reads in a picture file, told to look for digits; nothing where it fails."""
    command = ["tesseract", str(path), "-", "--psm", mode, "-c", "tessedit_char_whitelist=0123456789"]
    environment = {**os.environ, "OMP_THREAD_LIMIT": "1"}  # more threads slow it down
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300, check=False)
    return done.stdout if done.returncode == 0 else ""

"""What most scripts do with a picture: gray, inverted if bright, squeezed to 28 x 28, the classic MLP."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from mnistry.classifier import Classifier


def train_classic(run: Path, epochs: int) -> Classifier:
    """Train 784-128-10 as everybody does, into a run directory."""
    command = [sys.executable, "-m", "mnistry.cli", "train", "--recipe", "classic", "--epochs", str(epochs)]
    subprocess.run([*command, "--out", str(run)], check=True, stdout=subprocess.DEVNULL)
    return Classifier(run)


def read_digit(path: Path, classifier: Classifier) -> str:
    """Return the digit that it takes a picture for."""
    with Image.open(path) as image:
        gray = image.convert("L")
    if np.mean(gray) > 127:
        gray = Image.fromarray(255 - np.asarray(gray))
    digit = np.asarray(gray.resize((28, 28)))
    return classifier.class_names[int(classifier.predict(digit[None]).labels[0])]

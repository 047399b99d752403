"""How many pictures of real handwriting are read right, by kind and layout.

    python benchmarks/reading.py PHOTOS [--part tune|held] [--model RUN|FILE.onnx] [--list] [--kind KIND]

PHOTOS is a folder with labels.csv (file, label, kind, layout, origin). Signs and blanks count for nothing:
only the digits of a label and of a reading are compared, in order; lines are compared as one string.
"""

from __future__ import annotations

import argparse
import csv
import re
import sys
import time
from collections import defaultdict
from pathlib import Path

import numpy as np

from mnistry import read
from mnistry.classifier import Classifier
from mnistry.errors import ImageError


def read_digits(path: Path, classifier: Classifier, single: bool) -> tuple[str, float]:
    """The accepted digits, as `mnistry read` gives them, and the seconds that it took."""
    start = time.perf_counter()
    try:
        text = re.sub(r"\D", "", read(path, classifier, single=single).text)
    except ImageError as error:
        text = f"({str(error)[:40]})"
    return text, time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("photos", type=Path)
    parser.add_argument("--part", default="tune", choices=["tune", "held"])
    parser.add_argument("--model")
    parser.add_argument("--kind")
    parser.add_argument("--list", action="store_true")
    arguments = parser.parse_args()
    classifier = Classifier(arguments.model)
    rows = [
        row
        for row in csv.DictReader((arguments.photos / "labels.csv").open())
        if row["file"].startswith(arguments.part)
    ]
    results = defaultdict(list)
    for row in rows:
        if arguments.kind and row["kind"] != arguments.kind:
            continue
        label = re.sub(r"\D", "", row["label"])
        for single in (True, False) if row["layout"] == "single" else (False,):
            text, elapsed = read_digits(arguments.photos / row["file"], classifier, single)
            key = (row["kind"], row["layout"], "--single" if single else "page")
            results[key].append((text == label, elapsed))
            if arguments.list and text != label:
                print(row["file"], "single" if single else "page", row["label"][:40], text[:120])
    print(f"{'kind':8} {'layout':15} {'how':9} {'right':>9} {'%':>6} {'ms':>6}")
    for (kind, layout, how), outcomes in sorted(results.items()):
        right = sum(outcome for outcome, _ in outcomes)
        ms = 1000 * np.median([elapsed for _, elapsed in outcomes])
        print(
            f"{kind:8} {layout:15} {how:9} {right:4}/{len(outcomes):4} "
            f"{100 * right / len(outcomes):6.1f} {ms:6.0f}"
        )
    for how in ("--single", "page"):
        outcomes = [o for key, os in results.items() if key[1] == "single" and key[2] == how for o, _ in os]
        if outcomes:
            print(f"single digits {how}: {sum(outcomes)}/{len(outcomes)} = {100 * np.mean(outcomes):.1f} %")


if __name__ == "__main__":
    sys.exit(main())

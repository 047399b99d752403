"""How good a classifier is on a data set. A classifier is any function images -> logits; no Keras here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mnistry import metrics
from mnistry.errors import ModelError

if TYPE_CHECKING:
    from mnistry.dataset import Dataset

# uint8 (n, 28, 28), 0 = background, 255 = ink  ->  float32 (n, classes)
Classify = Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float32]]

MISTAKES_IN_DICT = 100
CONFUSIONS_IN_TEXT = 5


@dataclass(frozen=True)
class Mistake:
    """One wrong answer: the image's number in the data set, its label, the answer, its probability."""

    index: int
    label: int
    predicted: int
    confidence: float


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What `evaluate` found. Shares and probabilities are 0..1; classes are in the order of `class_names`.

    Attributes:
        dataset_name: which data were used.
        class_names: one name per class.
        n: number of images.
        errors: how many of them were answered wrongly.
        accuracy: 1 - errors / n.
        accuracy_interval: Wilson's 95 % interval (low, high) of the accuracy.
        nll: mean negative log-likelihood, nats per image.
        brier: Brier score, 0..2.
        ece: expected calibration error, 15 bins.
        precision, recall, f1: float64 (classes,), 0 where undefined.
        support: int64 (classes,), the images of each class.
        confusion_matrix: int64 (classes, classes), rows true, columns predicted.
        mistakes: all wrong answers, the most confident first.
        predicted: uint8 (n,), the answers in the order of the data set.
        probabilities: float64 (n, classes).
    """

    dataset_name: str
    class_names: tuple[str, ...]
    n: int
    errors: int
    accuracy: float
    accuracy_interval: tuple[float, float]
    nll: float
    brier: float
    ece: float
    precision: npt.NDArray[np.float64]
    recall: npt.NDArray[np.float64]
    f1: npt.NDArray[np.float64]
    support: npt.NDArray[np.int64]
    confusion_matrix: npt.NDArray[np.int64]
    mistakes: tuple[Mistake, ...]
    predicted: npt.NDArray[np.uint8]
    probabilities: npt.NDArray[np.float64]

    def to_dict(self) -> dict[str, Any]:
        """Everything but the answers to the single images, in plain Python types, ready for JSON.

        Of the mistakes the 100 most confident are included; `errors` is the number of all.
        """
        per_class = zip(self.class_names, self.precision, self.recall, self.f1, self.support, strict=True)
        return {
            "dataset": self.dataset_name,
            "n": self.n,
            "errors": self.errors,
            "accuracy": self.accuracy,
            "accuracy_interval": list(self.accuracy_interval),
            "nll": self.nll,
            "brier": self.brier,
            "ece": self.ece,
            "classes": [
                {"name": name, "precision": float(p), "recall": float(r), "f1": float(f), "support": int(s)}
                for name, p, r, f, s in per_class
            ],
            "confusion_matrix": self.confusion_matrix.tolist(),
            "mistakes": [asdict(mistake) for mistake in self.mistakes[:MISTAKES_IN_DICT]],
        }

    def confusions(self) -> list[tuple[int, int, int]]:
        """(label, predicted, count) of every kind of mistake that was made, the most frequent first."""
        wrong = self.confusion_matrix - np.diag(np.diag(self.confusion_matrix))
        pairs = [(int(t), int(p), int(wrong[t, p])) for t, p in np.argwhere(wrong)]
        return sorted(pairs, key=lambda pair: -pair[2])

    def __str__(self) -> str:
        low, high = self.accuracy_interval
        width = max(len("class"), *map(len, self.class_names))
        lines = [
            f"{self.dataset_name}: {self.n:,} image{'s'[: self.n != 1]}, {self.errors:,} wrong",
            "",
            f"accuracy  {self.accuracy:.2%}   (95 % interval {low:.2%} to {high:.2%})",
            f"nll       {self.nll:.4f}   (nats per image)",
            f"brier     {self.brier:.4f}   (0 best, 2 worst)",
            f"ece       {self.ece:<8.2%} (calibration error, 15 bins)",
            "",
            f"{'class':<{width}}  images  precision  recall      F1",
        ]
        for name, *shares, images in zip(
            self.class_names, self.precision, self.recall, self.f1, self.support, strict=True
        ):
            precision, recall, f1 = shares
            lines.append(f"{name:<{width}}  {images:>6,}  {precision:>9.2%}  {recall:>6.2%}  {f1:>6.2%}")
        confusions = [
            (self.class_names[label], self.class_names[answer], count, count / self.support[label])
            for label, answer, count in self.confusions()[:CONFUSIONS_IN_TEXT]
        ]
        if confusions:
            lines += ["", "most frequent confusions"]
            width = max(len(name) for pair in confusions for name in pair[:2])
        for name, answer, count, share in confusions:
            lines.append(
                f"{name:<{width}} read as {answer:<{width}}  {count:>6,} times, {share:>6.2%} of its images"
            )
        return "\n".join(lines)


def evaluate(classify: Classify, dataset: Dataset, *, batch_size: int = 1000) -> Evaluation:
    """The quality of `classify` on every image of `dataset`.

    Args:
        classify: a function from images, uint8 (n, 28, 28), 0 = background, 255 = ink, to logits,
            float32 (n, classes). It is called with `batch_size` images at a time, fewer at the end;
            the result does not depend on the batch size.
        dataset: images, labels and class names.
        batch_size: images per call, 1 or more.

    Raises:
        ValueError: `batch_size` is less than 1.
        ModelError: `classify` returned another shape than (n, classes), or NaN, or infinity.
    """
    if batch_size < 1:
        raise ValueError(f"got batch_size {batch_size}; expected at least 1")
    n = len(dataset)
    logits = np.concatenate(
        [
            _classify_batch(classify, dataset.images[start : start + batch_size], start, dataset.num_classes)
            for start in range(0, n, batch_size)
        ]
    )
    labels = dataset.labels
    probabilities = metrics.softmax(logits)
    predicted = logits.argmax(axis=1).astype(np.uint8)
    matrix = metrics.confusion_matrix(labels, predicted, dataset.num_classes)
    precision, recall, f1 = metrics.precision_recall_f1(matrix)
    right = int(np.trace(matrix))
    return Evaluation(
        dataset_name=dataset.name,
        class_names=tuple(dataset.class_names),
        n=n,
        errors=n - right,
        accuracy=right / n,
        accuracy_interval=metrics.wilson_interval(right, n),
        nll=metrics.nll(labels, logits),
        brier=metrics.brier(labels, probabilities),
        ece=metrics.ece(labels, probabilities),
        precision=precision,
        recall=recall,
        f1=f1,
        support=matrix.sum(axis=1),
        confusion_matrix=matrix,
        mistakes=_find_mistakes(labels, predicted, probabilities),
        predicted=predicted,
        probabilities=probabilities,
    )


def _classify_batch(
    classify: Classify, images: npt.NDArray[np.uint8], start: int, num_classes: int
) -> npt.NDArray[np.float64]:
    logits = np.asarray(classify(images), np.float64)
    expected = (len(images), num_classes)
    if logits.shape != expected:
        raise ModelError(
            f"the model answered {len(images)} images with an array of shape {logits.shape}; expected "
            f"{expected}: one row per image, one logit per class. Was it made for other classes?"
        )
    finite = np.isfinite(logits).all(axis=1)
    if not finite.all():
        first = int(np.argmin(finite))
        raise ModelError(
            f"the model answered {int(np.sum(~finite))} of {len(images)} images with NaN or infinity (first: "
            f"image {start + first}); expected finite logits. Its training has probably diverged: train "
            f"again with a smaller learning rate."
        )
    return logits


def _find_mistakes(
    labels: npt.NDArray[np.uint8], predicted: npt.NDArray[np.uint8], probabilities: npt.NDArray[np.float64]
) -> tuple[Mistake, ...]:
    wrong = np.flatnonzero(predicted != labels)
    confidence = probabilities[wrong, predicted[wrong]]
    return tuple(
        Mistake(int(wrong[i]), int(labels[wrong[i]]), int(predicted[wrong[i]]), float(confidence[i]))
        for i in np.argsort(-confidence, kind="stable")
    )

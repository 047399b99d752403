"""What models answer: functions images -> logits, (n, 28, 28) uint8 -> (n, num_classes) float32."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mnistry import metrics
from mnistry.errors import ModelError

if TYPE_CHECKING:
    import keras


def as_classifier(model: keras.Model, batch_size: int = 1000) -> Callable[[Any], Any]:
    """The function images -> logits of a Keras model: (n, 28, 28) uint8 -> (n, num_classes) float32.

    Calling it raises ModelError where the logits are not finite.
    """

    def classify(images: Any) -> Any:
        logits = np.asarray(model.predict(images, batch_size=batch_size, verbose=0), dtype=np.float32)
        if not np.isfinite(logits).all():
            raise ModelError("the network gives values that are not finite: its training diverged")
        return logits

    return classify


def average(classifiers: Sequence[Callable[[Any], Any]]) -> Callable[[Any], Any]:
    """One function images -> logits out of several: the logarithms of the means of their probabilities.

    A single one is left as it is.
    """

    def classify(images: Any) -> Any:
        logits = [np.asarray(one(images)) for one in classifiers]
        if len(logits) == 1:
            return logits[0].astype(np.float32)
        total = np.logaddexp.reduce([metrics.log_softmax(rows) for rows in logits])
        return np.asarray(total - np.log(len(logits)), np.float32)

    return classify

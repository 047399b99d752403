"""Networks, images -> logits: how each is built, how those of users are loaded, and how they are asked.

Everywhere: images are (n, 28, 28) uint8 with 0 = background and 255 = ink; logits (n, num_classes) float32.
"""

from __future__ import annotations

from mnistry.models.answers import as_classifier, average
from mnistry.models.loading import build_model, check_model, check_model_name, import_own, load_keras
from mnistry.models.networks import (
    IMAGE_SHAPE,
    MODELS,
    Builder,
    convnet,
    lenet5,
    linear,
    medium_convnet,
    mlp,
    small_convnet,
    tiny,
)

__all__ = [
    "IMAGE_SHAPE",
    "MODELS",
    "Builder",
    "as_classifier",
    "average",
    "build_model",
    "check_model",
    "check_model_name",
    "convnet",
    "import_own",
    "lenet5",
    "linear",
    "load_keras",
    "medium_convnet",
    "mlp",
    "small_convnet",
    "tiny",
]

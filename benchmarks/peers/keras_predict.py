"""What people write to have a digit read: load the .keras file, open the picture, call `model.predict`."""

from __future__ import annotations

import json
import os
import statistics
import sys
import time

os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
import numpy as np
from PIL import Image


def measure(model: keras.Model) -> None:
    """Print the latency of one image and the images per second in bulk, as JSON."""
    from mnistry import load_mnist

    images = load_mnist()[1].images
    model.predict(images, verbose=0)  # as everybody calls it: batches of 32
    began = time.perf_counter()
    model.predict(images, verbose=0)
    bulk = len(images) / (time.perf_counter() - began)
    latencies = []
    for _ in range(30):
        began = time.perf_counter()
        model.predict(images[:1], verbose=0)
        latencies.append(1000 * (time.perf_counter() - began))
    print(json.dumps({"latency_ms": statistics.median(latencies), "images_a_second": bulk}))


def main(model_path: str, picture: str, *options: str) -> None:
    model = keras.models.load_model(model_path)
    image = np.asarray(Image.open(picture).convert("L").resize((28, 28)))
    print(model.predict(image[None], verbose=0).argmax())
    if "--bulk" in options:
        measure(model)


main(*sys.argv[1:])

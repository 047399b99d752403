"""The other half of `tensorflow`: a process on the TensorFlow back end that writes one file and asks it back.

    python -m mnistry.exporting.tensorflow_process FOLDER

FOLDER holds job.json, images.npy and for int8 validation_images.npy; what the file answers to the images is
left there as logits.npy. The last line on standard error says what went wrong.
"""

from __future__ import annotations

import json
import math
import re
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mnistry.backend import choose_backend
from mnistry.classifier import INPUT, OUTPUT, PREFIX
from mnistry.errors import MnistryError
from mnistry.exporting.checking import Images, Logits
from mnistry.models import IMAGE_SHAPE, import_own, load_keras

METADATA = "mnistry.json"


def main(folder: Path) -> None:
    """Do the job in `folder`."""
    choose_backend("tensorflow", own_process=True)
    import tensorflow

    tensorflow.config.experimental.enable_tensor_float_32_execution(False)
    job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    images = np.load(folder / "images.npy")
    models = [load_keras(model["path"], import_own(model["own"])) for model in job["models"]]
    properties = {key.removeprefix(PREFIX): json.loads(text) for key, text in job["properties"].items()}
    about = json.dumps(properties, indent=2) + "\n"
    path = Path(job["path"])
    if job["kind"] == "saved-model":
        write_saved_model(models, path, job["temperature"], None)
        (path / "assets.extra").mkdir()  # where the format has room for whatever a user adds
        (path / "assets.extra" / METADATA).write_text(about, encoding="utf-8")
        logits = ask_saved_model(path, images)
    else:
        models = list(map(with_depthwise_sums, models))
        validation = folder / "validation_images.npy"
        write_litert(models, path, job["temperature"], np.load(validation) if validation.exists() else None)
        with zipfile.ZipFile(path, "a") as archive:  # LiteRT reads no further than its own part of the file
            archive.writestr(zipfile.ZipInfo(METADATA), about)
        logits = ask_litert(path, images)
    np.save(folder / "logits.npy", logits)


def write_saved_model(models: Sequence[Any], path: Path, temperature: float, batch_size: int | None) -> None:
    """Write a SavedModel for batches of this size, None for any."""
    import keras
    import tensorflow as tf

    def serve(images: Any) -> dict[str, Any]:
        logits = [model(images, training=False) for model in models]
        joint = logits[0]
        if len(models) > 1:
            logs = tf.stack([tf.nn.log_softmax(rows) for rows in logits])
            joint = tf.reduce_logsumexp(logs, axis=0) - math.log(len(models))
        return {OUTPUT: joint, "probabilities": tf.nn.softmax(joint / temperature)}

    archive = keras.export.ExportArchive()
    for model in models:
        archive.track(model)
    signature = [tf.TensorSpec((batch_size, *IMAGE_SHAPE), tf.uint8, name=INPUT)]
    archive.add_endpoint("serve", serve, input_signature=signature)
    archive.write_out(str(path), verbose=False)


def ask_saved_model(path: Path, images: Images, batch_size: int = 1000) -> Logits:
    """The logits that the signature of a SavedModel gives."""
    import tensorflow as tf

    serve = tf.saved_model.load(str(path)).signatures["serving_default"]
    starts = range(0, len(images), batch_size)
    batches = [serve(**{INPUT: tf.constant(images[start : start + batch_size])}) for start in starts]
    return np.concatenate([batch[OUTPUT].numpy() for batch in batches])


def write_litert(models: Sequence[Any], path: Path, temperature: float, validation: Images | None) -> None:
    """Write a .tflite file for single images; in 8 bits, in the ranges that the validation images need."""
    import tensorflow as tf

    def examples() -> Iterator[dict[str, Images]]:
        for image in validation if validation is not None else ():
            yield {INPUT: image[None]}

    with tempfile.TemporaryDirectory() as folder:
        write_saved_model(models, Path(folder), temperature, 1)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=["serving_default"])
        if validation is not None:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.representative_dataset = examples
        path.write_bytes(converter.convert())


def with_depthwise_sums(model: Any) -> Any:
    """The model with weighted sums over places, as in `tiny`, written as what LiteRT sums in 32 bits.

    Of the layer itself LiteRT would keep each product in 8 bits, and lose several images of a hundred.
    """
    import keras

    def is_sum(layer: Any) -> bool:
        plain = layer.__class__ is keras.layers.EinsumDense and layer.activation is keras.activations.linear
        return plain and layer.equation == "npc,pc->nc" and layer.bias is None

    def clone(layer: Any) -> Any:
        if not is_sum(layer):
            return layer.__class__.from_config(layer.get_config())
        places, channels = layer.kernel.shape
        return keras.Sequential(
            [
                keras.layers.Reshape((places, 1, channels)),
                keras.layers.DepthwiseConv2D((places, 1), use_bias=False),
                keras.layers.Reshape((channels,)),
            ]
        )

    if not any(map(is_sum, model.layers)):
        return model
    copy = keras.models.clone_model(model, clone_function=clone)
    for variable, value in zip(copy.variables, model.variables, strict=True):
        variable.assign(np.reshape(value.numpy(), variable.shape))
    return copy


def ask_litert(path: Path, images: Images) -> Logits:
    """The logits that the signature of a .tflite file gives."""
    import tensorflow as tf

    runner = tf.lite.Interpreter(model_path=str(path)).get_signature_runner("serving_default")
    return np.concatenate([runner(**{INPUT: image[None]})[OUTPUT] for image in images])


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]))
    except MnistryError as error:
        text = " ".join(str(error).split())
        if unknown := re.search(r"Could not locate \w+ '\w+'", text):
            text = f"{unknown[0]}. Layers of your own are found where a run was trained with file.py:function"
        sys.exit(text)

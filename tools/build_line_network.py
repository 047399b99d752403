"""Build the network that reads lines as a whole: src/mnistry/assets/lines.onnx.

It learns from strips written with the MNIST training digits but the last 5,000, which make the strips that it
is measured with. No real line is used.

    python tools/build_line_network.py strips FOLDER --seed 0 --count 3000     # FOLDER/0.npz, to measure with
    python tools/build_line_network.py strips FOLDER --seed 1 --count 60000    # other seeds: to learn from
    python tools/build_line_network.py train FOLDER [--epochs 4] [--begin lines.keras] [--out PATH]

`train` takes all strips in FOLDER but those of seed 0, and leaves FOLDER/lines.keras to go on from. What
ships learned in two rounds: seeds 1 to 3 (30,000, 60,000 and 30,000 strips, made before lines had runs
of zeros), 4 epochs; then seed 2 again with seeds 4 and 5 (26,000 each), 2 epochs from
there with --learning-rate 0.003.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "jax")

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from mnistry import Dataset, load_mnist
from mnistry.classifier import seal
from mnistry.sequences import HEIGHT_PX, INPUT, OUTPUT, SHIPPED, score_labels
from mnistry.synthesis.strips import WIDTH_PX, make_strips

KEPT = 5_000  # training digits
# Kernel (height, width), channels, strides: height 48, 24, 24, 12, 12, 6, 6, 1; width 256 -> 64.
LAYERS = [
    ((4, 4), 24, (2, 2)),
    ((3, 3), 24, (1, 1)),
    ((3, 3), 56, (2, 2)),
    ((3, 3), 56, (1, 1)),
    ((3, 3), 80, (2, 1)),
    ((3, 3), 80, (1, 1)),
    ((6, 1), 160, (6, 1)),
    ((1, 5), 160, (1, 1)),
]
STEPS = 2  # for every column of the last layer: 11, touching, is narrower than three of these
CLASSES = 11


def build_network() -> Any:
    """uint8 (n, 48, 256) -> logits (n, 128, 11)."""
    import keras

    inputs = keras.Input((HEIGHT_PX, WIDTH_PX), dtype="uint8")
    flow = keras.layers.Reshape((HEIGHT_PX, WIDTH_PX, 1))(keras.layers.Rescaling(1 / 255)(inputs))
    for kernel, channels, strides in LAYERS:
        flow = keras.layers.Conv2D(channels, kernel, strides, padding="same", use_bias=False)(flow)
        flow = keras.layers.ReLU()(keras.layers.BatchNormalization(momentum=0.97)(flow))
    flow = keras.layers.Reshape((WIDTH_PX // 4, LAYERS[-1][1]))(flow)
    flow = keras.layers.Dense(STEPS * CLASSES)(flow)
    return keras.Model(inputs, keras.layers.Reshape((STEPS * WIDTH_PX // 4, CLASSES))(flow))


def fold(model: Any) -> list[tuple[np.ndarray, np.ndarray, tuple[int, int]]]:
    """(kernel (out, in, height, width), bias, strides) of each layer, batch normalisation folded in."""
    layers = []
    convolutions = [layer for layer in model.layers if type(layer).__name__ == "Conv2D"]
    norms = [layer for layer in model.layers if type(layer).__name__ == "BatchNormalization"]
    for convolution, norm in zip(convolutions, norms, strict=True):
        gamma, beta, mean, variance = map(np.asarray, norm.get_weights())
        scale = gamma / np.sqrt(variance + norm.epsilon)
        kernel = np.asarray(convolution.get_weights()[0]) * scale
        layers.append((kernel.transpose(3, 2, 0, 1), beta - mean * scale, convolution.strides))
    kernel, bias = map(np.asarray, model.layers[-2].get_weights())
    layers.append((kernel.T[:, :, None, None], bias, (1, 1)))
    return layers


def write_onnx(model: Any, path: Path) -> None:
    """uint8 (n, 48, width) -> log-probabilities (n, steps, 11), for any width; the weights as float16."""
    nodes, weights = [], []

    def add(operator: str, inputs: list[str], output: str, **attributes: Any) -> str:
        nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output

    def keep(name: str, value: np.ndarray, half: bool = False) -> str:
        weights.append(numpy_helper.from_array(value.astype(np.float16) if half else value, name))
        return add("Cast", [name], f"{name}_32", to=TensorProto.FLOAT) if half else name

    flow = add("Cast", [INPUT], "float", to=TensorProto.FLOAT)
    flow = add("Mul", [flow, keep("scale", np.float32(1 / 255))], "scaled")
    flow = add("Unsqueeze", [flow, keep("one", np.array([1]))], "channels")
    folded = fold(model)
    for number, (kernel, bias, strides) in enumerate(folded):
        inputs = [
            flow,
            keep(f"kernel_{number}", kernel, True),
            keep(f"bias_{number}", bias.astype(np.float32)),
        ]
        flow = add("Conv", inputs, f"conv_{number}", auto_pad="SAME_UPPER", strides=list(strides))
        if number + 1 < len(folded):
            flow = add("Relu", [flow], f"relu_{number}")
    flow = add("Squeeze", [flow, keep("two", np.array([2]))], "rows")
    flow = add("Transpose", [flow], "columns", perm=[0, 2, 1])
    flow = add("Reshape", [flow, keep("shape", np.array([0, -1, CLASSES]))], "steps")
    add("LogSoftmax", [flow], OUTPUT, axis=-1)
    graph = helper.make_graph(
        nodes,
        "lines",
        [helper.make_tensor_value_info(INPUT, TensorProto.UINT8, ["n", HEIGHT_PX, "width"])],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["n", "steps", CLASSES])],
        weights,
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], producer_name="mnistry")
    proto.ir_version = 8
    onnx.checker.check_model(proto)
    path.write_bytes(seal(proto.SerializeToString()))


def measure(path: Path, strips: np.ndarray, labels: np.ndarray) -> None:
    """Print how many of the strips are spelt right by the likeliest answers, step by step."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path)
    right, price = 0, []
    for strip, row in zip(strips, labels, strict=True):
        answer = session.run(None, {INPUT: strip[None]})[0][0]
        likeliest = answer.argmax(axis=1)
        spelt = [c - 1 for c, b in zip(likeliest, [0, *likeliest[:-1]], strict=True) if c and c != b]
        text = [int(label) for label in row if label >= 0]
        right += spelt == text
        price.append(-score_labels(answer, [tuple(text)])[0])
    print(f"{right} of {len(strips)} right; mean price of the truth {np.mean(price):.3f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("task", choices=["strips", "train"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=50_000)
    parser.add_argument("--seed", type=int, default=0, help="0 is for the strips to measure with")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--learning-rate", type=float, default=0.006)
    parser.add_argument("--begin", type=Path, help="weights to go on from, a lines.keras")
    parser.add_argument("--out", type=Path, default=SHIPPED)
    arguments = parser.parse_args()
    if arguments.task == "strips":
        digits, _ = load_mnist()
        part = slice(-KEPT, None) if arguments.seed == 0 else slice(None, -KEPT)
        digits = Dataset(digits.images[part], digits.labels[part], "MNIST")
        strips, labels = make_strips(digits, arguments.count, arguments.seed)
        arguments.folder.mkdir(parents=True, exist_ok=True)
        np.savez(arguments.folder / f"{arguments.seed}.npz", strips=strips, labels=labels)
        return

    import keras

    import mnistry
    from mnistry.recipes import find_recipe, make_optimizer

    files = sorted(path for path in arguments.folder.glob("*.npz") if path.stem != "0")
    parts = [np.load(path) for path in files]
    strips, labels = (np.concatenate([part[name] for part in parts]) for name in ("strips", "labels"))
    targets = labels.astype(np.int32) + 1
    print(f"{len(strips):,} strips", flush=True)
    keras.utils.set_random_seed(arguments.seed)
    model = build_network()
    if arguments.begin is not None:
        model.set_weights(keras.models.load_model(arguments.begin, compile=False).get_weights())
    config = find_recipe("best", learning_rate=arguments.learning_rate)
    steps = arguments.epochs * -(-len(strips) // arguments.batch_size)
    model.compile(make_optimizer(config, steps), keras.losses.ctc)
    began = time.time()
    mnistry.fit(model, strips, targets, epochs=arguments.epochs, batch_size=arguments.batch_size, verbose=2)
    print(f"{model.count_params():,} parameters, {time.time() - began:.0f} s", flush=True)
    model.save(arguments.folder / "lines.keras")
    write_onnx(model, arguments.out)
    kept = np.load(arguments.folder / "0.npz")
    measure(arguments.out, kept["strips"], kept["labels"])


if __name__ == "__main__":
    main()

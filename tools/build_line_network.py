"""Build the networks that read lines as a whole: src/mnistry/assets/lines.onnx.

Each learns from strips written with the MNIST training digits but the last 5,000, which make the strips that
it is measured with, with digits drawn from strokes and, given --hands, with digits by other hands. No real
line is used.

    python tools/build_line_network.py strips FOLDER --seed 0 --count 3000     # FOLDER/0.npz, to measure with
    python tools/build_line_network.py strips FOLDER --seed 1 --count 28000    # other seeds: to learn from
    python tools/build_line_network.py train FOLDER [--epochs 10] [--out PATH]
    python tools/build_line_network.py average FOLDER [--out PATH]             # of FOLDER/*.onnx
    python tools/build_line_network.py join FOLDER [--out PATH]                # FOLDER/*.onnx answer together
    python tools/build_line_network.py measure FOLDER [--start PATH]           # on the strips of seed 0

`train` takes all strips in FOLDER but those of seed 0, each distorted anew whenever it is seen. After every
epoch it leaves FOLDER/state.pt, and the same command goes on from there. It needs PyTorch (`pip install -e
'.[torch]'`), whose convolutions in bfloat16 are four times as fast on a processor that has it as XLA's in
float32. What ships learned in several steps, see its card.
"""

from __future__ import annotations

import argparse
import math
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, compose, helper, numpy_helper

from mnistry import Dataset, load_mnist
from mnistry.classifier import read_sealed, seal
from mnistry.files import atomic_write
from mnistry.judging import rank_likely
from mnistry.sequences import FIRST, HEIGHT_PX, INPUT, OUTPUT, PADDING_PX, SHIPPED, score_labels
from mnistry.synthesis.forms import draw_forms
from mnistry.synthesis.hands import load_hands, write_hands
from mnistry.synthesis.strips import ABSENT, distort_strips, make_strips

KEPT = 5_000  # training digits
DRAWN = 0.3  # digits drawn from strokes, for one of MNIST
COPIES = 2  # of the digits by other hands
PLAIN, ADDED = False, True  # an ADDED layer's answer is added to what it sees
# Kernel (height, width), channels, strides, padding: height 48, 24, 24, 12, 12, 6, 6, 1; width 256 -> 64.
LAYERS = [
    ((4, 4), 32, (2, 2), (1, 1), PLAIN),
    ((3, 3), 32, (1, 1), (1, 1), PLAIN),
    ((3, 3), 64, (2, 2), (1, 1), PLAIN),
    ((3, 3), 64, (1, 1), (1, 1), PLAIN),
    ((3, 3), 64, (1, 1), (1, 1), ADDED),
    ((3, 3), 128, (2, 1), (1, 1), PLAIN),
    ((3, 3), 128, (1, 1), (1, 1), PLAIN),
    ((3, 3), 128, (1, 1), (1, 1), ADDED),
    ((3, 3), 128, (1, 1), (1, 1), ADDED),
    ((6, 1), 256, (6, 1), (0, 0), PLAIN),
    ((1, 5), 256, (1, 1), (0, 2), PLAIN),
    ((1, 5), 256, (1, 1), (0, 2), ADDED),
    ((1, 5), 256, (1, 1), (0, 2), ADDED),
]
STEPS = 2  # for every column of the last layer: 11, touching, is narrower than three of these
CLASSES = 11
BATCH = 64
CHUNK = 32  # batches that are put together by the lengths of their lines
WIDTH_STEP = 16  # pixels, so that there are few shapes of batches
WEIGHT_DECAY = 0.02
LARGEST_GRADIENT = 2.0  # norm; the first steps would go astray
WARM_UP = 0.15  # portion of the training
EMA = 0.999  # a step, of the average of the weights that ships


def build_network() -> Any:
    """(n, 1, 48, width) float -> logits (n, 22, width / 4): the classes of STEPS time steps, a column.

    An ADDED layer answers nothing yet: the network is as if it had none.
    """
    from torch import nn

    class Layer(nn.Module):  # type: ignore[misc]
        def __init__(self, before: int, number: int) -> None:
            super().__init__()
            kernel, channels, strides, padding, self.added = LAYERS[number]
            self.convolution = nn.Conv2d(before, channels, kernel, strides, padding, bias=False)
            self.norm = nn.BatchNorm2d(channels)
            if self.added:
                nn.init.zeros_(self.norm.weight)

        def forward(self, flow: Any) -> Any:
            seen = self.norm(self.convolution(flow))
            return nn.functional.relu(flow + seen if self.added else seen)

    widths = [1, *(channels for _, channels, *_ in LAYERS)]
    layers = [Layer(before, number) for number, before in enumerate(widths[:-1])]
    return nn.Sequential(*layers, nn.Conv2d(widths[-1], STEPS * CLASSES, 1), nn.Flatten(2))


def fold(network: Any) -> list[tuple[np.ndarray, np.ndarray]]:
    """(kernel (out, in, height, width), bias) of each layer, its normalisation in them."""
    layers = []
    modules = list(network)
    for module in modules[: len(LAYERS)]:
        norm = module.norm
        scale = (norm.weight / (norm.running_var + norm.eps).sqrt()).detach()
        kernel = module.convolution.weight.detach() * scale[:, None, None, None]
        bias = norm.bias.detach() - norm.running_mean * scale
        layers.append((kernel.numpy(), bias.numpy()))
    last = modules[-2]
    return [*layers, (last.weight.detach().numpy(), last.bias.detach().numpy())]


def unfold(path: Path, strips: np.ndarray) -> Any:
    """The network in a file, or the first of several, normalised again by what it sees in some strips.

    Mean and deviation of every layer are taken there, and given back by its normalisation: so it answers as
    the file does, and can learn on. The file may have fewer ADDED layers, which answer nothing then.
    """
    import torch

    network = build_network()
    tensors = onnx.load_from_string(read_sealed(path)).graph.initializer
    weights = {
        tensor.name.removeprefix("0/"): torch.from_numpy(numpy_helper.to_array(tensor).astype(np.float32))
        for tensor in tensors
    }
    modules = list(network)
    flow = torch.from_numpy(strips[:, None].astype(np.float32) / 255)
    number = 0
    with torch.no_grad():
        for module in modules[: len(LAYERS)]:
            kernel, norm = weights[f"kernel_{number}"], module.norm
            known = kernel.shape == module.convolution.weight.shape
            if known:
                module.convolution.weight.copy_(kernel)
            seen = module.convolution(flow)
            norm.running_mean.copy_(seen.mean((0, 2, 3)))
            norm.running_var.copy_(seen.var((0, 2, 3)))
            if known:
                norm.weight.copy_((norm.running_var + norm.eps).sqrt())
                norm.bias.copy_(norm.running_mean + weights[f"bias_{number}"])
                number += 1
            flow = module.eval()(flow)
        modules[-2].weight.copy_(weights[f"kernel_{number}"])
        modules[-2].bias.copy_(weights[f"bias_{number}"])
    return network


def write_onnx(network: Any, path: Path) -> None:
    """uint8 (n, 48, width) -> log-probabilities (n, 1, steps, 11), for any width; the weights as float16."""
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
    folded = fold(network)
    for number, (kernel, bias) in enumerate(folded):
        *_, strides, padding, added = [*LAYERS, ((1, 1), (0, 0), PLAIN)][number]
        inputs = [
            flow,
            keep(f"kernel_{number}", kernel, True),
            keep(f"bias_{number}", bias.astype(np.float32)),
        ]
        flow = add("Conv", inputs, f"conv_{number}", pads=[*padding, *padding], strides=list(strides))
        if added:
            flow = add("Add", [flow, inputs[0]], f"sum_{number}")
        if number + 1 < len(folded):
            flow = add("Relu", [flow], f"relu_{number}")
    flow = add("Squeeze", [flow, keep("two", np.array([2]))], "rows")
    flow = add("Transpose", [flow], "columns", perm=[0, 2, 1])
    flow = add("Reshape", [flow, keep("shape", np.array([0, -1, CLASSES]))], "steps")
    flow = add("LogSoftmax", [flow], "answers", axis=-1)
    add("Unsqueeze", [flow, "one"], OUTPUT)
    graph = helper.make_graph(
        nodes,
        "lines",
        [helper.make_tensor_value_info(INPUT, TensorProto.UINT8, ["n", HEIGHT_PX, "width"])],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["n", 1, "steps", CLASSES])],
        weights,
    )
    _save(graph, path)


def _save(graph: Any, path: Path) -> None:
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], producer_name="mnistry")
    proto.ir_version = 8
    onnx.checker.check_model(proto)
    with atomic_write(path) as file:
        file.write(seal(proto.SerializeToString()))


def average_weights(paths: list[Path], out: Path) -> None:
    """Write the network whose weights are the mean of several's that learned on from the same one."""
    protos = [onnx.load_from_string(read_sealed(path)) for path in paths]
    for tensors in zip(*(proto.graph.initializer for proto in protos), strict=True):
        values = np.stack([numpy_helper.to_array(tensor) for tensor in tensors])
        if values.dtype.kind == "f":
            mean = values.mean(axis=0, dtype=np.float64).astype(values.dtype)
            tensors[0].CopyFrom(numpy_helper.from_array(mean, tensors[0].name))
    with atomic_write(out) as file:
        file.write(seal(protos[0].SerializeToString()))


def join_networks(paths: list[Path], out: Path) -> None:
    """Write networks that answer together, each as it is: -> log-probabilities (n, networks, steps, 11).

    Of the first alone, if that is asked for: then the others are not computed.
    """
    graphs = []
    for number, path in enumerate(paths):
        proto = onnx.load_from_string(read_sealed(path))
        shape = proto.graph.output[0].type.tensor_type.shape.dim
        if len(shape) != 4 or shape[1].dim_value != 1:
            raise SystemExit(f"{path} is not one network as `train` writes it")
        graphs.append(compose.add_prefix(proto, f"{number}/", rename_inputs=False).graph)
    if not graphs:
        raise SystemExit("there is no .onnx file to join")
    answers = [graph.output[0].name for graph in graphs]

    def answer(name: str) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", "networks", "steps", CLASSES])

    alone = [helper.make_node("Identity", answers[:1], ["alone"])]
    others = [node for graph in graphs[1:] for node in graph.node]
    together = [*others, helper.make_node("Concat", answers, ["together"], axis=1)]
    choice = helper.make_node(
        "If",
        [FIRST],
        [OUTPUT],
        then_branch=helper.make_graph(alone, "first", [], [answer("alone")]),
        else_branch=helper.make_graph(together, "all", [], [answer("together")]),
    )
    joined = helper.make_graph(
        [*graphs[0].node, choice],
        "lines",
        [graphs[0].input[0], helper.make_tensor_value_info(FIRST, TensorProto.BOOL, [])],
        [answer(OUTPUT)],
        [tensor for graph in graphs for tensor in graph.initializer],
    )
    _save(joined, out)


def add_drawn(digits: Dataset, hands: Path | None, seed: int) -> Dataset:
    """The digits, DRAWN times as many drawn in forms that MNIST lacks, and those by other hands."""
    labels = np.random.default_rng(seed).integers(0, 10, round(DRAWN * len(digits))).astype(np.uint8)
    parts = [digits, Dataset(draw_forms(labels, seed), labels, "drawn")]
    if hands is not None:
        parts.append(write_hands(*load_hands(hands), COPIES, seed))
    images, labels = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return Dataset(images, labels, digits.name)


def measure(path: Path, strips: np.ndarray, labels: np.ndarray) -> None:
    """Print how many of the strips are spelt right by the likeliest text, to each network and to all."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path)
    joined = {FIRST: np.array(False)} if len(session.get_inputs()) > 1 else {}
    right, price = [], []
    for strip, row in zip(strips, labels, strict=True):
        seen = list(session.run(None, {INPUT: strip[None]} | joined)[0][0])
        text = tuple(int(label) for label in row if label != ABSENT)
        views = [*([answers] for answers in seen), *([seen] if len(seen) > 1 else [])]
        right.append([rank_likely(view)[0] == text for view in views])
        price.append([-score_labels(answers, [text])[0] for answers in seen])
    counts, prices = np.sum(right, axis=0).tolist(), np.mean(price, axis=0).round(3).tolist()
    print(f"{counts} of {len(strips)} right; mean price of the truth {prices}", flush=True)


def order_batches(strips: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Numbers of each batch's strips, (steps, BATCH): lines of about one length, so that little is empty."""
    widths = np.array([int(np.flatnonzero(strip.any(axis=0)).max(initial=0)) for strip in strips])
    order = rng.permutation(len(strips))[: len(strips) // BATCH * BATCH]
    chunks = [order[start : start + CHUNK * BATCH] for start in range(0, len(order), CHUNK * BATCH)]
    batches = np.concatenate([chunk[np.argsort(widths[chunk])].reshape(-1, BATCH) for chunk in chunks])
    return batches[rng.permutation(len(batches))]


def cut_width(strips: np.ndarray) -> np.ndarray:
    """The strips without most of the empty columns behind the longest of them."""
    used = int(np.flatnonzero(strips.any(axis=(0, 1))).max(initial=0)) + 1
    return strips[:, :, : WIDTH_STEP * -(-(used + PADDING_PX) // WIDTH_STEP)]


def train(folder: Path, epochs: int, learning_rate: float, out: Path, start: Path | None = None) -> None:
    """Train on the strips in the folder, write the network after each epoch, and print how good it is.

    `start` is the state that an earlier training left, whose average of the weights to begin with, or the
    network that it wrote.
    """
    import torch
    from torch.nn import functional
    from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

    parts = [np.load(path) for path in sorted(folder.glob("*.npz")) if path.stem != "0"]
    strips, labels = (np.concatenate([part[name] for part in parts]) for name in ("strips", "labels"))
    targets = torch.from_numpy(labels.astype(np.int64) + 1)  # ABSENT becomes 0 and is not looked at
    lengths = torch.from_numpy((labels != ABSENT).sum(axis=1))
    kept = np.load(folder / "0.npz")

    if start is not None and (folder / "state.pt").exists():
        raise SystemExit(f"{folder / 'state.pt'} goes on from where it is: remove it, or leave out --start")
    torch.manual_seed(0)
    network = build_network().to(memory_format=torch.channels_last)
    if start is not None and start.suffix == ".onnx":
        network = unfold(start, strips[:: -(-len(strips) // 1000)]).to(memory_format=torch.channels_last)
    elif start is not None:
        earlier = AveragedModel(network, use_buffers=True)
        earlier.load_state_dict(torch.load(start)["average"])
        network = earlier.module
    average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(EMA), use_buffers=True)
    optimizer = torch.optim.AdamW(network.parameters(), learning_rate, weight_decay=WEIGHT_DECAY, fused=True)
    steps = len(strips) // BATCH

    def slow_down(step: int) -> float:
        done = step / (epochs * steps)
        return (
            done / WARM_UP
            if done < WARM_UP
            else 0.5 + 0.5 * math.cos(math.pi * (done - WARM_UP) / (1 - WARM_UP))
        )

    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, slow_down)
    state = {"network": network, "average": average, "optimizer": optimizer, "schedule": schedule}
    first, file = 0, folder / "state.pt"
    if file.exists():
        saved = torch.load(file)
        first = saved.pop("epoch")
        for name, values in saved.items():
            state[name].load_state_dict(values)
    print(f"{len(strips):,} strips, {sum(p.numel() for p in network.parameters()):,} parameters", flush=True)

    for epoch in range(first, epochs):
        began, loss_sum = time.time(), 0.0
        network.train()
        order = order_batches(strips, np.random.default_rng(epoch))

        def prepare(step: int) -> Any:
            seen = distort_strips(strips[order[step]], np.random.default_rng([epoch, step]))  # noqa: B023
            return torch.from_numpy(cut_width(seen)[:, None])

        with ThreadPoolExecutor(1) as ahead:
            coming = ahead.submit(prepare, 0)
            for step in range(steps):
                images = coming.result().float().div_(255).contiguous(memory_format=torch.channels_last)
                coming = ahead.submit(prepare, min(step + 1, steps - 1))
                chosen = torch.from_numpy(order[step])
                with torch.autocast("cpu", torch.bfloat16):
                    logits = network(images)
                scores = logits.float().transpose(1, 2).reshape(BATCH, -1, CLASSES).log_softmax(-1)
                loss = functional.ctc_loss(
                    scores.transpose(0, 1),
                    targets[chosen],
                    torch.full((BATCH,), scores.shape[1]),
                    lengths[chosen],
                    reduction="sum",
                )
                optimizer.zero_grad()
                (loss / BATCH).backward()
                torch.nn.utils.clip_grad_norm_(network.parameters(), LARGEST_GRADIENT)
                optimizer.step()
                schedule.step()
                average.update_parameters(network)
                loss_sum += float(loss) / BATCH
                if step % 200 == 199:
                    rate = (step + 1) * BATCH / (time.time() - began)
                    loss_mean = loss_sum / (step + 1)
                    print(f"{epoch + 1} {step + 1}/{steps}  loss {loss_mean:.3f}  {rate:.0f}/s", flush=True)
        saved = {name: part.state_dict() for name, part in state.items()} | {"epoch": epoch + 1}
        torch.save(saved, file.with_suffix(".new"))
        file.with_suffix(".new").replace(file)
        write_onnx(average.module, out)
        print(f"epoch {epoch + 1}/{epochs}  {time.time() - began:.0f} s", flush=True)
        measure(out, kept["strips"], kept["labels"])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("task", choices=["strips", "train", "average", "join", "measure"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=28_000)
    parser.add_argument("--seed", type=int, default=0, help="0 is for the strips to measure with")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--learning-rate", type=float, default=0.004)
    parser.add_argument(
        "--start", type=Path, help="state.pt or .onnx of an earlier training, to go on from; .onnx to measure"
    )
    parser.add_argument(
        "--hands", type=Path, help="optdigits.dat, as build_classifier.py takes it, for strips"
    )
    parser.add_argument("--out", type=Path, default=SHIPPED)
    arguments = parser.parse_args()
    if arguments.task in ("average", "join"):
        combine = average_weights if arguments.task == "average" else join_networks
        combine(sorted(arguments.folder.glob("*.onnx")), arguments.out)
        return
    if arguments.task == "measure":
        kept = np.load(arguments.folder / "0.npz")
        measure(arguments.start or SHIPPED, kept["strips"], kept["labels"])
        return
    if arguments.task == "train":
        train(arguments.folder, arguments.epochs, arguments.learning_rate, arguments.out, arguments.start)
        return
    digits, _ = load_mnist()
    part = slice(-KEPT, None) if arguments.seed == 0 else slice(None, -KEPT)
    digits = Dataset(digits.images[part], digits.labels[part], "MNIST")
    # The same hands must not be measured with that are learned from.
    digits = add_drawn(digits, arguments.hands if arguments.seed else None, arguments.seed)
    strips, labels = make_strips(digits, arguments.count, arguments.seed)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    np.savez(arguments.folder / f"{arguments.seed}.npz", strips=strips, labels=labels)


if __name__ == "__main__":
    main()

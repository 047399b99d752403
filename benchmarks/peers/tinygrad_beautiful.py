"""The network and the training of tinygrad's beautiful_mnist, written anew: steps of 512 images, Adam.

Its epochs are rounds of ten steps, since the example counts steps: 70 of them.
"""

from __future__ import annotations

import sys

import numpy as np
from clock import Clock
from tinygrad import Tensor, TinyJit, nn
from tinygrad.helpers import Context

from mnistry import load_mnist

STEPS_A_ROUND = 10


class Network:
    """Two pairs of convolutions, each with batch-norm and pooling."""

    def __init__(self) -> None:
        self.layers = [
            nn.Conv2d(1, 32, 5),
            Tensor.relu,
            nn.Conv2d(32, 32, 5),
            Tensor.relu,
            nn.BatchNorm(32),
            Tensor.max_pool2d,
            nn.Conv2d(32, 64, 3),
            Tensor.relu,
            nn.Conv2d(64, 64, 3),
            Tensor.relu,
            nn.BatchNorm(64),
            Tensor.max_pool2d,
            lambda x: x.flatten(1),
            nn.Linear(576, 10),
        ]

    def __call__(self, x: Tensor) -> Tensor:
        return x.sequential(self.layers)


def main(seed: int, rounds: int) -> None:
    Tensor.manual_seed(seed)
    (x_train, y_train), (x_test, y_test) = (
        (Tensor(np.ascontiguousarray(images[:, None])), Tensor(labels.astype(np.int32)))
        for images, labels in load_mnist()
    )
    model = Network()
    optimizer = nn.optim.Adam(nn.state.get_parameters(model))

    @TinyJit
    @Context(TRAINING=1)
    def train_step() -> Tensor:
        optimizer.zero_grad()
        rows = Tensor.randint(512, high=x_train.shape[0])
        loss = model(x_train[rows].float()).sparse_categorical_crossentropy(y_train[rows]).backward()
        return loss.realize(*optimizer.schedule_step())

    @TinyJit
    def accuracy() -> Tensor:
        return (model(x_test.float()).argmax(axis=1) == y_test).mean().realize()

    clock = Clock()
    for _ in range(rounds):
        with clock.training():
            for _ in range(STEPS_A_ROUND):
                train_step().item()
        clock.report(accuracy().item())


main(int(sys.argv[1]), int(sys.argv[2]))

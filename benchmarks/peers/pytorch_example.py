"""The network and the training of PyTorch's own MNIST example, written anew: Adadelta, batches of 64."""

from __future__ import annotations

import sys

import torch
from clock import Clock
from torch import nn

from mnistry import load_mnist


def tensors(images: object, labels: object) -> tuple[torch.Tensor, torch.Tensor]:
    """Images as the example normalises them, (n, 1, 28, 28), and labels."""
    scaled = torch.tensor(images)[:, None].float() / 255
    return (scaled - 0.1307) / 0.3081, torch.tensor(labels).long()


def main(seed: int, epochs: int) -> None:
    torch.manual_seed(seed)
    (x_train, y_train), (x_test, y_test) = (tensors(*part) for part in load_mnist())
    model = nn.Sequential(
        nn.Conv2d(1, 32, 3),
        nn.ReLU(),
        nn.Conv2d(32, 64, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Dropout(0.25),
        nn.Flatten(),
        nn.Linear(9216, 128),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(128, 10),
    )
    optimizer = torch.optim.Adadelta(model.parameters(), lr=1.0)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.7)
    clock = Clock()
    for _ in range(epochs):
        with clock.training():
            model.train()
            for rows in torch.randperm(len(x_train)).split(64):
                optimizer.zero_grad()
                nn.functional.cross_entropy(model(x_train[rows]), y_train[rows]).backward()
                optimizer.step()
            schedule.step()
        model.eval()
        with torch.no_grad():
            predicted = torch.cat([model(x).argmax(1) for x in x_test.split(1000)])
        clock.report((predicted == y_test).double().mean().item())


main(int(sys.argv[1]), int(sys.argv[2]))

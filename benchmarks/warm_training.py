"""The second training of a recipe in one process, when everything is imported and compiled already.

Run by time_to_accuracy.py in a process of its own; prints one JSON object.
"""

from __future__ import annotations

import json
import sys
import time

from mnistry import fit, load_mnist
from mnistry.backend import choose_backend
from mnistry.evaluation import evaluate
from mnistry.jobs import build_compiled
from mnistry.models import as_classifier
from mnistry.recipes import find_recipe


def main(recipe: str, seed: int) -> None:
    choose_backend("jax", own_process=True)
    train, test = load_mnist()
    config = find_recipe(recipe, seed=seed, validation=0.0)
    model = build_compiled(config, train.num_classes, len(train))
    first = [variable.numpy() for variable in (*model.variables, *model.optimizer.variables)]
    for _ in range(2):  # the first one compiles
        for variable, value in zip((*model.variables, *model.optimizer.variables), first, strict=True):
            variable.assign(value)
        began = time.perf_counter()
        augment = config.augmentation if config.augments else None
        fit(
            model,
            train,
            batch_size=config.batch_size,
            epochs=config.epochs,
            verbose=0,
            seed=seed,
            augment=augment,
        )
        seconds = time.perf_counter() - began
    accuracy = evaluate(as_classifier(model), test).accuracy
    print(json.dumps({"seconds": seconds, "accuracy": accuracy}))


main(sys.argv[1], int(sys.argv[2]))

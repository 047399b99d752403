"""Trainings of a recipe in one process, when everything is imported and compiled already.

Run by time_to_accuracy.py in a process of its own: RECIPE, number of seeds. Prints one JSON object.
"""

from __future__ import annotations

import json
import os
import sys
import time

os.environ["KERAS_BACKEND"] = "jax"

from mnistry import fit, load_mnist
from mnistry.evaluation import evaluate
from mnistry.jobs import build_compiled
from mnistry.models import as_classifier
from mnistry.recipes import find_recipe


def main(recipe: str, seeds: int) -> None:
    train, test = load_mnist()
    config = find_recipe(recipe, validation=0.0)
    model = build_compiled(config, train.num_classes, len(train))
    variables = (*model.variables, *model.optimizer.variables)
    first = [variable.numpy() for variable in variables]
    augment = config.augmentation if config.augments else None
    trainings = []
    for seed in range(-1, seeds):  # the one before the first seed compiles and is not told of
        for variable, value in zip(variables, first, strict=True):
            variable.assign(value)
        epochs = config.epochs if seed >= 0 else 1
        began = time.perf_counter()
        fit(
            model,
            train,
            batch_size=config.batch_size,
            epochs=epochs,
            verbose=0,
            seed=max(seed, 0),
            augment=augment,
        )
        seconds = time.perf_counter() - began
        accuracy = evaluate(as_classifier(model), test).accuracy
        trainings.append({"seconds": seconds, "accuracy": accuracy})
    print(json.dumps(trainings[1:]))


main(sys.argv[1], int(sys.argv[2]))

"""The classic six steps in plain Keras, as `examples/tutorial.py` teaches them, with a clock.

Run by train_speed.py in a process of its own; prints one JSON object. The back end is KERAS_BACKEND.
"""

from __future__ import annotations

import argparse
import json
import time

import keras
import matplotlib as mpl
import numpy as np
from sklearn.metrics import accuracy_score

from mnistry import load_mnist

mpl.use("agg")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--out", default=".", help="folder of the pictures")
    arguments = parser.parse_args()

    import matplotlib.pyplot as plt

    keras.utils.set_random_seed(arguments.seed)
    (x_train, y_train), (x_test, y_test) = load_mnist()
    x_train, x_test = x_train / 255.0, x_test / 255.0

    model = keras.Sequential(
        [
            keras.Input((28, 28)),
            keras.layers.Flatten(),
            keras.layers.Dense(128, activation="relu"),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])

    began: list[float] = []
    ended: list[float] = []
    clock = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: began.append(time.time()),
        on_epoch_end=lambda epoch, logs: ended.append(time.time()),
    )
    history = model.fit(
        x_train, y_train, epochs=arguments.epochs, validation_split=0.2, verbose=2, callbacks=[clock]
    ).history

    predicted = np.argmax(model.predict(x_test, verbose=0), axis=1)
    accuracy = accuracy_score(y_test, predicted)
    for metric in ("loss", "accuracy"):
        plt.figure()
        plt.plot(history[metric], label="training")
        plt.plot(history[f"val_{metric}"], label="validation")
        plt.xlabel("epoch")
        plt.ylabel(metric)
        plt.legend()
        plt.savefig(f"{arguments.out}/{metric}.png")
    plt.figure()
    plt.imshow(x_test[0], cmap="gray")
    plt.title(f"Model Prediction: {predicted[0]}")
    plt.savefig(f"{arguments.out}/prediction.png")

    epoch_seconds = [end - begin for begin, end in zip(began, ended, strict=True)]
    print(json.dumps({"accuracy": accuracy, "epoch_seconds": epoch_seconds, "first_epoch_at": began[0]}))


if __name__ == "__main__":
    main()

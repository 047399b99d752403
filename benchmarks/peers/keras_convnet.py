"""The convolutional network of Keras' own MNIST example, written anew: two convolutions, 15 epochs, Adam."""

from __future__ import annotations

import os
import sys

from clock import Clock

os.environ["KERAS_BACKEND"] = "tensorflow"

import keras

from mnistry import load_mnist


def main(seed: int, epochs: int) -> None:
    keras.utils.set_random_seed(seed)
    (x_train, y_train), (x_test, y_test) = load_mnist()
    x_train, x_test = (x[..., None].astype("float32") / 255 for x in (x_train, x_test))
    y_train, y_test = (keras.utils.to_categorical(y, 10) for y in (y_train, y_test))
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            keras.layers.Conv2D(32, 3, activation="relu"),
            keras.layers.MaxPooling2D(2),
            keras.layers.Conv2D(64, 3, activation="relu"),
            keras.layers.MaxPooling2D(2),
            keras.layers.Flatten(),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(loss="categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
    images = round(0.9 * len(x_train))  # the example keeps a tenth to validate on
    clock = Clock()
    for _ in range(epochs):
        with clock.training():
            model.fit(x_train[:images], y_train[:images], batch_size=128, verbose=0)
        clock.report(model.evaluate(x_test, y_test, batch_size=1000, verbose=0)[1])


main(int(sys.argv[1]), int(sys.argv[2]))

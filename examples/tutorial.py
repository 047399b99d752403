"""Teach a small neural network to read handwritten digits: six steps in plain Keras, then the fast way.

    python tutorial.py                            20 epochs
    python tutorial.py --epochs 3 --out pictures  a quick look
    KERAS_BACKEND=tensorflow python tutorial.py   the same on TensorFlow (or torch)

Needs pip install -e ".[tutorial]" in the folder above, and ".[tensorflow]" or ".[torch]" for those two.
"""

import argparse
import os
import time
from pathlib import Path

# Keras runs on JAX, TensorFlow or PyTorch. This says on which, and Keras reads it while it is imported.
os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # fewer notes from TensorFlow, where it is used

import keras
import matplotlib.pyplot as plt
import numpy as np
from keras.layers import Dense, Flatten
from sklearn.metrics import accuracy_score

import mnistry
from mnistry import load_mnist, plots

parser = argparse.ArgumentParser(description="Six steps from the data to a network that reads digits.")
parser.add_argument("--epochs", type=int, default=20, help="passes over the training images (default: 20)")
parser.add_argument("--out", type=Path, default=Path("tutorial_output"), help="folder for the pictures")
options = parser.parse_args()
options.out.mkdir(parents=True, exist_ok=True)


# ---- Step 1: load the data ---------------------------------------------------------------------------------
#
# 60,000 images to learn from and 10,000 to be examined on: 28 x 28 pixels each, from 0 (paper) to 255 (ink).
# To each image belongs a label: the digit that it shows.

(x_train, y_train), (x_test, y_test) = load_mnist()
print(f"{len(x_train):,} training images, {len(x_test):,} test images of {x_train[0].shape} pixels")

# A network learns best from small numbers, so the pixels are scaled from 0..255 to 0..1.
x_train, x_test = x_train / 255.0, x_test / 255.0


# ---- Step 2: build the model -------------------------------------------------------------------------------


def build_model():
    """Return an untrained network with 101,770 weights, ready to learn."""
    model = keras.Sequential(
        [
            keras.Input((28, 28)),
            Flatten(),  # 28 x 28 pixels become one row of 784 numbers
            Dense(128, activation="relu"),  # 128 neurons, each looks for a pattern in the whole image
            Dense(10, activation="softmax"),  # one neuron a digit; their ten probabilities sum to 1
        ]
    )
    # The loss says how wrong the answers are, the optimizer (Adam) changes the weights to make it smaller.
    # 'sparse' means that a label is a number (7), not a row of ten zeros and ones.
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


model = build_model()
model.summary()


# ---- Step 3: train it --------------------------------------------------------------------------------------
#
# An epoch is one pass over the training images, 32 at a time. The last 20 % of them are held back: from these
# the network never learns, so they show whether it understands digits or only remembers what it has seen.

started = time.perf_counter()
history = model.fit(x_train, y_train, epochs=options.epochs, validation_split=0.2)
keras_seconds = time.perf_counter() - started


# ---- Step 4: examine it on the test images -----------------------------------------------------------------
#
# Only now, and only once: whoever makes choices by looking at the test images is no longer examined by them.

probabilities = model.predict(x_test)  # (10000, 10): for each image, a probability for each digit
predicted = np.argmax(probabilities, axis=1)  # the answer is the most probable digit
accuracy = accuracy_score(y_test, predicted)
print(f"Model Accuracy: {accuracy * 100:.2f}%")


# ---- Step 5: look at the learning curves -------------------------------------------------------------------
#
# The training loss keeps falling. The validation loss falls at first, then turns up: from there on, what the
# network still learns holds for the training images only. That is overfitting.

epochs = range(1, options.epochs + 1)
figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
for axes, metric in ((left, "loss"), (right, "accuracy")):
    axes.plot(epochs, history.history[metric], "o-", label="training")
    axes.plot(epochs, history.history[f"val_{metric}"], "s--", label="validation")
    axes.set_title(f"Model {metric}")
    axes.set_xlabel("epoch")
    axes.set_ylabel(metric)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.grid(alpha=0.3)
    axes.legend()
figure.savefig(options.out / "learning_curves.png", dpi=150)


# ---- Step 6: ask it about one image ------------------------------------------------------------------------

print(f"Model Prediction: {predicted[0]}")
figure, axes = plt.subplots(figsize=(4, 4.2), layout="constrained")
axes.imshow(x_test[0], cmap="gray")
axes.set_title(f"Model Prediction: {predicted[0]} (label: {y_test[0]})")
axes.axis("off")
figure.savefig(options.out / "prediction.png", dpi=150)


# ---- The same training, faster -----------------------------------------------------------------------------
#
# model.fit comes back to Python after each of the 1,500 batches of an epoch, and spends much of its time on
# the way. mnistry.fit takes the same model and the same arguments, but compiles an epoch as a whole. (Not on
# PyTorch: there it calls model.fit.)

fast_model = build_model()
started = time.perf_counter()
fast_history = mnistry.fit(fast_model, x_train, y_train, epochs=options.epochs, validation_split=0.2)
fast_seconds = time.perf_counter() - started
fast_accuracy = accuracy_score(y_test, np.argmax(fast_model.predict(x_test, verbose=0), axis=1))

# Both times include the compilation, some seconds that matter less the more epochs follow. The accuracies
# differ by chance, because every training begins with other random weights.
print(f"\n{options.epochs} epoch(s) by      total   per epoch   accuracy")
for name, seconds, share in (
    ("model.fit", keras_seconds, accuracy),
    ("mnistry.fit", fast_seconds, fast_accuracy),
):
    print(f"{name:<14}{seconds:9.1f} s{seconds / options.epochs:10.2f} s{share:11.2%}")
print(f"model.fit took {keras_seconds / fast_seconds:.1f} times as long")
if options.epochs < 10:
    print("(so few epochs say little: most of both times is compilation. Try --epochs 20)")
print()


# ---- All of it in ten lines --------------------------------------------------------------------------------
#
# mnistry.train does steps 1 to 6 and keeps everything in a new folder in runs/: the model, the settings, the
# figures, the pictures. If it is stopped half-way, `mnistry train --resume FOLDER` goes on.

run = mnistry.train(epochs=options.epochs)
print(f"Accuracy: {run.metrics['accuracy']:.2%}; model and pictures are in {run.path}")
print(f"Lowest validation loss: after epoch {np.argmin(run.history()['val_loss']) + 1}")

_, test = load_mnist()
evaluation = mnistry.evaluate(run.classifier(), test)
print(evaluation)
mistakes = plots.plot_mistakes(evaluation, test, count=12)
plots.save_figure(mistakes, options.out / "mistakes.png")


# ---- Now it is your turn -----------------------------------------------------------------------------------

print(f"""
The pictures are in {options.out}. Now change something, and guess what will happen before you look:
  - Dense(128) to Dense(16) or Dense(512). How much accuracy does each neuron buy?
  - A second hidden layer, or keras.layers.Dropout(0.2) after the first. Does the loss turn up later?
  - batch_size=256 in model.fit. Faster? As accurate? What if Adam's learning_rate is raised too?
  - Stop in time: callbacks=[keras.callbacks.EarlyStopping(patience=3, restore_best_weights=True)].
  - A network that looks at neighbouring pixels: mnistry train --model lenet5
  - Your own handwriting: write a digit on paper, photograph it, and: mnistry read photo.jpg""")

plt.show()  # opens the pictures in windows where there is a screen; otherwise does nothing

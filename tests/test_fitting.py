"""`fit` against `model.fit`, which is the oracle, on whichever back end Keras runs."""

from __future__ import annotations

import os
import signal
import threading
import warnings

import keras
import numpy as np
import pytest

from mnistry.augmentation import Augmentation
from mnistry.dataset import Dataset
from mnistry.engines import make_engine
from mnistry.epochs import CompiledEpochs
from mnistry.feeding import Feed, epoch_order
from mnistry.fitting import fit

BACKEND = keras.backend.backend()
fused_only = pytest.mark.skipif(BACKEND == "torch", reason="on PyTorch fit is model.fit")


def toy_data(n=150, seed=0, classes=4):
    """Images whose class is the quarter in which the bright square lies."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, n).astype(np.uint8)
    images = rng.integers(0, 60, (n, 8, 8)).astype(np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[4 * (label // 2) :, 4 * (label % 2) :][:4, :4] += 150
    return images, labels


def dense_model(
    *, dropout=0.0, batch_norm=False, l2=0.0, optimizer=None, metrics=("accuracy",), **compile_options
):
    keras.utils.set_random_seed(5)
    regularizer = keras.regularizers.L2(l2) if l2 else None
    layers = [
        keras.Input((8, 8), dtype="uint8"),
        keras.layers.Rescaling(1 / 255),
        keras.layers.Flatten(),
        keras.layers.Dense(16, activation="relu", kernel_regularizer=regularizer),
    ]
    layers += [keras.layers.BatchNormalization()] if batch_norm else []
    layers += [keras.layers.Dropout(dropout, seed=3)] if dropout else []
    model = keras.Sequential([*layers, keras.layers.Dense(4)])
    model.compile(
        optimizer=optimizer() if optimizer else "adam",
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=list(metrics),
        **compile_options,
    )
    return model


def convolution_model(padding="same", strides=1, pool=keras.layers.MaxPooling2D):
    keras.utils.set_random_seed(5)
    model = keras.Sequential(
        [
            keras.Input((8, 8), dtype="uint8"),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Reshape((8, 8, 1)),
            keras.layers.Conv2D(3, 3, padding=padding, strides=strides, activation="relu"),
            keras.layers.Conv2D(5, (2, 3), padding="same"),
            pool((3, 2)),
            keras.layers.Flatten(),
            keras.layers.Dense(4),
        ]
    )
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    return model


def assert_same(model, other, history=None, other_history=None, atol=2e-5):
    for ours, theirs in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=atol)
    for ours, theirs in zip(model.optimizer.variables, other.optimizer.variables, strict=True):
        np.testing.assert_allclose(
            keras.ops.convert_to_numpy(ours), keras.ops.convert_to_numpy(theirs), atol=atol, rtol=1e-4
        )
    if history is not None:
        assert set(history.history) == set(other_history.history)
        for name, values in history.history.items():
            np.testing.assert_allclose(values, other_history.history[name], atol=2e-4, err_msg=name)


def schedule():
    return keras.optimizers.SGD(keras.optimizers.schedules.CosineDecay(0.3, 20), momentum=0.9, nesterov=True)


VARIANTS = {
    "plain": {},
    # TensorFlow's random operations give other numbers with XLA than without: model.fit shall use it too.
    "dropout": {"dropout": 0.4, "jit_compile": keras.backend.backend() == "tensorflow" or "auto"},
    "batch-norm": {"batch_norm": True},
    "regularizer": {"l2": 0.01},
    "schedule": {"optimizer": schedule},
    "weight decay and clipping": {"optimizer": lambda: keras.optimizers.AdamW(1e-2, clipnorm=0.5)},
    "average of the weights": {
        "optimizer": lambda: keras.optimizers.Adam(1e-2, use_ema=True, ema_overwrite_frequency=4)
    },
    "weighted metrics": {"weighted_metrics": ["accuracy"]},
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_fit_trains_as_model_fit_does(variant):
    """150 images in batches of 32: the last batch is short."""
    images, labels = toy_data()
    options = {
        "epochs": 3,
        "batch_size": 32,
        "shuffle": False,
        "verbose": 0,
        "validation_data": toy_data(41, 1),
    }
    ours, theirs = dense_model(**VARIANTS[variant]), dense_model(**VARIANTS[variant])
    history = fit(ours, images, labels, **options)
    expected = theirs.fit(images, labels, **options)
    assert_same(ours, theirs, history, expected)
    assert history.epoch == expected.epoch


@pytest.mark.skipif(keras.backend.backend() == "torch", reason="on PyTorch fit is model.fit")
def test_a_second_fit_with_an_equal_augmentation_uses_the_compiled_epoch_again():
    images, labels = np.zeros((40, 28, 28), np.uint8), np.arange(40) % 10
    model = keras.Sequential([keras.Input((28, 28)), keras.layers.Flatten(), keras.layers.Dense(10)])
    model.compile("sgd", "sparse_categorical_crossentropy")
    engines = []
    for strength in (1, 1, 2):
        fit(model, images, labels, verbose=0, augment=Augmentation(shift_px=strength))
        engines.append(make_engine(model, Augmentation(shift_px=strength)))
    assert engines[0] is engines[1]
    assert engines[1] is not engines[2]


@pytest.mark.parametrize(
    "options", [{}, {"padding": "valid"}, {"strides": 2}, {"pool": keras.layers.AveragePooling2D}]
)
def test_fit_trains_convolutions_as_model_fit_does(options):
    images, labels = toy_data(70)
    ours, theirs = convolution_model(**options), convolution_model(**options)
    history = fit(ours, images, labels, epochs=2, shuffle=False, verbose=0)
    expected = theirs.fit(images, labels, epochs=2, shuffle=False, verbose=0)
    assert_same(ours, theirs, history, expected)
    assert not any("convolution_op" in vars(layer) or "call" in vars(layer) for layer in ours.layers)


def test_class_weights_and_sample_weights_count_as_in_model_fit():
    images, labels = toy_data()
    weights = np.linspace(0, 2, len(labels))
    for options in ({"class_weight": {0: 3.0, 2: 0.5}}, {"sample_weight": weights}):
        ours, theirs = (dense_model(weighted_metrics=["accuracy"]) for _ in range(2))
        common = {"epochs": 2, "shuffle": False, "verbose": 0, **options}
        assert_same(ours, theirs, fit(ours, images, labels, **common), theirs.fit(images, labels, **common))


def test_validation_split_takes_the_same_images_as_model_fit():
    images, labels = toy_data()
    ours, theirs = dense_model(), dense_model()
    options = {"epochs": 2, "shuffle": False, "verbose": 0, "validation_split": 0.3, "validation_freq": 2}
    assert_same(ours, theirs, fit(ours, images, labels, **options), theirs.fit(images, labels, **options))


def test_several_inputs_and_outputs_train_as_in_model_fit():
    # On TensorFlow model.fit does not count a short last batch by its size in the loss of each output.
    count = 160 if BACKEND == "tensorflow" else 150
    images, labels = toy_data(count)
    floats = images.reshape(count, 64) / 255

    def build():
        keras.utils.set_random_seed(5)
        left, right = keras.Input((64,), name="left"), keras.Input((64,), name="right")
        hidden = keras.layers.Dense(8)(keras.layers.concatenate([left, right]))
        outputs = {
            "class": keras.layers.Dense(4, name="class")(hidden),
            "sum": keras.layers.Dense(1, name="sum")(hidden),
        }
        model = keras.Model({"left": left, "right": right}, outputs)
        losses = {"class": keras.losses.SparseCategoricalCrossentropy(from_logits=True), "sum": "mse"}
        model.compile("adam", losses, loss_weights={"class": 1.0, "sum": 0.3})
        return model

    x = {"left": floats, "right": 1 - floats}
    y = {"class": labels, "sum": floats.mean(axis=1, keepdims=True)}
    ours, theirs = build(), build()
    options = {"epochs": 2, "shuffle": False, "verbose": 0}
    assert_same(ours, theirs, fit(ours, x, y, **options), theirs.fit(x, y, **options))


@fused_only
def test_a_train_step_of_the_users_own_is_used():
    class Doubled(keras.Sequential):
        def compute_loss(self, *args, **kwargs):
            return 2 * super().compute_loss(*args, **kwargs)

    images, labels = toy_data()
    models = []
    for train in (fit, lambda model, *args, **kwargs: model.fit(*args, **kwargs)):
        keras.utils.set_random_seed(5)
        model = Doubled([keras.Input((8, 8)), keras.layers.Flatten(), keras.layers.Dense(4)])
        model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        train(model, images / 255, labels, epochs=1, shuffle=False, verbose=0)
        models.append(model)
    assert_same(*models)


@fused_only
def test_the_same_seed_gives_the_same_weights_and_another_seed_others():
    images, labels = toy_data()
    results = []
    for seed in (1, 1, 2):
        model = dense_model(dropout=0.2)
        fit(model, images, labels, epochs=2, seed=seed, verbose=0)
        results.append(model.get_weights()[0])
    np.testing.assert_array_equal(results[0], results[1])
    assert not np.array_equal(results[0], results[2])


@fused_only
def test_the_order_follows_keras_global_seed_where_none_is_given():
    images, labels = toy_data()
    results = []
    for _ in range(2):
        model = dense_model()  # sets the global seed
        fit(model, images, labels, epochs=2, verbose=0)
        results.append(model.get_weights()[0])
    np.testing.assert_array_equal(*results)


@fused_only
def test_a_train_step_of_the_users_own_goes_to_model_fit_epoch_by_epoch():
    class Logging(keras.Sequential):
        def train_step(self, *args):
            result = super().train_step(*args)
            return ({"mine": result[0]["loss"]}, result[1]) if BACKEND == "jax" else {"mine": result["loss"]}

    images, labels = toy_data()
    results = []
    for epochs in ([4], [2, 4]):
        keras.utils.set_random_seed(5)
        model = Logging([keras.Input((8, 8)), keras.layers.Flatten(), keras.layers.Dense(4)])
        model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        first = 0
        for last in epochs:
            with pytest.warns(UserWarning, match="train_step of its own"):
                history = fit(
                    model, images / 255, labels, epochs=last, initial_epoch=first, seed=1, verbose=0
                )
            first = last
        assert set(history.history) == {"mine"}
        results.append(model.get_weights()[0])
    np.testing.assert_array_equal(*results)  # going on is the same as not having stopped


def test_metrics_with_a_number_for_each_class_are_kept(capsys):
    images, labels = toy_data()
    model = dense_model(metrics=())
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, metrics=[keras.metrics.F1Score()])
    history = fit(model, images, np.eye(4, dtype="float32")[labels], epochs=1, verbose=2)
    assert np.shape(history.history["f1_score"][0]) == (4,)


def test_backup_and_restore_goes_on_where_it_was(tmp_path):
    images, labels = toy_data()

    def crash(epoch, logs):
        if epoch == 2:
            raise RuntimeError("a crash")

    model = dense_model()
    callbacks = [
        keras.callbacks.BackupAndRestore(tmp_path),
        keras.callbacks.LambdaCallback(on_epoch_begin=crash),
    ]
    with pytest.raises(RuntimeError, match="a crash"):
        fit(model, images, labels, epochs=4, callbacks=callbacks, verbose=0)
    history = fit(dense_model(), images, labels, epochs=4, callbacks=callbacks[:1], verbose=0)
    assert history.epoch == [2, 3]


@fused_only
def test_data_fed_in_chunks_gives_the_same_weights_as_resident_data():
    images, labels = toy_data()
    results = []
    for chunk_bytes in (None, 64 * 70):  # room for 2 of 5 steps
        model = dense_model()
        options = {"validation_data": toy_data(40, 1), "chunk_bytes": chunk_bytes}
        history = fit(model, images, labels, epochs=2, seed=4, verbose=0, **options)
        results.append((model.get_weights()[0], history.history))
    np.testing.assert_allclose(results[0][0], results[1][0], atol=1e-6)
    for name, values in results[0][1].items():
        np.testing.assert_allclose(values, results[1][1][name], atol=1e-5)


@fused_only
def test_a_feed_larger_than_its_room_sends_every_row_once_in_order():
    x = np.arange(70, dtype=np.int32)
    sent = []
    feed = Feed((x,), 8, lambda arrays: arrays, chunk_bytes=8 * 4 * 3)
    order = epoch_order(70, seed=1, epoch=0, shuffle=True)
    for (values,), rows in feed.chunks(order):
        assert values.nbytes <= 8 * 4 * 3
        sent += [values[row] for row in rows.ravel()]
    assert not feed.resident
    assert feed.steps == 9
    np.testing.assert_array_equal(sent, order)
    np.testing.assert_array_equal(sorted(sent), x)


class RecordingEngine:
    """Notes the bytes of all that is put on the device, and how many chunks are computed at a time."""

    def __init__(self):
        self.sizes = []
        self.under_way = self.most_under_way = 0

    def put(self, arrays):
        self.sizes.append(sum(array.nbytes for array in arrays))
        return arrays

    def train(self, arrays, rows, first_step, seed):
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)

    def test(self, arrays, rows):
        self.train(arrays, rows, 0, 0)

    def wait(self):
        self.under_way = 0


class NoModel:
    """What an engine trains, where only the data matters."""

    def reset_metrics(self):
        pass

    def get_metrics_result(self):
        return {}


@pytest.mark.parametrize(
    ("training_steps", "validation_steps", "resident"),
    [
        (60, 40, 2),  # both fit
        (500, 30, 1),  # the validation data stays, training takes what it leaves
        (30, 500, 1),  # and the other way round
        (500, 500, 0),
        (200, 60, 0),
    ],
)
def test_training_and_validation_data_share_the_room_on_the_device(
    training_steps, validation_steps, resident
):
    step_bytes, room = 16, 100 * 16
    data = [(np.zeros(steps * step_bytes, np.uint8),) for steps in (training_steps, validation_steps)]
    engine = RecordingEngine()
    epochs = CompiledEpochs(NoModel(), engine, *data, (step_bytes, step_bytes), room, seed=0, shuffle=True)
    assert len(engine.sizes) == resident
    stays = sum(engine.sizes)
    for run, steps in ((lambda: epochs.train(0), training_steps), (epochs.validate, validation_steps)):
        engine.sizes.clear()
        run()
        assert sum(engine.sizes) in (0, steps * step_bytes)
        assert stays + max(engine.sizes, default=0) <= room
        assert len(engine.sizes) <= 12  # and none of the room lies idle
    assert engine.most_under_way == 1


@fused_only
def test_augmentation_runs_inside_the_program_with_a_new_key_every_step():
    images, labels = toy_data(64)

    def black_out(key, batch):
        return batch * 0

    model = dense_model()
    fit(model, images, labels, epochs=3, augment=black_out, verbose=0)
    kernel = model.get_weights()[0]
    np.testing.assert_array_equal(kernel, dense_model().get_weights()[0])  # black images move no weight there

    def add_noise(key, batch):
        if BACKEND == "jax":
            import jax

            noise = jax.random.randint(key, batch.shape, 0, 100)
            return (batch // 2 + noise.astype("uint8")).astype("uint8")
        import tensorflow as tf

        noise = tf.random.stateless_uniform(tf.shape(batch), key, 0, 100, tf.int32)
        return batch // 2 + tf.cast(noise, tf.uint8)

    results = []
    for chunk_bytes in (None, 64 * 33, None):
        model = dense_model()
        fit(model, images, labels, epochs=2, augment=add_noise, seed=9, chunk_bytes=chunk_bytes, verbose=0)
        results.append(model.get_weights()[0])
    np.testing.assert_array_equal(results[0], results[2])
    np.testing.assert_allclose(results[0], results[1], atol=1e-6)
    assert not np.allclose(results[0], dense_model().get_weights()[0])


@fused_only
def test_a_second_call_compiles_again_only_where_the_model_was_compiled_anew():
    images, labels = toy_data(64)
    traced = []

    def augment(key, batch):  # Python runs this only while the program is traced
        traced.append(len(batch))
        return batch

    model = dense_model()
    fit(model, images, labels, augment=augment, seed=1, verbose=0)
    once = len(traced)
    fit(model, images, labels, augment=augment, seed=2, verbose=0)
    assert len(traced) == once > 0
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    fit(model, images, labels, augment=augment, verbose=0)
    assert len(traced) > once


def test_early_stopping_restores_the_best_weights():
    images, labels = toy_data()
    wrong = (images, (labels + 1) % 4)  # learning makes this validation loss rise
    callback = keras.callbacks.EarlyStopping("val_loss", patience=2, restore_best_weights=True)
    model = dense_model()
    history = fit(model, images, labels, epochs=30, validation_data=wrong, callbacks=[callback], verbose=0)
    losses = history.history["val_loss"]
    assert len(losses) == np.argmin(losses) + 3
    assert model.evaluate(*wrong, verbose=0)[0] == pytest.approx(min(losses), abs=1e-4)


def test_a_plateau_lowers_the_learning_rate():
    images, labels = toy_data()
    wrong = (images, (labels + 1) % 4)
    callback = keras.callbacks.ReduceLROnPlateau("val_loss", factor=0.1, patience=1, min_delta=0)
    model = dense_model()
    history = fit(model, images, labels, epochs=6, validation_data=wrong, callbacks=[callback], verbose=0)
    assert float(model.optimizer.learning_rate) < 1e-3
    assert history.history["learning_rate"][0] == pytest.approx(1e-3)


def test_checkpoints_csv_log_and_lambda_callbacks_see_every_epoch(tmp_path):
    images, labels = toy_data()
    seen = []
    model = dense_model()
    callbacks = [
        keras.callbacks.ModelCheckpoint(tmp_path / "{epoch}.weights.h5", save_weights_only=True),
        keras.callbacks.CSVLogger(tmp_path / "log.csv"),
        keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append((epoch, logs["loss"]))),
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # nothing goes to model.fit
        history = fit(model, images, labels, epochs=3, callbacks=callbacks, verbose=0)
    assert seen == list(enumerate(history.history["loss"]))
    assert len((tmp_path / "log.csv").read_text().splitlines()) == 4
    last = dense_model()
    last.optimizer.build(last.trainable_variables)
    last.load_weights(tmp_path / "3.weights.h5")
    np.testing.assert_array_equal(last.get_weights()[0], model.get_weights()[0])
    assert sorted(path.name for path in tmp_path.glob("*.h5")) == [f"{i}.weights.h5" for i in (1, 2, 3)]


def test_tensorboard_writes_its_logs(tmp_path):
    pytest.importorskip("tensorboard", reason="Keras' TensorBoard callback writes through it")
    images, labels = toy_data()
    callback = keras.callbacks.TensorBoard(tmp_path, histogram_freq=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        fit(dense_model(), images, labels, epochs=2, validation_split=0.2, callbacks=[callback], verbose=0)
    written = {path.parent.name: path.stat().st_size for path in tmp_path.rglob("events*")}
    assert set(written) == {"train", "validation"}
    assert all(size > 300 for size in written.values())


def test_training_goes_on_from_an_initial_epoch():
    images, labels = toy_data()
    whole, parts = dense_model(), dense_model()
    fit(whole, images, labels, epochs=4, seed=3, verbose=0)
    fit(parts, images, labels, epochs=2, seed=3, verbose=0)
    history = fit(parts, images, labels, epochs=4, initial_epoch=2, seed=3, verbose=0)
    assert history.epoch == [2, 3]
    assert_same(whole, parts, atol=0)


def test_datasets_are_taken_where_arrays_are():
    images = np.zeros((20, 28, 28), np.uint8)
    dataset = Dataset(images, np.arange(20, dtype=np.uint8) % 10, "zeros")
    model = keras.Sequential(
        [keras.Input((28, 28), dtype="uint8"), keras.layers.Flatten(), keras.layers.Dense(10)]
    )
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    history = fit(model, dataset, epochs=1, validation_data=dataset, verbose=0)
    assert set(history.history) == {"loss", "val_loss"}


@fused_only
def test_a_callback_on_every_batch_goes_to_model_fit_with_a_warning():
    images, labels = toy_data()
    batches = []
    callback = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: batches.append(batch))
    with pytest.warns(UserWarning, match="LambdaCallback acts on every batch"):
        fit(dense_model(), images, labels, epochs=1, callbacks=[callback], verbose=0)
    assert batches == [0, 1, 2, 3, 4]


@fused_only
def test_a_generator_goes_to_model_fit_with_a_warning_and_cannot_be_augmented():
    images, labels = toy_data()

    def generate():
        while True:
            yield images[:32], labels[:32]

    with pytest.warns(UserWarning, match="not arrays in memory"):
        fit(dense_model(), generate(), epochs=1, steps_per_epoch=2, shuffle=False, verbose=0)
    with pytest.raises(ValueError, match="augment works only where epochs are compiled"):
        fit(dense_model(), generate(), steps_per_epoch=2, augment=lambda key, x: x, verbose=0)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.zeros((3, 8, 8)), np.zeros(4), "same number|cardinality"),
        (np.zeros((0, 8, 8)), np.zeros(0), "at least one|[Ee]mpty|batch"),
    ],
)
@fused_only
def test_data_that_does_not_fit_together_is_refused(x, y, message):
    with pytest.raises(ValueError, match=message):
        fit(dense_model(), x, y, verbose=0)


def test_a_model_that_is_not_compiled_is_refused():
    model = keras.Sequential([keras.Input((8, 8)), keras.layers.Flatten(), keras.layers.Dense(4)])
    with pytest.raises(ValueError, match="must be compiled"):
        fit(model, *toy_data())


@fused_only
def test_class_weight_together_with_sample_weight_is_refused_as_in_model_fit():
    images, labels = toy_data()
    with pytest.raises(ValueError, match="cannot be given together"):
        fit(dense_model(), images, labels, class_weight={0: 2.0}, sample_weight=np.ones(150), verbose=0)


@fused_only
def test_ctrl_c_finishes_the_epoch_and_ends_the_training():
    images, labels = toy_data()

    def interrupt(epoch, logs):
        if epoch == 1:
            os.kill(os.getpid(), signal.SIGINT)

    callback = keras.callbacks.LambdaCallback(on_epoch_begin=interrupt)
    usual = signal.getsignal(signal.SIGINT)
    model = dense_model()
    history = fit(model, images, labels, epochs=10, callbacks=[callback], verbose=0)
    assert history.epoch == [0, 1]
    assert model.stop_training
    assert signal.getsignal(signal.SIGINT) is usual


def test_fit_works_in_a_thread():
    images, labels = toy_data()
    result = []
    thread = threading.Thread(target=lambda: result.append(fit(dense_model(), images, labels, verbose=0)))
    thread.start()
    thread.join()
    assert len(result[0].epoch) == 1


@fused_only
def test_progress_is_one_plain_line_an_epoch_when_piped(capsys):
    images, labels = toy_data()
    fit(dense_model(), images, labels, epochs=2, validation_split=0.2, verbose=2)
    captured = capsys.readouterr()
    lines = captured.err.splitlines()
    assert captured.out == ""
    assert len(lines) == 2
    for word in ("epoch 1/2", "loss", "accuracy", "val_loss", "val_accuracy", "images/s", "left"):
        assert word in lines[0]

"""Recipes: every setting of a training as one small value, with names for the good ones."""

from __future__ import annotations

import numbers
from dataclasses import dataclass, fields, replace
from typing import Any

from mnistry.augmentation import Augmentation
from mnistry.errors import ModelError

WARM_UP = 0.2  # of the steps of a one-cycle schedule, in which the learning rate rises
SCHEDULES = ("constant", "one-cycle")
NO_AUGMENTATION = Augmentation()
# Type of a setting -> what it may be given as, and that in words.
_TAKEN: dict[type, tuple[type, str]] = {
    str: (str, "text"),
    int: (numbers.Integral, "a whole number"),
    float: (numbers.Real, "a number"),
    Augmentation: (Augmentation, "an Augmentation"),
}


@dataclass(frozen=True)
class Config:
    """Every setting of a training; the defaults are the classic recipe.

    Attributes:
        model: a name in `mnistry.models.MODELS`, or "file.py:function".
        data: "mnist", or a path that `mnistry.load_data` takes.
        epochs: passes over the training images.
        batch_size: images a step.
        learning_rate: of Adam; with the schedule "one-cycle" its highest value.
        validation: share of the training images, 0..1, kept apart to validate on: the last ones.
        seed: of the first weights, the order, dropout, augmentation and any split.
        schedule: "constant", or "one-cycle": the learning rate rises from 0 over the first fifth of the
            steps and falls to 0 as a cosine (Smith and Topin 2017, "Super-convergence").
        beta_2: of Adam, the memory of its second moment.
        weight_decay: decoupled (AdamW; Loshchilov and Hutter 2017), of kernels only.
        label_smoothing: share of the truth, 0..1, spread evenly over all classes.
        ema: momentum of an average of the weights over the steps, which becomes the model; 0 for none.
        augmentation: random changes of the training images.

    Raises:
        ValueError: a setting is out of its range.
        TypeError: a setting is of another type.
    """

    model: str = "mlp"
    data: str = "mnist"
    epochs: int = 20
    batch_size: int = 32
    learning_rate: float = 1e-3
    validation: float = 0.2
    seed: int = 0
    schedule: str = "constant"
    beta_2: float = 0.999
    weight_decay: float = 0.0
    label_smoothing: float = 0.0
    ema: float = 0.0
    augmentation: Augmentation = NO_AUGMENTATION

    def __post_init__(self) -> None:
        if isinstance(self.augmentation, dict):  # as JSON has it
            object.__setattr__(self, "augmentation", Augmentation(**self.augmentation))
        for item in fields(self):
            value, kind = getattr(self, item.name), type(getattr(Config, item.name))
            taken, expected = _TAKEN[kind]
            if not isinstance(value, taken) or isinstance(value, bool):
                raise TypeError(f"{item.name} must be {expected}, received {value!r}")
            if not isinstance(value, (kind, int)):  # one of NumPy's, which JSON would not take
                object.__setattr__(self, item.name, kind(value))
        if self.epochs < 1:
            raise ValueError(f"epochs must be at least 1, received {self.epochs}")
        if self.batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, received {self.batch_size}")
        if not self.learning_rate > 0:
            raise ValueError(f"learning_rate must be positive, received {self.learning_rate}")
        if not self.weight_decay >= 0:
            raise ValueError(f"weight_decay must be at least 0, received {self.weight_decay}")
        for name in ("validation", "beta_2", "label_smoothing", "ema"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be from 0 to below 1, received {getattr(self, name)}")
        if not 0 <= self.seed < 2**31:
            raise ValueError(f"seed must be from 0 to {2**31 - 1}, received {self.seed}")
        if self.schedule not in SCHEDULES:
            raise ValueError(f"schedule must be one of {', '.join(SCHEDULES)}, received {self.schedule!r}")

    @property
    def augments(self) -> bool:
        """Whether training images are changed at all."""
        return self.augmentation != NO_AUGMENTATION


RECIPES: dict[str, Config] = {
    "classic": Config(),
    "fast": Config(
        model="small_convnet",
        epochs=2,
        batch_size=128,
        learning_rate=0.02,
        schedule="one-cycle",
        beta_2=0.99,
        weight_decay=0.01,
        label_smoothing=0.1,
        augmentation=Augmentation(shift_px=1),
    ),
    "better": Config(
        model="medium_convnet",
        epochs=5,
        batch_size=128,
        learning_rate=0.012,
        schedule="one-cycle",
        beta_2=0.99,
        weight_decay=0.02,
        label_smoothing=0.1,
        augmentation=Augmentation(rotation_deg=10, scale=0.1, shear=0.15, shift_px=2),
    ),
    "augmented": Config(  # the classic network, with all that a training can do for it
        epochs=100,
        batch_size=128,
        learning_rate=0.005,
        schedule="one-cycle",
        beta_2=0.99,
        label_smoothing=0.05,
        augmentation=Augmentation(rotation_deg=7, scale=0.07, shear=0.1, shift_px=1, elastic_px=0.5),
    ),
    "tiny": Config(
        model="tiny",
        epochs=40,
        validation=1 / 12,
        batch_size=128,
        learning_rate=0.02,
        schedule="one-cycle",
        beta_2=0.99,
        label_smoothing=0.02,
        augmentation=Augmentation(rotation_deg=8, scale=0.08, shear=0.12, shift_px=1.5, elastic_px=0.3),
    ),
    "best": Config(
        model="convnet",
        epochs=30,
        validation=1 / 12,
        batch_size=128,
        learning_rate=0.012,
        schedule="one-cycle",
        beta_2=0.99,
        weight_decay=0.02,
        label_smoothing=0.1,
        ema=0.998,
        augmentation=Augmentation(rotation_deg=11.5, scale=0.12, shear=0.18, shift_px=2, elastic_px=0.4),
    ),
}


def find_recipe(name: str, **changes: Any) -> Config:
    """The recipe of this name with the settings in `changes` in place of its own.

    Raises:
        ModelError: there is no such recipe.
        TypeError: there is no such setting, or it is of another type.
        ValueError: a setting is out of its range.
    """
    if name not in RECIPES:
        raise ModelError(f"unknown recipe {name!r}: known are {', '.join(RECIPES)}")
    settings = [item.name for item in fields(Config)]
    for setting in changes:
        if setting not in settings:
            raise TypeError(f"there is no setting {setting!r}: there are {', '.join(settings)}")
    return replace(RECIPES[name], **changes)


def make_optimizer(config: Config, steps: int) -> Any:
    """The `keras.optimizers.Optimizer` of a recipe for a training of so many steps."""
    import keras

    rate: Any = config.learning_rate
    if config.schedule == "one-cycle":
        rise = max(1, int(steps * WARM_UP))
        rate = keras.optimizers.schedules.CosineDecay(
            0.0, max(1, steps - rise), warmup_target=config.learning_rate, warmup_steps=rise
        )
    average = {"use_ema": True, "ema_momentum": config.ema} if config.ema else {}
    if not config.weight_decay:
        return keras.optimizers.Adam(rate, beta_2=config.beta_2, **average)
    optimizer = keras.optimizers.AdamW(rate, config.weight_decay, beta_2=config.beta_2, **average)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer


def make_loss(config: Config, num_classes: int) -> Any:
    """Cross-entropy of logits and integer labels, with the recipe's label smoothing."""
    import keras

    if not config.label_smoothing:
        return keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    dense = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=config.label_smoothing)

    def smoothed_crossentropy(labels: Any, logits: Any) -> Any:
        return dense(keras.ops.one_hot(keras.ops.cast(labels, "int32"), num_classes), logits)

    return smoothed_crossentropy

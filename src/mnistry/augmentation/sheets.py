"""What an augmentation does, as rows of images to look at."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnistry.augmentation.draws import Augmentation, make_key


def contact_sheet(
    images: NDArray[np.uint8], augmentation: Augmentation, seed: int = 0, columns: int = 10
) -> dict[str, NDArray[np.uint8]]:
    """What an augmentation does: a row of images for each of its transforms alone, and one for all together.

    Args:
        images: (n, 28, 28) uint8, at least one; row i shows image i, in turn where there are more rows.
        augmentation: the strengths.
        seed: of the changes.
        columns: images a row, at least 1; the first is the unchanged one.

    Returns:
        Caption, such as "rotation 12 deg", to (columns, 28, 28) uint8.

    Raises:
        ValueError: the images have another shape, or Keras runs on a back end that cannot augment.
    """
    import keras

    used = {name: value for name, value in augmentation.to_dict().items() if value}
    smoothness = used.pop("elastic_smoothness_px")
    alone = {
        _caption(name, value): Augmentation(**{name: value}, elastic_smoothness_px=smoothness)
        for name, value in used.items()
    }
    rows = alone if len(alone) == 1 else {**alone, "all together": augmentation}
    unchanged = [
        np.repeat(images[number % len(images)][None], columns, axis=0) for number in range(len(rows))
    ]

    def change(key: Any) -> list[Any]:
        return [row(key, images) for row, images in zip(rows.values(), unchanged, strict=True)]

    if keras.backend.backend() == "jax":  # one compilation instead of one for every operation
        import jax

        change = jax.jit(change)
    changed = [keras.ops.convert_to_numpy(images) for images in change(make_key(seed))]
    return {
        caption: np.concatenate([before[:1], after[1:]])
        for caption, before, after in zip(rows, unchanged, changed, strict=True)
    }


def _caption(name: str, value: float) -> str:
    transform, _, unit = name.partition("_")
    return f"{transform} {value:g} {unit}".rstrip()

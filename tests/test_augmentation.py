"""The transforms against NumPy and SciPy, on whichever back end Keras runs."""

from __future__ import annotations

import dataclasses

import keras
import numpy as np
import pytest
from scipy import ndimage

from mnistry import augmentation as module
from mnistry.augmentation import Augmentation, contact_sheet, elastic_basis, make_key
from mnistry.fitting import fit

BACKEND = keras.backend.backend()
if BACKEND == "torch":
    pytest.skip("augmentation needs a back end that compiles", allow_module_level=True)

EVERYTHING = Augmentation(
    rotation_deg=12, scale=0.12, shear=0.18, shift_px=2, elastic_px=1, stroke_px=1, erase_px=8
)
NEUTRAL = {
    "rotation_deg": np.zeros(3, np.float32),
    "scale": np.ones((3, 2), np.float32),
    "shear": np.zeros(3, np.float32),
    "shift_px": np.zeros((3, 2), np.float32),
}


@pytest.fixture
def images():
    """Three images of noise, up to the border."""
    return np.random.default_rng(0).integers(0, 256, (3, 28, 28), dtype=np.uint8)


def stroke(width=4, n=1, soft=False):
    """Upright strokes in the middle of the image; a soft one rises to full ink over three pixels."""
    image = np.zeros((n, 28, 28), np.uint8)
    image[:, 4:24, 14 - width // 2 : 14 + width // 2] = 255
    if soft:
        image = ndimage.uniform_filter(image.astype(float), (0, 3, 3)).round().astype(np.uint8)
    return image


def tensors(*arrays):
    return [keras.ops.convert_to_tensor(array) for array in arrays]


def warp(images, **changes):
    """`warp` with the values given for every image, and neutral ones for the rest."""
    values = dict(NEUTRAL)
    for name, value in changes.items():
        values[name] = np.broadcast_to(np.float32(value), values.get(name, np.asarray(value)).shape)
    field = changes.get("elastic_field")
    values = {name: tensors(value)[0] for name, value in values.items() if name != "elastic_field"}
    return as_array(module.warp(*tensors(images), **values, elastic_field=field))


def as_array(tensor):
    array = keras.ops.convert_to_numpy(tensor)
    assert array.dtype == np.uint8
    return array


def change(augmentation, images, seed=0):
    if BACKEND == "jax":
        import jax

        augmentation = jax.jit(augmentation)  # faster than to compile each operation by itself
    return as_array(augmentation(make_key(seed), images))


def centres_of_mass(images):
    return np.array([ndimage.center_of_mass(image.astype(float)) for image in images])


def test_zero_strength_changes_nothing(images):
    np.testing.assert_array_equal(change(Augmentation(), images), images)


def test_neutral_values_change_nothing(images):
    np.testing.assert_array_equal(warp(images), images)
    zeros = tensors(images, np.zeros(3, np.float32))
    np.testing.assert_array_equal(as_array(module.change_stroke(*zeros)), images)


@pytest.mark.parametrize("quarters", [1, -1, 2])
def test_a_rotation_by_right_angles_is_that_of_numpy(images, quarters):
    turned = warp(images, rotation_deg=90 * quarters).astype(int)
    # Sine and cosine are off by 1e-7, hence a gray level at most.
    assert np.abs(turned - np.rot90(images, quarters, axes=(1, 2))).max() <= 1


def test_a_shift_moves_down_and_to_the_right(images):
    expected = np.zeros_like(images)
    expected[:, 2:, :-3] = images[:, :-2, 3:]
    np.testing.assert_array_equal(warp(images, shift_px=(2, -3)), expected)
    shift = np.full((3, 2), (2, -3), np.float32)
    np.testing.assert_array_equal(as_array(module.move(*tensors(images, shift), 4)), expected)


def test_a_positive_shear_slants_to_the_right():
    slanted = warp(stroke(n=3), shear=0.4)[0]
    assert centres_of_mass([slanted[4:8]])[0, 1] == pytest.approx(13.5 + 0.4 * 8, abs=0.1)
    assert centres_of_mass([slanted[20:24]])[0, 1] == pytest.approx(13.5 - 0.4 * 8, abs=0.1)


def test_a_scale_changes_height_and_width():
    before = stroke(n=3, soft=True)[0] / 255
    after = warp(stroke(n=3, soft=True), scale=(0.5, 2))[0] / 255
    assert after.sum(axis=0).max() == pytest.approx(0.5 * before.sum(axis=0).max(), rel=0.03)
    assert after.sum(axis=1).max() == pytest.approx(2 * before.sum(axis=1).max(), rel=0.03)


def test_warp_agrees_with_scipy_for_values_of_their_own_for_each_image(images):
    rng = np.random.default_rng(1)
    angles, shears = rng.uniform(-40, 40, 3), rng.uniform(-0.4, 0.4, 3)
    scales, shifts = rng.uniform(0.7, 1.4, (3, 2)), rng.uniform(-4, 4, (3, 2))
    ours = warp(images, rotation_deg=angles, scale=scales, shear=shears, shift_px=shifts).astype(int)
    centre = np.array([13.5, 13.5])
    for image, result, degrees, scale, shear, shift in zip(
        images, ours, angles, scales, shears, shifts, strict=True
    ):
        angle = np.deg2rad(degrees)
        # In (row, column); rows go down, so counter-clockwise is the other way round.
        rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        inverse = np.linalg.inv(rotation @ np.array([[1, 0], [-shear, 1]]) @ np.diag(scale))
        theirs = ndimage.affine_transform(
            image.astype(float), inverse, centre - inverse @ (centre + shift), order=1, mode="grid-constant"
        )
        assert np.abs(result - theirs).max() < 0.6  # rounding, and float32


def test_sampling_agrees_with_scipy_far_outside_too(images):
    places = np.random.default_rng(2).uniform(-40, 70, (2, 3, 28, 28)).astype(np.float32)
    places[:, :2] = np.random.default_rng(3).uniform(-2, 29, (2, 2, 28, 28))
    ours = as_array(module.sample(*tensors(images, *places))).astype(int)
    for image, result, rows, columns in zip(images, ours, *places, strict=True):
        theirs = ndimage.map_coordinates(image.astype(float), [rows, columns], order=1, mode="grid-constant")
        assert np.abs(result - theirs).max() < 0.51


def test_elastic_displacements_have_the_deviation_and_the_smoothness_asked_for():
    field = elastic_basis(4.0)
    np.testing.assert_allclose((field**2).sum(axis=0), 1, rtol=1e-5)
    correlation = (field.T @ field).reshape(28, 28, 28, 28)
    # White noise smoothed by a Gaussian of deviation s is correlated by exp(-distance^2 / 4 s^2).
    for distance in (1, 4, 8):
        expected = np.exp(-(distance**2) / (4 * 4.0**2))
        np.testing.assert_allclose(correlation[14, 5, 14, 5 + distance], expected, atol=0.03)
        np.testing.assert_allclose(correlation[9, 20, 9 + distance, 20], expected, atol=0.03)


def test_an_elastic_displacement_moves_rows_and_columns_by_its_field(images):
    field = elastic_basis(5.0)
    weights = np.random.default_rng(4).normal(size=(3, 2, len(field))).astype(np.float32)
    ours = warp(images, elastic_px=weights.reshape(3, -1), elastic_field=field).astype(int)
    rows, columns = np.indices((28, 28))
    for image, result, (down, right) in zip(images, ours, weights @ field, strict=True):
        places = [rows + down.reshape(28, 28), columns + right.reshape(28, 28)]
        theirs = ndimage.map_coordinates(image.astype(float), places, order=1, mode="grid-constant")
        assert np.abs(result - theirs).max() < 0.6


@pytest.mark.parametrize("width_px", [-1, -0.4, 0.4, 1])
def test_a_stroke_becomes_wider_or_thinner_by_about_the_pixels_asked_for(width_px):
    before = stroke(6, soft=True)
    after = as_array(module.change_stroke(*tensors(before, np.array([width_px], np.float32))))
    change_px = (after[0, 14].astype(float) - before[0, 14]).sum() / 255
    assert 0.7 < change_px / width_px <= 1.01


def test_thinner_strokes_stay_dark_in_the_middle():
    after = as_array(module.change_stroke(*tensors(stroke(4), np.array([-1], np.float32))))
    assert after[0, 14, 13] == 255


def test_ink_stays_within_its_range_for_strong_strokes(images):
    """Overflow would turn black into white."""
    ink = images.astype(int)
    for width_px in (-2, 2):
        after = as_array(module.change_stroke(*tensors(images, np.full(3, width_px, np.float32)))).astype(int)
        assert np.all((after - ink) * width_px >= 0)


def test_an_erased_rectangle_is_zero_and_the_rest_unchanged(images):
    images = np.maximum(images, 1)
    centres = np.array([(10, 12), (0, 28), (14, 14)], np.float32)
    sides = np.array([(4, 6), (10, 6), (0, 9)], np.float32)
    expected = images.copy()
    expected[0, 8:12, 9:15] = 0
    expected[1, :5, 25:] = 0
    np.testing.assert_array_equal(as_array(module.erase(*tensors(images, centres, sides))), expected)


def test_erasing_takes_rectangles_of_every_size_up_to_the_longest_side():
    white = np.full((600, 28, 28), 255, np.uint8)
    erased = change(Augmentation(erase_px=8), white) == 0
    heights, widths = erased.any(axis=2).sum(axis=1), erased.any(axis=1).sum(axis=1)
    np.testing.assert_array_equal(erased.sum(axis=(1, 2)), heights * widths)
    assert set(heights) == set(widths) == set(range(9))


@pytest.mark.parametrize("extra", [{}, {"rotation_deg": 1e-3}], ids=["whole pixels", "any way"])
def test_a_shift_moves_the_centre_of_mass_by_at_most_the_bound_and_up_to_it(extra):
    images = stroke(n=300)
    moved = centres_of_mass(change(Augmentation(shift_px=3, **extra), images)) - centres_of_mass(images)
    assert np.abs(moved).max() <= 3.01
    np.testing.assert_allclose(moved.min(axis=0), -3, atol=0.1)
    np.testing.assert_allclose(moved.max(axis=0), 3, atol=0.1)
    assert abs(np.corrcoef(moved.T)[0, 1]) < 0.15


def test_a_shift_alone_is_by_whole_pixels_all_equally_often():
    moved = centres_of_mass(change(Augmentation(shift_px=2), stroke(n=2000))) - (13.5, 13.5)
    for direction in moved.T:
        ways, counts = np.unique(direction, return_counts=True)
        np.testing.assert_array_equal(ways, [-2, -1, 0, 1, 2])
        assert counts.min() > 310  # of 400; the deviation is 18


def test_a_shift_by_a_fraction_is_not_rounded():
    moved = centres_of_mass(change(Augmentation(shift_px=0.5), stroke(n=200))) - (13.5, 13.5)
    assert len(np.unique(moved[:, 1].round(3))) > 50
    assert 0.4 < np.abs(moved).max() <= 0.51


def test_the_same_key_gives_the_same_images_and_another_key_others():
    images = stroke(n=5)
    first = change(EVERYTHING, images, seed=1)
    np.testing.assert_array_equal(first, change(EVERYTHING, images, seed=1))
    assert np.all(np.any(first != change(EVERYTHING, images, seed=2), axis=(1, 2)))
    assert len(np.unique(first, axis=0)) == 5  # each image is changed by itself


@pytest.mark.parametrize(
    "name", [field.name for field in dataclasses.fields(Augmentation) if "smoothness" not in field.name]
)
def test_each_transform_acts_by_itself(name):
    images = stroke(n=100)
    changed = change(Augmentation(**{name: getattr(EVERYTHING, name)}), images)
    assert np.any(changed != images, axis=(1, 2)).mean() > 0.1
    # None of them loses or invents much ink.
    assert changed.mean() == pytest.approx(images.mean(), rel=0.15)


def test_float_images_are_rounded(images):
    floats = images + np.random.default_rng(5).uniform(-0.4, 0.4, images.shape).astype(np.float32)
    np.testing.assert_array_equal(change(Augmentation(), floats), images)


def test_an_augmentation_is_a_value():
    again = Augmentation(**EVERYTHING.to_dict())
    assert again == EVERYTHING
    assert hash(again) == hash(EVERYTHING)
    assert again != Augmentation()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rotation_deg", -1),
        ("shear", float("nan")),
        ("scale", 1),
        ("stroke_px", 3),
        ("elastic_smoothness_px", 0),
    ],
)
def test_an_impossible_strength_is_refused_by_name(name, value):
    with pytest.raises(ValueError, match=rf"{name} must be .*, received {value}"):
        Augmentation(**{name: value})


def test_images_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"shape \(2, 32, 32\), expected \(n, 28, 28\)"):
        Augmentation()(make_key(0), np.zeros((2, 32, 32), np.uint8))


def small_model():
    keras.utils.set_random_seed(3)
    model = keras.Sequential(
        [
            keras.Input((28, 28), dtype="uint8"),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Flatten(),
            keras.layers.Dense(2),
        ]
    )
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def test_fit_trains_with_it_inside_the_compiled_epoch():
    images = np.concatenate([stroke(4, 35), stroke(10, 35)])
    labels = np.repeat([0, 1], 35)

    def weights(augmentation):
        model = small_model()
        history = fit(model, images, labels, 35, augment=augmentation, seed=4, verbose=0)
        assert np.isfinite(history.history["loss"][0])
        return model.get_weights()[0]

    plain = weights(None)
    np.testing.assert_array_equal(weights(Augmentation()), plain)
    augmented = weights(EVERYTHING)
    assert np.abs(augmented - plain).max() > 1e-4


def test_a_contact_sheet_has_a_row_for_each_transform_and_begins_with_the_image():
    images = np.concatenate([stroke(4), stroke(8)])
    sheet = contact_sheet(images, Augmentation(rotation_deg=12, stroke_px=0.5), columns=4)
    assert list(sheet) == ["rotation 12 deg", "stroke 0.5 px", "all together"]
    for number, row in enumerate(sheet.values()):
        assert row.shape == (4, 28, 28)
        assert row.dtype == np.uint8
        np.testing.assert_array_equal(row[0], images[number % 2])
        assert np.all(np.any(row[1:] != row[0], axis=(1, 2)))
    assert list(contact_sheet(images, Augmentation(shear=0.1))) == ["shear 0.1"]

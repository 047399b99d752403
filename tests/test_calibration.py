"""Calibration keeps its promises on fresh images, and agrees with SciPy and the package crepes."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnistry import calibration, metrics
from mnistry.calibration import Calibration
from mnistry.errors import ModelError

CLASSES = 10


def draw(n: int, rng: np.random.Generator, *, sure: float = 6.0) -> tuple[np.ndarray, np.ndarray]:
    """Labels and logits of a perfectly calibrated classifier: each label is drawn from its softmax."""
    logits = rng.normal(0, 1.5, (n, CLASSES)) + sure * np.eye(CLASSES)[rng.integers(0, CLASSES, n)]
    return (logits + rng.gumbel(size=logits.shape)).argmax(axis=1).astype(np.uint8), logits


def separate(n: int, gap: float) -> tuple[np.ndarray, np.ndarray]:
    labels = np.arange(n) % CLASSES
    return labels, gap * np.eye(CLASSES)[labels]


# --- temperature


@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.5, 20.0])
def test_temperature_recovers_the_one_the_logits_were_multiplied_by(temperature: float) -> None:
    labels, logits = draw(10_000, np.random.default_rng(1))
    assert calibration.fit_temperature(labels, temperature * logits) == pytest.approx(temperature, rel=0.04)


def test_temperature_agrees_with_a_minimiser_of_scipy() -> None:
    from scipy.optimize import minimize_scalar

    labels, logits = draw(2000, np.random.default_rng(2), sure=4)
    logits *= 1.7

    def loss(log_temperature: float) -> float:
        return metrics.nll(labels, logits / math.exp(log_temperature))

    expected = math.exp(minimize_scalar(loss, bounds=(-3, 3), method="bounded", options={"xatol": 1e-9}).x)
    assert calibration.fit_temperature(labels, logits) == pytest.approx(expected, rel=1e-5)


def test_temperature_leaves_accuracy_unchanged() -> None:
    labels, logits = draw(5000, np.random.default_rng(3), sure=3)
    for scale in (0.2, 5.0):
        temperature = calibration.fit_temperature(labels, scale * logits)
        scaled = metrics.softmax(scale * logits / temperature)
        np.testing.assert_array_equal(scaled.argmax(axis=1), logits.argmax(axis=1))


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(1, 60), st.floats(0.001, 1000), st.floats(0, 8))
def test_temperature_never_raises_the_nll(seed: int, n: int, scale: float, sure: float) -> None:
    labels, logits = draw(n, np.random.default_rng(seed), sure=sure)
    logits *= scale
    temperature = calibration.fit_temperature(labels, logits)
    assert 0.01 <= temperature <= 100
    before = metrics.nll(labels, logits)
    assert metrics.nll(labels, logits / temperature) <= before * (1 + 1e-12)


@pytest.mark.parametrize("n", [20, 1000])
def test_temperature_without_a_mistake_claims_no_more_than_n_images_can_show(n: int) -> None:
    labels, logits = separate(n, 2.0)
    temperature = calibration.fit_temperature(labels, logits)
    assert temperature < 1
    confidence = metrics.softmax(logits / temperature).max(axis=1).mean()
    assert confidence == pytest.approx((n + 1) / (n + 2))


@pytest.mark.parametrize("gap", [20.0, 1e5, 1e30])
def test_temperature_leaves_logits_alone_that_are_sure_and_right(gap: float) -> None:
    assert calibration.fit_temperature(*separate(50, gap)) == pytest.approx(1)


def test_temperature_of_logits_that_say_nothing() -> None:
    assert calibration.fit_temperature([0, 1, 2], np.ones((3, 3))) == 1
    # Always wrong: the least harm is done by believing nothing.
    labels, logits = separate(50, 5.0)
    assert calibration.fit_temperature((labels + 1) % CLASSES, logits) == pytest.approx(100)


def test_temperature_refuses_logits_that_are_not_finite() -> None:
    for number in (math.nan, math.inf):
        with pytest.raises(ValueError, match="finite"):
            calibration.fit_temperature([0, 1], [[1.0, 0.0], [number, 0.0]])
    with pytest.raises(ValueError, match="labels must have shape"):
        calibration.fit_temperature([0], np.zeros((2, 3)))


# --- expected calibration error


def test_ece_with_interval_gives_the_ece_inside_its_interval() -> None:
    rng = np.random.default_rng(4)
    for scale in (1.0, 1.1, 2.0):
        for n in (1, 30, 1000):
            labels, logits = draw(n, rng)
            probabilities = metrics.softmax(scale * logits)
            for bins in (1, 15):
                error, low, high = calibration.ece_with_interval(
                    labels, probabilities, rng=rng, bins=bins, resamples=50
                )
                assert error == metrics.ece(labels, probabilities, bins)
                assert 0 <= low <= error <= high <= 1


@pytest.mark.parametrize(("scale", "truth"), [(1.0, 0.0), (1.5, None)])
def test_ece_interval_holds_the_truth_about_as_often_as_promised(scale: float, truth: float | None) -> None:
    rng = np.random.default_rng(5)
    if truth is None:
        labels, logits = draw(500_000, rng, sure=4)
        truth = metrics.ece(labels, metrics.softmax(scale * logits))
        assert truth > 0.02
    hits = 0
    for _ in range(100):
        labels, logits = draw(1500, rng, sure=4)
        _, low, high = calibration.ece_with_interval(
            labels, metrics.softmax(scale * logits), rng=rng, resamples=150
        )
        hits += low <= truth <= high
    # 95 of 100 on paper. Plain percentiles of the resamples hold the truth 0 times at scale 1.
    assert hits >= 87


def test_ece_interval_shrinks_with_more_images_and_less_confidence() -> None:
    rng = np.random.default_rng(6)
    labels, logits = draw(20_000, rng, sure=4)
    probabilities = metrics.softmax(1.5 * logits)

    def width(n: int, confidence: float) -> float:
        _, low, high = calibration.ece_with_interval(
            labels[:n], probabilities[:n], rng=rng, confidence=confidence, resamples=200
        )
        return high - low

    # A standard error falls with the root of n: 6.3 for 40 times the images.
    assert 4 < width(500, 0.95) / width(20_000, 0.95) < 9
    assert width(20_000, 0.5) < width(20_000, 0.95)


def test_ece_interval_puts_an_upper_edge_inside_its_bin_as_the_ece_does() -> None:
    # 0.75 is the edge between two bins. Together, the gaps -0.75 and 0.2 would cancel in every resample.
    probabilities = np.repeat([[0.75, 0.25], [0.8, 0.2]], 200, axis=0)
    error, low, high = calibration.ece_with_interval(
        np.repeat([1, 0], 200), probabilities, rng=np.random.default_rng(8), bins=4, resamples=100
    )
    assert error == pytest.approx(0.475)
    assert 0.44 < low < error < high < 0.51


def test_ece_interval_is_a_function_of_the_seed() -> None:
    labels, logits = draw(300, np.random.default_rng(7))
    first, second = (
        calibration.ece_with_interval(
            labels, metrics.softmax(logits), rng=np.random.default_rng(1), resamples=20
        )
        for _ in range(2)
    )
    assert first == second


@pytest.mark.parametrize("wrong", [{"confidence": 1.0}, {"confidence": 95}, {"resamples": 0}, {"bins": 0}])
def test_ece_interval_refuses_impossible_arguments(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="expected"):
        calibration.ece_with_interval([0], [[0.5, 0.5]], rng=np.random.default_rng(), **wrong)


# --- reject threshold


def test_threshold_is_the_finite_sample_quantile() -> None:
    confidences = np.arange(1, 100) / 100  # 99 of them: 0.01 .. 0.99
    assert calibration.fit_threshold(confidences, 0.9) == 0.10  # the 90th largest
    assert calibration.fit_threshold(confidences, 0.07) == 0.93  # 0.07 * 100 is 7.000000000000001
    assert calibration.fit_threshold(confidences, 0.99) == 0.01
    assert calibration.fit_threshold(confidences, 0.995) == 0  # 99 images cannot promise that
    assert calibration.fit_threshold(confidences, 1) == 0


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=50), st.floats(0.01, 1))
def test_threshold_accepts_at_least_the_coverage_of_what_it_was_fitted_on(
    confidences: list[float], coverage: float
) -> None:
    threshold = calibration.fit_threshold(confidences, coverage)
    assert np.mean(np.array(confidences) >= threshold) >= coverage - 1e-9


def test_threshold_accepts_the_coverage_of_fresh_images() -> None:
    rng, n, coverage, repetitions = np.random.default_rng(8), 500, 0.95, 200
    accepted = []
    for _ in range(repetitions):
        fitted, fresh = (metrics.softmax(draw(n, rng)[1]).max(axis=1) for _ in range(2))
        accepted.append(np.mean(fresh >= calibration.fit_threshold(fitted, coverage)))
    expected = math.ceil((n + 1) * coverage) / (n + 1)
    # Two samples vary: the one the threshold comes from and the fresh one.
    standard_error = math.sqrt(2 * expected * (1 - expected) / (n * repetitions))
    assert abs(np.mean(accepted) - expected) < 4 * standard_error


@pytest.mark.parametrize("coverage", [0, -0.1, 1.01, 99])
def test_a_coverage_outside_0_to_1_is_refused(coverage: float) -> None:
    with pytest.raises(ValueError, match="coverage"):
        calibration.fit_threshold([0.5, 0.6], coverage)
    with pytest.raises(ValueError, match="coverage"):
        calibration.fit_conformal([0, 1], np.full((2, 2), 0.5), coverage)


@pytest.mark.parametrize("confidences", [[], [[0.5]], [0.5, 1.2], [0.5, math.nan]])
def test_threshold_refuses_what_are_no_confidences(confidences: list[float]) -> None:
    with pytest.raises(ValueError, match="confidences"):
        calibration.fit_threshold(confidences, 0.9)


def test_risk_coverage_worked_out_by_hand() -> None:
    thresholds, coverages, risks = calibration.risk_coverage(
        [1, 1, 1, 1, 1], [1, 1, 0, 1, 0], [0.9, 0.5, 0.5, 0.7, 0.2]
    )
    assert thresholds.tolist() == [0.9, 0.7, 0.5, 0.2]
    assert coverages.tolist() == [0.2, 0.4, 0.8, 1.0]
    assert risks.tolist() == [0, 0, 0.25, 0.4]


def test_risk_coverage_does_not_depend_on_the_order_of_the_images() -> None:
    rng = np.random.default_rng(9)
    labels, logits = draw(400, rng, sure=2)
    confidences = metrics.softmax(logits).max(axis=1).round(2)  # with ties
    predicted, order = logits.argmax(axis=1), rng.permutation(400)
    one = calibration.risk_coverage(labels, predicted, confidences)
    other = calibration.risk_coverage(labels[order], predicted[order], confidences[order])
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)
    assert one[2][-1] == pytest.approx(1 - metrics.accuracy(labels, predicted))


def test_risk_coverage_refuses_confidences_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match="2 numbers"):
        calibration.risk_coverage([0, 1], [0, 1], [0.5])
    with pytest.raises(ValueError, match=r"0\.\.1"):
        calibration.risk_coverage([0, 1], [0, 1], [0.5, 7.0])


# --- prediction sets


def test_prediction_sets_hold_the_true_class_of_fresh_images_class_by_class() -> None:
    rng, coverage, repetitions, n = np.random.default_rng(10), 0.9, 60, 1500
    held, images, least_images = np.zeros(CLASSES), np.zeros(CLASSES), math.inf
    for _ in range(repetitions):
        labels, logits = draw(n, rng, sure=3)
        logits[:, 3] += 1.5  # class 3 is favoured: one threshold for all would cover it more than the others
        thresholds = calibration.fit_conformal(labels, metrics.softmax(logits), coverage)
        least_images = min(least_images, np.bincount(labels).min())
        labels, logits = draw(n, rng, sure=3)
        logits[:, 3] += 1.5
        sets = calibration.prediction_sets(metrics.softmax(logits), thresholds)
        held += np.bincount(labels, weights=sets[np.arange(n), labels], minlength=CLASSES)
        images += np.bincount(labels, minlength=CLASSES)
    standard_error = np.sqrt(2 * coverage * (1 - coverage) / images)
    assert np.all(held / images > coverage - 4 * standard_error)
    assert np.all(held / images < coverage + 1 / (least_images + 1) + 4 * standard_error)


@pytest.mark.parametrize("coverage", [0.5, 0.9, 0.99])
def test_prediction_sets_agree_with_the_package_crepes(coverage: float) -> None:
    crepes = pytest.importorskip("crepes", reason="crepes is the oracle of the prediction sets")

    class Probabilities:
        """The images are already probabilities."""

        classes_ = np.arange(CLASSES)

        def predict_proba(self, rows: np.ndarray) -> np.ndarray:
            return rows

    rng = np.random.default_rng(11)
    labels, logits = draw(1000, rng, sure=3)
    fresh = metrics.softmax(draw(400, rng, sure=3)[1])
    peer = crepes.WrapClassifier(Probabilities())
    peer.calibrate(metrics.softmax(logits), labels, class_cond=True)
    p_values = peer.predict_p(fresh, smoothing=False)
    thresholds = calibration.fit_conformal(labels, metrics.softmax(logits), coverage)
    sets = calibration.prediction_sets(fresh, thresholds)
    # The definition is p > 1 - coverage. The package's own sets take p >= 1 - coverage, which is one image
    # more than needed where (n + 1) * (1 - coverage) is whole.
    np.testing.assert_array_equal(sets, p_values > 1 - coverage + 1e-12)
    assert 0 < sets.mean() < 1


def test_a_class_with_too_few_images_is_in_every_set() -> None:
    labels = np.array([0] * 9 + [1] * 8)
    probabilities = np.tile([0.7, 0.3, 0.0], (17, 1))
    thresholds = calibration.fit_conformal(labels, probabilities, 0.9)
    assert thresholds.tolist() == [0.7, 0, 0]  # 9 images can promise 0.9, 8 cannot, none cannot
    assert calibration.prediction_sets([[0.0, 1.0, 0.0]], thresholds).tolist() == [[False, True, True]]


def test_a_set_can_be_empty() -> None:
    assert not calibration.prediction_sets([[0.4, 0.6]], [0.7, 0.7]).any()


def test_prediction_sets_refuse_thresholds_of_other_classes() -> None:
    with pytest.raises(ValueError, match=r"thresholds \(classes,\)"):
        calibration.prediction_sets([[0.4, 0.6]], [0.7, 0.7, 0.7])
    with pytest.raises(ValueError, match=r"softmax\(logits\)"):
        calibration.fit_conformal([0, 1], [[3.0, 1.0], [2.0, 2.0]], 0.9)


# --- everything together


@pytest.fixture(scope="module")
def fitted() -> Calibration:
    labels, logits = draw(6000, np.random.default_rng(12))
    return calibration.fit_calibration(labels, (3 * logits).astype(np.float32), coverage=0.95)


def test_calibration_lowers_the_ece_also_of_fresh_images(fitted: Calibration) -> None:
    assert fitted.temperature == pytest.approx(3, rel=0.05)
    assert fitted.ece_after_interval[1] < fitted.ece_before_interval[0]
    labels, logits = draw(20_000, np.random.default_rng(13))
    before = metrics.ece(labels, metrics.softmax(3 * logits))
    after = metrics.ece(labels, fitted.apply(3 * logits))
    assert after < before / 4
    assert fitted.ece_before_interval[0] < before < fitted.ece_before_interval[1]


def test_calibration_keeps_its_coverage_on_fresh_images(fitted: Calibration) -> None:
    labels, logits = draw(20_000, np.random.default_rng(14))
    probabilities = fitted.apply(3 * logits)
    slack = 4 * math.sqrt(0.95 * 0.05 * (1 / 6000 + 1 / 20_000))
    assert np.mean(probabilities.max(axis=1) >= fitted.threshold) == pytest.approx(0.95, abs=slack)
    sets = calibration.prediction_sets(probabilities, fitted.conformal_thresholds)
    for c in range(CLASSES):
        assert sets[labels == c, c].mean() == pytest.approx(0.95, abs=slack * math.sqrt(CLASSES) + 1 / 500)


def test_calibration_is_the_sum_of_its_parts_and_of_the_seed_only_in_the_intervals() -> None:
    labels, logits = draw(800, np.random.default_rng(15), sure=3)
    one = calibration.fit_calibration(labels, logits, coverage=0.9)
    other = calibration.fit_calibration(labels, logits, coverage=0.9, seed=1)
    assert one == calibration.fit_calibration(labels, logits, coverage=0.9)
    assert one != other
    intervals = {"ece_before_interval": one.ece_before_interval, "ece_after_interval": one.ece_after_interval}
    assert dataclasses.replace(other, **intervals) == one
    assert one.temperature == calibration.fit_temperature(labels, logits)
    np.testing.assert_array_equal(one.apply(logits), metrics.softmax(logits / one.temperature))
    assert one.ece_before == metrics.ece(labels, metrics.softmax(logits))
    assert one.ece_after == metrics.ece(labels, one.apply(logits))
    assert one.n == 800


def test_calibration_survives_json_exactly(fitted: Calibration) -> None:
    assert Calibration.from_dict(json.loads(json.dumps(fitted.to_dict(), allow_nan=False))) == fitted
    assert Calibration.from_dict({**fitted.to_dict(), "of a later version": 1}) == fitted


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"temperature": 0}, "temperature is 0"),
        ({"temperature": math.nan}, "temperature is nan"),
        ({"temperature": "warm"}, "warm"),
        ({"temperature": None}, "NoneType"),
        ({"threshold": 1.5}, "threshold is 1.5"),
        ({"coverage": math.nan}, "coverage is nan"),
        ({"conformal_thresholds": []}, "conformal_thresholds"),
        ({"conformal_thresholds": [0.5, -1]}, "conformal_thresholds"),
        ({"conformal_thresholds": 0.5}, "not iterable"),
        ({"ece_after_interval": [0.1]}, "not enough values"),
        ({"n": 0}, "n is 0"),
        ({"n": math.inf}, "infinity"),
    ],
)
def test_a_damaged_calibration_is_a_model_error(
    fitted: Calibration, change: dict[str, object], message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        Calibration.from_dict({**fitted.to_dict(), **change})


def test_a_calibration_without_an_entry_names_it(fitted: Calibration) -> None:
    for name in fitted.to_dict():
        values = fitted.to_dict()
        del values[name]
        with pytest.raises(ModelError, match=f"no entry '{name}'"):
            Calibration.from_dict(values)


def test_a_calibration_refuses_logits_of_other_classes(fitted: Calibration) -> None:
    with pytest.raises(ValueError, match="10 classes"):
        fitted.apply(np.zeros((2, 26)))

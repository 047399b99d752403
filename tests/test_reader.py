from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from mnistry import ImageError, classifier, imaging, load_mnist, read, reader
from mnistry.classifier import Classifier, seal
from mnistry.errors import ModelError
from mnistry.reader import LONGEST_PX, Reading, read_files
from test_classifier import CALIBRATION, METADATA, graph_bytes


def draw_one(height: int = 120, width: int = 90) -> np.ndarray:
    """A vertical bar whose box is (40, 20, 10, 80)."""
    picture = np.full((height, width), 255, np.uint8)
    picture[20:100, 40:50] = 0
    return picture


def assert_covers(box, expected) -> None:
    """Lines are read at one height: a box is as exact as a pixel of that, and never cuts the ink off."""
    x, y, width, height = np.subtract(box, expected)
    most = 1 + expected[3] / 40
    assert -most <= x <= 0, box
    assert -most <= y <= 0, box
    assert 0 <= width <= 2 * most, box
    assert 0 <= height <= 2 * most, box


def say_seven(images: np.ndarray) -> np.ndarray:
    """A classifier that is fairly sure of 7, then of 1, 9 and 2."""
    assert images.dtype == np.uint8
    assert images.shape[1:] == (28, 28)
    logits = np.zeros((len(images), 10), np.float32)
    logits[:, [7, 1, 9, 2]] = [6, 4, 3, 2]
    return logits


def test_a_reading_holds_text_box_confidence_and_alternatives() -> None:
    reading = read(draw_one(), say_seven)
    digit = reading.lines[0].digits[0]
    total = np.exp([6, 4, 3, 2]).sum() + 6
    assert reading.text == reading.lines[0].text == digit.label == "7"
    assert reading.size == (120, 90)
    assert reading.error is None
    assert_covers(digit.box, (40, 20, 10, 80))
    assert digit.confidence == pytest.approx(np.exp(6) / total)
    assert [label for label, _ in digit.alternatives] == ["1", "9", "2"]
    assert digit.alternatives[1][1] == pytest.approx(np.exp(3) / total)
    assert digit.accepted
    expected = imaging.center_digit(255 - draw_one()).astype(float)
    assert np.abs(digit.image - expected).mean() < 0.05 * 255


def test_the_classifier_gets_what_imaging_made() -> None:
    seen = []

    def spy(images: np.ndarray) -> np.ndarray:
        seen.append(images)
        return say_seven(images)

    reading = read(draw_one(), spy)
    assert len(seen) == 1
    np.testing.assert_array_equal(seen[0][0], reading.lines[0].digits[0].image)


def test_the_dictionary_is_json_of_the_documented_shape(tmp_path: Path) -> None:
    path = tmp_path / "one.png"
    Image.fromarray(draw_one()).save(path)
    result = json.loads(json.dumps(read(path, say_seven).to_dict()))
    assert list(result) == ["file", "size", "text", "lines", "error"]
    assert result["file"] == str(path)
    assert result["size"] == [120, 90]
    assert result["text"] == "7"
    assert result["error"] is None
    (line,) = result["lines"]
    assert list(line) == ["text", "digits"]
    (digit,) = line["digits"]
    assert list(digit) == ["label", "box", "confidence", "accepted", "alternatives"]
    assert_covers(digit["box"], (40, 20, 10, 80))
    assert digit["accepted"] is True
    assert digit["alternatives"][0] == ["1", pytest.approx(digit["confidence"] / np.exp(2))]


def test_below_the_threshold_a_digit_is_shown_but_not_in_the_text() -> None:
    confidence = read(draw_one(), say_seven).lines[0].digits[0].confidence
    assert read(draw_one(), say_seven, threshold=confidence).text == "7"
    refused = read(draw_one(), say_seven, threshold=confidence + 1e-6)
    assert refused.text == ""
    assert refused.lines[0].digits[0].label == "7"
    assert not refused.lines[0].digits[0].accepted


@pytest.mark.parametrize("threshold", [-0.1, 1.1, float("nan")])
def test_a_threshold_outside_0_to_1_is_an_error_before_anything_is_read(threshold: float) -> None:
    with pytest.raises(ValueError, match="threshold"):
        read("missing.png", say_seven, threshold=threshold)
    with pytest.raises(ValueError, match="threshold"):
        next(read_files(["missing.png"], say_seven, threshold=threshold))


def test_classes_may_be_other_than_digits() -> None:
    reading = read(draw_one(), lambda images: np.array([[0.0, 2.0]]), class_names=["Shirt", "Ankle boot"])
    assert reading.text == "Ankle boot"
    assert [label for label, _ in reading.lines[0].digits[0].alternatives] == ["Shirt"]


@pytest.mark.parametrize("shape", [(10,), (1, 9), (2, 10)])
def test_logits_that_do_not_fit_are_an_error(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="logits of shape"):
        read(draw_one(), lambda images: np.zeros(shape))


def test_logits_that_are_nan_are_an_error() -> None:
    with pytest.raises(ValueError, match="NaN"):
        read(draw_one(), lambda images: np.full((1, 10), np.nan))


def test_large_pictures_have_boxes_in_their_own_pixels() -> None:
    factor = 4 * LONGEST_PX // 120
    large = cv2.resize(draw_one(), None, fx=factor, fy=factor, interpolation=cv2.INTER_NEAREST)
    reading = read(large, say_seven)
    assert reading.size == (120 * factor, 90 * factor)
    expected = np.array([40, 20, 10, 80]) * factor
    assert_covers(reading.lines[0].digits[0].box, expected)


def test_boxes_are_those_of_the_upright_picture() -> None:
    sideways = Image.fromarray(np.rot90(draw_one()))
    sideways.getexif()[0x0112] = 6
    reading = read(sideways, say_seven)
    assert reading.size == (120, 90)
    assert_covers(reading.lines[0].digits[0].box, (40, 20, 10, 80))


def test_invert_is_handed_on() -> None:
    for invert in (None, True):
        reading = read(255 - draw_one(), say_seven, invert=invert)
        assert_covers(reading.lines[0].digits[0].box, (40, 20, 10, 80))
    forced = read(draw_one(), say_seven, invert=True)
    assert not any(digit.box[2] < 20 for line in forced.lines for digit in line.digits)


def test_the_errors_name_the_file_once(tmp_path: Path) -> None:
    blank = tmp_path / "blank.png"
    Image.new("L", (640, 480), 214).save(blank)
    with pytest.raises(ImageError, match=r"no ink found in '.*blank.png' \(480 x 640\): ") as caught:
        read(blank, say_seven)
    assert str(caught.value).count("blank.png") == 1


def test_one_unreadable_file_does_not_stop_the_others(tmp_path: Path) -> None:
    good, blank, missing = tmp_path / "good.png", tmp_path / "blank.png", tmp_path / "missing.png"
    Image.fromarray(draw_one()).save(good)
    Image.new("L", (64, 48), 255).save(blank)
    readings = list(read_files([missing, good, blank, str(good)], say_seven))
    assert [reading.file for reading in readings] == [str(missing), str(good), str(blank), str(good)]
    assert [reading.text for reading in readings] == ["", "7", "", "7"]
    assert readings[0].error is not None
    assert "no such file" in readings[0].error
    assert readings[2] == Reading(str(blank), (), (48, 64), readings[2].error)
    assert readings[2].to_dict()["lines"] == []
    assert readings[0].to_dict()["size"] is None
    assert readings[1] == readings[3] == read(good, say_seven)


def test_files_are_read_one_by_one_as_they_are_asked_for(tmp_path: Path) -> None:
    good = tmp_path / "good.png"
    Image.fromarray(draw_one()).save(good)
    calls = []

    def count(images: np.ndarray) -> np.ndarray:
        calls.append(len(images))
        return say_seven(images)

    readings = read_files([good, good], count)
    assert calls == []
    next(readings)
    assert calls == [1]


def test_a_broken_classifier_is_not_taken_for_a_bad_picture(tmp_path: Path) -> None:
    good = tmp_path / "good.png"
    Image.fromarray(draw_one()).save(good)
    with pytest.raises(ValueError, match="logits of shape"):
        list(read_files([good], lambda images: np.zeros((1, 3))))


def test_mnist_digits_photographed_on_paper_are_read_like_the_originals() -> None:
    train, test = load_mnist()
    known = train.images[:3000].reshape(3000, -1).astype(np.float32)
    known /= np.linalg.norm(known, axis=1, keepdims=True)

    def nearest_neighbour(images: np.ndarray) -> np.ndarray:
        similarity = images.reshape(len(images), -1).astype(np.float32) @ known.T
        return np.stack(
            [similarity[:, train.labels[:3000] == label].max(axis=1) for label in range(10)], axis=1
        )

    rng = np.random.default_rng(0)
    images, labels = test.images[:100], test.labels[:100]
    right = 0
    for image, label in zip(images, labels, strict=True):
        ink = cv2.resize(image, None, fx=6, fy=6, interpolation=cv2.INTER_CUBIC) / 255
        ink = np.pad(ink, ((30, 5), (0, 60)))
        light = 210 - 60 * np.indices(ink.shape)[1] / ink.shape[1]
        photo = (light * (1 - 0.7 * ink) + rng.normal(0, 3, ink.shape)).clip(0, 255).astype(np.uint8)
        right += read(photo, nearest_neighbour).text == str(label)
    originals = (nearest_neighbour(images).argmax(axis=1) == labels).sum()
    assert originals >= 90
    assert right >= originals - 2


@pytest.mark.slow
def test_mnist_digits_come_back_from_pictures_of_any_size() -> None:
    _, test = load_mnist()
    rng = np.random.default_rng(6)
    chosen = rng.permutation(len(test))[:400]
    network = Classifier()
    originals = int((network.predict(test.images[chosen]).labels == test.labels[chosen]).sum())
    right = 0
    for image, label in zip(test.images[chosen], test.labels[chosen], strict=True):
        scale = rng.uniform(3, 30)
        ink = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC) / 255
        margins = rng.integers(0, round(8 * scale), 4)
        ink = np.pad(ink, (margins[:2], margins[2:]))
        paper, full = rng.uniform(170, 250), rng.uniform(0, 90)
        photo = paper + (full - paper) * ink + rng.normal(0, rng.uniform(0, 5), ink.shape)
        photo = (255 - photo if rng.random() < 0.3 else photo).clip(0, 255).astype(np.uint8)
        right += read(photo, network).text == str(label)
    assert originals >= 396
    assert right >= originals - 3


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A file of five classes in the place of the classifier that comes with mnistry."""
    path = tmp_path / "five.onnx"
    path.write_bytes(seal(graph_bytes(METADATA.to_properties())))
    monkeypatch.setattr(classifier, "SHIPPED", path)
    reader._load_shipped.cache_clear()
    yield path
    reader._load_shipped.cache_clear()


def test_a_classifier_brings_names_temperature_and_threshold(shipped: Path) -> None:
    five = Classifier(shipped)
    reading = read(draw_one(), five)
    digit = reading.lines[0].digits[0]
    prediction = five.predict(digit.image[None])
    assert digit.label == METADATA.class_names[prediction.labels[0]]
    assert digit.confidence == pytest.approx(prediction.probabilities.max(), abs=1e-6)
    assert digit.accepted == prediction.accepted[0]
    assert digit.accepted == (digit.confidence >= CALIBRATION.threshold)
    assert not read(draw_one(), five, threshold=1).lines[0].digits[0].accepted
    named = read(draw_one(), five, threshold=0, class_names="abcde")
    assert named.text == "abcde"[prediction.labels[0]]


def test_without_a_classifier_the_one_that_comes_with_mnistry_reads(shipped: Path, tmp_path: Path) -> None:
    path = tmp_path / "one.png"
    Image.fromarray(draw_one()).save(path)
    expected = read(path, Classifier(shipped))
    assert read(path) == next(read_files([path])) == expected


def test_without_any_classifier_the_error_says_what_to_do(shipped: Path) -> None:
    shipped.unlink()
    with pytest.raises(ModelError, match="comes without a classifier: train one with mnistry train"):
        read(draw_one())


def say_seven_or_none(images: np.ndarray) -> np.ndarray:
    """A network with a class for what is no digit: upright marks are sevens, others nothing."""
    logits = np.zeros((len(images), 11), np.float32)
    upright = (images.max(axis=2) > 0).sum(axis=1) > 1.5 * (images.max(axis=1) > 0).sum(axis=1)
    logits[np.arange(len(images)), np.where(upright, 7, 10)] = 8
    return logits


def test_a_slanted_digit_has_the_box_of_its_ink() -> None:
    picture = np.full((300, 500), 255, np.uint8)
    cv2.polylines(picture, [np.array([[250, 60], [400, 60], [300, 250]])], False, 0, 14, cv2.LINE_AA)
    expected = cv2.boundingRect(255 - picture)
    for single in (True, False):
        box = read(picture, say_seven, single=single).lines[0].digits[0].box
        np.testing.assert_allclose(box, expected, atol=8)


NAMES = (*map(str, range(10)), classifier.NOT_A_DIGIT)


def draw_line(*left: int) -> np.ndarray:
    """Bars of 10 x 80 with these left edges."""
    picture = np.full((200, 700), 255, np.uint8)
    for x in left:
        picture[60:140, x : x + 10] = 0
    return picture


def test_a_line_is_read_with_a_space_where_the_gap_is_wide() -> None:
    reading = read(draw_line(50, 90, 130, 330, 370), say_seven_or_none, class_names=NAMES)
    assert reading.text == "777 77"
    assert [digit.box[0] // 10 for digit in reading.lines[0].digits] == pytest.approx(
        [5, 9, 13, 33, 37], abs=1
    )


def test_a_network_without_such_a_class_takes_a_picture_for_one_digit_unless_told() -> None:
    line = draw_line(50, 90, 130, 170, 210)
    assert read(line, say_seven).text == "7"
    assert read(line, say_seven, single=False).text == "77777"
    assert len(read(line, say_seven_or_none, class_names=NAMES, single=True).lines[0].digits) == 1


@pytest.mark.parametrize("known", [{"expect": 3}, {"pattern": "7+"}])
def test_a_single_digit_has_no_number_of_digits_and_no_pattern(known: dict) -> None:
    with pytest.raises(ValueError, match="leave either single or these out"):
        read(draw_line(50), say_seven_or_none, class_names=NAMES, single=True, **known)


def test_the_number_of_digits_can_be_given() -> None:
    reading = read(draw_line(50, 90, 130), say_seven_or_none, class_names=NAMES, expect=3)
    assert reading.text == "777"
    assert reading.lines[0].free_text == "777"
    reading = read(draw_line(50, 90, 130), say_seven_or_none, class_names=NAMES, pattern=r"\d{9}")
    assert reading.text == ""
    assert reading.lines[0].free_text == "777"
    assert reading.to_dict()["lines"][0]["free_text"] == "777"
    reading = read(draw_line(50, 90, 130), say_seven_or_none, class_names=NAMES, pattern="[0-5]{3}")
    assert (reading.text, reading.lines[0].free_text) == ("", "777")  # fits, but nobody would read it so


def test_a_pattern_that_is_none_is_an_error_before_anything_is_read() -> None:
    with pytest.raises(ValueError, match="pattern"):
        read("missing.png", say_seven, pattern="(")
    with pytest.raises(ValueError, match="expect"):
        read("missing.png", say_seven, expect=0)


def test_a_page_is_chosen_by_its_number(tmp_path: Path) -> None:
    pages = [Image.fromarray(draw_one()), Image.fromarray(draw_one(150))]
    pages[0].save(tmp_path / "scan.tif", save_all=True, append_images=pages[1:])
    content = (tmp_path / "scan.tif").read_bytes()
    for source in (tmp_path / "scan.tif", content):
        second = read(source, say_seven, page=2)
        assert (second.size, second.page) == ((150, 90), 2)
        assert read(source, say_seven).size == (120, 90)
        with pytest.raises(ImageError, match="has 2 pages; there is no page 3"):
            read(source, say_seven, page=3)
    with pytest.raises(ImageError, match="has 1 page; there is no page 0"):
        read(draw_one(), say_seven, page=0)


def test_a_stream_is_read_and_can_be_shown(tmp_path: Path) -> None:
    Image.fromarray(draw_one()).save(tmp_path / "one.png")
    with (tmp_path / "one.png").open("rb") as stream:
        reading = read(stream, say_seven)
    assert reading.file == str(tmp_path / "one.png")
    assert reading.source == (tmp_path / "one.png").read_bytes()

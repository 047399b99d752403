"""Every format: read what others write, come back unchanged, and refuse damage with its name and place."""

from __future__ import annotations

import gzip
import io
import json
import struct
import sys
import tracemalloc
import zipfile
import zlib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from mnistry import formats
from mnistry.dataset import DIGITS, Dataset
from mnistry.errors import DataError, MissingExtraError
from mnistry.formats.parts import as_images, as_labels
from mnistry.formats.pictures import decode_picture, encode_png

IMAGES = np.random.default_rng(0).integers(0, 256, (12, 28, 28), dtype=np.uint8)
LABELS = np.array([7, 2, 1, 0, 4, 1, 4, 9, 5, 9, 0, 6], np.uint8)


def idx_images(images=IMAGES, magic=b"\0\0\x08\x03", shape=None):
    return magic + struct.pack(">III", *(shape or images.shape)) + images.tobytes()


def idx_labels(labels=LABELS, magic=b"\0\0\x08\x01", count=None):
    return magic + struct.pack(">I", len(labels) if count is None else count) + labels.tobytes()


def png(image, mode="L", encoding="PNG"):
    file = io.BytesIO()
    Image.fromarray(image).convert(mode).save(file, encoding)
    return file.getvalue()


def write_bytes(folder, files):
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def refuse(path, *parts):
    """Reading `path` must fail with a DataError in which all `parts` occur."""
    with pytest.raises(DataError) as caught:
        formats.read(path)
    for part in parts:
        assert part in str(caught.value)


def check_part(part, images=IMAGES, labels=LABELS, class_names=DIGITS):
    assert part.images.dtype == np.uint8
    assert np.array_equal(part.images, images)
    if labels is None:
        assert part.labels is None
    else:
        assert part.labels.dtype == np.uint8
        assert part.labels.tolist() == list(labels)
    assert part.class_names == class_names


# --- arrays ---------------------------------------------------------------------------------------------


@given(hnp.arrays(np.uint8, (2, 28, 28)), st.sampled_from([np.float16, np.float32, np.float64]))
def test_floats_of_0_to_1_come_back_as_the_256_levels(images, dtype):
    images[0, 0, 0] = 255
    scaled = (images / 255).astype(dtype)
    assert np.array_equal(as_images(scaled, "x"), images)
    assert np.array_equal(as_images(images.astype(dtype), "x"), images)


@pytest.mark.parametrize("shape", [(12, 784), (12, 28, 28, 1), (12, 1, 28, 28), (12, 28, 28)])
@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float32])
def test_every_usual_shape_and_type_of_images_is_taken(shape, dtype):
    assert np.array_equal(as_images(IMAGES.reshape(shape).astype(dtype), "x"), IMAGES)


def test_booleans_are_ink_or_not_and_integers_of_0_and_1_stay():
    ink = IMAGES > 127
    assert np.array_equal(as_images(ink, "x"), ink * np.uint8(255))
    assert as_images(ink.astype(int), "x").max() == 1


def test_fractions_of_0_to_255_are_rounded():
    values = np.full((1, 28, 28), 12.6)
    values[0, 0, 0] = 200
    assert as_images(values, "x")[0, 1, 1] == 13


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, -1, 255.5, 300])
def test_a_value_that_is_no_pixel_is_named_with_its_place(value):
    images = IMAGES.astype(np.float64)
    images[3, 5, 7] = value
    with pytest.raises(DataError, match=rf"^x: image 3, row 5, column 7 is {value}.*0\.\.255"):
        as_images(images, "x")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros((3, 32, 32), np.uint8), r"shape \(3, 32, 32\); \(n, 28, 28\)"),
        (np.zeros((3, 783), np.uint8), r"shape \(3, 783\)"),
        (np.zeros((), np.uint8), r"shape \(\)"),
        (np.zeros((0, 784), np.uint8), r"no images, shape \(0, 784\)"),
        (np.zeros((3, 784), np.complex64), "type complex64"),
        (np.zeros((3, 784), "U1"), "type <U1"),
    ],
)
def test_arrays_that_are_no_images_are_refused(values, message):
    with pytest.raises(DataError, match=message):
        as_images(values, "x")


def test_labels_may_be_whole_floats_or_a_column():
    assert as_labels(LABELS.astype(np.float32)[:, None], 10, "x").tolist() == LABELS.tolist()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.array([1, 2, 10]), r"index 2 is 10, outside the 10 classes; 0 to 9"),
        (np.array([1, -3, 10]), r"index 1 is -3"),
        (np.array([1, 256, 10]), r"index 1 is 256"),
        (np.array([1, 2.5]), r"index 1 is 2.5; an integer"),
        (np.array([np.nan, 2]), r"index 0 is nan; an integer"),
        (np.eye(10), r"shape \(10, 10\).*argmax"),
        (np.array(["1"]), r"type <U1; integers"),
    ],
)
def test_labels_that_are_none_are_refused(values, message):
    with pytest.raises(DataError, match=message):
        as_labels(values, 10, "x")


# --- IDX ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("named", ["images", "labels"])
@pytest.mark.parametrize("packed", ["", "images", "labels", "both"])
def test_an_idx_pair_is_read_from_either_file_plain_or_gzip(tmp_path, named, packed):
    paths = {}
    for kind, name, content in [
        ("images", "mine-images.idx3-ubyte", idx_images()),
        ("labels", "mine-labels.idx1-ubyte", idx_labels()),
    ]:
        zipped = packed in {kind, "both"}
        paths[kind] = tmp_path / (name + ".gz" * zipped)
        paths[kind].write_bytes(gzip.compress(content) if zipped else content)
    train, test = formats.read(paths[named])
    check_part(train)
    assert test is None


def test_a_folder_of_idx_pairs_gives_train_and_test_and_prefers_plain_files(tmp_path):
    write_bytes(
        tmp_path,
        {
            "train-images-idx3-ubyte": idx_images(),
            "train-images-idx3-ubyte.gz": b"\x1f\x8b damaged",
            "train-labels-idx1-ubyte": idx_labels(),
            "t10k-images-idx3-ubyte.gz": gzip.compress(idx_images(IMAGES[:3])),
            "t10k-labels-idx1-ubyte.gz": gzip.compress(idx_labels(LABELS[:3])),
            "README": b"read me",
            ".train-images-idx3-ubyte.1.tmp": b"half",
        },
    )
    assert formats.recognise(tmp_path) == "idx"
    train, test = formats.read(tmp_path)
    check_part(train)
    check_part(test, IMAGES[:3], LABELS[:3])


def test_a_folder_with_one_pair_of_plain_names_is_one_part(tmp_path):
    write_bytes(tmp_path, {"images": idx_images(), "labels": idx_labels()})
    train, test = formats.read(tmp_path)
    check_part(train)
    assert test is None


def test_idx_images_alone_have_no_labels(tmp_path):
    path = tmp_path / "digits.bin"
    path.write_bytes(idx_images())
    check_part(formats.read(path)[0], labels=None)


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
@pytest.mark.parametrize(
    ("content", "parts"),
    [
        (idx_images(magic=b"\0\0\x08\x04"), ["wrong magic number", "00 00 08 04", "00 00 08 03", "images"]),
        (idx_images(magic=b"\0\0\x0d\x03"), ["wrong magic number", "00 00 0d 03"]),
        (idx_images()[:-1], ["truncated", "9407 bytes after the header", "promises 9408", "(12, 28, 28)"]),
        (idx_images()[:9], ["truncated: 9 bytes", "header of 16 bytes"]),
        (idx_images() + b"x", ["more than the 9408 bytes", "from byte 9424"]),
        (idx_images(np.zeros((2, 32, 32), np.uint8)), ["(2, 32, 32)", "(n, 28, 28)"]),
        (idx_images(IMAGES[:0]), ["no images"]),
        (idx_images(shape=(2**32 - 1, 28, 28)), ["truncated", "promises"]),
    ],
)
def test_damaged_idx_images_are_refused(tmp_path, content, parts, compress):
    write_bytes(tmp_path, {"a-images-idx3-ubyte": compress(content), "a-labels-idx1-ubyte": idx_labels()})
    refuse(tmp_path / "a-images-idx3-ubyte", "a-images-idx3-ubyte'", *parts)
    refuse(tmp_path, "a-images-idx3-ubyte'", *parts)


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        (idx_labels(magic=b"\0\0\x09\x01"), ["a-labels", "wrong magic number", "00 00 09 01", "labels"]),
        (idx_labels()[:-2], ["a-labels", "truncated: 10 bytes", "promises 12"]),
        (idx_labels() + b"xy", ["a-labels", "more than the 12 bytes", "from byte 20"]),
        (idx_labels(np.array([1, 2, 10], np.uint8)), ["a-labels", "index 2 is 10", "0 to 9"]),
        (idx_labels(LABELS[:11]), ["a-images", "a-labels", "12 images", "11 labels"]),
    ],
)
def test_damaged_idx_labels_are_refused(tmp_path, content, parts):
    write_bytes(tmp_path, {"a-images-idx3-ubyte": idx_images(), "a-labels-idx1-ubyte": content})
    for path in (tmp_path / "a-images-idx3-ubyte", tmp_path / "a-labels-idx1-ubyte", tmp_path):
        refuse(path, *parts)


@pytest.mark.parametrize(
    "damage", [lambda b: b[:-12], lambda b: b[:200] + b"\xff" * 50 + b[250:], lambda b: b[:5]]
)
def test_damaged_gzip_is_refused(tmp_path, damage):
    path = tmp_path / "a-images-idx3-ubyte.gz"
    path.write_bytes(damage(gzip.compress(idx_images())))
    refuse(path, "a-images-idx3-ubyte.gz'", "gzip")


def test_a_gzip_bomb_is_not_unpacked_beyond_what_its_header_promises(tmp_path):
    path = tmp_path / "bomb-images-idx3-ubyte.gz"
    path.write_bytes(gzip.compress(idx_images() + bytes(100_000_000), 9))
    tracemalloc.start()
    refuse(path, "more than the 9408 bytes")
    assert tracemalloc.get_traced_memory()[1] < 5_000_000
    tracemalloc.stop()


def test_a_folder_with_an_incomplete_idx_pair_is_refused(tmp_path):
    write_bytes(tmp_path, {"train-images-idx3-ubyte": idx_images(), "train-labels-idx1-ubyte": idx_labels()})
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(idx_labels())
    refuse(tmp_path, "t10k-labels-idx1-ubyte'", "without their images", "t10k-images-idx3-ubyte")
    (tmp_path / "t10k-labels-idx1-ubyte").unlink()
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(idx_images())
    refuse(tmp_path, "t10k-images-idx3-ubyte'", "labels file of these images is missing")


def test_a_folder_with_several_idx_sets_is_refused_with_their_names(tmp_path):
    for name in ("letters-train", "digits-train"):
        write_bytes(
            tmp_path, {f"{name}-images-idx3-ubyte": idx_images(), f"{name}-labels-idx1-ubyte": idx_labels()}
        )
    refuse(tmp_path, "several IDX train sets", "digits-train-images", "letters-train-images")


# --- npz ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("names", [("images", "labels"), ("x", "y"), ("X", "y"), ("arr_0", "arr_1")])
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_a_plain_npz_is_one_part(tmp_path, names, save):
    path = tmp_path / "digits"
    with path.open("wb") as file:
        save(file, **{names[0]: IMAGES.reshape(-1, 784) / 255, names[1]: LABELS.astype(int)})
    assert formats.recognise(path) == "npz"
    train, test = formats.read(path)
    check_part(train)
    assert test is None


@pytest.mark.parametrize("names", ["x_{} y_{}", "{}_images {}_labels"])
def test_a_keras_npz_has_a_train_and_a_test_part(tmp_path, names):
    keys = [*names.format("train", "train").split(), *names.format("test", "test").split()]
    arrays = [IMAGES, LABELS, IMAGES[:2], LABELS[:2]]
    np.savez(tmp_path / "mnist.npz", **dict(zip(keys, arrays, strict=True)))
    train, test = formats.read(tmp_path / "mnist.npz")
    check_part(train)
    check_part(test, IMAGES[:2], LABELS[:2])


def test_an_npz_of_images_alone_has_no_labels(tmp_path):
    np.savez(tmp_path / "kuzushiji.npz", IMAGES)
    check_part(formats.read(tmp_path / "kuzushiji.npz")[0], labels=None)


class Explosive:
    def __reduce__(self):
        return print, ("pickle ran",)


@pytest.mark.parametrize(
    ("arrays", "parts"),
    [
        ({"x": IMAGES, "y": LABELS[:5]}, ["'x' and 'y'", "12 images", "5 labels"]),
        ({"x": IMAGES, "y": np.full(12, 25)}, ["array 'y'", "index 0 is 25", "array 'class_names' of texts"]),
        (
            {"x": IMAGES, "y": LABELS, "class_names": np.array(["a", "b"])},
            ["index 0 is 7", "0 to 1 expected"],
        ),
        ({"x": np.where(IMAGES > 250, np.nan, IMAGES)}, ["array 'x'", "is nan"]),
        ({"x": IMAGES.astype(float) - 1.0}, ["array 'x'", "is -1.0"]),
        ({"x": np.array([Explosive()], object), "y": LABELS}, ["array 'x'", "Python objects", "numpy.stack"]),
        ({"x": IMAGES, "y": np.array([None] * 12)}, ["array 'y'", "Python objects"]),
        ({"x": np.zeros((2, 32, 32))}, ["array 'x'", "(2, 32, 32)"]),
        ({"x": IMAGES, "y": np.eye(12)}, ["array 'y'", "argmax"]),
        ({"pictures": IMAGES, "y": LABELS}, ["pictures, y", "x_train"]),
        ({}, ["(none)", "x_train"]),
        ({"x_train": IMAGES, "y_train": LABELS, "x_test": IMAGES}, ["no array 'y_test'"]),
        ({"x_train": IMAGES, "y_train": LABELS, "y_test": LABELS}, ["no array 'x_test'"]),
        ({"x": IMAGES, "y": LABELS, "class_names": np.arange(10)}, ["array 'class_names'", "int64", "texts"]),
        ({"x": IMAGES, "y": LABELS, "class_names": np.array(["a", "a"])}, ["class_names", "both named 'a'"]),
    ],
)
def test_an_npz_with_a_fault_is_refused(tmp_path, capsys, arrays, parts):
    path = tmp_path / "bad.npz"
    np.savez(path, **arrays)
    refuse(path, "bad.npz'", *parts)
    assert "pickle ran" not in capsys.readouterr().out


def npz_bytes():
    file = io.BytesIO()
    np.savez_compressed(file, x=IMAGES, y=LABELS)
    return file.getvalue()


@pytest.mark.parametrize(
    "content",
    [npz_bytes()[:-30], npz_bytes()[:300], b"PK\x03\x04", npz_bytes()[:900] + b"\0" * 9 + npz_bytes()[909:]],
)
def test_a_damaged_npz_is_refused(tmp_path, content):
    (tmp_path / "bad.npz").write_bytes(content)
    refuse(tmp_path / "bad.npz", "bad.npz'", "damaged .npz archive")


@pytest.mark.parametrize(
    "header", ["{'descr': '(,u1', 'shape': (2,)}", "{'descr': '|u1', (", "[]", "{'descr': 5}", "\xff"]
)
def test_an_npz_with_a_damaged_array_header_is_refused(tmp_path, header):
    text = header.replace("}", ", 'fortran_order': False}").encode("latin-1").ljust(117) + b"\n"
    with zipfile.ZipFile(tmp_path / "bad.npz", "w") as archive:
        archive.writestr("x.npy", b"\x93NUMPY\1\0" + struct.pack("<H", len(text)) + text + b"12")
    refuse(tmp_path / "bad.npz", "bad.npz'", "damaged .npz archive")


@pytest.mark.parametrize("shape", [(10**9, 28, 28), (13, 28, 28), (11, 28, 28)])
def test_an_npz_whose_header_disagrees_with_its_size_is_refused_before_memory_is_reserved(tmp_path, shape):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": shape})
    with zipfile.ZipFile(tmp_path / "bad.npz", "w") as archive:
        archive.writestr("x.npy", header.getvalue() + IMAGES.tobytes())
    refuse(tmp_path / "bad.npz", "array 'x'", "9408 bytes", f"{shape[0] * 784} expected")


def test_an_npz_whose_directory_lies_about_a_size_is_refused(tmp_path):
    header = io.BytesIO()
    shape = (10**6, 28, 28)
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": shape})
    content = header.getvalue() + IMAGES.tobytes()
    with zipfile.ZipFile(tmp_path / "bad.npz", "w") as archive:
        archive.writestr("x.npy", content)
    lie = struct.pack("<I", len(header.getvalue()) + 784 * 10**6)
    directory = (tmp_path / "bad.npz").read_bytes().replace(struct.pack("<I", len(content)) * 2, lie * 2)
    (tmp_path / "bad.npz").write_bytes(directory.replace(lie * 2, struct.pack("<I", len(content)) + lie))
    refuse(tmp_path / "bad.npz", "bad.npz'", "784000000")


# --- CSV ------------------------------------------------------------------------------------------------


def csv_lines(images=IMAGES, labels=LABELS, header=True, first=0):
    """Kaggle's layout; without labels if they are None; pixels numbered from `first`."""
    names = ["label"] * (labels is not None) + [f"pixel{i + first}" for i in range(784)]
    lines = [",".join(names)] if header else []
    for index, image in enumerate(images.reshape(-1, 784)):
        fields = [] if labels is None else [str(labels[index])]
        lines.append(",".join(fields + [str(value) for value in image]))
    return lines


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("start", ["", "\ufeff"])
@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("labels", [LABELS, None], ids=["labelled", "unlabelled"])
def test_a_csv_file_is_read_with_and_without_header_and_labels(tmp_path, labels, header, start, end):
    path = tmp_path / "digits"
    path.write_bytes((start + end.join(csv_lines(labels=labels, header=header)) + end).encode())
    assert formats.recognise(path) == "csv"
    check_part(formats.read(path)[0], labels=labels)


def test_a_csv_file_may_have_its_label_last_quotes_and_floats(tmp_path):
    header = ",".join([*(f'"pixel{i + 1}"' for i in range(784)), '"class"'])
    lines = [
        ",".join([*(f"{v / 255:.6f}" for v in image.ravel()), f'"{label}"'])
        for image, label in zip(IMAGES, LABELS, strict=True)
    ]
    (tmp_path / "a.csv").write_text("\n".join([header, *lines]))
    check_part(formats.read(tmp_path / "a.csv")[0])


def test_a_folder_of_csv_files_gives_train_and_labelled_test(tmp_path):
    (tmp_path / "mnist_train.csv").write_text("\n".join(csv_lines(header=False)))
    (tmp_path / "mnist_test.csv").write_text("\n".join(csv_lines(IMAGES[:2], LABELS[:2], header=False)))
    train, test = formats.read(tmp_path)
    check_part(train)
    check_part(test, IMAGES[:2], LABELS[:2])


def test_kaggles_unlabelled_test_file_is_no_test_part(tmp_path):
    (tmp_path / "train.csv").write_text("\n".join(csv_lines()))
    (tmp_path / "test.csv").write_text("\n".join(csv_lines(labels=None)))
    (tmp_path / "sample_submission.csv").write_text("ImageId,Label\n1,0\n")
    train, test = formats.read(tmp_path)
    check_part(train)
    assert test is None
    check_part(formats.read(tmp_path / "test.csv")[0], labels=None)


def edit(line_number, column, field):
    """Lines of the labelled file, with one field (both counted from 1) replaced."""
    lines = csv_lines()
    fields = lines[line_number - 1].split(",")
    fields[column - 1] = field
    lines[line_number - 1] = ",".join(fields)
    return lines


@pytest.mark.parametrize(
    ("lines", "parts"),
    [
        (edit(5, 10, "ten"), ["line 5, column 10 is 'ten'", "a pixel of 0..255"]),
        (edit(5, 10, ""), ["line 5, column 10 is ''"]),
        (edit(5, 10, "nan"), ["line 5, column 10 is 'nan'"]),
        (edit(5, 10, "inf"), ["line 5, column 10 is 'inf'"]),
        (edit(13, 785, "256"), ["line 13, column 785 is '256'"]),
        (edit(2, 2, "-1"), ["line 2, column 2 is '-1'"]),
        (edit(3, 1, "10"), ["line 3, column 1 is '10'", "a label of 0 to 9"]),
        (edit(3, 1, "2.5"), ["line 3, column 1 is '2.5'", "a label of 0 to 9"]),
        (edit(3, 1, "nan"), ["line 3, column 1 is 'nan'", "a label of 0 to 9"]),
        ([*csv_lines(), "1,2,3"], ["line 14 has 3 columns", "785 expected"]),
        ([*csv_lines(), "", "1,2,3"], ["line 15 has 3 columns"]),
        ([*csv_lines(), csv_lines()[1] + ",5"], ["line 14 has 786 columns"]),
        ([csv_lines()[0]], ["no lines of data"]),
        (["id," + csv_lines()[0], "1," + csv_lines()[1]], ["line 1 has 786 names", "785 with a label"]),
        (["a,b", "1,2"], ["line 1 has 2 names"]),
        (["1,2,3"], ["line 1 has 3 columns", "784 pixels"]),
        (["5,x" + ",0" * 783, *csv_lines()[1:]], ["line 1, column 2 is 'x'"]),
    ],
)
def test_a_csv_file_with_a_fault_is_refused_with_its_line(tmp_path, lines, parts):
    (tmp_path / "bad.csv").write_text("\n".join(lines) + "\n")
    refuse(tmp_path / "bad.csv", "bad.csv'", *parts)


def test_a_truncated_csv_file_is_refused(tmp_path):
    (tmp_path / "bad.csv").write_text("\n".join(csv_lines())[:-300])
    refuse(tmp_path / "bad.csv", "line 13 has", "785 expected")


def test_bytes_that_are_no_utf_8_are_refused(tmp_path):
    (tmp_path / "bad.csv").write_bytes("\n".join(csv_lines()).encode().replace(b"\n2,", b"\n\xff,", 1))
    refuse(tmp_path / "bad.csv", "line 3, column 1", "label of 0 to 9")


def test_a_folder_of_csv_files_of_unclear_roles_is_refused(tmp_path):
    for name in ("a_train.csv", "b_train.csv"):
        (tmp_path / name).write_text("\n".join(csv_lines()))
    refuse(tmp_path, "a_train.csv, b_train.csv", "train.csv")


# --- Parquet --------------------------------------------------------------------------------------------


def write_parquet(path, images=IMAGES, labels=LABELS, names=None, struct_column=True, label_type=None):
    """A file as the Hugging Face hub has it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    contents = [image if isinstance(image, bytes | None) else png(image) for image in images]
    if struct_column:
        contents = [{"bytes": content, "path": f"{i}.png"} for i, content in enumerate(contents)]
    columns = {"image": contents}
    if labels is not None:
        columns["label"] = pa.array(list(labels), label_type or pa.int64())
    table = pa.table(columns)
    if names is not None:
        features = {"image": {"_type": "Image"}, "label": {"names": names, "_type": "ClassLabel"}}
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    pq.write_table(table, path)


@pytest.mark.parametrize("struct_column", [True, False])
@pytest.mark.parametrize("labels", [LABELS, None])
def test_a_parquet_file_is_read_with_and_without_labels(tmp_path, struct_column, labels):
    write_parquet(tmp_path / "digits", labels=labels, struct_column=struct_column)
    assert formats.recognise(tmp_path / "digits") == "parquet"
    check_part(formats.read(tmp_path / "digits")[0], labels=labels)


def test_class_names_come_from_the_metadata(tmp_path):
    names = ("T-shirt/top", *"bcdefghijk")
    write_parquet(tmp_path / "a.parquet", labels=[10] * 12, names=list(names))
    check_part(formats.read(tmp_path / "a.parquet")[0], labels=[10] * 12, class_names=names)


def test_a_hub_folder_gives_train_and_test_with_their_pieces_joined(tmp_path):
    write_parquet(tmp_path / "data/train-00001-of-00002.parquet", IMAGES[5:], LABELS[5:])
    write_parquet(tmp_path / "data/train-00000-of-00002.parquet", IMAGES[:5], LABELS[:5])
    write_parquet(tmp_path / "data/test-00000-of-00001.parquet", IMAGES[:2], LABELS[:2])
    (tmp_path / "README.md").write_text("a card")
    assert formats.recognise(tmp_path) == "parquet"
    train, test = formats.read(tmp_path)
    check_part(train)
    check_part(test, IMAGES[:2], LABELS[:2])


def test_a_missing_piece_is_refused(tmp_path):
    write_parquet(tmp_path / "train-00000-of-00003.parquet")
    write_parquet(tmp_path / "train-00002-of-00003.parquet")
    refuse(tmp_path, "piece 1 of 00003 is missing")


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"labels": [*range(10), 10, 11]}, ["index 10 is 10", "0 to 9", "names in the metadata"]),
        ({"labels": [-1] * 12}, ["index 0 is -1"]),
        ({"labels": [1, 2, None] + [3] * 9}, ["row 2", "no label"]),
        ({"labels": list("721041495906"), "label_type": pa.string()}, ["type string", "integers"]),
        ({"images": [*IMAGES[:11], None]}, ["row 11", "no image bytes"]),
        ({"images": [*IMAGES[:11], b"hello"]}, ["row 11", "not a picture", "68 65 6c 6c"]),
        ({"images": [*IMAGES[:11], png(IMAGES[0])[:-40]]}, ["row 11", "damaged picture"]),
        ({"images": [*IMAGES[:11], np.zeros((28, 29), np.uint8)]}, ["row 11", "28 x 29 pixels"]),
        ({"names": ["a", "b"]}, ["index 0 is 7", "2 classes"]),
        ({"names": "ab"}, ["class names 'ab'", "list of texts"]),
        ({"images": [], "labels": []}, ["column 'image' of type null"]),
    ],
)
def test_a_parquet_file_with_a_fault_is_refused_with_its_row(tmp_path, changes, parts):
    write_parquet(tmp_path / "bad.parquet", **changes)
    refuse(tmp_path / "bad.parquet", "bad.parquet'", *parts)


def test_a_parquet_file_with_other_columns_is_refused(tmp_path):
    pq.write_table(pa.table({"pixel0": [1], "class": [2]}), tmp_path / "bad.parquet")
    refuse(tmp_path / "bad.parquet", "columns pixel0, class", "'image'")
    pq.write_table(pa.table({"image": [[1, 2, 3]]}), tmp_path / "bad.parquet")
    refuse(tmp_path / "bad.parquet", "column 'image' of type list", "encoded pictures")


def test_damaged_metadata_and_an_empty_table_are_refused(tmp_path):
    table = pa.table({"image": [png(IMAGES[0])], "label": [1]})
    pq.write_table(table.replace_schema_metadata({"huggingface": "{"}), tmp_path / "bad.parquet")
    refuse(tmp_path / "bad.parquet", "metadata 'huggingface'")
    pq.write_table(table.slice(0, 0), tmp_path / "bad.parquet")
    refuse(tmp_path / "bad.parquet", "no rows")


@pytest.mark.parametrize("keep", [6, 100, -9])
def test_a_truncated_parquet_file_is_refused(tmp_path, keep):
    write_parquet(tmp_path / "bad.parquet")
    content = (tmp_path / "bad.parquet").read_bytes()
    (tmp_path / "bad.parquet").write_bytes(content[:keep])
    refuse(tmp_path / "bad.parquet", "bad.parquet'", "damaged Parquet file")


def test_parts_with_and_without_labels_or_with_other_classes_are_refused(tmp_path):
    write_parquet(tmp_path / "train.parquet")
    write_parquet(tmp_path / "test.parquet", labels=None)
    refuse(tmp_path, "test.parquet'", "no column 'label'")
    write_parquet(tmp_path / "test.parquet", names=list("abcdefghij"))
    refuse(tmp_path, "test.parquet'", "classes ('a', 'b'")


def test_without_pyarrow_the_error_names_its_install_line(tmp_path, monkeypatch):
    write_parquet(tmp_path / "a.parquet")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'mnistry\[parquet\]'"):
        formats.read(tmp_path / "a.parquet")


# --- folders of pictures --------------------------------------------------------------------------------


# Without GIF in colour, of which the writer chooses 256.
LOSSLESS = [(code, mode) for code in ("PNG", "BMP", "TIFF", "PPM") for mode in ("L", "RGB")] + [("GIF", "L")]


@pytest.mark.parametrize(("encoding", "mode"), LOSSLESS)
def test_every_lossless_encoding_gives_the_same_grey_values(encoding, mode):
    assert np.array_equal(decode_picture(png(IMAGES[0], mode, encoding), "x"), IMAGES[0])


@pytest.mark.parametrize("encoding", ["JPEG", "WEBP"])
def test_lossy_encodings_give_nearly_the_same_grey_values(encoding):
    smooth = np.add.outer(np.arange(28), np.arange(28)).astype(np.uint8) * 4
    assert np.abs(decode_picture(png(smooth, "RGB", encoding), "x").astype(int) - smooth).max() < 20


def test_a_folder_of_digits_has_ten_classes_in_the_order_of_file_names(tmp_path):
    write_bytes(
        tmp_path,
        {
            "9/a.png": png(IMAGES[0]),
            "2/b.jpg": png(IMAGES[1]),  # the suffix is not what decides
            "9/c.bmp": png(IMAGES[2], encoding="BMP"),
            "2/.DS_Store": b"litter",
            "9/Thumbs.db": b"litter",
            "README.txt": b"read me",
        },
    )
    assert formats.recognise(tmp_path) == "folder"
    train, test = formats.read(tmp_path)
    check_part(train, IMAGES[:3], [9, 2, 9])
    assert test is None


def test_class_names_are_the_sorted_folder_names_and_numbers_sort_by_value(tmp_path):
    write_bytes(tmp_path / "a", {"shoe/1.png": png(IMAGES[1]), "bag/0.png": png(IMAGES[0])})
    check_part(formats.read(tmp_path / "a")[0], IMAGES[:2], [0, 1], ("bag", "shoe"))
    write_bytes(tmp_path / "b", {f"{n}/{n:02}.png": png(IMAGES[n]) for n in range(12)})
    names = tuple(str(n) for n in range(12))
    check_part(formats.read(tmp_path / "b")[0], IMAGES, range(12), names)


@pytest.mark.parametrize(("train_name", "test_name"), [("train", "test"), ("training", "testing")])
def test_train_and_test_sub_folders_are_parts_and_share_their_classes(tmp_path, train_name, test_name):
    write_bytes(tmp_path / train_name, {"a/0.png": png(IMAGES[0]), "b/1.png": png(IMAGES[1])})
    write_bytes(tmp_path / test_name, {"b/0.png": png(IMAGES[2])})
    train, test = formats.read(tmp_path)
    check_part(train, IMAGES[:2], [0, 1], ("a", "b"))
    check_part(test, IMAGES[2:3], [1], ("a", "b"))


def test_a_flat_folder_of_pictures_has_no_labels(tmp_path):
    write_bytes(tmp_path, {"b.png": png(IMAGES[1]), "a.png": png(IMAGES[0])})
    check_part(formats.read(tmp_path)[0], IMAGES[:2], None)


def palette_with_transparency():
    file = io.BytesIO()
    Image.fromarray(IMAGES[0]).convert("P").save(file, "PNG", transparency=b"\0" * 256)
    return file.getvalue()


@pytest.mark.parametrize(
    ("files", "parts"),
    [
        ({"3/broken.png": png(IMAGES[0])[:-40]}, ["3/broken.png'", "damaged picture"]),
        ({"3/broken.png": png(IMAGES[0])[:20]}, ["3/broken.png'"]),
        ({"3/empty.png": b""}, ["3/empty.png'", "not a picture"]),
        ({"3/notes.txt": b"hello"}, ["3/notes.txt'", "not a picture", "68 65 6c 6c", "PNG"]),
        (
            {"3/big.png": png(np.zeros((29, 28), np.uint8))},
            ["3/big.png'", "29 x 28 pixels", "28 x 28 expected"],
        ),
        (
            {"3/deep.png": png(IMAGES[0].astype(np.uint16), "I;16")},
            ["3/deep.png'", "more than 8 bits", "I;16"],
        ),
        ({"3/glass.png": png(np.zeros((28, 28, 4), np.uint8), "RGBA")}, ["3/glass.png'", "transparent"]),
        ({"3/glass.png": palette_with_transparency()}, ["3/glass.png'", "transparent"]),
        (
            {"3/ps.eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 28 28\n"},
            ["3/ps.eps'", "not a picture"],
        ),
        ({"3/4/a.png": png(IMAGES[0])}, ["3/4'", "folder inside a class folder"]),
        ({"a.png": png(IMAGES[0])}, ["a.png'", "beside the class folders"]),
        ({"class_names.json": b"{"}, ["class_names.json'", "not JSON"]),
        ({"class_names.json": b"{}"}, ["class_names.json'", "a dict", "list"]),
        ({"class_names.json": b'["a", 3]'}, ["class_names.json'", "class 1 is 3"]),
        ({"class_names.json": b'["a", "b"]'}, ["7'", "2 classes", "0 to 1"]),
    ],
)
def test_a_folder_with_a_fault_is_refused_with_the_file(tmp_path, files, parts):
    write_bytes(tmp_path, {"7/good.png": png(IMAGES[0]), **files})
    refuse(tmp_path, *parts)


@pytest.mark.parametrize(
    ("side", "message"),
    [(10_000, "10000 x 10000 pixels; 28 x 28 expected"), (50_000, "damaged picture: Image size")],
)
def test_a_picture_bomb_is_refused_by_its_size_without_a_warning(tmp_path, side, message):
    bomb = bytearray(png(IMAGES[0]))
    bomb[16:24] = struct.pack(">II", side, side)
    bomb[29:33] = struct.pack(">I", zlib.crc32(bytes(bomb[12:29])))
    write_bytes(tmp_path, {"7/bomb.png": bytes(bomb)})
    refuse(tmp_path, "7/bomb.png'", message)


def test_empty_folders_are_refused(tmp_path):
    refuse(tmp_path, str(tmp_path), "an empty folder")
    (tmp_path / "0").mkdir()
    refuse(tmp_path, "0'", "an empty folder", "at least one picture")
    write_bytes(tmp_path, {"0/a.png": png(IMAGES[0])})
    (tmp_path / "1").mkdir()
    refuse(tmp_path, "1'", "an empty folder")


def test_test_classes_that_the_train_part_lacks_are_refused(tmp_path):
    write_bytes(tmp_path, {"train/a/0.png": png(IMAGES[0]), "test/b/0.png": png(IMAGES[0])})
    refuse(tmp_path, "test'", "classes b; a expected")
    (tmp_path / "test/b/0.png").rename(tmp_path / "test/0.png")
    (tmp_path / "test/b").rmdir()
    refuse(tmp_path, "test'", "without class folders")
    (tmp_path / "test/0.png").unlink()
    refuse(tmp_path, "test'", "empty folder")


# --- recognition ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        (b"", ["empty file (0 bytes)"]),
        (b"\x12\x34\x56\x78 rest", ["12 34 56 78", "IDX", "Parquet"]),
        (b"\x89PNG\r\n\x1a\n", ["89 50 4e 47"]),
        (b"just words", ["6a 75 73 74"]),
    ],
)
def test_files_of_no_known_kind_are_refused(tmp_path, content, parts):
    (tmp_path / "thing.csv").write_bytes(content)
    refuse(tmp_path / "thing.csv", "thing.csv'", *parts)


def test_a_missing_path_and_a_folder_without_data_are_refused(tmp_path):
    refuse(tmp_path / "nowhere", "nowhere'", "no such file or folder")
    (tmp_path / "README.md").write_text("words")
    refuse(tmp_path, "no data set among README.md")


# --- writing --------------------------------------------------------------------------------------------


def test_pictures_are_written_without_loss():
    assert np.array_equal(decode_picture(encode_png(IMAGES[0]), "x"), IMAGES[0])


def test_labels_above_9_are_not_written_where_they_could_not_be_read(tmp_path):
    data = Dataset(IMAGES, LABELS + np.uint8(4), "letters", tuple("abcdefghijklmn"))
    with pytest.raises(DataError, match=r"label 13 cannot be written as IDX.*npz, parquet or folder"):
        formats.idx.write(data, None, tmp_path)
    with pytest.raises(DataError, match="label 13 cannot be written as CSV"):
        formats.csv.write(data, io.BytesIO())
    assert list(tmp_path.iterdir()) == []


def test_an_idx_file_is_written_byte_for_byte_as_published(tmp_path):
    formats.idx.write(Dataset(IMAGES, LABELS, "x"), None, tmp_path)
    assert (tmp_path / "images-idx3-ubyte").read_bytes() == idx_images()
    assert (tmp_path / "labels-idx1-ubyte").read_bytes() == idx_labels()


def test_a_csv_file_is_written_line_for_line_as_kaggle_has_it():
    file = io.BytesIO()
    formats.csv.write(Dataset(IMAGES, LABELS, "x"), file)
    assert file.getvalue().decode().splitlines() == csv_lines()


def test_numpy_reads_the_written_npz_without_pickle(tmp_path):
    with (tmp_path / "a.npz").open("wb") as file:
        formats.npz.write(Dataset(IMAGES, LABELS, "x"), Dataset(IMAGES[:2], LABELS[:2], "y"), file)
    with np.load(tmp_path / "a.npz", allow_pickle=False) as arrays:
        assert sorted(arrays) == ["x_test", "x_train", "y_test", "y_train"]
        assert np.array_equal(arrays["x_train"], IMAGES)

"""The command line in processes of its own, as a user runs it."""

from __future__ import annotations

import dataclasses
import json
import os
import pty
import re
import subprocess
import sys
import warnings
from dataclasses import asdict

import cv2
import numpy as np
import pytest

from mnistry import classifier
from mnistry.classifier import Classifier
from mnistry.cli import main
from mnistry.data import KINDS, load_mnist, save_data
from mnistry.imaging import center_digit
from mnistry.recipes import RECIPES, Config
from mnistry.runs import Run

ENVIRONMENT = {**os.environ, "KERAS_BACKEND": "jax", "COLUMNS": "100"}


def mnistry(*arguments, cwd, check=True):
    command = [sys.executable, "-m", "mnistry.cli", *map(str, arguments)]
    result = subprocess.run(command, cwd=cwd, capture_output=True, text=True, env=ENVIRONMENT, timeout=300)
    if check:
        assert result.returncode == 0, result.stderr
    return result


@pytest.fixture(autouse=True)
def warnings_as_usual(monkeypatch):
    """What `main` changes in its process is undone after each test."""
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a small data set and a run trained on it."""
    folder = tmp_path_factory.mktemp("cli")
    train, test = load_mnist()
    save_data((train.take(3000), test.take(500)), folder / "small.npz")
    result = mnistry("train", "--data", "small.npz", "--epochs", 3, "--out", "run", cwd=folder)
    (folder / "output.txt").write_text(result.stdout)
    (folder / "progress.txt").write_text(result.stderr)
    return folder


def test_train_prints_accuracy_with_interval_and_the_prediction(folder):
    output = (folder / "output.txt").read_text()
    found = re.search(
        r"^Model Accuracy: (\d\d\.\d\d)% \(95 % interval (.*)% to (.*)%, 500 test images\)$", output, re.M
    )
    accuracy, low, high = map(float, found.groups())
    assert 75 < low < accuracy < high < 100
    assert "\nModel Prediction: 7\n" in output
    record = json.loads((folder / "run" / "run.json").read_text())
    after, before = (record["calibration"][f"ece_{when}"] for when in ("after", "before"))
    assert f"\nCalibration Error: {after:.2%} ({before:.2%} before calibration, 600 vali" in output
    assert "Everything is in run" in output
    assert "Try next" in output


def test_train_shows_one_plain_line_an_epoch_and_no_noise(folder):
    lines = (folder / "progress.txt").read_text().splitlines()
    assert len(lines) == 3
    assert all(re.match(r"epoch \d/3  accuracy .* val_loss .* images/s", line) for line in lines)


def test_train_leaves_model_record_history_and_pictures(folder):
    names = sorted(
        str(path.relative_to(folder / "run")) for path in (folder / "run").rglob("*") if path.is_file()
    )
    pictures = ["accuracy", "confusion_matrix", "loss", "mistakes", "prediction"]
    files = ["checkpoint.npz", "history.csv", "model.keras", "model.onnx"]
    assert names == [*files, *(f"plots/{name}.png" for name in pictures), "run.json"]


def test_evaluate_repeats_the_figures_of_the_run(folder):
    recorded = json.loads((folder / "run" / "run.json").read_text())["metrics"]
    measured = json.loads(mnistry("evaluate", "run", "--json", cwd=folder).stdout)
    assert measured["accuracy"] == recorded["accuracy"]
    assert measured["nll"] == pytest.approx(recorded["nll"], rel=1e-4)
    assert json.loads(
        mnistry("evaluate", "run/model.onnx", "--data", "small.npz", "--json", cwd=folder).stdout
    ) == (measured | {"model": "run/model.onnx"})
    through_keras = json.loads(mnistry("evaluate", "run", "--backend", "jax", "--json", cwd=folder).stdout)
    assert through_keras["nll"] == pytest.approx(recorded["nll"], rel=1e-6)
    assert through_keras["accepted"] == pytest.approx(measured["accepted"])
    table = mnistry("evaluate", "run/model.keras", "--data", "small.npz", cwd=folder).stdout
    assert f"{recorded['accuracy']:.2%}".rstrip("%") in table


def test_evaluate_on_full_mnist_measures_all_test_images(folder):
    assert (
        json.loads(mnistry("evaluate", "run", "--data", "mnist", "--json", cwd=folder).stdout)["n"] == 10_000
    )


def draw_digits(folder):
    """A dark 1 and a light 0, drawn large."""
    one = np.full((300, 200), 230, np.uint8)
    cv2.line(one, (105, 50), (95, 250), 20, 22)
    cv2.imwrite(str(folder / "one.png"), one)
    zero = np.full((120, 160), 15, np.uint8)
    cv2.ellipse(zero, (80, 60), (28, 42), 0, 0, 360, 240, 9)
    cv2.imwrite(str(folder / "zero.jpg"), zero)


def test_read_answers_for_each_picture_and_goes_on_after_a_bad_one(folder):
    draw_digits(folder)
    (folder / "bad.png").write_text("<svg/>")
    result = mnistry(
        "read", "one.png", "bad.png", "zero.jpg", "--model", "run", "--json", cwd=folder, check=False
    )
    assert result.returncode == 1
    readings = [json.loads(line) for line in result.stdout.splitlines()]
    assert [reading["file"] for reading in readings] == ["one.png", "bad.png", "zero.jpg"]
    assert [reading["text"] for reading in readings] == ["1", "", "0"]
    assert "bad.png" in readings[1]["error"]
    digit = readings[0]["lines"][0]["digits"][0]
    assert set(digit) == {"label", "box", "confidence", "accepted", "alternatives"}


def test_read_prints_text_and_confidence(folder):
    draw_digits(folder)
    assert re.fullmatch(r"1  \d\.\d{3}\n", mnistry("read", "one.png", "--model", "run", cwd=folder).stdout)
    lines = mnistry("read", "one.png", "zero.jpg", "--model", "run", cwd=folder).stdout.splitlines()
    assert [line[: line.index("  ")] for line in lines] == ["one.png: 1", "zero.jpg: 0"]


def test_plot_draws_the_pictures_again(folder):
    for picture in (folder / "run" / "plots").glob("*.png"):
        picture.unlink()
    listed = mnistry("plot", "run", cwd=folder).stdout.split()
    assert len(listed) == 5
    assert all((folder / name).stat().st_size > 10_000 for name in listed)


def test_data_info_counts_and_export_writes_what_train_reads(folder):
    information = json.loads(mnistry("data", "info", "--json", cwd=folder).stdout)["parts"]
    assert [part["images"] for part in information] == [60_000, 10_000]
    assert information[1]["classes"]["0"] == 980
    assert "980" in mnistry("data", "info", cwd=folder).stdout
    mnistry("data", "export", "small.npz", "small_idx", "--kind", "idx", cwd=folder)
    exported = json.loads(mnistry("data", "info", "small_idx", "--json", cwd=folder).stdout)["parts"]
    original = json.loads(mnistry("data", "info", "small.npz", "--json", cwd=folder).stdout)["parts"]
    assert [part["sha256"] for part in exported] == [part["sha256"] for part in original]


def test_data_show_draws_a_sheet(folder):
    assert (
        mnistry("data", "show", "small.npz", "--out", "sheet.png", "--count", 20, cwd=folder).stdout
        == "sheet.png\n"
    )
    sheet = cv2.imread(str(folder / "sheet.png"))
    assert sheet.std() > 20


def test_a_finished_run_resumed_says_the_same_and_more_epochs_go_on(folder):
    again = mnistry("train", "--resume", "run", cwd=folder)
    assert again.stdout.splitlines()[:2] == (folder / "output.txt").read_text().splitlines()[:2]
    assert again.stderr == "note: run is finished already; a higher number of epochs trains it further\n"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["train", "--data", "gone.npz"], 1, "gone.npz"),
        (
            ["train", "--model", "resnet"],
            1,
            "unknown model 'resnet': known are linear, mlp, lenet5, small_convnet",
        ),
        (["train", "--out", "run"], 1, "is not empty"),
        (["train", "--resume", "gone"], 1, "is no run directory"),
        (["train", "--epochs", "0"], 2, "--epochs"),
        (["train", "--backend", "theano"], 2, "theano"),
        (["train", "--resume", "run", "--seed", "3"], 2, "leave out --seed"),
        (["train", "--resume", "run", "--data", "mnist"], 2, "leave out --data"),
        (["train", "--model", "own.py"], 1, "write own.py:function"),
        (["evaluate", "gone"], 1, "in runs/ there are: none"),
        (["data", "show", "--out", "sheet.foo"], 2, "must end in .png"),
        (["train", "--learning-rate", "-1"], 2, "learning_rate must be positive"),
        (["evaluate", "gone.keras"], 1, "gone.keras"),
        (["evaluate"], 1, "no trained model in runs/"),
        (
            ["read", "one.png", "--model", "gone.onnx"],
            1,
            "no run directory, .onnx or .keras file 'gone.onnx'",
        ),
        (["train", "--set", "momentum=1"], 2, "Names are: model, epochs"),
        (["train", "--set", "ema=much"], 2, "ema is a number such as 0.0"),
        (["train", "--set", "schedule=linear"], 2, "schedule must be one of constant, one-cycle"),
        (["train", "--set", "scale=-1"], 2, "scale must be a number of at least 0"),
        (["train", "--set", "epochs=3", "--epochs", "4"], 2, "epochs is set twice"),
        (["train", "--ensemble", "1"], 2, "--ensemble"),
        (["train", "--resume", "run", "--ensemble", "2"], 2, "leave out --ensemble"),
        (["train", "--resume", "run", "--set", "ema=0"], 2, "leave out --set"),
        (["export", "run", "--to", "pickle"], 2, "--to takes onnx, saved-model, litert, c"),
        (["export", "run", "--to", "c", "--dtype", "float16"], 2, "--to c takes --dtype int8, not float16"),
        (["export", "run", "--out", "digits.xyz"], 2, "--to onnx writes files that end in .onnx; --out is"),
        (["export", "run", "--to", "saved-model", "--out", "d.onnx"], 2, "--to saved-model writes a folder"),
        (["export", "run/model.onnx"], 1, "is exported already"),
        (["export", "gone"], 1, "no run directory, .onnx or .keras file 'gone'"),
        (["data", "show", "--set", "scale=1"], 2, "add --augment"),
        (["data", "show", "--augment", "--recipe", "classic"], 2, "the recipe classic changes no images"),
        (["data", "show", "--augment", "--set", "epochs=1"], 2, "epochs is no augmentation"),
        (
            ["data", "show", "small.npz", "--out", "gone/sheet.png"],
            1,
            "error: cannot write 'gone/sheet.png': No such file or directory\n",
        ),
        (
            ["train", "--resume", "run", "--backend", "torch"],
            1,
            "error: 'run' began on jax and goes on only there, not on torch: leave out --backend",
        ),
        (["data", "export", "mnist", "out.xyz"], 1, "npz"),
        (["nothing"], 2, "No such command 'nothing'"),
    ],
)
def test_a_mistake_is_one_clear_line_and_the_right_exit_code(
    folder, arguments, code, message, monkeypatch, capsys
):
    monkeypatch.chdir(folder)
    assert main(arguments) == code
    printed = capsys.readouterr()
    assert message in printed.err
    assert "Traceback" not in printed.err
    assert printed.out == ""


def test_a_missing_back_end_names_its_install_line(folder, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.util as u\nfind = u.find_spec\n"
        "u.find_spec = lambda name, package=None: None if name == 'torch' else find(name, package)\n"
    )
    command = [sys.executable, "-m", "mnistry.cli", "train", "--backend", "torch"]
    environment = {**ENVIRONMENT, "PYTHONPATH": str(tmp_path)}
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment)
    assert result.returncode == 1
    assert "pip install 'mnistry[torch]'" in result.stderr


def test_version_and_bare_command(folder):
    assert re.fullmatch(r"mnistry \d+\.\d+\.\d+\n", mnistry("--version", cwd=folder).stdout)
    assert "train" in mnistry("--help", cwd=folder).stdout


def test_on_a_terminal_progress_is_live(folder):
    master, slave = pty.openpty()
    command = [
        sys.executable,
        "-m",
        "mnistry.cli",
        "train",
        "--data",
        "small.npz",
        "--epochs",
        "3",
        "--out",
        "live",
    ]
    environment = {**ENVIRONMENT, "TERM": "xterm-256color"}
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=slave, env=environment)
    os.close(slave)
    seen = b""
    while True:
        try:
            chunk = os.read(master, 4096)
        except OSError:  # Linux says so when the other side is closed
            break
        if not chunk:
            break
        seen += chunk
    assert process.wait(timeout=60) == 0
    os.close(master)
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", seen.decode())
    assert "compiling" in text
    assert "3/3" in text
    assert "epoch 3/3  accuracy" in text


def test_the_help_of_train_names_the_defaults_of_the_classic_recipe(folder):
    shown = " ".join(mnistry("train", "--help", cwd=folder).stdout.split())
    classic = asdict(Config())
    for name in ("model", "epochs", "batch_size", "learning_rate", "validation"):
        assert f"[classic: {classic[name]}]" in shown


def test_the_help_of_data_names_every_kind_and_only_what_changes_images(capsys):
    helped = " ".join(in_process(capsys, "data", "export", "--help").split())
    assert all(re.search(rf"\b{kind}[, ]", helped) for kind in KINDS)
    helped = in_process(capsys, "data", "show", "--help")
    assert "rotation_deg=10" in helped
    assert "schedule" not in helped


def test_show_prints_the_settings_of_a_recipe_with_the_changes(folder):
    shown = mnistry("train", "--recipe", "fast", "--epochs", 3, "--show", cwd=folder).stdout
    settings = dict(line.split() for line in shown.splitlines())
    assert settings["model"] == "small_convnet"
    assert settings["epochs"] == "3"
    assert settings["shift_px"] == "1"
    printed = json.loads(mnistry("train", "--recipe", "best", "--show", "--json", cwd=folder).stdout)
    assert Config(**printed) == RECIPES["best"]
    result = mnistry("train", "--recipe", "slow", cwd=folder, check=False)
    assert result.returncode == 1
    assert "unknown recipe 'slow': known are classic, fast, better, augmented, tiny, best" in result.stderr


def test_a_training_that_diverges_says_so(folder):
    arguments = [
        "train",
        "--data",
        "small.npz",
        "--learning-rate",
        "1e30",
        "--epochs",
        "2",
        "--out",
        "diverged",
    ]
    result = mnistry(*arguments, cwd=folder, check=False)
    assert result.returncode == 1
    assert "error: the training diverged: the loss is nan after epoch" in result.stderr
    assert "smaller learning rate" in result.stderr


def test_evaluate_knows_the_data_of_the_run_by_any_path_and_refuses_other_classes(folder):
    (folder / "below").mkdir(exist_ok=True)
    result = json.loads(
        mnistry("evaluate", "../run", "--data", "../small.npz", "--json", cwd=folder / "below").stdout
    )
    assert result["n"] == 500
    _, test = load_mnist()
    letters = dataclasses.replace(test.take(50), class_names=tuple("abcdefghij"))
    save_data(letters, folder / "letters", "folder")
    refused = mnistry("evaluate", "run", "--data", "letters", cwd=folder, check=False)
    assert refused.returncode == 1
    assert "has the classes a, b, c" in refused.stderr


OWN_LAYER = """
import keras
class Scale(keras.layers.Layer):
    def call(self, inputs):
        return inputs / 255
def own(num_classes):
    return keras.Sequential([keras.Input((28, 28), dtype="uint8"), keras.layers.Rescaling(1.0), Scale(),
                             keras.layers.Flatten(), keras.layers.Dense(num_classes)])
"""


@pytest.mark.slow
def test_a_network_with_layers_of_the_users_own_is_trained_and_evaluated(folder):
    (folder / "own_layers.py").write_text(OWN_LAYER)
    options = ["--data", "small.npz", "--epochs", 1, "--out", "own_run"]
    mnistry("train", "--model", "own_layers.py:own", *options, cwd=folder)
    (folder / "below").mkdir(exist_ok=True)
    assert json.loads(mnistry("evaluate", "../own_run", "--json", cwd=folder / "below").stdout)["n"] == 500


def test_a_directory_in_which_a_process_trains_is_refused(folder):
    with Run.open(folder / "run").locked():
        result = mnistry("train", "--resume", "run", "--epochs", 4, cwd=folder, check=False)
    assert result.returncode == 1
    assert "another process trains in" in result.stderr


LOADED = """
import sys
from mnistry.cli import main
code = main(sys.argv[1:])
print(code, *sorted({name.partition(".")[0] for name in sys.modules}))
"""


def test_read_answers_from_a_run_without_loading_keras(folder):
    draw_digits(folder)
    command = [sys.executable, "-c", LOADED, "read", "one.png", "--model", "run"]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=ENVIRONMENT, check=True)
    answer, loaded = result.stdout.splitlines()
    assert answer.startswith("1  ")
    assert loaded.startswith("0 ")
    assert "onnxruntime" in loaded.split()
    assert not {"keras", "jax", "matplotlib", "onnx", "tensorflow"} & set(loaded.split())


def in_process(capsys, *arguments):
    """The same without a process: what is printed, once the command has ended well."""
    assert main([str(argument) for argument in arguments]) == 0
    return capsys.readouterr().out


def test_read_uses_the_classifier_that_comes_with_mnistry(folder, capsys, monkeypatch):
    draw_digits(folder)
    one = folder / "one.png"
    monkeypatch.setattr(classifier, "SHIPPED", folder / "run" / "model.onnx")
    expected = in_process(capsys, "read", one, "--model", folder / "run" / "model.onnx", "--json")
    assert in_process(capsys, "read", one, "--json") == expected
    monkeypatch.setattr(classifier, "SHIPPED", folder / "missing.onnx")
    assert main(["read", str(one)]) == 1
    assert "comes without a classifier: train one with mnistry train" in capsys.readouterr().err


def test_a_digit_below_the_threshold_of_the_calibration_is_not_accepted(folder, capsys):
    draw_digits(folder)
    pictures = [folder / "one.png", folder / "zero.jpg"]
    calibration = Run.open(folder / "run").calibration
    lines = in_process(capsys, "read", *pictures, "--model", folder / "run", "--json").splitlines()
    digits = [json.loads(line)["lines"][0]["digits"][0] for line in lines]
    assert all(digit["accepted"] == (digit["confidence"] >= calibration.threshold) for digit in digits)
    expected = Classifier(folder / "run").predict(center_digit(255 - cv2.imread(str(pictures[0]), 0))[None])
    assert digits[0]["confidence"] == pytest.approx(expected.probabilities.max(), abs=0.05)
    strict = in_process(capsys, "read", pictures[0], "--model", folder / "run", "--threshold", 1)
    assert re.fullmatch(r"-  \(refused: 1\? \d\.\d{3}\)\n", strict)


def test_export_writes_beside_the_network_what_classifier_reads(folder, capsys):
    run = folder / "run"
    report = in_process(capsys, "export", run, "--dtype", "float16")
    assert report.startswith(f"{run / 'model-float16.onnx'}: ")
    assert "of 500 images answered otherwise than by its source" in report
    quantised = json.loads(
        in_process(capsys, "export", run, "--dtype", "int8", "--out", folder / "q.onnx", "--json")
    )
    assert (quantised["precision"], quantised["n"]) == ("int8", 500)
    assert Classifier(folder / "q.onnx").calibration == Run.open(run).calibration
    before = (run / "model.onnx").read_bytes()
    (run / "model.onnx").unlink()
    through_keras = in_process(capsys, "read", folder / "one.png", "--model", run, "--json")
    in_process(capsys, "export", run)
    assert (run / "model.onnx").read_bytes() == before
    digit, other = (
        json.loads(text)["lines"][0]["digits"][0]
        for text in (through_keras, in_process(capsys, "read", folder / "one.png", "--model", run, "--json"))
    )
    assert digit["confidence"] == pytest.approx(other["confidence"], abs=1e-5)
    assert (digit["label"], digit["accepted"]) == (other["label"], other["accepted"])
    in_process(capsys, "export", run / "model.keras", "--data", folder / "small.npz", "--dtype", "float16")
    assert Classifier(run / "model-float16.onnx").calibration is None


@pytest.mark.slow
def test_an_ensemble_is_trained_evaluated_and_exported_as_one(folder):
    arguments = ["--data", "small.npz", "--model", "linear", "--epochs", 1, "--ensemble", 2, "--out", "two"]
    result = mnistry("train", *arguments, "--validation", 0, cwd=folder)
    alone = re.search(r"^Networks Alone: (\d\d\.\d\d)%, (\d\d\.\d\d)%$", result.stdout, re.M)
    record = json.loads((folder / "two" / "run.json").read_text())
    assert [f"{member['accuracy'] * 100:.2f}" for member in record["members"]] == list(alone.groups())
    assert "Trained 2 of 2 networks in " in result.stdout
    assert "Calibration Error: unknown; no images were kept" in result.stdout
    assert "note: no images were kept to validate on" in result.stderr
    measured = json.loads(mnistry("evaluate", "two", "--json", cwd=folder).stdout)
    assert measured["accuracy"] == record["metrics"]["accuracy"]
    assert measured["accepted"] is None


def test_any_setting_can_be_set_by_its_name(capsys):
    changes = ["schedule=one-cycle", "rotation-deg=10", "ema=0.9", "batch_size=64"]
    options = [part for change in changes for part in ("--set", change)]
    shown = Config(
        **json.loads(in_process(capsys, "train", "--recipe", "fast", *options, "--show", "--json"))
    )
    expected = {"schedule": "one-cycle", "ema": 0.9, "batch_size": 64}
    augmentation = dataclasses.replace(RECIPES["fast"].augmentation, rotation_deg=10)
    assert shown == dataclasses.replace(RECIPES["fast"], **expected, augmentation=augmentation)


def test_data_show_draws_augmentation_of_a_recipe_or_one_kind(folder, capsys):
    sheet, one = folder / "augmented.png", folder / "rotated.png"
    in_process(capsys, "data", "show", folder / "small.npz", "--augment", "--recipe", "fast", "--out", sheet)
    in_process(
        capsys, "data", "show", folder / "small.npz", "--augment", "--set", "rotation_deg=30", "--out", one
    )
    pictures = [cv2.imread(str(path)) for path in (sheet, one)]
    assert all(picture.std() > 20 for picture in pictures)
    assert pictures[0].shape == pictures[1].shape  # a row for the only change of each
    assert not np.array_equal(*pictures)


def test_a_run_that_lost_its_checkpoint_cannot_be_plotted_and_says_why(folder, capsys, tmp_path):
    (tmp_path / "run.json").write_bytes((folder / "run" / "run.json").read_bytes())
    assert main(["plot", str(tmp_path)]) == 1
    assert "has lost its checkpoint.npz" in capsys.readouterr().err

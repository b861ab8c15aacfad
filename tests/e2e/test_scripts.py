"""train.py and validate.py on folders of JPEG files."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from PIL import Image

import mindcv
from mindcv import weights
from mindcv.cli.scripts import DIVERGED, USER_ERROR, run_script
from mindcv.engine import validation

ROOT = Path(__file__).parents[2]
RECIPE = ROOT / "configs/convit/convit_tiny_ascend.yaml"
ON_CPU = ["--device_target", "CPU", "--distribute", "False", "--amp_level", "O0", "--batch_size", "4"]
pytestmark = pytest.mark.usefixtures("shallow_tiny")
SHALLOW = ROOT / "tests/shallow"
QUICK = ["--mode", "1", "--image_resize", "32", "--patch_size", "16"]


def run(script, *words, cwd=ROOT):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    line = [sys.executable, *map(str, [script, *words])]
    return subprocess.run(line, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder in ImageNet's layout: three classes, nine images in train and seven in val."""
    root = tmp_path_factory.mktemp("imagenet")
    rng = np.random.default_rng(0)
    for split, count in (("train", 3), ("val", 2)):
        for number, name in enumerate(["n01440764", "n01443537", "n01484850"]):
            (root / split / name).mkdir(parents=True)
            for i in range(count + (split == "val" and number == 0)):
                pixels = rng.integers(0, 90, (50, 70, 3)) + 60 * number
                Image.fromarray(pixels.astype(np.uint8)).save(root / split / name / f"{name}_{i}.JPEG")
    return root


@pytest.fixture(scope="module")
def trained(folder, tmp_path_factory):
    """Train two epochs in PyNative mode on small images."""
    out = tmp_path_factory.mktemp("run")
    words = ["-c", RECIPE, "--data_dir", folder, *ON_CPU, *QUICK, "--num_classes", "7", "--ckpt_save_dir", out]
    return run(SHALLOW / "train.py", *words, "--epoch_size", "2", "--val_while_train"), out


@pytest.mark.parametrize("scripts", [SHALLOW, pytest.param(ROOT, marks=pytest.mark.slow)], ids=["shallow", "full"])
def test_train_and_validate_by_the_model_cards_commands(scripts, folder, tmp_path):
    """In graph mode at 224 pixels, from a folder outside the repository."""
    words = ["--config", RECIPE, "--data_dir", folder, *ON_CPU]
    done = run(scripts / "train.py", *words, "--epoch_size", "1", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    [checkpoint] = (tmp_path / "ckpt").glob("convit_tiny-*.ckpt")
    assert checkpoint.name == "convit_tiny-1_2.ckpt"
    done = run(scripts / "validate.py", *words, "--ckpt_path", checkpoint, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Top_1_Accuracy: " in done.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ckpt"], "the commands leave nothing else in the folder"


def test_train_writes_checkpoints_options_and_metrics(trained):
    done, out = trained
    assert done.returncode == 0, done.stderr
    assert {path.name for path in out.iterdir() if not path.name.startswith(".")} == {
        "best.ckpt", "config.yaml", "convit_tiny-1_2.ckpt", "convit_tiny-2_2.ckpt", "metrics.jsonl",
    }  # fmt: skip
    records = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert [(r["epoch"], r["step"]) for r in records] == [(1, 2), (2, 4)]
    for record in records:
        assert record["loss"] > 0
        assert record["lr"] >= 0
        assert record["images_per_second"] > 0
        assert record["seconds"] > 0
        assert 0 <= record["top_1"] <= record["top_5"] <= 100
    best = max(records, key=lambda r: r["top_1"])
    assert f"top-1 {best['top_1']:.2f} %" in done.stderr
    assert "(best)" in done.stderr
    assert "model: convit_tiny" in (out / "config.yaml").read_text()


@pytest.mark.parametrize("batch_size", [3, 20])
def test_validate_counts_every_image_once_at_any_batch_size(batch_size, trained, folder, tmp_path, run_in_process):
    _, out = trained
    words = ["-c", out / "config.yaml", "--ckpt_path", out / "best.ckpt", "--batch_size", batch_size]
    done = run_in_process("validate", *words, "--results_file", tmp_path / "results.json")
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / "results.json").read_text())
    assert results["images"] == 7
    for name, value in scores_one_by_one(out, folder).items():
        assert results[name] == pytest.approx(value, rel=1e-4), name
        assert f"{name}: {results[name]:.4f}" in done.stdout


def test_fine_tuning_recipe_trains_on_less_images_than_its_batch(folder, tmp_path, run_in_process):
    recipe = RECIPE.with_name("convit_tiny_finetune.yaml")
    words = ["-c", recipe, "--data_dir", folder, "--device_target", "CPU", "--pretrained", "False", *QUICK]
    done = run_in_process(
        "train", *words, "--epoch_size", "1", "--ckpt_save_dir", tmp_path, "--val_while_train", "False"
    )
    assert done.returncode == 0, done.stderr
    assert "9 training images in 3 classes, 1 step an epoch, 1 epoch" in done.stderr
    assert (tmp_path / "convit_tiny-1_1.ckpt").is_file()


def test_validate_writes_scores_by_class_and_predictions(trained, folder, tmp_path, run_in_process):
    _, out = trained
    words = ["-c", out / "config.yaml", "--ckpt_path", out / "best.ckpt", "--batch_size", "3"]
    outputs = ["--per_class", tmp_path / "classes", "--save_predictions", tmp_path / "images.csv"]
    done = run_in_process("validate", *words, *outputs, "--results_file", tmp_path / "results.json")
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / "results.json").read_text())
    rows = list(csv.DictReader((tmp_path / "images.csv").open()))
    assert [Path(row["image"]) for row in rows] == sorted(folder.glob("val/*/*"))
    assert all(Path(row["image"]).parent.name == row["class"] for row in rows)
    right = sum(row["class"] == row["prediction"] for row in rows)
    assert results["Top_1_Accuracy"] == pytest.approx(100 * right / 7)
    classes = list(csv.DictReader((tmp_path / "classes/per_class.csv").open()))
    assert [(row["class"], row["images"]) for row in classes][:3] == [
        ("n01440764", "3"), ("n01443537", "2"), ("n01484850", "2"),
    ]  # fmt: skip
    recalled = sum(float(row["recall"]) * int(row["images"]) for row in classes[:3]) / 7
    assert recalled == pytest.approx(results["Top_1_Accuracy"], abs=0.01)
    assert f"expected calibration error: {results['expected_calibration_error']:.2f} %" in done.stdout


def test_validate_of_several_checkpoints_sorts_them_by_top_1(trained, tmp_path, run_in_process, monkeypatch):
    """The damaged one between them is named; all are scored by one model, on data that is opened once."""
    _, out = trained
    table, damaged = tmp_path / "table.csv", tmp_path / "damaged.ckpt"
    damaged.write_bytes((out / "best.ckpt").read_bytes()[:-1])
    opened = []
    open_validation = validation.open_validation
    monkeypatch.setattr(validation, "open_validation", lambda *a, **k: opened.append(1) or open_validation(*a, **k))
    words = ["-c", out / "config.yaml", "--mode", "0", "--ckpt_paths", out / "best.ckpt", damaged, out]
    done = run_in_process("validate", *words, "--results_file", table)
    assert done.returncode == 2
    assert done.stderr.count(f"cannot read the checkpoint {damaged}: ") == 1
    assert done.stderr.endswith("validate.py: 1 of 4 checkpoints could not be scored; the table has the others\n")
    assert len(opened) == 1
    rows = list(csv.DictReader(table.open()))
    names = {"best.ckpt", "convit_tiny-1_2.ckpt", "convit_tiny-2_2.ckpt"}
    assert {Path(row["checkpoint"]).name for row in rows} == names
    scores = [float(row["top_1"]) for row in rows]
    assert scores == sorted(scores, reverse=True)
    records = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    by_name = {Path(row["checkpoint"]).name: float(row["top_1"]) for row in rows}
    assert [by_name[f"convit_tiny-{epoch}_2.ckpt"] for epoch in (1, 2)] == [r["top_1"] for r in records]
    assert done.stdout.startswith("| checkpoint | top-1 (%) | top-5 (%) | loss |")


def test_validate_with_a_class_subset_scores_the_listed_logits_alone(trained, folder, tmp_path, run_in_process):
    _, out = trained
    listed = ["n01484850", "n01440764"]
    (tmp_path / "classes.txt").write_text("\n".join(listed))
    for name in listed:
        shutil.copytree(folder / "val" / name, tmp_path / "images/val" / name)
    words = ["-c", out / "config.yaml", "--ckpt_path", out / "best.ckpt", "--data_dir", tmp_path / "images"]
    predictions = tmp_path / "images.csv"
    more = ["--class_subset", tmp_path / "classes.txt", "--save_predictions", predictions]
    done = run_in_process("validate", *words, *more)
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader(predictions.open()))
    assert len(rows) == 5
    assert {row["prediction"] for row in rows} <= {*listed}
    right = sum(row["class"] == row["prediction"] for row in rows)
    assert f"Top_1_Accuracy: {100 * right / 5:.4f}, loss: " in done.stdout
    assert all(float(row["probability"]) >= 0.5 for row in rows), "of two classes"


def scores_one_by_one(out, folder, skip_label=None):
    """Return the scores computed in NumPy, one image at a time."""
    ms.set_context(mode=ms.PYNATIVE_MODE)
    model = mindcv.create_model(
        "convit_tiny", num_classes=7, image_size=32, patch_size=16, checkpoint_path=str(out / "best.ckpt")
    )
    transforms = mindcv.create_transforms("imagenet", 32, interpolation="bicubic", crop_pct=0.875)
    dataset = mindcv.create_dataset("imagenet", str(folder), "val", shuffle=False)
    losses, ranks = [], []
    for image, label in mindcv.create_loader(dataset, 1, transform=transforms).create_tuple_iterator(output_numpy=True):
        if label[0] == skip_label:
            continue
        logits = model(ms.Tensor(image)).asnumpy()[0].astype(np.float64)
        losses.append(np.log(np.exp(logits).sum()) - logits[label[0]])
        ranks.append((logits > logits[label[0]]).sum())
    assert len(ranks) == 7 - 3 * (skip_label == 0)
    top = {f"Top_{k}_Accuracy": 100 * np.mean(np.array(ranks) < k) for k in (1, 5)}
    return {**top, "loss": np.mean(losses)}


def test_train_with_ckpt_path_starts_from_its_weights(trained, folder, tmp_path, run_in_process):
    _, out = trained
    words = ["-c", out / "config.yaml", "--ckpt_path", out / "best.ckpt", "--ckpt_save_dir", tmp_path]
    done = run_in_process("train", *words, "--epoch_size", "1", "--lr", "1e-12", "--min_lr", "1e-13")
    assert done.returncode == 0, done.stderr
    before = weights.weights_of(weights.read(out / "best.ckpt"))
    after = weights.weights_of(weights.read(tmp_path / "convit_tiny-1_2.ckpt"))
    assert "classifier.weight" in before
    for name, value in before.items():
        np.testing.assert_allclose(after[name], value, atol=1e-6)


BAD = {
    "no full batch": (["--batch_size", "10"], r"9 images.*batch_size of 10"),
    "no folder": (["--data_dir", "/nowhere"], r"/nowhere"),
    "no such device": (["--device_target", "Ascend"], r"Ascend is not available.*CPU"),
    "no such model": (["--model", "convit_tinny"], r"'convit_tinny'; did you mean 'convit_tiny'"),
    "too few classes": (["--num_classes", "2"], r"num_classes is 2, but the data has 3"),
    "no such split": (["--train_split", "training"], r"training"),
    "image and patch": (["--image_resize", "30"], r"30.*multiple"),
    "policy": (["--auto_augment", "autoaug-m9"], r"auto_augment .autoaug-m9.: cannot read .m9.; its settings are mstd"),
    "auxiliary outputs": (["--aux_factor", "0.4"], r"aux_factor is 0.4"),
    "no such dataset": (["--dataset", "cifar11"], r"cifar11.*cifar10"),
    "results of training": (["--results_file", "x.json"], r"results_file"),
    "accumulation": (["--gradient_accumulation_steps", "3"], r"gradient_accumulation_steps is 3.*2 batches"),
}


@pytest.mark.parametrize("case", BAD)
def test_train_with_bad_input_prints_one_line(case, folder, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    more, message = BAD[case]
    assert (
        run_script("train", "Train.", ["-c", str(RECIPE), "--data_dir", str(folder), *ON_CPU, *QUICK, *more])
        == USER_ERROR
    )
    error = capsys.readouterr().err
    lines = [line for line in error.splitlines() if line.startswith("train.py: ")]
    assert len(lines) == 1, error
    assert re.search(message, lines[0]), lines[0]
    assert "Traceback" not in error
    assert not list(tmp_path.iterdir()), "a refused run writes nothing"


def test_validate_without_the_first_class_keeps_the_labels_of_training(trained, folder, tmp_path, run_in_process):
    """The folder has no train; the checkpoint has the class names."""
    _, out = trained
    for name in ("n01443537", "n01484850"):
        (tmp_path / "val" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "val" / name).symlink_to(folder / "val" / name)
    words = ["-c", out / "config.yaml", "--ckpt_path", out / "best.ckpt", "--data_dir", tmp_path]
    words += ["--val_partial", "True"]
    done = run_in_process("validate", *words, "--results_file", tmp_path / "results.json")
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / "results.json").read_text())
    assert results["images"] == 4
    expected = scores_one_by_one(out, folder, skip_label=0)
    assert results["loss"] == pytest.approx(expected["loss"], rel=1e-4)


def test_validate_with_another_number_of_classes_fails(trained, folder, run_in_process):
    _, out = trained
    words = ["-c", out / "config.yaml", "--ckpt_path", out / "best.ckpt", "--num_classes", "9"]
    done = run_in_process("validate", *words)
    assert done.returncode == USER_ERROR
    assert done.stderr.count("validate.py: ") == 1
    assert "classifier.weight" in done.stderr


def test_validate_without_a_checkpoint_fails(folder, run_in_process):
    done = run_in_process("validate", "-c", RECIPE, "--data_dir", folder, *ON_CPU)
    assert done.returncode == USER_ERROR
    assert done.stderr.count("validate.py: ") == 1
    assert "--ckpt_path" in done.stderr


def test_train_with_a_loss_that_is_not_finite_stops(folder, tmp_path, run_in_process):
    words = ["-c", RECIPE, "--data_dir", folder, *ON_CPU, *QUICK, "--ckpt_save_dir", tmp_path, "--epoch_size", "4"]
    done = run_in_process("train", *words, "--lr", "1e30", "--warmup_epochs", "0", "--opt", "sgd")
    assert done.returncode == DIVERGED, done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith("train.py: the loss or its gradients at step ")
    assert "learning rate" in last
    assert "Traceback" not in done.stderr

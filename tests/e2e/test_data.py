"""Training on folders with broken images, on packed images, and with repeated and separate augmentation."""

import io
import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mindcv.cli.data import main
from mindcv.cli.scripts import USER_ERROR, run_script

RECIPE = Path(__file__).parents[2] / "configs/convit/convit_tiny_ascend.yaml"
QUICK = ["--device_target", "CPU", "--distribute", "False", "--amp_level", "O0", "--mode", "1", "--batch_size", "4",
         "--image_resize", "32", "--patch_size", "16", "--epoch_size", "1", "--num_parallel_workers", "2",
         "--log_gates", "False"]  # fmt: skip

pytestmark = pytest.mark.usefixtures("shallow_tiny")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Return a folder in ImageNet's layout: three classes of eight images; two of the 24 are broken."""
    monkeypatch.setenv("MINDCV_HOME", str(tmp_path / "home"))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    rng = np.random.default_rng(0)
    for i in range(24):
        path = tmp_path / "images/train" / f"class{i % 3}" / f"{i}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        out = io.BytesIO()
        Image.fromarray(rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)).save(out, "JPEG")
        path.write_bytes(out.getvalue()[:100] if i in (7, 11) else out.getvalue())
    return tmp_path / "images"


def train(folder, *more):
    return run_script("train", "Train.", ["-c", str(RECIPE), "--data_dir", str(folder), *QUICK, *more])


def test_train_on_broken_images_stops_or_leaves_them_out(folder, capsys):
    assert train(folder) == USER_ERROR
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("train.py: ")]
    assert len(lines) == 1 and "cannot read image" in lines[0] and ("7.jpg" in lines[0] or "11.jpg" in lines[0])
    assert train(folder, "--on_bad_image", "skip") == 0
    names = [Path(line.split(": ")[0]).name for line in Path("ckpt/bad_images.txt").read_text().splitlines()[1:]]
    assert sorted(names) == ["11.jpg", "7.jpg"]
    [record] = map(json.loads, Path("ckpt/metrics.jsonl").read_text().splitlines())
    assert record["step"] == 22 // 4 and record["loss"] > 0
    assert os.listdir() == ["ckpt"]


PLAIN = ["--mixup", "0", "--cutmix", "0"]


@pytest.mark.parametrize("options", [
    ["--auto_augment", "randaug-m9-mstd0.5-inc1", "--aug_repeats", "3", "--re_prob", "0.25", "--re_value", "random"],
    ["--auto_augment", "augmix-m3-w3", "--aug_splits", "3", "--sampling_ratio", "0.5", *PLAIN],
], ids=["repeated", "views"])  # fmt: skip
def test_train_with_repeated_and_separate_augmentation_runs(folder, options):
    assert train(folder, "--on_bad_image", "skip", *options) == 0
    [record] = map(json.loads, Path("ckpt/metrics.jsonl").read_text().splitlines())
    assert 0 < record["loss"] < 30


def test_train_on_packed_images_gives_the_loss_of_their_folder(folder, tmp_path):
    for i in (7, 11):
        (folder / "train" / f"class{i % 3}" / f"{i}.jpg").unlink()
    assert main(["pack", str(folder), str(tmp_path / "packed"), "--shards", "2"]) == 0
    losses = []
    for name, where in (("imagenet", folder), ("mindrecord", tmp_path / "packed")):
        assert train(where, "--dataset", name, "--ckpt_save_dir", name, "--auto_augment", "autoaug-mstd0.5") == 0
        losses.append(json.loads(Path(name, "metrics.jsonl").read_text())["loss"])
    assert losses[0] == losses[1]

"""Runs that are killed or stopped, and resumed, end as uninterrupted ones do."""

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mindcv import weights
from mindcv.cli.scripts import USER_ERROR
from mindcv.data.datasets import open_source
from mindcv.data.pack import pack
from mindcv.engine.checkpoints import checkpoints_in

ROOT = Path(__file__).parents[2]
WORDS = [
    "-c", ROOT / "configs/convit/convit_tiny_digits.yaml", "--mode", "1", "--image_resize", "16", "--num_samples", "96",
    "--epoch_size", "3", "--drop_path_rate", "0.2", "--mixup", "0.2", "--re_prob", "0.5", "--val_interval", "2",
]  # fmt: skip

pytestmark = pytest.mark.usefixtures("shallow_tiny")
TIMED = ("seconds", "images_per_second", "data_wait", "peak_memory")  # metrics that differ between equal runs


def start(out, *more):
    """Start train.py with the folder `out` as a process."""
    line = [sys.executable, "tests/shallow/train.py", *map(str, WORDS), "--ckpt_save_dir", str(out), *more]
    return subprocess.Popen(line, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(path, run):
    deadline = time.monotonic() + 120
    while not path.exists():
        assert run.poll() is None, run.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    out = tmp_path_factory.mktemp("uninterrupted")
    run = start(out)
    _, error = run.communicate(timeout=300)
    assert run.returncode == 0, error
    return out


def assert_same_end(out, uninterrupted):
    """Assert that the last checkpoints and all metrics of two runs are equal."""
    one, other = (weights.read(folder / "convit_tiny-3_3.ckpt") for folder in (out, uninterrupted))
    assert one.keys() == other.keys()
    for name, value in one.items():
        np.testing.assert_array_equal(value, other[name], err_msg=name)
    records, expected = (
        [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        for folder in (out, uninterrupted)
    )
    for record, wanted in zip(records, expected, strict=True):
        timeless = [key for key in record if key not in TIMED]
        assert [record[key] for key in timeless] == [wanted[key] for key in timeless]


def test_validation_runs_every_val_interval_epochs_and_at_the_end(uninterrupted):
    records = [json.loads(line) for line in (uninterrupted / "metrics.jsonl").read_text().splitlines()]
    assert ["val_loss" in record for record in records] == [False, True, True]


def test_resume_after_a_kill_repairs_what_it_left_incomplete(uninterrupted, tmp_path):
    """The newest checkpoint and the last line of metrics are cut off, and epoch 2 has a checkpoint but no record."""
    shutil.copytree(uninterrupted, tmp_path, dirs_exist_ok=True)
    torn = tmp_path / "convit_tiny-3_3.ckpt"
    torn.write_bytes(torn.read_bytes()[: torn.stat().st_size // 2])
    first = (tmp_path / "metrics.jsonl").read_text().splitlines(keepends=True)[0]
    (tmp_path / "metrics.jsonl").write_text(first + '{"epoch": 2, "st')
    (tmp_path / "best.ckpt").unlink()
    run = start(tmp_path, "--resume_opt")
    _, error = run.communicate(timeout=300)
    assert run.returncode == 0, error
    assert "convit_tiny-3_3.ckpt" in error
    assert (tmp_path / "earlier-1/convit_tiny-3_3.ckpt").exists()
    assert "after step 3 of epoch 2 of 3" in error
    assert_same_end(tmp_path, uninterrupted)
    assert (tmp_path / "best.ckpt").exists()


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), pytest.param(signal.SIGINT, 130, marks=pytest.mark.slow)]
)
def test_train_on_a_signal_saves_and_stops_and_resume_completes_it(number, code, uninterrupted, tmp_path):
    """In processes of their own: in one that has computed before, the gradients' norm may differ in its last bit."""
    run = start(tmp_path)
    wait_for(tmp_path / "convit_tiny-1_3.ckpt", run)
    run.send_signal(number)
    _, error = run.communicate(timeout=120)
    assert run.returncode == code, error
    assert error.splitlines()[-1].startswith(f"train.py: {number.name}: stopped after step")
    assert "go on with --resume" in error
    newest = max(checkpoints_in(tmp_path, "convit_tiny"))
    assert f"after step {newest.step} of epoch {newest.epoch}" in error.splitlines()[-1]
    if number == signal.SIGTERM:
        run = start(tmp_path, "--resume")
        _, error = run.communicate(timeout=300)
        assert run.returncode == 0, error
        assert_same_end(tmp_path, uninterrupted)


@pytest.fixture
def train(tmp_path, run_in_process):
    """Return a function that trains on a folder of images and returns the exit code and the last line of errors."""
    for name in ("cat", "dog"):
        for i in range(4):
            path = tmp_path / f"images/train/{name}/{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (16, 16), (40 * i, 90, 10)).save(path)

    def train(*more):
        done = run_in_process(
            "train", "-c", WORDS[1], "--mode", "1", "--image_resize", "16", "--num_parallel_workers", "1",
            "--batch_size", "4", "--dataset", "folder", "--num_classes", "2", "--val_while_train", "False",
            "--log_gates", "False",
            "--ckpt_save_dir", tmp_path / "out", *more,
        )  # fmt: skip
        return done.returncode, done.stderr.strip().splitlines()[-1:]

    return train


def test_resume_refuses_renamed_classes_and_images_and_accepts_packed_images(train, tmp_path):
    images = tmp_path / "images"
    assert train("--data_dir", images, "--epoch_size", "1")[0] == 0

    (images / "train/cat").rename(images / "train/zebra")
    code, [line] = train("--data_dir", images, "--epoch_size", "2", "--resume")
    assert code == USER_ERROR
    assert "convit_tiny-1_2.ckpt is of a run with other classes: class 0 was cat and is dog now" in line
    (images / "train/zebra").rename(images / "train/cat")

    (images / "train/cat/0.png").rename(images / "train/cat/new.png")
    code, [line] = train("--data_dir", images, "--epoch_size", "2", "--resume")
    assert code == USER_ERROR
    assert "there are 8 as before, but some have another name or label" in line
    (images / "train/cat/new.png").rename(images / "train/cat/0.png")

    pack(open_source("folder", str(images), "train"), tmp_path / "packed/train", shards=2)
    packed = ["--dataset", "mindrecord", "--data_dir", tmp_path / "packed"]
    assert train(*packed, "--epoch_size", "2", "--resume")[0] == 0
    records = (tmp_path / "out/metrics.jsonl").read_text().splitlines()
    assert [json.loads(record)["epoch"] for record in records] == [1, 2]

"""A run that is killed goes on as if nothing had happened."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from mindcv import weights
from mindcv.engine.checkpoints import checkpoints_in

ROOT = Path(__file__).parents[2]
WORDS = [
    "-c", ROOT / "configs/convit/convit_tiny_digits.yaml", "--mode", "1", "--image_resize", "16", "--num_samples", "96",
    "--epoch_size", "3", "--drop_path_rate", "0.2", "--mixup", "0.2", "--re_prob", "0.5", "--val_interval", "2",
]  # fmt: skip

TIMED = ("seconds", "images_per_second", "data_wait", "peak_memory")  # in a record; all else follows from the options


def start(out, *more):
    line = [sys.executable, str(ROOT / "train.py"), *map(str, WORDS), "--ckpt_save_dir", str(out), *map(str, more)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(line, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(out, *more):
    run = start(out, *more)
    _, error = run.communicate(timeout=300)
    return run.returncode, error


def wait_for(path, run):
    deadline = time.monotonic() + 120
    while not path.exists():
        assert run.poll() is None, run.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    out = tmp_path_factory.mktemp("unbroken")
    code, error = finish(out)
    assert code == 0, error
    return out


def assert_same_end(out, unbroken):
    one, other = (weights.read(folder / "convit_tiny-3_3.ckpt") for folder in (out, unbroken))
    assert one.keys() == other.keys()
    for name, value in one.items():
        np.testing.assert_array_equal(value, other[name], err_msg=name)
    records, expected = (
        [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()] for folder in (out, unbroken)
    )
    for record, wanted in zip(records, expected, strict=True):
        timeless = [key for key in record if key not in TIMED]
        assert [record[key] for key in timeless] == [wanted[key] for key in timeless]


def test_validation_is_every_val_interval_epochs_and_at_the_end(unbroken):
    records = [json.loads(line) for line in (unbroken / "metrics.jsonl").read_text().splitlines()]
    assert ["val_loss" in record for record in records] == [False, True, True]


def test_what_a_kill_can_leave_is_made_good(unbroken, tmp_path):
    """A torn checkpoint and a torn line, and of an epoch the checkpoint but no line: it had still to be validated."""
    shutil.copytree(unbroken, tmp_path, dirs_exist_ok=True)
    torn = tmp_path / "convit_tiny-3_3.ckpt"
    torn.write_bytes(torn.read_bytes()[: torn.stat().st_size // 2])
    first = (tmp_path / "metrics.jsonl").read_text().splitlines(keepends=True)[0]
    (tmp_path / "metrics.jsonl").write_text(first + '{"epoch": 2, "st')
    (tmp_path / "best.ckpt").unlink()
    code, error = finish(tmp_path, "--resume_opt")
    assert code == 0, error
    assert "convit_tiny-3_3.ckpt" in error
    assert (tmp_path / "earlier-1/convit_tiny-3_3.ckpt").exists()
    assert "after step 3 of epoch 2 of 3" in error
    assert_same_end(tmp_path, unbroken)
    assert (tmp_path / "best.ckpt").exists()


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), pytest.param(signal.SIGINT, 130, marks=pytest.mark.slow)]
)
def test_a_signal_saves_and_stops(number, code, unbroken, tmp_path):
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
        code, error = finish(tmp_path, "--resume")
        assert code == 0, error
        assert_same_end(tmp_path, unbroken)

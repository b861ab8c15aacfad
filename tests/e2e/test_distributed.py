"""train.py and `mindcv validate` on two workers of this machine's CPU."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mindcv.engine.checkpoints import checkpoints_in

ROOT = Path(__file__).parents[2]
WORDS = [
    "-c", "configs/convit/convit_tiny_digits.yaml", "--mode", "1", "--image_resize", "16", "--num_samples", "96",
    "--distribute", "True", "--num_devices", "2", "--batch_size", "15",
]  # fmt: skip
pytestmark = pytest.mark.usefixtures("all_cores")


def start(program, *words):
    line = [sys.executable, *program.split(), *map(str, [*WORDS, *words])]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(line, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """What a training said that SIGTERM stopped, its exit code, and its folder."""
    folder = tmp_path_factory.mktemp("stopped")
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])  # what a parent blocks its children inherit
    run = start("train.py", "--epoch_size", "100", "--ckpt_save_dir", folder)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
    try:
        deadline = time.monotonic() + 200
        while not list(folder.glob("convit_tiny-*.ckpt")):
            assert run.poll() is None, run.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.1)
        run.send_signal(signal.SIGTERM)
        out, _ = run.communicate(timeout=100)
    finally:
        run.kill()
    return out, run.returncode, folder


def test_a_signal_saves_and_stops_all(stopped):
    out, code, folder = stopped
    assert code == 143
    assert "devices: 2, images an update: 30, peak learning rate: 0.001, 6 of 96 images left out of each epoch" in out
    newest = max(checkpoints_in(folder, "convit_tiny"))
    assert f"train.py: SIGTERM: stopped after step {newest.step} of epoch {newest.epoch}, and saved" in out


def test_validation_on_two_workers_gives_the_figures_of_one(stopped):
    [*_, checkpoint] = checkpoints_in(stopped[2], "convit_tiny").values()
    figures = []
    for devices in (2, 1):
        run = start("-m mindcv validate", "--ckpt_path", checkpoint, "--num_devices", devices)
        out, error = run.communicate(timeout=200)
        assert run.returncode == 0, error
        [line] = [line for line in out.splitlines() if line.startswith("Top_1_Accuracy")]
        figures.append([float(part.split(": ")[1]) for part in line.split(", ")])
    assert figures[0] == pytest.approx(figures[1], rel=1e-4)

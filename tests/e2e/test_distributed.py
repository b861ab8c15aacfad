"""train.py and `mindcv validate` on two workers of this machine's CPU."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

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
    """What a training said that SIGTERM stopped, its error, its exit code, and its folder."""
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
        for process in [*psutil.Process(run.pid).children(recursive=True)[::-1], run]:
            process.send_signal(signal.SIGTERM)  # to every process, as clusters do
        out, error = run.communicate(timeout=100)
    finally:
        run.kill()
    return out, error, run.returncode, folder


def test_a_signal_saves_and_stops_all(stopped):
    out, error, code, folder = stopped
    assert code == 143
    assert "devices: 2, images an update: 30, peak learning rate: 0.001, 6 of 96 images left out of each epoch" in out
    newest = max(checkpoints_in(folder, "convit_tiny"))
    assert f"train.py: SIGTERM: stopped after step {newest.step} of epoch {newest.epoch}, and saved" in error


def test_validation_on_two_workers_gives_the_figures_of_one(stopped):
    [*_, checkpoint] = checkpoints_in(stopped[-1], "convit_tiny").values()
    figures = []
    for devices in (2, 1):
        run = start("-m mindcv validate", "--ckpt_path", checkpoint, "--num_devices", devices)
        out, error = run.communicate(timeout=200)
        assert run.returncode == 0, error
        [line] = [line for line in out.splitlines() if line.startswith("Top_1_Accuracy")]
        figures.append([float(part.split(": ")[1]) for part in line.split(", ")])
    assert figures[0] == pytest.approx(figures[1], rel=1e-4)


@pytest.fixture(scope="module")
def imagenet(tmp_path_factory):
    """A small folder of ImageNet's shape: 32 images to train on and 12 to validate on, of four classes."""
    folder, rng = tmp_path_factory.mktemp("imagenet"), np.random.default_rng(0)
    for split, each in (("train", 8), ("val", 3)):
        for label in range(4):
            (folder / split / f"n0{label}").mkdir(parents=True)
            for i in range(each):
                pixels = rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / split / f"n0{label}" / f"{i}.JPEG")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["train.py", "msrun"])
def test_the_cards_command_ends_with_equal_workers(launcher, imagenet, tmp_path):
    """By itself on 8 workers, and as one of 2 that an msrun of the user's starts, of whose images one is no image."""
    workers, line = 8, [sys.executable]
    if launcher == "msrun":
        workers = 2
        line += ["-m", "mindspore.parallel.cluster.run", "--worker_num=2", "--local_worker_num=2", "--join=True"]
        line += [f"--master_port={20000 + os.getpid() % 20000}", f"--log_dir={tmp_path}"]
        (imagenet / "train/n00/odd.JPEG").write_text("no image")
    words = ["-c", "configs/convit/convit_tiny_ascend.yaml", "--data_dir", imagenet, "--val_while_train"]
    small = [
        "--device_target", "CPU", "--image_resize", "32", "--epoch_size", "2", "--batch_size", 16 // workers,
        "--num_classes", "4", "--num_parallel_workers", "1", "--on_bad_image", "skip", "--ckpt_save_dir", tmp_path,
    ]  # fmt: skip
    notes = tmp_path / "notes"
    notes.mkdir()
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "NOTES": str(notes), "PATH": path}
    run = subprocess.run(
        [*line, str(Path(__file__).with_name("noting.py")), *map(str, [*words, *small])],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=1200,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]
    assert len({note.read_text() for note in notes.iterdir()}) == 1
    assert len(list(notes.iterdir())) == workers

    *_, record = map(json.loads, (tmp_path / "metrics.jsonl").read_text().splitlines())
    alone = ["--distribute", "False", "--ckpt_path", tmp_path / "convit_tiny-2_2.ckpt", "--batch_size", "5"]
    scored = subprocess.run(
        [sys.executable, "validate.py", *map(str, [*words[:-1], *small[:4], *alone, "--num_classes", "4"])],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert scored.returncode == 0, scored.stderr
    found = dict(part.split(": ") for part in scored.stdout.strip().splitlines()[-1].split(", "))
    assert float(found["Top_1_Accuracy"].strip("% ")) == pytest.approx(record["top_1"], abs=0.1), found

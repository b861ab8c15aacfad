"""Training and validation on two workers of this machine's CPU: one is killed, then all are stopped by a signal."""

import re
import signal
import subprocess
import sys
import time

import psutil
import pytest

from mindcv.engine.checkpoints import checkpoints_in
from tests.faults.run import LAST, OPTIONS, ROOT, SHALLOW, Run, assert_same_checkpoint, workers_of

MORE = ("--batch_size", "15", "--keep_checkpoint_max", "9")  # keeps all
EARLIER = "convit_tiny-3_2.ckpt"
pytestmark = pytest.mark.usefixtures("all_cores")


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    run = Run(tmp_path_factory.mktemp("uninterrupted"), workers=2, more=MORE, script=SHALLOW)
    run.finish()
    return run


def wait_for(run, name, process):
    deadline = time.monotonic() + 100
    while not list(run.folder.glob(name)):
        assert process.poll() is None and time.monotonic() < deadline, run.output
        time.sleep(0.02)


@pytest.fixture(scope="module")
def stopped(uninterrupted, tmp_path_factory):
    """Train in an earlier run's folder, kill a worker in epoch 1 and stop all in epoch 2; return run and exit code."""
    run = Run(tmp_path_factory.mktemp("stopped"), workers=2, max_restarts=1, more=MORE, script=SHALLOW)
    (run.folder / EARLIER).write_bytes((uninterrupted.folder / EARLIER).read_bytes())
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])  # children inherit blocked signals
    process = run.begin()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
    try:
        wait_for(run, "convit_tiny-1_1.ckpt", process)
        workers_of(process)[-1].kill()
        wait_for(run, "convit_tiny-2_*.ckpt", process)
        for each in [*psutil.Process(process.pid).children(recursive=True)[::-1], process]:
            each.send_signal(signal.SIGTERM)  # to every process, as clusters do
        run.wait(process)
    finally:
        process.kill()
    return run, process.returncode


def test_launcher_restarts_a_failed_run_from_its_own_checkpoint(stopped):
    run, _ = stopped
    assert "rank 1 was killed by SIGKILL" in run.output
    assert "starting again, 1 of 1, from the last checkpoint" in run.output
    assert re.search(r"resumed from .*convit_tiny-1_\d.ckpt, after", run.output)
    assert (run.folder / "earlier-1" / EARLIER).exists()


def test_workers_on_a_signal_save_and_stop_together(stopped):
    run, code = stopped
    newest = max(checkpoints_in(run.folder, "convit_tiny"))
    assert code == 143
    assert f"train.py: SIGTERM: stopped after step {newest.step} of epoch {newest.epoch}, and saved" in run.output


def test_checkpoint_of_a_stopped_run_equals_the_uninterrupted_runs(stopped, uninterrupted):
    run, _ = stopped
    [*_, newest] = checkpoints_in(run.folder, "convit_tiny").values()
    assert_same_checkpoint(newest, uninterrupted.folder / newest.name, but="run.notes")  # counts the requests to stop
    assert run.lines() and run.lines() == uninterrupted.lines()[: len(run.lines())]


def test_train_logs_the_images_left_out_of_each_epoch(uninterrupted):
    line = "devices: 2, images an update: 30, peak learning rate: 0.001, 6 of 96 images left out of each epoch"
    assert line in uninterrupted.output


@pytest.mark.parametrize("devices", [1, 2])
def test_validate_on_one_worker_and_on_two_gives_the_scores_of_training(
    devices, uninterrupted, shallow_tiny, run_in_process, monkeypatch
):
    monkeypatch.chdir(ROOT)
    words = [*OPTIONS, *MORE, "--ckpt_path", uninterrupted.folder / LAST]
    if devices == 1:
        done = run_in_process("validate", *words)
    else:
        words += ["--distribute", "True", "--num_devices", devices]
        line = [sys.executable, *map(str, ["tests/shallow/validate.py", *words])]
        done = subprocess.run(line, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    [line] = [line for line in done.stdout.splitlines() if line.startswith("Top_1_Accuracy")]
    figures = [float(re.search(r"[\d.]+", part.split(": ")[1])[0]) for part in line.split(", ")]
    *_, record = uninterrupted.lines()
    assert figures == pytest.approx([record["top_1"], record["top_5"], record["val_loss"]], rel=1e-4)

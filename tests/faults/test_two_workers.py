"""train.py and `mindcv validate` on two workers of this machine's CPU: one is killed, all are told to stop."""

import re
import signal
import subprocess
import sys
import time

import psutil
import pytest

from mindcv.engine.checkpoints import checkpoints_in
from tests.faults.run import LAST, OPTIONS, ROOT, Run, assert_same_checkpoint, workers_of

MORE = ("--batch_size", "15", "--keep_checkpoint_max", "9")  # all of them
EARLIER = "convit_tiny-3_2.ckpt"
pytestmark = pytest.mark.usefixtures("all_cores")


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    run = Run(tmp_path_factory.mktemp("unbroken"), workers=2, more=MORE)
    run.finish()
    return run


def wait_for(run, name, process):
    deadline = time.monotonic() + 100
    while not list(run.folder.glob(name)):
        assert process.poll() is None and time.monotonic() < deadline, run.said
        time.sleep(0.02)


@pytest.fixture(scope="module")
def stopped(unbroken, tmp_path_factory):
    """Begun where an earlier run had been, one worker killed in the first epoch, told to stop after it; its code."""
    run = Run(tmp_path_factory.mktemp("stopped"), workers=2, max_restarts=1, more=MORE)
    (run.folder / EARLIER).write_bytes((unbroken.folder / EARLIER).read_bytes())
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])  # what a parent blocks its children inherit
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


def test_a_run_that_fails_goes_on_by_itself_and_not_from_an_earlier_one(stopped):
    run, _ = stopped
    assert "rank 1 was killed by SIGKILL" in run.said
    assert "starting again, 1 of 1, from the last checkpoint" in run.said
    assert re.search(r"resumed from .*convit_tiny-1_\d.ckpt, after", run.said)
    assert (run.folder / "earlier-1" / EARLIER).exists()


def test_a_signal_saves_and_stops_all(stopped):
    run, code = stopped
    newest = max(checkpoints_in(run.folder, "convit_tiny"))
    assert code == 143
    assert f"train.py: SIGTERM: stopped after step {newest.step} of epoch {newest.epoch}, and saved" in run.said


def test_what_they_saved_is_the_unbroken_runs(stopped, unbroken):
    run, _ = stopped
    [*_, newest] = checkpoints_in(run.folder, "convit_tiny").values()
    assert_same_checkpoint(newest, unbroken.folder / newest.name, but="run.notes")  # which has the wish to stop
    assert run.lines() and run.lines() == unbroken.lines()[: len(run.lines())]


def test_images_that_no_whole_batch_takes_are_counted(unbroken):
    said = "devices: 2, images an update: 30, peak learning rate: 0.001, 6 of 96 images left out of each epoch"
    assert said in unbroken.said


@pytest.mark.parametrize("devices", [1, 2])
def test_one_worker_and_two_give_the_figures_of_the_training(devices, unbroken):
    words = ["--distribute", str(devices > 1), "--num_devices", devices, "--ckpt_path", unbroken.folder / LAST]
    line = [sys.executable, "-m", "mindcv", "validate", *map(str, [*OPTIONS, *MORE, *words])]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    [line] = [line for line in done.stdout.splitlines() if line.startswith("Top_1_Accuracy")]
    figures = [float(re.search(r"[\d.]+", part.split(": ")[1])[0]) for part in line.split(", ")]
    *_, record = unbroken.lines()
    assert figures == pytest.approx([record["top_1"], record["top_5"], record["val_loss"]], rel=1e-4)

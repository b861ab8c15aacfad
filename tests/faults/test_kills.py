"""SIGKILL at random moments: nothing is lost, and the end is the uninterrupted run's, bit for bit."""

import os
import signal
import time
from functools import cache
from multiprocessing import get_context

import numpy as np
import psutil
import pytest

from mindcv import weights
from tests.faults.run import Run, assert_same_end, killed_until_done, workers_of

ALL_STATE = ("--ema", "--gradient_accumulation_steps", "2", "--loss_scale_type", "dynamic")


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    """A function that gives the run of so many workers, and options, that nobody kills."""

    @cache
    def run(workers, *more):
        run = Run(tmp_path_factory.mktemp("unbroken"), workers, more=more)
        run.finish()
        return run

    return run


@pytest.mark.parametrize(
    ("workers", "kills", "more"),
    [
        (1, 9, ()),
        pytest.param(1, 70, (), marks=pytest.mark.slow),
        pytest.param(2, 30, (), marks=pytest.mark.slow),
        pytest.param(1, 10, ALL_STATE, marks=pytest.mark.slow),
        pytest.param(2, 6, ALL_STATE, marks=pytest.mark.slow),
    ],
)
def test_killed_training(workers, kills, more, unbroken, tmp_path, request):
    if workers > 1:
        request.getfixturevalue("all_cores")
    whole = unbroken(workers, *more)
    runs = killed_until_done(tmp_path, whole, kills, seed=kills)
    assert sum(run.resumes for run in runs) >= kills / 2, "kills before the first checkpoint prove little"
    assert sum(run.kills for run in runs) == kills
    assert sum(run.lost for run in runs) == 0
    assert sum(run.torn for run in runs) == 0
    for run in runs:
        assert_same_end(run, whole)


@pytest.mark.slow
@pytest.mark.usefixtures("all_cores")
def test_a_worker_that_hangs_ends_the_run(tmp_path):
    run = Run(tmp_path, workers=2, more=("--epoch_size", "100"))
    process = run.begin()
    deadline = time.monotonic() + 100
    while not list(tmp_path.glob("convit_tiny-1_*.ckpt")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.1)
    workers = workers_of(process)
    workers[-1].suspend()
    assert process.wait(timeout=200) == 1
    assert "train.py: waited for the other workers in vain: one of them has ended or does not answer" in run.said
    assert not any(worker.is_running() and worker.status() != psutil.STATUS_ZOMBIE for worker in workers)


def write_forever(path, ready):
    arrays = {"x": np.zeros(2_000_000, np.float32)}
    while True:
        arrays["x"] += 1
        weights.write(path, arrays)
        ready.set()


def test_killed_while_writing_a_checkpoint(tmp_path):
    path = tmp_path / "a.ckpt"
    rng = np.random.default_rng(0)
    spawn, torn_aside = get_context("fork"), 0
    for _ in range(200):
        ready = spawn.Event()
        writer = spawn.Process(target=write_forever, args=(path, ready))
        writer.start()
        assert ready.wait(60)
        time.sleep(rng.uniform(0, 0.1))
        os.kill(writer.pid, signal.SIGKILL)
        writer.join()
        x = weights.read(path)["x"]  # which refuses a torn one
        assert (x == x[0]).all()
        torn_aside += (tmp_path / ".a.ckpt.part").exists()
        if torn_aside == 20:
            return
    raise AssertionError(f"{torn_aside} of 200 kills hit a write")

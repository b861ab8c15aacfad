"""Runs that are killed by SIGKILL at random moments and resumed lose nothing and end as an uninterrupted run does."""

import os
import signal
import time
from functools import cache
from multiprocessing import get_context

import numpy as np
import psutil
import pytest

from mindcv import weights
from tests.faults.run import SHALLOW, Run, assert_same_end, killed_until_done, workers_of

ALL_STATE = ("--ema", "--gradient_accumulation_steps", "2", "--loss_scale_type", "dynamic")


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """Return a function that returns an uninterrupted run of a script with the given workers and options."""

    @cache
    def run(script, workers, *more):
        run = Run(tmp_path_factory.mktemp("uninterrupted"), workers, more=more, script=script)
        run.finish()
        return run

    return run


@pytest.mark.parametrize(
    ("script", "workers", "kills", "more"),
    [
        (SHALLOW, 1, 3, ()),
        pytest.param("train.py", 1, 70, (), marks=pytest.mark.slow),
        pytest.param("train.py", 2, 30, (), marks=pytest.mark.slow),
        pytest.param("train.py", 1, 10, ALL_STATE, marks=pytest.mark.slow),
        pytest.param("train.py", 2, 6, ALL_STATE, marks=pytest.mark.slow),
    ],
)
def test_train_killed_at_random_moments_ends_as_an_uninterrupted_run(
    script, workers, kills, more, uninterrupted, tmp_path, request
):
    if workers > 1:
        request.getfixturevalue("all_cores")
    expected = uninterrupted(script, workers, *more)
    runs = killed_until_done(tmp_path, expected, kills, seed=kills)
    assert sum(run.resumes for run in runs) >= kills / 2, "most kills come after a checkpoint"
    assert sum(run.kills for run in runs) == kills
    assert sum(run.lost for run in runs) == 0
    assert sum(run.torn for run in runs) == 0
    for run in runs:
        assert_same_end(run, expected)


@pytest.mark.slow
@pytest.mark.usefixtures("all_cores")
def test_train_with_a_hanging_worker_ends(tmp_path):
    run = Run(tmp_path, workers=2, more=("--epoch_size", "100"))
    process = run.begin()
    deadline = time.monotonic() + 100
    while not list(tmp_path.glob("convit_tiny-1_*.ckpt")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.1)
    workers = workers_of(process)
    workers[-1].suspend()
    assert process.wait(timeout=200) == 1
    assert "train.py: waited for the other workers in vain: one of them has ended or does not answer" in run.output
    assert not any(worker.is_running() and worker.status() != psutil.STATUS_ZOMBIE for worker in workers)


def write_forever(path, ready):
    """Write checkpoints to `path`, and set `ready` after each."""
    arrays = {"x": np.zeros(2_000_000, np.float32)}
    while True:
        arrays["x"] += 1
        weights.write(path, arrays)
        ready.set()


@pytest.mark.parametrize("wanted", [8, pytest.param(20, marks=pytest.mark.slow)])
def test_write_killed_at_random_moments_leaves_a_complete_checkpoint(wanted, tmp_path):
    """Kills are repeated until `wanted` of them have left an unfinished file."""
    path = tmp_path / "a.ckpt"
    rng = np.random.default_rng(0)
    context, interrupted = get_context("fork"), 0
    for _ in range(200):
        ready = context.Event()
        writer = context.Process(target=write_forever, args=(path, ready))
        writer.start()
        assert ready.wait(60)
        time.sleep(rng.uniform(0, 0.1))
        os.kill(writer.pid, signal.SIGKILL)
        writer.join()
        x = weights.read(path)["x"]  # fails if it is incomplete
        assert (x == x[0]).all()
        interrupted += (tmp_path / ".a.ckpt.part").exists()
        if interrupted == wanted:
            return
    raise AssertionError(f"{interrupted} of 200 kills hit a write")

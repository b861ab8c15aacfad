"""SIGKILL at random moments: nothing is lost, and the end is the uninterrupted run's, bit for bit."""

import os
import signal
import time
from multiprocessing import get_context

import numpy as np
import pytest

from mindcv import weights
from tests.faults.run import Run, assert_same_end, is_whole, killed_until_done


@pytest.mark.parametrize(
    ("workers", "kills"),
    [
        (1, 9),
        (2, 1),
        pytest.param(1, 70, marks=pytest.mark.slow),
        pytest.param(2, 30, marks=pytest.mark.slow),
    ],
)
def test_killed_training(workers, kills, tmp_path, request):
    if workers > 1:
        request.getfixturevalue("all_cores")
    unbroken = Run(tmp_path / "unbroken", workers)
    unbroken.folder.mkdir()
    began = time.monotonic()
    unbroken.finish()
    runs = killed_until_done(tmp_path, workers, kills, seed=kills, span=time.monotonic() - began)
    assert sum(run.kills for run in runs) == kills
    assert sum(run.lost for run in runs) == 0
    assert sum(run.torn for run in runs) == 0
    for run in runs:
        assert_same_end(run, unbroken)


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
    for _ in range(20):
        ready = spawn.Event()
        writer = spawn.Process(target=write_forever, args=(path, ready))
        writer.start()
        assert ready.wait(60)
        time.sleep(rng.uniform(0, 0.1))
        os.kill(writer.pid, signal.SIGKILL)
        writer.join()
        assert is_whole(path)
        assert len(set(weights.read(path)["x"].tolist())) == 1
        torn_aside += (tmp_path / ".a.ckpt.part").exists()
    assert torn_aside, "no kill hit a write: the test says nothing"

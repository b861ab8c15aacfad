"""Workers that train together on this machine's CPU."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mindcv.distributed.context import DistributedContext
from mindcv.distributed.workers import RETRY_INTERVAL

ROOT = Path(__file__).parents[2]
STEPS = 8
pytestmark = pytest.mark.usefixtures("all_cores")


def train(workers, batch_size, out):
    """Run train_worker.py on `workers` workers, which msrun starts, and return the record of each."""
    out.mkdir()
    command = [sys.executable, str(Path(__file__).with_name("train_worker.py")), str(batch_size), str(STEPS), str(out)]
    if workers > 1:
        command = [
            sys.executable, "-m", "mindspore.parallel.cluster.run", f"--worker_num={workers}",
            f"--local_worker_num={workers}", f"--master_port={20000 + os.getpid() % 20000}", f"--log_dir={out}",
            "--join=True", "python3", *command[1:],
        ]  # fmt: skip
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, **RETRY_INTERVAL, "PYTHONPATH": str(ROOT), "PATH": path}
    done = subprocess.run(command, env=environment, cwd=out, capture_output=True, text=True, timeout=400)
    logs = "\n".join(log.read_text()[-2000:] for log in out.glob("worker_*.log"))
    assert done.returncode == 0, logs or done.stderr
    return [json.loads((out / f"{rank}.json").read_text()) for rank in range(workers)]


@pytest.mark.parametrize(
    ("size", "error", "message"),
    [
        (2, "Launch kernel failed, name:Default/AllReduce-op0", "waited for the other workers in vain: one of them"),
        (2, "The state of the cluster is error, total nodes num: 2", "waited for the other workers in vain"),
        (2, "Launch kernel failed, name:Default/MatMul-op0", "Launch kernel failed, name:Default/MatMul"),
        (1, "Launch kernel failed, name:Default/AllReduce-op0", "Launch kernel failed, name:Default/AllReduce"),
    ],
)
def test_name_lost_workers_turns_a_failed_collective_into_one_line(size, error, message):
    with pytest.raises(RuntimeError, match=f"^{message}"), DistributedContext(size=size).name_lost_workers():
        raise RuntimeError(error)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """Return the record of one worker with the batch of all."""
    return train(1, 32, tmp_path_factory.mktemp("alone") / "out")[0]


@pytest.mark.parametrize(
    "workers", [2, pytest.param(4, marks=pytest.mark.slow), pytest.param(8, marks=pytest.mark.slow)]
)
def test_workers_together_train_like_one_worker_with_the_large_batch(workers, alone, tmp_path):
    ranks = train(workers, 32 // workers, tmp_path / "out")
    assert [rank["size"] for rank in ranks] == [workers] * workers
    assert [rank["agreed"] for rank in ranks] == [[True, False]] * workers
    for rank in ranks[1:]:
        assert rank["weights"] == ranks[0]["weights"]
        assert rank["losses"] == ranks[0]["losses"]
        assert rank["accumulated"] == ranks[0]["accumulated"], "a checkpoint holds those of the first worker"
    assert len(alone["losses"]) == STEPS
    np.testing.assert_allclose(ranks[0]["losses"], alone["losses"], rtol=1e-4)
    for rank in ranks:
        assert rank["sums"][0] == alone["sums"][0] == 359  # every held-out digit once
        assert rank["sums"][1] == pytest.approx(alone["sums"][1], rel=1e-3)

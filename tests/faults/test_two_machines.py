"""Training on two machines: two network namespaces that a virtual cable connects."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from tests.faults.run import ROOT, SHALLOW, is_worker, workers_of

ADDRESS = "10.77.{}.{}"
pytestmark = pytest.mark.usefixtures("all_cores")


@pytest.fixture
def machines():
    """Return a function that starts train.py on the machine with the given rank."""
    net = os.getpid() % 250
    names = [f"mindcv-{os.getpid()}-{i}" for i in (0, 1)]
    links = [f"mc{os.getpid()}{i}" for i in "ab"]

    def ip(*words):
        return subprocess.run(["ip", *words], capture_output=True, text=True).returncode == 0

    if not all(ip("netns", "add", name) for name in names):
        pytest.skip("no right to make network namespaces here")
    if not ip("link", "add", links[0], "netns", names[0], "type", "veth", "peer", "name", links[1], "netns", names[1]):
        for name in names:
            ip("netns", "del", name)
        pytest.skip("no virtual cable here")
    for i, (name, link) in enumerate(zip(names, links, strict=True)):
        assert ip("-n", name, "addr", "add", ADDRESS.format(net, i + 1) + "/24", "dev", link)
        assert ip("-n", name, "link", "set", link, "up")
        assert ip("-n", name, "link", "set", "lo", "up")

    started = []

    def start(rank, folder, *more):
        folder.mkdir(exist_ok=True)
        words = [
            "-c", "configs/convit/convit_tiny_digits.yaml", "--mode", "1", "--image_resize", "16",
            "--num_samples", "96", "--batch_size", "16", "--distribute", "True", "--num_devices", "1",
            "--num_nodes", "2", "--node_rank", str(rank), "--master_addr", ADDRESS.format(net, 1),
            "--ckpt_save_dir", str(folder), *more,
        ]  # fmt: skip
        with (folder / "test.log").open("w") as log:
            line = ["ip", "netns", "exec", names[rank], sys.executable, SHALLOW, *words]
            started.append(subprocess.Popen(line, cwd=ROOT, stdout=log, stderr=log))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()
    for name in names:
        ip("netns", "del", name)


def test_train_on_two_machines_shares_the_images_and_writes_once(machines, tmp_path):
    runs = [machines(rank, tmp_path / str(rank), "--epoch_size", "1") for rank in (0, 1)]
    codes = [run.wait(timeout=200) for run in runs]
    output = (tmp_path / "0" / "test.log").read_text()
    assert codes == [0, 0], output
    assert "devices: 2, images an update: 32" in output
    assert (tmp_path / "0" / "convit_tiny-1_3.ckpt").exists()
    assert not list((tmp_path / "1").glob("*.ckpt")), "only the first worker writes"


@pytest.mark.slow
def test_train_with_a_killed_worker_ends_on_both_machines(machines, tmp_path):
    runs = [machines(rank, tmp_path / str(rank), "--epoch_size", "100") for rank in (0, 1)]
    deadline = time.monotonic() + 200
    while not (tmp_path / "0" / "convit_tiny-1_3.ckpt").exists():
        assert time.monotonic() < deadline
        time.sleep(0.2)
    [worker] = [p for p in psutil.Process(runs[1].pid).children(recursive=True) if is_worker(p)]
    os.kill(worker.pid, signal.SIGKILL)
    assert runs[1].wait(timeout=30) == 128 + signal.SIGKILL
    assert runs[0].wait(timeout=200) == 1
    assert "Traceback" not in (tmp_path / "0" / "test.log").read_text()


@pytest.mark.slow
def test_train_with_max_restarts_resumes_on_both_machines(machines, tmp_path):
    runs = [machines(rank, tmp_path / str(rank), "--epoch_size", "12", "--max_restarts", "2") for rank in (0, 1)]
    deadline = time.monotonic() + 200
    while not (tmp_path / "0" / "convit_tiny-1_3.ckpt").exists():
        assert time.monotonic() < deadline
        time.sleep(0.2)
    workers_of(runs[1])[0].kill()
    codes = [run.wait(timeout=300) for run in runs]
    outputs = [(tmp_path / str(rank) / "test.log").read_text() for rank in (0, 1)]
    assert codes == [0, 0], outputs
    assert "resumed from" in outputs[0]
    assert (tmp_path / "0" / "convit_tiny-12_3.ckpt").exists()

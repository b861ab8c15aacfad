"""The launcher, over workers that only pretend to train. tests/e2e/test_distributed.py has real ones."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from mindcv.config import Config
from mindcv.launch import Claimed, claim, is_due, launch

ROOT = Path(__file__).parents[2]


def start(folder, *deeds, restarts=0):
    line = [sys.executable, str(Path(__file__).with_name("stand_in.py")), str(folder), str(restarts), *deeds]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(line, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(folder, *deeds, restarts=0):
    run = start(folder, *deeds, restarts=restarts)
    out, error = run.communicate(timeout=60)
    return run.returncode, out, error


def assert_all_gone(folder):
    pids = [int(path.read_text()) for path in folder.glob("pid-*")]
    assert pids
    deadline = time.monotonic() + 10
    while any(psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    lines = [" ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"])]
    assert [line for line in lines if f"{folder}/logs" in line] == []


def test_the_first_workers_output_is_shown_and_all_is_kept(tmp_path):
    code, out, error = finish(tmp_path, "ok", "ok")
    assert (code, error) == (0, "")
    assert "rank 0 with ok ok" in out
    assert "rank 1" not in out
    [log] = tmp_path.glob("logs/*/worker_1.log")
    assert "rank 1" in log.read_text()


def test_a_worker_that_crashes_ends_all_and_is_named(tmp_path):
    code, _, error = finish(tmp_path, "hang", "crash")
    assert code == 5
    assert "train.py: rank 1 failed with exit code 5" in error
    assert "the last words" in error
    assert "worker_1.log" in error
    assert "Traceback" not in error
    assert_all_gone(tmp_path)


def test_a_worker_that_is_killed_is_named_with_its_signal(tmp_path):
    code, _, error = finish(tmp_path, "hang", "die")
    assert code == 128 + signal.SIGKILL
    assert "rank 1 was killed by SIGKILL" in error
    assert_all_gone(tmp_path)


def test_a_users_mistake_is_one_line(tmp_path):
    code, _, error = finish(tmp_path, "hang", "user")
    assert code == 2
    assert error == "train.py: no folder /nowhere (rank 1)\n"


def test_workers_end_with_a_launcher_that_is_killed(tmp_path):
    run = start(tmp_path, "hang", "hang")
    deadline = time.monotonic() + 60
    while len(list(tmp_path.glob("pid-*"))) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    run.kill()
    run.communicate()
    assert_all_gone(tmp_path)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_passed_on_and_waited_for(number, tmp_path):
    run = start(tmp_path, "wait", "wait")
    deadline = time.monotonic() + 60
    while len(list(tmp_path.glob("pid-*"))) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    time.sleep(1)
    run.send_signal(number)
    out, error = run.communicate(timeout=60)
    assert run.returncode == 128 + number, error
    if number == signal.SIGTERM:
        assert "saved" in out
    assert_all_gone(tmp_path)


def test_failed_workers_are_started_again_from_the_last_checkpoint(tmp_path):
    (tmp_path / "convit_tiny-1_5.ckpt").touch()
    code, out, error = finish(tmp_path, "ok", "crash", restarts=1)
    assert code == 0, error
    assert "starting again, 1 of 1" in error
    assert "rank 0 with ok crash --resume True" in out


def test_restarts_end(tmp_path):
    code, out, error = finish(tmp_path, "ok", "crash", restarts=1)
    assert code == 5
    assert out.count("rank 0 with") == 2
    assert "--resume" not in out, "there is no checkpoint"
    assert error.count("rank 1 failed") == 2


def test_one_launcher_a_folder(tmp_path):
    with claim(tmp_path / "logs" / ".lock-0"):
        code, _, error = finish(tmp_path, "ok", "ok")
    assert code == 1
    assert "is in use by process" in error


def test_a_claim_ends_with_its_file(tmp_path):
    with claim(tmp_path / "a" / ".lock"), pytest.raises(Claimed, match=f"process {os.getpid()} on"):
        claim(tmp_path / "a" / ".lock", patience=0.2)
    claim(tmp_path / "a" / ".lock").close()


def test_a_port_that_is_taken(tmp_path):
    import socket

    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ValueError, match=f"master_port {port}: Address already in use.*a port that is free"):
            launch(Config(distribute=True, master_port=port, ckpt_save_dir=str(tmp_path)), "train", [])


@pytest.mark.parametrize(
    ("options", "environment", "script", "due"),
    [
        ({}, {}, "train", False),
        ({"distribute": True}, {}, "train", True),
        ({"distribute": True}, {"MS_ROLE": "MS_WORKER"}, "train", False),
        ({"distribute": True}, {"OMPI_COMM_WORLD_RANK": "0"}, "train", False),
        ({"distribute": True, "num_devices": 1}, {}, "train", False),
        ({"distribute": True, "num_devices": 1, "max_restarts": 1}, {}, "train", True),
        ({"distribute": True, "num_devices": 1, "num_nodes": 2, "master_addr": "10.0.0.1"}, {}, "train", True),
        ({"distribute": True}, {}, "validate", False),
    ],
)
def test_who_starts_workers(options, environment, script, due, monkeypatch):
    for name in ("MS_ROLE", "OMPI_COMM_WORLD_RANK", "RANK_TABLE_FILE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert is_due(Config(options), script) is due


def test_validation_starts_workers_on_its_own_command_line():
    assert is_due(Config({"distribute": True}, {"distribute": "command line"}), "validate")

"""The launcher with stand-ins for the workers; tests/faults/test_two_workers.py has real ones."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from mindcv.config import Config
from mindcv.distributed import is_due, launch, launcher
from mindcv.io.lock import file_lock

ROOT = Path(__file__).parents[2]


def start(folder, *behaviours):
    """Start the launcher with a worker for each behaviour of stand_in.py."""
    line = [sys.executable, str(Path(__file__).with_name("stand_in.py")), str(folder), *behaviours]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(line, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(folder, *behaviours):
    """Run the launcher to its end and return its exit code, output and errors."""
    run = start(folder, *behaviours)
    out, error = run.communicate(timeout=60)
    return run.returncode, out, error


def wait_for_workers(folder, count):
    deadline = time.monotonic() + 60
    while len(list(folder.glob("pid-*"))) < count:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def assert_all_gone(folder):
    """Assert that no worker and no helper of msrun is left."""
    pids = [int(path.read_text()) for path in folder.glob("pid-*")]
    assert pids
    deadline = time.monotonic() + 10
    while any(psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    lines = [" ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"])]
    assert [line for line in lines if f"{folder}/logs" in line] == []


def test_launcher_shows_the_first_workers_output_and_keeps_all_logs(tmp_path):
    code, out, error = finish(tmp_path, "ok", "ok")
    assert (code, error) == (0, "")
    assert "rank 0 with ok ok, looking for the others every 1 s" in out
    assert "rank 1" not in out
    [log] = tmp_path.glob("logs/*/worker_1.log")
    assert "rank 1" in log.read_text()


def test_launcher_with_a_crashed_worker_names_it_and_ends_the_others(tmp_path):
    code, _, error = finish(tmp_path, "hang", "crash")
    assert code == 5
    assert "train.py: rank 1 failed with exit code 5" in error
    assert "the last words" in error
    assert "worker_1.log" in error
    assert "Traceback" not in error
    assert_all_gone(tmp_path)


def test_launcher_prints_a_users_mistake_once_on_standard_error(tmp_path):
    code, out, error = finish(tmp_path, "hang", "user")
    assert code == 2
    assert error == "train.py: no folder /nowhere (rank 1)\n"
    assert "no folder" not in out


def test_launcher_with_a_killed_msrun_names_it_and_ends_the_workers(tmp_path):
    run = start(tmp_path, "hang", "hang")
    wait_for_workers(tmp_path, 2)
    [msrun] = psutil.Process(run.pid).children()
    msrun.kill()
    _, error = run.communicate(timeout=60)
    assert run.returncode == 128 + signal.SIGKILL
    assert "train.py: msrun, which starts the workers, was killed by SIGKILL" in error
    assert_all_gone(tmp_path)


def test_launcher_that_is_killed_leaves_no_worker(tmp_path):
    run = start(tmp_path, "hang", "hang")
    wait_for_workers(tmp_path, 2)
    time.sleep(0.5)
    run.kill()
    out, _ = run.communicate()
    assert "rank 0 with hang hang" in out, "output is shown at once"
    assert_all_gone(tmp_path)


def run_and_signal(folder, number, *behaviours, everyone=False):
    """Return the launcher's exit code, output and errors after a signal to it, or to all its processes as well."""
    run = start(folder, *behaviours)
    wait_for_workers(folder, len(behaviours))
    while "rank 0 with" not in run.stdout.readline():  # the launcher has found the workers that it shows
        assert run.poll() is None
    time.sleep(0.5)
    family = [psutil.Process(run.pid)]
    if everyone:
        family += family[0].children(recursive=True)
    for process in family[::-1]:
        process.send_signal(number)
    out, error = run.communicate(timeout=60)
    assert_all_gone(folder)
    return run.returncode, out, error


@pytest.mark.parametrize("number", [pytest.param(signal.SIGTERM, marks=pytest.mark.slow), signal.SIGINT])
def test_launcher_forwards_a_signal_and_waits_for_the_workers(number, tmp_path):
    code, out, error = run_and_signal(tmp_path, number, "wait", "wait")
    assert code == 128 + number, error
    assert "saved" in out


def test_launcher_stops_in_order_when_all_processes_are_signalled(tmp_path):
    code, out, error = run_and_signal(tmp_path, signal.SIGTERM, "wait", "wait", everyone=True)
    assert code == 143, error
    assert "saved" in out


def test_launcher_signalled_before_a_worker_began_stops_at_once(tmp_path):
    run = start(tmp_path, "wait", "wait")
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("logs/*/msrun.log")):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    run.send_signal(signal.SIGTERM)
    _, error = run.communicate(timeout=20)
    assert run.returncode == 128 + signal.SIGTERM
    assert error == "train.py: SIGTERM: stopped before a worker began\n"


@pytest.fixture
def launch_with(tmp_path, monkeypatch):
    """Return a function that launches a training whose runs have the given exit codes, without processes.

    It returns the launcher's exit code and the arguments of each run. The runs save checkpoints if `saves`.
    """

    def launch_with(codes, max_restarts, saves=False):
        runs, codes = [], iter(codes)

        def run_workers(config, prog, argv, port, logs, signals):
            runs.append(argv)
            if saves:
                (tmp_path / f"convit_tiny-1_{len(runs)}.ckpt").touch()
            return next(codes)

        monkeypatch.setattr(launcher, "run_workers", run_workers)
        config = Config(distribute=True, max_restarts=max_restarts, ckpt_save_dir=str(tmp_path))
        return launch(config, "train", ["--lr", "1"]), runs

    return launch_with


@pytest.mark.parametrize("code", [0, 2, 3, 130, 143])
def test_launch_does_not_restart_after_a_final_exit_code(code, launch_with):
    assert launch_with([code], max_restarts=3) == (code, [["--lr", "1"]])


def test_launch_restarts_failed_workers_from_the_last_checkpoint(launch_with, tmp_path, capsys):
    resume = ["--resume", "True", "--ckpt_path", "", "--ckpt_save_dir", str(tmp_path)]
    assert launch_with([5, 0], max_restarts=1, saves=True) == (0, [["--lr", "1"], ["--lr", "1", *resume]])
    assert capsys.readouterr().err == "train.py: starting again, 1 of 1, from the last checkpoint\n"


def test_launch_stops_restarting_after_max_restarts(launch_with, tmp_path, capsys):
    (tmp_path / "convit_tiny-9_9.ckpt").touch()  # of another run
    assert launch_with([5, 7, 9], max_restarts=2) == (9, [["--lr", "1"]] * 3)
    first, second = capsys.readouterr().err.splitlines()
    assert first == "train.py: starting again, 1 of 2, as before: there is no checkpoint since"
    assert second == first.replace("1 of", "2 of")


def test_launcher_refuses_a_folder_in_use(tmp_path):
    with file_lock(tmp_path / "logs" / ".lock-0"):
        code, _, error = finish(tmp_path, "ok", "ok")
    assert code == 1
    assert "is in use by process" in error


def test_launch_with_a_port_in_use_fails(tmp_path):
    import socket

    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ValueError, match=f"master_port {port}: Address already in use.*a port that is free"):
            launch(Config(distribute=True, master_port=port, ckpt_save_dir=str(tmp_path)), "train", [])


def test_choose_port_after_a_restart_is_the_next_port():
    config = Config(distribute=True, num_nodes=2, node_rank=1, master_addr="192.0.2.1")
    assert [launcher.choose_port(config, attempt) for attempt in (0, 2)] == [8118, 8120]


def test_choose_port_with_an_unknown_address_fails():
    config = Config(distribute=True, num_nodes=2, node_rank=1, master_addr="no such host")
    with pytest.raises(ValueError, match=r"^master_addr no such host: .*: give the first machine's address$"):
        launcher.choose_port(config, patience=1.5)  # other machines wait for the name of the first


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
def test_is_due_depends_on_options_and_environment(options, environment, script, due, monkeypatch):
    for name in ("MS_ROLE", "OMPI_COMM_WORLD_RANK", "RANK_TABLE_FILE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert is_due(Config(options), script) is due


def test_is_due_in_validation_with_distribute_on_its_command_line():
    assert is_due(Config({"distribute": True}, {"distribute": "command line"}), "validate")

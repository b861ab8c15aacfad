"""The launcher, over workers that only pretend to train. tests/faults/test_two_workers.py has real ones."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from mindcv.config import Config
from mindcv.distributed import is_due, launch, launcher
from mindcv.distributed.signals import SignalState
from mindcv.io.lock import LockHeld, file_lock

ROOT = Path(__file__).parents[2]


def start(folder, *deeds, restarts=0):
    line = [sys.executable, str(Path(__file__).with_name("stand_in.py")), str(folder), str(restarts), *deeds]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(line, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(folder, *deeds, restarts=0):
    run = start(folder, *deeds, restarts=restarts)
    out, error = run.communicate(timeout=60)
    return run.returncode, out, error


def wait_for_workers(folder, count):
    deadline = time.monotonic() + 60
    while len(list(folder.glob("pid-*"))) < count:
        assert time.monotonic() < deadline
        time.sleep(0.1)


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
    assert "rank 0 with ok ok, looking for the others every 1 s" in out
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


@pytest.mark.parametrize(("deeds", "whose"), [(("hang", "user"), " (rank 1)"), (("user", "hang"), "")])
def test_a_users_mistake_is_one_line_on_standard_error(deeds, whose, tmp_path):
    code, out, error = finish(tmp_path, *deeds)
    assert code == 2
    assert error == f"train.py: no folder /nowhere{whose}\n"
    assert "no folder" not in out


def test_an_msrun_that_is_killed_is_named(tmp_path):
    run = start(tmp_path, "hang", "hang")
    wait_for_workers(tmp_path, 2)
    [msrun] = psutil.Process(run.pid).children()
    msrun.kill()
    _, error = run.communicate(timeout=60)
    assert run.returncode == 128 + signal.SIGKILL
    assert "train.py: msrun, which starts the workers, was killed by SIGKILL" in error
    assert_all_gone(tmp_path)


def test_workers_end_with_a_launcher_that_is_killed(tmp_path):
    run = start(tmp_path, "hang", "hang")
    wait_for_workers(tmp_path, 2)
    time.sleep(0.5)
    run.kill()
    out, _ = run.communicate()
    assert "rank 0 with hang hang" in out, "it was to be shown at once"
    assert_all_gone(tmp_path)


def signals(number):
    stop_flag = SignalState()
    stop_flag.receive(number)
    return stop_flag


def told_to_stop(folder, number, *deeds, everyone=False):
    """The launcher's exit code, output and errors after a signal, to it or to every process that it has started too."""
    run = start(folder, *deeds)
    wait_for_workers(folder, len(deeds))
    while "rank 0 with" not in run.stdout.readline():  # what it shows it has found
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


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_passed_on_and_waited_for(number, tmp_path):
    code, out, error = told_to_stop(tmp_path, number, "wait", "wait")
    assert code == 128 + number, error
    assert "saved" in out


def test_a_cluster_signals_every_process(tmp_path):
    code, out, error = told_to_stop(tmp_path, signal.SIGTERM, "wait", "wait", everyone=True)
    assert code == 143, error
    assert "saved" in out


def test_a_worker_that_fails_to_stop_is_no_stop(tmp_path):
    code, _, error = told_to_stop(tmp_path, signal.SIGTERM, "fail", "hang")
    assert code == 2
    assert error.splitlines()[-1] == "train.py: cannot write a.ckpt: No space left on device"


def test_a_run_that_ends_meanwhile_has_ended_well(tmp_path):
    code, _, error = told_to_stop(tmp_path, signal.SIGTERM, "finish", "finish")
    assert code == 0, error


def test_a_signal_before_a_worker_has_begun(tmp_path):
    run = start(tmp_path, "wait", "wait")
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("logs/*/msrun.log")):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    run.send_signal(signal.SIGTERM)
    _, error = run.communicate(timeout=20)
    assert run.returncode == 128 + signal.SIGTERM
    assert error == "train.py: SIGTERM: stopped before a worker began\n"


def test_a_worker_that_is_found_after_the_signal_gets_it_too(monkeypatch):
    workers, signalled = object.__new__(launcher._Workers), []
    workers.prog, workers.patience, workers.ranks = "train.py", 60, {}
    workers.msrun = SimpleNamespace(poll=lambda: 0 if len(signalled) == 3 else None)
    monkeypatch.setattr(workers, "_find", lambda: workers.ranks.update({100 + len(workers.ranks): len(workers.ranks)}))
    monkeypatch.setattr(workers, "_signal", lambda pids, number: signalled.extend((pid, number) for pid in pids))
    for name in ("_show", "_end", "_first_death"):
        monkeypatch.setattr(workers, name, lambda: None)
    workers.msrun.returncode = 0
    workers.run(signals(signal.SIGTERM))
    assert signalled == [(100, signal.SIGTERM), (101, signal.SIGTERM), (102, signal.SIGTERM)]


def test_workers_that_do_not_stop_are_ended(tmp_path, monkeypatch, capsys):
    workers = object.__new__(launcher._Workers)
    workers.prog, workers.patience, workers.ranks = "train.py", 0.2, {100: 0}
    workers.msrun = SimpleNamespace(poll=lambda: None)
    for name in ("_find", "_show", "_end", "_first_death"):
        monkeypatch.setattr(workers, name, lambda: None)
    monkeypatch.setattr(workers, "_signal", lambda pids, number: None)
    assert workers.run(signals(signal.SIGTERM)) == 143
    assert capsys.readouterr().err.endswith("train.py: the workers did not stop in 0.2 s, and were ended\n")


@pytest.mark.parametrize("code", [0, 2, 3, 130, 143])
def test_what_a_restart_would_not_mend_ends_the_run(code, tmp_path, monkeypatch):
    started = []
    workers = SimpleNamespace(run=lambda signals: started.append(code) or code)
    monkeypatch.setattr(launcher, "_Workers", lambda *_: workers)
    assert launch(Config(distribute=True, max_restarts=3, ckpt_save_dir=str(tmp_path)), "train", []) == code
    assert started == [code]


def test_failed_workers_are_started_again_from_the_last_checkpoint(tmp_path):
    (tmp_path / "convit_tiny-1_5.ckpt").touch()
    code, out, error = finish(tmp_path, "ok", "save", restarts=1)
    assert code == 0, error
    assert "starting again, 1 of 1, from the last checkpoint" in error
    assert f"rank 0 with ok save --resume True --ckpt_path '' --ckpt_save_dir {tmp_path}, " in out


def test_restarts_end(tmp_path):
    (tmp_path / "convit_tiny-9_9.ckpt").touch()
    code, out, error = finish(tmp_path, "ok", "crash", restarts=1)
    assert code == 5
    assert out.count("rank 0 with") == 2
    assert "--resume" not in out, "the checkpoint is another run's"
    assert "starting again, 1 of 1, as before" in error
    assert error.count("rank 1 failed") == 2


def test_one_launcher_a_folder(tmp_path):
    with file_lock(tmp_path / "logs" / ".lock-0"):
        code, _, error = finish(tmp_path, "ok", "ok")
    assert code == 1
    assert "is in use by process" in error


def test_a_folder_that_knows_no_locks_is_used_with_a_warning(tmp_path, monkeypatch, caplog):
    def no_locks(*_):
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with file_lock(tmp_path / ".lock"):
        assert "without locks" in caplog.text


def test_claim_refuses_a_file_that_is_not_a_lock(tmp_path):
    (tmp_path / ".lock").write_text("mine")
    with pytest.raises(OSError, match=r"\.lock is not a lock of this program: choose another folder"):
        file_lock(tmp_path / ".lock")
    assert (tmp_path / ".lock").read_text() == "mine"


def test_a_claim_ends_with_its_file(tmp_path):
    with file_lock(tmp_path / "a" / ".lock"), pytest.raises(LockHeld, match=f"process {os.getpid()} on"):
        file_lock(tmp_path / "a" / ".lock", patience=0.2)
    file_lock(tmp_path / "a" / ".lock").close()
    (tmp_path / "a" / ".lock").write_bytes(bytes(20))
    file_lock(tmp_path / "a" / ".lock").close()


def test_a_port_that_is_taken(tmp_path):
    import socket

    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ValueError, match=f"master_port {port}: Address already in use.*a port that is free"):
            launch(Config(distribute=True, master_port=port, ckpt_save_dir=str(tmp_path)), "train", [])


def test_machines_that_start_again_meet_at_the_next_port():
    config = Config(distribute=True, num_nodes=2, node_rank=1, master_addr="192.0.2.1")
    assert [launcher._port(config, attempt) for attempt in (0, 2)] == [8118, 8120]


def test_an_address_that_is_none(tmp_path, monkeypatch):
    monkeypatch.setattr(launcher, "_JOINING", 1.5)  # a name may come late on other machines than the first
    there = {"num_nodes": 2, "node_rank": 1, "master_addr": "no such host"}
    with pytest.raises(ValueError, match=r"^master_addr no such host: .*: give the first machine's address$"):
        launch(Config(distribute=True, ckpt_save_dir=str(tmp_path), **there), "train", [])


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

"""Checks that fail, crash or hang, with a stand-in for MindSpore."""

import time

import psutil
import pytest

from mindcv.cli.doctor import processes
from mindcv.cli.doctor.processes import DEVICE, run_checks
from mindcv.cli.doctor.result import FAILED, OK, SKIPPED, Result


def test_run_checks_after_a_failure_and_a_crash_runs_the_others(stand_in):
    names = ["passes", "fails", "crashes", "is_skipped", "passes"]
    first, failed, crashed, skipped, last = (result for _, result in run_checks([], 60, [*map(stand_in, names)]))
    assert (first.verdict, first.text) == (OK, "fast")
    assert (failed.verdict, failed.reason) == (FAILED, "no kernel")
    assert failed.log[0] == "on the way"
    assert failed.log[-1] == "no kernel", "the traceback is kept"
    assert (crashed.verdict, crashed.reason) == (FAILED, "its process was killed by SIGABRT")
    assert skipped == Result(SKIPPED, "there is one device")
    assert last.figures["process"] != first.figures["process"]


def test_run_checks_shares_a_process_between_checks_of_one_number(stand_in):
    checks = [stand_in("passes"), stand_in("passes"), stand_in("passes", process=2)]
    first, second, third = (result.figures["process"] for _, result in run_checks([], 60, checks))
    assert first == second != third


def test_run_checks_ends_a_check_that_hangs_and_all_that_it_started(stand_in, tmp_path):
    pids = tmp_path / "pids"
    began = time.monotonic()
    hung, last = (result for _, result in run_checks([str(pids)], 4, [stand_in("hangs"), stand_in("passes", 0.5)]))
    assert (hung.verdict, hung.reason) == (FAILED, "no result after 2 s")
    assert last.verdict == OK, "half of the time was kept for it"
    assert time.monotonic() - began < 4
    for pid in map(int, pids.read_text().split()):
        assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_run_checks_without_a_time_takes_the_time_of_the_device(stand_in, tmp_path, monkeypatch):
    monkeypatch.setattr(processes, "_SECONDS", {"CPU": 3.0})
    began = time.monotonic()
    _, hung = (result for _, result in run_checks([str(tmp_path / "pids")], None, [DEVICE, stand_in("hangs")]))
    assert hung.verdict == FAILED
    assert time.monotonic() - began == pytest.approx(3.0, abs=0.5)


def test_run_checks_without_a_device_skips_what_needs_it(stand_in):
    checks = [DEVICE, stand_in("crashes"), stand_in("passes", needs_device=False)]
    results = {check.name: result for check, result in run_checks(["broken"], 60, checks)}
    assert results["find_device"].reason == "device_target: Ascend is not available"
    assert results["crashes"] == Result(SKIPPED, "the device failed")
    assert results["passes"].verdict == OK


def test_time_kept_for_the_checks_leaves_some_to_share():
    assert sum(check.share for check in processes.CHECKS) < 0.75

"""Watching and reporting, with stand-ins for the processes and the clock."""

import signal
from types import SimpleNamespace

import pytest

from mindcv.distributed.signals import SignalState
from mindcv.distributed.workers import LAST_WORDS, Failure, Outcome, report, watch


class FakeClock:
    """A clock whose time, in seconds, passes only in `sleep`."""

    def __init__(self):
        self.now = 0.0

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


class FakeWorkers:
    """Workers that run until `ends(self)` is true; each call of `find` finds one more, up to `count`."""

    def __init__(self, count, ends, failure=None):
        self.count, self.ends, self.failure = count, ends, failure
        self.ranks, self.signalled = {}, []
        self.msrun = SimpleNamespace(returncode=0)

    def is_running(self):
        return not self.ends(self)

    def find(self):
        if len(self.ranks) < self.count:
            self.ranks[100 + len(self.ranks)] = len(self.ranks)

    def first_failure(self):
        return self.failure

    def signal(self, pids, number):
        self.signalled += [(pid, number) for pid in sorted(pids)]


def received(*numbers):
    """Return the state after the signals `numbers`."""
    signals = SignalState()
    for number in numbers:
        signals.receive(number)
    return signals


def test_watch_passes_a_signal_on_to_workers_found_later():
    workers = FakeWorkers(3, ends=lambda workers: len(workers.signalled) == 3)
    watch(workers, received(signal.SIGTERM), "train.py", patience=60, clock=FakeClock())
    assert workers.signalled == [(pid, signal.SIGTERM) for pid in (100, 101, 102)]


def test_watch_after_a_signal_waits_for_the_patience():
    clock = FakeClock()
    outcome = watch(
        FakeWorkers(1, ends=lambda _: False), received(signal.SIGTERM), "train.py", patience=60, clock=clock
    )
    assert outcome == Outcome(None, timed_out=True)
    assert clock.now == pytest.approx(60, abs=0.2)


def test_watch_after_a_failure_waits_for_the_other_workers_last_words():
    clock, failure = FakeClock(), Failure(1, 5)
    workers = FakeWorkers(2, ends=lambda _: False, failure=failure)
    outcome = watch(workers, SignalState(), "train.py", patience=60, clock=clock)
    assert outcome == Outcome(failure, timed_out=True)
    assert clock.now == pytest.approx(LAST_WORDS, abs=0.2)


def test_report_of_workers_that_timed_out_names_the_patience(capsys):
    workers = FakeWorkers(1, ends=lambda _: True)
    workers.find()
    assert report(workers, Outcome(None, timed_out=True), received(signal.SIGTERM), "train.py", 0.2) == 143
    assert capsys.readouterr().err == "train.py: the workers did not stop in 0.2 s, and were ended\n"


@pytest.mark.parametrize("code", [143, -signal.SIGTERM])
def test_report_of_a_worker_stopped_by_the_signal_prints_nothing(code, tmp_path, capsys):
    workers = FakeWorkers(1, ends=lambda _: True)
    workers.find()
    workers.logs = tmp_path
    assert report(workers, Outcome(Failure(0, code), False), received(signal.SIGTERM), "train.py", 60) == 143
    assert capsys.readouterr().err == ""

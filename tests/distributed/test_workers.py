"""Watching and reporting, with stand-ins for the processes and the clock."""

import signal
from types import SimpleNamespace

import pytest

from mindcv.distributed.signals import SignalState
from mindcv.distributed.workers import LAST_WORDS, Failure, Outcome, report, watch


class FakeClock:
    """Its time passes only while somebody sleeps."""

    def __init__(self):
        self.now = 0.0

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


class FakeWorkers:
    """Workers that run until `ends(self)`; the next is found each time `find` is called, up to `count`."""

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
    signals = SignalState()
    for number in numbers:
        signals.receive(number)
    return signals


def test_watch_signals_a_worker_that_is_found_after_the_signal():
    workers = FakeWorkers(3, ends=lambda workers: len(workers.signalled) == 3)
    watch(workers, received(signal.SIGTERM), "train.py", patience=60, clock=FakeClock())
    assert workers.signalled == [(pid, signal.SIGTERM) for pid in (100, 101, 102)]


def test_watch_gives_workers_their_patience_to_stop():
    clock = FakeClock()
    outcome = watch(
        FakeWorkers(1, ends=lambda _: False), received(signal.SIGTERM), "train.py", patience=60, clock=clock
    )
    assert outcome == Outcome(None, timed_out=True)
    assert clock.now == pytest.approx(60, abs=0.2)


def test_watch_gives_the_others_time_for_last_words_after_a_failure():
    clock, failure = FakeClock(), Failure(1, 5)
    workers = FakeWorkers(2, ends=lambda _: False, failure=failure)
    outcome = watch(workers, SignalState(), "train.py", patience=60, clock=clock)
    assert outcome == Outcome(failure, timed_out=True)
    assert clock.now == pytest.approx(LAST_WORDS, abs=0.2)


def test_report_of_workers_that_did_not_stop_says_so(capsys):
    workers = FakeWorkers(1, ends=lambda _: True)
    workers.find()
    assert report(workers, Outcome(None, timed_out=True), received(signal.SIGTERM), "train.py", 0.2) == 143
    assert capsys.readouterr().err == "train.py: the workers did not stop in 0.2 s, and were ended\n"


@pytest.mark.parametrize("code", [143, -signal.SIGTERM])
def test_report_of_a_worker_that_stopped_as_asked_is_not_a_failure(code, tmp_path, capsys):
    workers = FakeWorkers(1, ends=lambda _: True)
    workers.find()
    workers.logs = tmp_path
    assert report(workers, Outcome(Failure(0, code), False), received(signal.SIGTERM), "train.py", 60) == 143
    assert capsys.readouterr().err == ""

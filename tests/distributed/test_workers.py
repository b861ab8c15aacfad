"""Watching workers, reporting and showing their output, with stand-ins for the processes and the clock."""

import signal
from types import SimpleNamespace

import pytest

from mindcv.distributed.signals import SignalState
from mindcv.distributed.workers import LAST_WORDS, Failure, LogStream, Outcome, Workers, report, report_failure, watch


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


def test_report_of_a_run_that_finished_after_a_signal_returns_0(capsys):
    workers = FakeWorkers(1, ends=lambda _: True)
    workers.find()
    assert report(workers, Outcome(None, timed_out=False), received(signal.SIGTERM), "train.py", 60) == 0
    assert capsys.readouterr().err == ""


def test_report_of_a_worker_that_failed_to_save_after_a_signal_returns_its_exit_code(tmp_path, capsys):
    (tmp_path / "worker_1.log").write_text("train.py: cannot write a.ckpt: No space left on device\n")
    workers = FakeWorkers(2, ends=lambda _: True)
    workers.logs = tmp_path
    for _ in range(2):
        workers.find()
    assert report(workers, Outcome(Failure(1, 2), timed_out=True), received(signal.SIGTERM), "train.py", 60) == 2
    assert capsys.readouterr().err == "train.py: cannot write a.ckpt: No space left on device (rank 1)\n"


def test_report_failure_of_the_first_workers_mistake_leaves_it_to_the_log_stream(tmp_path, capsys):
    (tmp_path / "worker_0.log").write_text("train.py: no folder /nowhere\n")
    assert report_failure(tmp_path, Failure(0, 2), "train.py") == 2
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("failure", "code", "how"),
    [
        (Failure(1, 5), 5, "rank 1 failed with exit code 5"),
        (Failure(1, -signal.SIGKILL), 137, "rank 1 was killed by SIGKILL"),
        (Failure(None, 5), 5, "a worker failed with exit code 5"),
    ],
)
def test_report_failure_prints_how_the_worker_ended_and_the_end_of_its_log(failure, code, how, tmp_path, capsys):
    log = tmp_path / f"worker_{failure.rank}.log"
    log.write_text("".join(f"line {number}\n" for number in range(12)))
    assert report_failure(tmp_path, failure, "train.py") == code
    first, *lines = capsys.readouterr().err.splitlines()
    assert first == f"train.py: {how}; the others were ended. The end of its log, {log}:"
    assert lines == [f"    line {number}" for number in range(2, 12)]


def test_report_failure_of_a_crash_names_damaged_images_as_a_cause(tmp_path, capsys):
    assert report_failure(tmp_path, Failure(0, -signal.SIGSEGV), "train.py") == 139
    assert "a damaged image can do that to the decoder" in capsys.readouterr().err


@pytest.mark.parametrize("code", [5, -9])
def test_first_failure_reads_rank_and_exit_code_from_msruns_log(code, tmp_path):
    workers = Workers(msrun=None, logs=tmp_path, ranks={100: 0, 101: 1})
    (tmp_path / "msrun.log").write_text("starting\n")
    assert workers.first_failure() is None
    (tmp_path / "msrun.log").write_text(f"Worker process 101 exit with exception. Error code: {code}.\n")
    assert workers.first_failure() == Failure(1, code)


def test_log_stream_separates_error_lines_and_leaves_out_mindspores_messages(tmp_path, capfd):
    log = tmp_path / "worker_0.log"
    stream = LogStream(log, "train.py")
    stream.show()
    log.write_text("epoch 1\n[WARNING] ME(1:2): a message\ntrain.py: no fol")
    stream.show()
    assert capfd.readouterr() == ("epoch 1\n", ""), "an error line is held back until it is complete"
    with log.open("a") as file:
        file.write("der /nowhere\nepoch")
    stream.show()
    assert capfd.readouterr() == ("epoch", "train.py: no folder /nowhere\n")

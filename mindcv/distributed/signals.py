"""SIGINT and SIGTERM as a wish to stop after the step that is being made.

MindSpore gives both a handler of its own with every data pipeline it builds, which ends the process at once, at times
with exit code 0. So the signals are blocked before its threads start, and one thread waits for them.
"""

import _thread
import logging
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

_log = logging.getLogger("mindcv")

ENDING = (signal.SIGINT, signal.SIGTERM)  # what asks a run to stop
_listening: list["StopFlag"] = []  # the last one is listening


class SignalState:
    """What SIGINT and SIGTERM ask for: the first that came (0: none), and whether it came `again`.

    That is the same one a second later or more: a cluster signals every process of a job, and a script or a launcher
    among them passes on what it got.
    """

    def __init__(self):
        self.first = 0
        self.again = False
        self._since = 0.0

    def receive(self, number: int) -> bool:
        """Take note of a signal that came; whether it is the first one again."""
        now = time.monotonic()
        if not self.first:
            self.first, self._since = number, now
        elif number == self.first and now - self._since > 1:
            self.again = True
        return self.again


class Stopped(Exception):
    """The run ended as a signal, to this worker or to another, asked it to.

    `exit_code` is 128 + the signal's number, as a shell counts.
    """

    def __init__(self, message: str, stop_flag: "StopFlag"):
        number = stop_flag.signal or signal.SIGTERM
        super().__init__(f"{signal.Signals(number).name}: {message}")
        self.exit_code = 128 + number


class StopFlag:
    """Whether a signal asked to stop, and which (0: none). It hears only where `install_signal_handlers` was called."""

    def __init__(self):
        self.signal = 0

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take the first SIGINT or SIGTERM as the wish; the same one again ends the process at once (see `SignalState`)."""
        _listening.append(self)
        try:
            yield
        finally:
            _listening.remove(self)


def install_signal_handlers(once: bool = False) -> None:
    """Take over SIGINT and SIGTERM, for the rest of this process. Before MindSpore is imported.

    Where no `StopFlag` is listening, SIGINT raises KeyboardInterrupt and SIGTERM ends the process, as ever. MindSpore's
    scheduler, without which the workers could not stop in order, hears neither.

    Args:
        once: Whatever comes after the wish is the same wish; who wants an end at once has another way, as the launcher.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    if os.environ.get("MS_ROLE") != "MS_SCHED":
        threading.Thread(target=_hear, args=(once,), name="signals", daemon=True).start()


def _hear(once: bool) -> None:
    signals, interrupted = SignalState(), False
    while True:
        number = signal.sigwait(ENDING)
        if _listening and not _listening[-1].signal:
            signals.receive(number)
            _listening[-1].signal = number
            _log.info("%s: finishing the step (again: stop at once)", signal.Signals(number).name)
        elif signals.first and (once or not signals.receive(number)):
            continue
        elif number == signal.SIGINT and not _listening and not interrupted:
            interrupted = True
            _thread.interrupt_main()
        else:
            os._exit(128 + number)

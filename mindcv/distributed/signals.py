"""SIGINT and SIGTERM as requests to stop after the current step.

MindSpore installs handlers of its own for both signals with every data pipeline that it builds. They end the process at
once, at times with exit code 0. So the signals are blocked before MindSpore starts its threads, and one thread waits
for them.
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

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_listening: list["StopFlag"] = []  # the last one receives the signals


class SignalState:
    """Keeps the first stop signal that a process received, and whether it was repeated.

    A signal is repeated if the same one comes more than a second later. Sooner it counts as one signal, because a
    cluster signals every process of a job, and a script or launcher among them forwards what it received.

    Attributes:
        first: Number of the first signal; 0 if none came.
        repeated: Whether that signal was repeated.
    """

    def __init__(self):
        self.first = 0
        self.repeated = False
        self._since = 0.0

    def receive(self, number: int) -> bool:
        """Record the signal `number` and return whether the first one has been repeated."""
        now = time.monotonic()
        if not self.first:
            self.first, self._since = number, now
        elif number == self.first and now - self._since > 1:
            self.repeated = True
        return self.repeated


class Stopped(Exception):
    """Raised when a run ends because this worker or another one received a stop signal.

    Args:
        message: What to say after the signal's name.
        stop_flag: This worker's flag; if it is not set, another worker received the signal, which counts as SIGTERM.

    Attributes:
        exit_code: 128 + the signal's number, as a shell counts.
    """

    def __init__(self, message: str, stop_flag: "StopFlag"):
        number = stop_flag.signal or signal.SIGTERM
        super().__init__(f"{signal.Signals(number).name}: {message}")
        self.exit_code = 128 + number


class StopFlag:
    """Keeps whether a stop signal was received. It needs `install_signal_handlers`.

    Attributes:
        signal: Number of the signal; 0 if none came.
    """

    def __init__(self):
        self.signal = 0

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Inside the context, let the first SIGINT or SIGTERM set the flag; repeated, it ends the process at once.

        Of nested contexts the innermost flag is set. The flag stays set after the context.
        """
        _listening.append(self)
        try:
            yield
        finally:
            _listening.remove(self)


def install_signal_handlers(once: bool = False) -> None:
    """Take over SIGINT and SIGTERM for the rest of this process. Call it before MindSpore is imported.

    While no `StopFlag` is listening, SIGINT raises KeyboardInterrupt and SIGTERM ends the process, as usual.
    MindSpore's scheduler process ignores both, because the workers need it to stop in order. The signals are blocked in
    this thread and those it starts later, and a thread that runs until the process ends waits for them.

    Args:
        once: Ignore every signal after the one that set a flag, for workers that their launcher ends if need be.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    if os.environ.get("MS_ROLE") != "MS_SCHED":
        threading.Thread(target=_wait_for_signals, args=(once,), name="signals", daemon=True).start()


def _wait_for_signals(once: bool) -> None:
    """Wait for stop signals for ever and act on them; runs in a thread.

    The first one sets the innermost `StopFlag`, a repeated one ends the process, or with `once` is ignored. Without a
    flag SIGINT raises KeyboardInterrupt in the main thread, and SIGTERM ends the process. The process's exit code is
    128 + the signal's number where it is ended here.
    """
    state, interrupted = SignalState(), False
    while True:
        number = signal.sigwait(STOP_SIGNALS)
        if _listening and not _listening[-1].signal:
            state.receive(number)
            _listening[-1].signal = number
            _log.info("%s: finishing the step (again: stop at once)", signal.Signals(number).name)
        elif state.first and (once or not state.receive(number)):
            continue
        elif number == signal.SIGINT and not _listening and not interrupted:
            interrupted = True
            _thread.interrupt_main()
        else:
            os._exit(128 + number)

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
from collections.abc import Callable, Iterator
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
    if not hasattr(signal, "pthread_sigmask"):  # Windows, where MindSpore installs no handlers
        receiver = _Receiver(once, interrupt=_raise_interrupt)
        for number in STOP_SIGNALS:
            signal.signal(number, lambda number, _frame: receiver.receive(number))
        return
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    if os.environ.get("MS_ROLE") != "MS_SCHED":
        receiver = _Receiver(once, interrupt=_thread.interrupt_main)
        threading.Thread(target=_wait_for_signals, args=(receiver,), name="signals", daemon=True).start()


class _Receiver:
    """Acts on stop signals, as `install_signal_handlers` describes.

    Args:
        once: Ignore every signal after the one that set a flag.
        interrupt: Raises KeyboardInterrupt in the main thread.
    """

    def __init__(self, once: bool, interrupt: Callable[[], None]):
        self.once = once
        self.interrupt = interrupt
        self.interrupted = False
        self.state = SignalState()

    def receive(self, number: int) -> None:
        """Act on the signal `number`.

        The first one sets the innermost `StopFlag`, a repeated one ends the process, or with `once` is ignored. Without
        a flag SIGINT raises KeyboardInterrupt in the main thread, and SIGTERM ends the process. The process's exit code
        is 128 + the signal's number where it is ended here.
        """
        if _listening and not _listening[-1].signal:
            self.state.receive(number)
            _listening[-1].signal = number
            _log.info("%s: finishing the step (again: stop at once)", signal.Signals(number).name)
        elif self.state.first and (self.once or not self.state.receive(number)):
            return
        elif number == signal.SIGINT and not _listening and not self.interrupted:
            self.interrupted = True
            self.interrupt()
        else:
            os._exit(128 + number)


def _wait_for_signals(receiver: _Receiver) -> None:
    """Wait for stop signals for ever and hand them to `receiver`; runs in a thread."""
    while True:
        receiver.receive(signal.sigwait(STOP_SIGNALS))


def _raise_interrupt() -> None:
    """Raise KeyboardInterrupt."""
    raise KeyboardInterrupt

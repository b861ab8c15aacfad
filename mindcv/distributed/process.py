"""Child processes that do not outlive the process that started them."""

import ctypes
import os
import signal
import sys
from contextlib import suppress

import psutil

_PR_SET_PDEATHSIG = 1  # of Linux's prctl(2)


def exit_with_parent(launcher: int) -> None:
    """Let the system kill this process (SIGKILL) when its parent ends, however it ends. Does nothing except on Linux.

    A thread that checks on the parent would not be enough: a worker that waits for a dead one in a collective operation
    holds Python's interpreter lock.

    Args:
        launcher: Process id of the parent, or of the parent's parent. If it is neither, the parent has already ended,
            and this process exits with code 1.
    """
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    parent = os.getppid()
    if launcher not in (parent, _parent_of(parent)):
        os._exit(1)


def kill_tree(pid: int) -> None:
    """Kill the process `pid` and every process that it started; those that have ended already are skipped."""
    with suppress(psutil.Error):
        root = psutil.Process(pid)
        root.suspend()  # so that it starts no more processes
        for process in [*root.children(recursive=True), root]:
            with suppress(psutil.Error):
                process.kill()


def _parent_of(pid: int) -> int | None:
    """Return the process id of the parent of `pid`; None if it cannot be found."""
    try:
        return psutil.Process(pid).ppid()
    except psutil.Error:
        return None

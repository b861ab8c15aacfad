"""Processes that do not outlive the one that started them."""

import ctypes
import os
import signal
import sys

import psutil

_PR_SET_PDEATHSIG = 1  # of Linux's prctl(2)


def exit_with_parent(launcher: int) -> None:
    """Have the system kill this process when its parent ends, however it ends; elsewhere than on Linux, nothing.

    A thread that looks after the parent would not do: a worker that waits for a dead one in a collective operation
    does not let Python's threads run.

    Args:
        launcher: The parent, or the parent's parent. Where it is neither any longer, the parent has ended already, and
            so does this process.
    """
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    parent = os.getppid()
    if launcher not in (parent, _parent_of(parent)):
        os._exit(1)


def _parent_of(pid: int) -> int | None:
    try:
        return psutil.Process(pid).ppid()
    except psutil.Error:
        return None

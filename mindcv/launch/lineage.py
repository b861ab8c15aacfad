"""Processes that do not outlive the one that started them."""

import ctypes
import signal
import sys

_PR_SET_PDEATHSIG = 1  # of Linux's prctl(2)


def end_with_parent() -> None:
    """Have the system kill this process when its parent ends, however it ends; elsewhere than on Linux, nothing.

    A thread that looks after the parent would not do: a worker that waits for a dead one in a collective operation
    does not let Python's threads run.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

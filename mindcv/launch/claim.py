"""A folder that one process at a time may write to."""

import errno
import fcntl
import logging
import os
import re
import socket
import time
from io import TextIOWrapper
from pathlib import Path

_OWNER = re.compile(r"(process \d+ on .*)?")  # what the file says
_NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)
_log = logging.getLogger("mindcv")


class Claimed(OSError):
    """Another living process has the file."""


def claim(path: Path, patience: float = 0.0) -> TextIOWrapper:
    """Take `path` for this process; the file returned has to stay open as long as the claim is to last.

    The system ends the claim with the process, however it ends, so nothing is left to clean up after a crash.

    Args:
        path: A file in the folder that is claimed; made if missing, with its folder.
        patience: Seconds to wait for another process to let go.

    Raises:
        Claimed: another process has it; the message names it.
        OSError: the file cannot be made, or was not written by this function.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+", encoding="utf-8", errors="replace")
    except OSError as error:
        raise OSError(f"cannot write to {path.parent}: {error.strerror}: choose another folder") from error
    deadline = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if time.monotonic() > deadline:
                file.seek(0)
                owner = file.read().strip() or "another process"
                file.close()
                raise Claimed(f"{path.parent} is in use by {owner}: choose another folder, or end that run") from None
            time.sleep(0.1)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            _log.warning("%s is on a file system without locks: two runs there do not notice each other", path)
            break
    file.seek(0)
    if not _OWNER.fullmatch(file.read().strip("\0\n")):  # zeros, of a disk that lost its power
        raise OSError(f"{path} is not a lock of this program: choose another folder, or move the file away")
    file.truncate(0)
    file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
    file.flush()
    return file

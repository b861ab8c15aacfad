"""File locks that are held by one process at a time and released when it ends."""

import errno
import logging
import math
import os
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]
    import msvcrt

_OWNER = re.compile(r"(process \d+ on .*)?")  # contents of a lock file
_NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)
_BEYOND_TEXT = 1 << 30  # a byte that no lock file reaches: others can still read the text
_log = logging.getLogger("mindcv")


class LockError(OSError):
    """A lock could not be taken."""


class LockHeld(LockError):
    """Another process holds the lock."""


def file_lock(path: Path, timeout: float = 0.0) -> TextIOWrapper:
    """Lock `path` for this process until the returned file is closed, so keep a reference to it.

    The operating system releases the lock when the process ends, even if it crashes. The lock file stays. A second call
    in the same process does not get the lock either. On a file system without locks a warning is logged instead.

    Args:
        path: The lock file, in the folder to protect; created if missing, with its folder. The holder's process id and
            host are written to it.
        timeout: Seconds to wait for another process to release the lock; 0 fails at once, infinity never.

    Raises:
        LockHeld: another process still holds the lock; the message names it.
        LockError: the file exists and is not a lock file, or it cannot be written, as on a full disk.
        OSError: the file cannot be created.
    """
    deadline, waiting = time.monotonic() + timeout, False
    while True:
        file = _open(path)
        if _lock(file) and _is_still_at(file, path):
            break
        owner = file.read().strip() or "another process"
        file.close()
        if time.monotonic() > deadline:
            raise LockHeld(f"{path.parent} is in use by {owner}: choose another folder, or end that run")
        if not waiting:
            _log.warning("waiting for %s, which uses %s", owner, path.parent)
        waiting = True
        time.sleep(0.1)
    if not _OWNER.fullmatch(file.read().strip("\0\n")):  # zeros may be left after a power failure
        file.close()
        raise LockError(f"{path} is not a lock of this program: choose another folder, or move the file away")
    try:
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        file.flush()
    except OSError as error:
        with suppress(OSError):  # closing tries to write again
            file.close()
        raise LockError(f"cannot write {path}: {error.strerror}: free space, or choose another folder") from error
    return file


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock `path` inside a `with` block, and remove the file afterwards.

    Waits without limit for other processes to release it.

    Raises:
        OSError: the file cannot be created, or is not a lock file.
    """
    with file_lock(path, timeout=math.inf):
        try:
            yield
        finally:
            with suppress(PermissionError):  # Windows does not delete an open file
                path.unlink(missing_ok=True)


def _open(path: Path) -> TextIOWrapper:
    """Open `path` for reading (from its start) and appending, and create it and its folder if missing.

    Raises:
        OSError: it cannot be; the message names the folder, and `errno` is kept.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+", encoding="utf-8", errors="replace")
    except OSError as error:
        named = OSError(f"cannot write to {path.parent}: {error.strerror}: choose another folder")
        named.errno = error.errno
        raise named from error
    file.seek(0)
    return file


def _lock(file: TextIOWrapper) -> bool:
    """Try to lock `file`, without waiting, and return whether it worked (False: it is locked already).

    On a file system without locks, warn and return True. Other failures are an OSError.
    """
    try:
        if fcntl:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        else:
            _lock_on_windows(file)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        _log.warning("%s is on a file system without locks: two processes there do not notice each other", file.name)
    return True


def _lock_on_windows(file: TextIOWrapper) -> None:
    """Lock `file` by Windows' locks of byte ranges; a BlockingIOError means that it is locked already."""
    position = os.lseek(file.fileno(), 0, os.SEEK_CUR)
    os.lseek(file.fileno(), _BEYOND_TEXT, os.SEEK_SET)
    try:
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]  # known on Windows only
    except PermissionError as error:
        raise BlockingIOError(error.errno, error.strerror) from error
    finally:
        os.lseek(file.fileno(), position, os.SEEK_SET)


def _is_still_at(file: TextIOWrapper, path: Path) -> bool:
    """Return whether `path` is still the open `file`; the process that held the lock may have removed it."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except OSError:
        return False

import errno
import fcntl
import os
import resource

import pytest

from mindcv.io.lock import LockError, LockHeld, file_lock


def test_file_lock_on_file_system_without_locks_warns(tmp_path, monkeypatch, caplog):
    def no_locks(*_):
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with file_lock(tmp_path / ".lock"):
        assert "without locks" in caplog.text


def test_file_lock_is_released_when_its_file_is_closed(tmp_path):
    with file_lock(tmp_path / "a" / ".lock"), pytest.raises(LockHeld, match=f"process {os.getpid()} on"):
        file_lock(tmp_path / "a" / ".lock", timeout=0.2)
    file_lock(tmp_path / "a" / ".lock").close()


def test_file_lock_on_a_full_disk_names_the_file(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        with pytest.raises(LockError, match=rf"^cannot write {tmp_path}/.lock: File too large: free space, or choose"):
            file_lock(tmp_path / ".lock")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    file_lock(tmp_path / ".lock").close()

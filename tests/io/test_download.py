"""Against a local server that misbehaves on demand."""

import errno
import hashlib
import http.server
import io
import os
import stat
import subprocess
import sys
import tarfile
import threading
import time
import zipfile

import numpy as np
import pytest

from mindcv.io import download
from mindcv.io.download import DownloadError, extract, fetch

BODY = np.random.default_rng(0).integers(0, 256, 300_000, dtype=np.uint8).tobytes()
SHA256, MD5 = hashlib.sha256(BODY).hexdigest(), hashlib.md5(BODY).hexdigest()
QUICK = {"backoff": 0.0, "timeout": 2.0}


class Handler(http.server.BaseHTTPRequestHandler):
    """Responds by the next method named in `server.script`; by `good` when it is empty."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        start = self._start()
        self.server.requested.append((self.path, start))
        response = self.server.script.pop(0) if self.server.script else "good"
        getattr(self, response)(start)

    def _start(self):
        self.server.if_range.append(self.headers.get("If-Range"))
        requested = self.headers.get("Range")
        return int(requested.removeprefix("bytes=").rstrip("-")) if requested else 0

    def _send(self, status, body, length=None, headers=()):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def good(self, start):
        if start >= len(BODY):
            return self._send(416, b"", headers=[("Content-Range", f"bytes */{len(BODY)}")])
        headers = [("Content-Range", f"bytes {start}-{len(BODY) - 1}/{len(BODY)}")] if start else []
        self._send(206 if start else 200, BODY[start:], headers=headers)

    def cut(self, start):
        """Announces the full length and disconnects after 100,000 bytes."""
        left = len(BODY) - start
        headers = [("Content-Range", f"bytes {start}-{len(BODY) - 1}/{len(BODY)}")] if start else []
        self._send(206 if start else 200, BODY[start : start + 100_000], length=left, headers=headers)
        self.close_connection = True

    def reset(self, start):
        """Disconnects without a response."""
        self.close_connection = True

    def stall(self, start):
        """Sends half, then nothing."""
        self._send(200, BODY[:150_000], length=len(BODY))
        self.server.released.wait(10)
        self.close_connection = True

    def short(self, start):
        """Ends early without announcing a length."""
        self.protocol_version = "HTTP/1.0"
        self.send_response(200)
        self.end_headers()
        self.wfile.write(BODY[:1000])
        self.close_connection = True

    def wrong(self, start):
        self._send(206 if start else 200, bytes(len(BODY) - start))

    def rangeless(self, start):
        self._send(200, BODY)

    def good_with_etag(self, start):
        """Serves the version `server.etag`; a range of another version is answered with the complete file."""
        current = self.headers.get("If-Range") == self.server.etag
        start = start if current else 0
        headers = [("Content-Range", f"bytes {start}-{len(BODY) - 1}/{len(BODY)}")] if start else []
        self._send(206 if start else 200, BODY[start:], headers=[*headers, ("ETag", self.server.etag)])

    def range_of_another_etag(self, start):
        """Ignores If-Range."""
        headers = [("Content-Range", f"bytes {start}-{len(BODY) - 1}/{len(BODY)}"), ("ETag", '"newer"')]
        self._send(206, bytes(len(BODY) - start), headers=headers)

    def range_of_another_total(self, start):
        headers = [("Content-Range", f"bytes {start}-{len(BODY)}/{len(BODY) + 1}"), ("ETag", self.server.etag)]
        self._send(206, bytes(len(BODY) + 1 - start), headers=headers)

    def length_in_words(self, start):
        self._send(200, BODY, length="abc")

    def cut_with_etag(self, start):
        self._send(200, BODY[:100_000], length=len(BODY), headers=[("ETag", self.server.etag)])
        self.close_connection = True

    def cut_of_an_older_version(self, start):
        self._send(200, bytes(100_000), length=200_000, headers=[("ETag", '"old"')])
        self.close_connection = True

    def _range(self, first, last, total):
        body = bytes(last + 1 - first)
        self._send(206, body, headers=[("Content-Range", f"bytes {first}-{last}/{total}")])

    def range_from_0(self, start):
        self._range(0, len(BODY) - 1, len(BODY))

    def range_too_short(self, start):
        self._range(start, start + 9, len(BODY))

    def range_of_unknown_total(self, start):
        self._range(start, len(BODY) - 1, "*")

    def range_unnamed(self, start):
        self._send(206, BODY[start:])

    def to_ftp(self, start):
        self._send(302, b"", headers=[("Location", f"ftp://127.0.0.1:{self.server.server_port}/file.bin")])

    def to_file(self, start):
        self._send(302, b"", headers=[("Location", "file:///etc/hostname")])

    def slow(self, start):
        self.send_response(200)
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        for at in range(0, len(BODY), 30_000):
            self.wfile.write(BODY[at : at + 30_000])
            time.sleep(0.05)

    def elsewhere(self, start):
        self._send(302, b"", headers=[("Location", "/moved")])

    def busy(self, start):
        self._send(503, b"come back later")

    def missing(self, start):
        self._send(404, b"no such file")

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    for name in [n for n in os.environ if n.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.script, server.requested, server.if_range, server.released = [], [], [], threading.Event()
    server.etag = '"new"'
    server.url = f"http://127.0.0.1:{server.server_port}/file.bin"
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server
    server.released.set()
    server.shutdown()
    server.server_close()


def is_complete(path):
    return path.read_bytes() == BODY and [p.name for p in path.parent.iterdir()] == [path.name]


def test_fetch_downloads_once(server, tmp_path):
    path = fetch(server.url, tmp_path / "new" / "folder" / "file.bin", sha256=SHA256, md5=MD5, **QUICK)
    assert path == tmp_path / "new" / "folder" / "file.bin" and is_complete(path)
    fetch(server.url, path, sha256=SHA256[:8], **QUICK)
    assert len(server.requested) == 1  # the second call finds the file


def test_fetch_cut_connection_is_resumed(server, tmp_path):
    server.script = ["cut", "cut"]
    assert is_complete(fetch(server.url, tmp_path / "f", sha256=SHA256, **QUICK))
    assert [start for _, start in server.requested] == [0, 100_000, 200_000]


@pytest.mark.parametrize("fault", ["reset", "stall", "busy", "elsewhere", "short", "wrong"])
def test_fetch_fault_is_retried(server, tmp_path, fault):
    server.script = [fault]
    assert is_complete(fetch(server.url, tmp_path / "f", sha256=SHA256, **{**QUICK, "timeout": 0.5}))


def test_fetch_follows_redirect(server, tmp_path):
    server.script = ["elsewhere"]
    fetch(server.url, tmp_path / "f", retries=0, **QUICK)
    assert [path for path, _ in server.requested] == ["/file.bin", "/moved"]


def test_fetch_from_server_without_ranges_starts_again(server, tmp_path):
    server.script = ["cut", "rangeless"]
    assert is_complete(fetch(server.url, tmp_path / "f", md5=MD5, **QUICK))
    assert len(server.requested) == 2


def test_fetch_later_call_resumes(server, tmp_path):
    server.script = ["cut", "missing"]
    with pytest.raises(DownloadError):
        fetch(server.url, tmp_path / "f", **QUICK)
    assert is_complete(fetch(server.url, tmp_path / "f", sha256=SHA256, **QUICK))
    assert server.requested[-1][1] == 100_000


@pytest.mark.parametrize("left", [BODY, BODY + b"more", b"garbage" * 50_000, b"garbage"])
def test_fetch_replaces_or_completes_an_earlier_part(server, tmp_path, left):
    (tmp_path / "f.part").write_bytes(left)
    assert is_complete(fetch(server.url, tmp_path / "f", sha256=SHA256, **QUICK))


@pytest.mark.parametrize("left", [BODY, BODY + b"more"])
def test_fetch_without_checksum_notices_too_long_part(server, tmp_path, left):
    (tmp_path / "f.part").write_bytes(left)
    assert is_complete(fetch(server.url, tmp_path / "f", **QUICK))


BAD_RANGES = ["range_from_0", "range_too_short", "range_of_unknown_total", "range_unnamed"]


@pytest.mark.parametrize("response", BAD_RANGES)
@pytest.mark.parametrize("checksum", [SHA256, ""])
def test_fetch_wrong_range_is_dropped_and_downloaded_again(server, tmp_path, response, checksum):
    server.script = ["cut_with_etag", response, "good_with_etag"]
    assert is_complete(fetch(server.url, tmp_path / "f", sha256=checksum, **QUICK))
    assert [start for _, start in server.requested] == [0, 100_000, 0]


def test_fetch_cut_connection_resumes_the_same_version_without_checksum(server, tmp_path):
    server.script = ["cut_with_etag", "good_with_etag"]
    assert is_complete(fetch(server.url, tmp_path / "f", **QUICK))
    assert [start for _, start in server.requested] == [0, 100_000]
    assert server.if_range == [None, '"new"']


def test_fetch_file_changed_between_attempts_is_downloaded_again(server, tmp_path):
    server.script = ["cut_of_an_older_version", "good_with_etag"]
    assert is_complete(fetch(server.url, tmp_path / "f", **QUICK))
    assert server.if_range == [None, '"old"']


@pytest.mark.parametrize("response", ["range_of_another_etag", "range_of_another_total"])
def test_fetch_range_of_another_version_is_downloaded_again(server, tmp_path, response):
    server.script = ["cut_with_etag", response]
    assert is_complete(fetch(server.url, tmp_path / "f", **QUICK))
    assert [start for _, start in server.requested] == [0, 100_000, 0]


def test_fetch_length_that_is_not_a_number_names_the_address(server, tmp_path):
    server.script = ["length_in_words"] * 9
    with pytest.raises(DownloadError, match=r"http.*file.bin: the server gives 'abc' as the file's length"):
        fetch(server.url, tmp_path / "f", retries=1, **QUICK)


@pytest.mark.parametrize("script", [["cut"], ["cut_with_etag"]])
def test_fetch_without_checksum_does_not_join_two_mirrors(server, tmp_path, script):
    server.script = script
    assert is_complete(fetch([server.url, server.url.replace("file", "mirror")], tmp_path / "f", **QUICK))
    assert [start for _, start in server.requested] == [0, 0]


@pytest.mark.parametrize("left", [b"garbage", BODY[:1000], b"garbage" * 50_000])
def test_fetch_without_checksum_starts_anew_over_an_earlier_part(server, tmp_path, left):
    (tmp_path / "f.part").write_bytes(left)
    assert is_complete(fetch(server.url, tmp_path / "f", **QUICK))
    assert [start for _, start in server.requested] == [0]


def test_fetch_length_unknown_without_checksum_is_refused(server, tmp_path):
    server.script = ["short"]
    with pytest.raises(DownloadError, match="does not say how long the file is, and no checksum is known"):
        fetch(server.url, tmp_path / "f", **QUICK)
    assert not (tmp_path / "f").exists() and len(server.requested) == 1


@pytest.mark.parametrize(("redirect", "address"), [("to_ftp", "ftp://127.0.0.1"), ("to_file", "file:///etc/hostname")])
def test_fetch_redirect_to_another_protocol_is_not_followed(server, tmp_path, redirect, address):
    server.script = [redirect] * 9
    with pytest.raises(DownloadError, match=address):
        fetch(server.url, tmp_path / "f", **QUICK)
    assert len(server.requested) == 1 and not list(tmp_path.iterdir())


def test_fetch_ftp_address_is_refused(tmp_path):
    with pytest.raises(DownloadError, match="only http, https and file addresses"):
        fetch("ftp://127.0.0.1:9/x", tmp_path / "f", **QUICK)


def test_fetch_file_address_is_copied(tmp_path):
    (tmp_path / "there").write_bytes(BODY)
    path = fetch((tmp_path / "there").as_uri(), tmp_path / "new" / "f", **QUICK)
    assert is_complete(path)


@pytest.mark.parametrize("checksum", [SHA256, ""])
def test_fetch_by_several_processes_downloads_once(server, tmp_path, checksum):
    server.script = ["slow"] * 4
    code = "import sys; from mindcv.io.download import fetch; fetch(sys.argv[1], sys.argv[2], sha256=sys.argv[3])"
    command = [sys.executable, "-c", code, server.url, str(tmp_path / "f"), checksum]
    racing = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    errors = [process.communicate(timeout=60)[1] for process in racing]
    assert [process.returncode for process in racing] == [0] * 4, errors
    assert is_complete(tmp_path / "f") and len(server.requested) == 1


def test_fetch_after_a_killed_process_completes(server, tmp_path):
    server.script = ["stall"]
    code = "import sys; from mindcv.io.download import fetch; fetch(sys.argv[1], sys.argv[2])"
    killed = subprocess.Popen([sys.executable, "-c", code, server.url, str(tmp_path / "f")], stderr=subprocess.DEVNULL)
    while not server.requested:
        time.sleep(0.01)
    killed.kill()
    killed.wait()
    assert is_complete(fetch(server.url, tmp_path / "f", sha256=SHA256, **QUICK))


def test_fetch_full_disk_is_not_retried(server, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(download.os, "fsync", full)
    with pytest.raises(DownloadError, match="No space left on device"):
        fetch(server.url, tmp_path / "f", **QUICK)
    assert len(server.requested) == 1


def test_fetch_wrong_bytes_leave_no_file(server, tmp_path):
    server.script = ["wrong"] * 9
    with pytest.raises(DownloadError, match=f"its sha256 is [0-9a-f]{{64}}, and {SHA256} was expected"):
        fetch(server.url, tmp_path / "f", sha256=SHA256, retries=2, **QUICK)
    assert list(tmp_path.iterdir()) == [] and len(server.requested) == 3


def test_fetch_existing_file_with_wrong_checksum_raises(server, tmp_path):
    (tmp_path / "f").write_bytes(b"something else")
    with pytest.raises(DownloadError, match=r"f is not the file published at http.*delete it"):
        fetch(server.url, tmp_path / "f", md5=MD5, **QUICK)
    assert server.requested == []


def test_fetch_not_found_is_not_retried(server, tmp_path):
    server.script = ["missing"] * 9
    with pytest.raises(
        DownloadError, match=r"cannot fetch http.*file.bin: the server answered 404 .*put the file at .*/f$"
    ):
        fetch(server.url, tmp_path / "f", **QUICK)
    assert len(server.requested) == 1


def test_fetch_mirrors_take_turns(server, tmp_path):
    server.script = ["missing"]
    mirror = server.url.replace("file.bin", "mirror.bin")
    assert is_complete(fetch([server.url, mirror], tmp_path / "f", sha256=SHA256, **QUICK))
    assert [path for path, _ in server.requested] == ["/file.bin", "/mirror.bin"]


def test_fetch_after_wrong_bytes_starts_again_at_the_mirror(server, tmp_path):
    server.script = ["wrong", "good"]
    assert is_complete(fetch([server.url, server.url], tmp_path / "f", md5=MD5, retries=1, **QUICK))


def test_fetch_offline_names_the_path(tmp_path):
    with pytest.raises(
        DownloadError, match=r"cannot fetch http://127.0.0.1:9/x: no connection .*put the file at .*/f$"
    ):
        fetch("http://127.0.0.1:9/x", tmp_path / "f", retries=1, **QUICK)


def test_fetch_doubles_the_wait(server, tmp_path, monkeypatch):
    waits = []
    monkeypatch.setattr(download.time, "sleep", waits.append)
    server.script = ["busy"] * 3
    fetch(server.url, tmp_path / "f", backoff=0.5)
    assert waits == [0.5, 1, 2]


def test_fetch_uses_the_proxy_of_the_environment(server, tmp_path, monkeypatch):
    monkeypatch.setenv("http_proxy", server.url.rsplit("/", 1)[0])
    assert is_complete(fetch("http://far.example/a/b.bin", tmp_path / "f", sha256=SHA256, **QUICK))
    assert server.requested == [("http://far.example/a/b.bin", 0)]


def test_download_root_is_mindcv_home_or_cache(monkeypatch):
    monkeypatch.setenv("MINDCV_HOME", "/somewhere")
    assert download.get_dataset_download_root() == "/somewhere/datasets"
    monkeypatch.delenv("MINDCV_HOME")
    monkeypatch.setenv("HOME", "/home/me")
    assert download.get_download_root() == "/home/me/.cache/mindcv"


@pytest.mark.parametrize("given", ["~/cache", "$HOME/cache", "${HOME}/cache"])
def test_download_root_expands_home(monkeypatch, given):
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("MINDCV_HOME", given)
    assert download.get_download_root() == "/home/me/cache"


def test_download_root_of_an_unset_variable_is_refused(monkeypatch):
    monkeypatch.delenv("NO_SUCH", raising=False)
    monkeypatch.setenv("MINDCV_HOME", "$NO_SUCH/cache")
    with pytest.raises(ValueError, match=r"\$MINDCV_HOME: \$NO_SUCH in '\$NO_SUCH/cache' is not known here"):
        download.get_download_root()


def tar_of(path, members, mode="w:gz"):
    with tarfile.open(path, mode) as tar:
        for name, body in members.items():
            info = tarfile.TarInfo(name)
            if isinstance(body, bytes):
                info.size = len(body)
                tar.addfile(info, io.BytesIO(body))
            else:
                info.type, info.linkname = body
                tar.addfile(info)
    return path


def zip_of(path, members):
    with zipfile.ZipFile(path, "w") as packed:
        for name, body in members.items():
            packed.writestr(name, body)
    return path


GOOD = {"a/b.txt": b"hello", "c.txt": b"world"}


@pytest.mark.parametrize("make, name", [(tar_of, "x.tar.gz"), (zip_of, "x.zip")])
def test_extract_writes_every_file(tmp_path, make, name):
    extract(make(tmp_path / name, GOOD), tmp_path / "out")
    assert {
        p.relative_to(tmp_path / "out").as_posix(): p.read_bytes() for p in (tmp_path / "out").rglob("*.txt")
    } == GOOD


def test_extract_beside_a_file_that_is_not_its_lock_names_the_file(tmp_path):
    archive = zip_of(tmp_path / "x.zip", GOOD)
    (tmp_path / ".x.zip.lock").write_text("notes of the user")
    with pytest.raises(OSError, match=r"x.zip.lock is not a lock of this program: choose another folder"):
        extract(archive, tmp_path)
    assert (tmp_path / ".x.zip.lock").read_text() == "notes of the user"


@pytest.mark.parametrize("evil", ["../evil.txt", "{tmp_path}/evil.txt", "a/../../evil.txt"])
@pytest.mark.parametrize("make, name", [(tar_of, "x.tar.gz"), (zip_of, "x.zip")])
def test_extract_member_outside_the_folder_is_refused(tmp_path, make, name, evil):
    evil = evil.format(tmp_path=tmp_path)
    with pytest.raises(ValueError, match=r"would land outside .*; nothing was unpacked"):
        extract(make(tmp_path / name, {**GOOD, evil: b"!"}), tmp_path / "out")
    assert not (tmp_path / "out").exists() and not (tmp_path / "evil.txt").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_extract_tar_with_link_or_device_is_refused(tmp_path, kind):
    archive = tar_of(tmp_path / "x.tar", {"door": (kind, "/etc"), "door/passwd": b"!"}, "w")
    with pytest.raises(ValueError, match="door is neither a file nor a folder; nothing was unpacked"):
        extract(archive, tmp_path / "out")


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
def test_extract_zip_with_link_or_device_is_refused(tmp_path, kind):
    member = zipfile.ZipInfo("door")
    member.external_attr = (kind | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as packed:
        packed.writestr(member, "/etc")
    with pytest.raises(ValueError, match="door is neither a file nor a folder; nothing was unpacked"):
        extract(tmp_path / "x.zip", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("mode", [stat.S_IFREG | 0o644, 0])
def test_extract_zip_with_plain_modes_is_unpacked(tmp_path, mode):
    member = zipfile.ZipInfo("a/b.txt")
    member.external_attr = mode << 16
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as packed:
        packed.mkdir("a") if hasattr(packed, "mkdir") else None
        packed.writestr(member, b"hello")
    extract(tmp_path / "x.zip", tmp_path / "out")
    assert [p.name for p in (tmp_path / "out").rglob("*")] == ["a", "b.txt"]
    assert (tmp_path / "out" / "a" / "b.txt").read_bytes() == b"hello"


@pytest.mark.parametrize("compression", ["w:gz", "w:bz2", "w:xz", "deflated", "bzip2", "lzma"])
def test_extract_damaged_stream_raises_value_error(tmp_path, compression):
    archive = tmp_path / "x"
    if compression.startswith("w:"):
        tar_of(archive, {"big": BODY}, compression)
    else:
        with zipfile.ZipFile(archive, "w", getattr(zipfile, f"ZIP_{compression.upper()}")) as packed:
            packed.writestr("big", BODY)
    intact = archive.read_bytes()
    message = r"is damaged: .*; delete it and fetch it again$|is neither a tar nor a zip archive$"
    rng = np.random.default_rng(1)
    for at in rng.integers(20, len(intact) - 100, 12):
        archive.write_bytes(intact[:at] + bytes(b ^ 0xFF for b in intact[at : at + 20]) + intact[at + 20 :])
        with pytest.raises(ValueError, match=message):
            extract(archive, tmp_path / "out")
        assert not (tmp_path / "out" / "big").exists()


def test_extract_encrypted_zip_raises_value_error(tmp_path):
    archive = zip_of(tmp_path / "x.zip", {"a": b"hello"})
    data = bytearray(archive.read_bytes())
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + flags] |= 1
    archive.write_bytes(data)
    with pytest.raises(ValueError, match=r"cannot be unpacked: .*encrypted"):
        extract(archive, tmp_path / "out")


def test_extract_into_a_folder_that_cannot_be_written_names_it(tmp_path):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(OSError, match=r"cannot write to .*/out: File exists"):
        extract(zip_of(tmp_path / "x.zip", GOOD), tmp_path / "out")


def test_extract_through_an_existing_link_is_refused(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "door").symlink_to(tmp_path)
    with pytest.raises(ValueError, match=r"door/evil.txt would land outside"):
        extract(tar_of(tmp_path / "x.tar.gz", {"door/evil.txt": b"!"}), tmp_path / "out")


@pytest.mark.parametrize("make, name", [(tar_of, "x.tar.gz"), (zip_of, "x.zip")])
def test_extract_cut_archive_raises_value_error(tmp_path, make, name):
    archive = make(tmp_path / name, {"big": BODY})
    archive.write_bytes(archive.read_bytes()[:200_000])
    with pytest.raises(ValueError, match=r"(is damaged|is neither a tar nor a zip)"):
        extract(archive, tmp_path / "out")
    archive.write_bytes(b"hello")
    with pytest.raises(ValueError, match="is neither a tar nor a zip archive"):
        extract(archive, tmp_path / "out")

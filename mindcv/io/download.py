"""Download files, resuming, retrying and verifying, and unpack archives.

Downloads are kept in one folder by default, `$MINDCV_HOME` or `~/.cache/mindcv`; data sets in its `datasets/`. Proxies
are taken from the environment (`HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY`).
"""

import errno
import hashlib
import http.client
import logging
import lzma
import os
import re
import shutil
import stat
import struct
import tarfile
import time
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mindcv.io.bars import tqdm
from mindcv.io.files import expanded
from mindcv.io.lock import LockError, locked

logger = logging.getLogger("mindcv")

_BLOCK = 1 << 20  # bytes to read at a time
_REFUSED = (401, 403, 404, 410)  # statuses that a retry will not change
_DAMAGED = (tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError)
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES)


class DownloadError(OSError):
    """A file could not be downloaded, or is not the expected one."""


def get_download_root() -> str:
    """Return the folder for downloads, `$MINDCV_HOME` or else `~/.cache/mindcv`. It may not exist yet.

    Raises:
        ValueError: `$MINDCV_HOME` contains a variable that is not set or a user that does not exist.
    """
    home = os.environ.get("MINDCV_HOME")
    try:
        return expanded(home) if home else str(Path.home() / ".cache" / "mindcv")
    except ValueError as error:
        raise ValueError(f"$MINDCV_HOME: {error}") from None


def get_dataset_download_root() -> str:
    """Return the folder for data sets, `datasets` in `get_download_root()`. It may not exist yet."""
    return str(Path(get_download_root()) / "datasets")


def fetch(
    url: str | Sequence[str],
    path: str | os.PathLike,
    sha256: str = "",
    md5: str = "",
    retries: int = 5,
    backoff: float = 1.0,
    timeout: float = 30.0,
) -> Path:
    """Download a file unless it exists; verify its checksum in either case.

    The bytes are written to `path` + ".part", which is renamed to `path` once its length and checksum are right. One
    process downloads a file at a time; others wait for it. After a broken connection the next attempt resumes where it
    ended, and so does a later call if a checksum is given. Partial files with wrong bytes are deleted and downloaded
    again. A terminal shows a progress bar.

    Args:
        url: An http, https or file address, or several mirrors to try in turn.
        path: The file to write; its folder is created if missing.
        sha256: The expected digest in hexadecimal, or its first digits (eight or more); "" if unknown.
        md5: The same, for publishers that give only this.
        retries: Attempts after the first, each mirror in turn.
        backoff: Seconds to wait before the first retry, doubled for each further one.
        timeout: Seconds without data after which a connection counts as broken.

    Returns:
        `path`.

    Raises:
        DownloadError: every attempt failed, a retry would not help (404, a full disk), or the existing file has another
            checksum. The message names the URL, and the path to put the file at by hand.
        OSError: the folder of `path` cannot be written to.
    """
    path = Path(path)
    urls = [url] if isinstance(url, str) else list(url)
    if not path.is_file():
        with locked(path.with_name(f".{path.name}.lock")):
            if not path.is_file():
                _fetch(urls, path, sha256, md5, retries, backoff, timeout)
                return path
    if wrong := _mismatch(path, sha256, md5):
        raise DownloadError(f"{path} is not the file published at {urls[0]} ({wrong}): delete it and try again")
    return path


def _fetch(urls: list[str], path: Path, sha256: str, md5: str, retries: int, backoff: float, timeout: float) -> None:
    """Download `path`, which is locked by the caller, from the first of `urls` that works; `urls` is not changed.

    The digests are hexadecimal, "" if unknown. `retries` attempts may follow the first, after `backoff` seconds,
    doubled each time; a connection without data for `timeout` seconds is broken. If no attempt succeeds, or a retry
    would not help, a DownloadError tells why the last one failed.
    """
    urls = list(urls)
    part = _Part(path.with_name(f"{path.name}.part"), bool(sha256 or md5))
    for attempt in range(retries + 1):
        source = urls[attempt % len(urls)]
        try:
            _transfer(source, part, timeout)
            problem = _mismatch(part.path, sha256, md5)
            if not problem:
                os.replace(part.path, path)
                return
            part.path.unlink()
        except (OSError, http.client.HTTPException) as error:
            problem = _explain(error)
            if getattr(error, "errno", None) in _DISK:
                break
            if _is_final(error):
                urls.remove(source)
        if not urls:
            break
        if attempt < retries:
            logger.info("%s: %s; trying again", source, problem)
            time.sleep(backoff * 2**attempt)
    raise DownloadError(f"cannot fetch {source}: {problem}; to go on without it, put the file at {path}")


class _Unusable(DownloadError):
    """An address or a server that a retry would not make usable."""


def _is_final(error: Exception) -> bool:
    """Return whether the address refuses the request for good: by some HTTP statuses, such as 404, or `_Unusable`.

    False for every other error, even one that would come again, such as a full disk.
    """
    if isinstance(error, urllib.error.HTTPError):
        return error.code < 400 or error.code in _REFUSED  # below 400: a redirect that urllib does not follow
    return isinstance(error, _Unusable)


class _HttpRedirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to http and https only; urllib's own handler also follows them to ftp."""

    def redirect_request(self, request, response, code, message, headers, url):
        """Return the request to `url`, as urllib does; raise `_Unusable` for another kind of address."""
        if not url.lower().startswith(("http:", "https:")):
            raise _Unusable(f"it redirects to {url}, and only http and https are followed")
        return super().redirect_request(request, response, code, message, headers, url)


@dataclass
class _Part:
    """The part of a file that is downloaded so far.

    A later attempt resumes it if a checksum is known, which shows whether all bytes belong to one file, or, within one
    call, if the server identifies the version of the file.

    Attributes:
        path: The partial file; it may not exist.
        has_checksum: Whether a checksum is known.
        url: The address that the bytes came from.
        version: The server's ETag or modification date of the file, "" if it gives neither.
        total: Length of the complete file; None if unknown.
    """

    path: Path
    has_checksum: bool
    url: str = ""
    version: str = ""
    total: int | None = None

    def size(self) -> int:
        """Return the number of bytes downloaded so far."""
        return self.path.stat().st_size if self.path.exists() else 0

    def range_headers(self, url: str) -> dict[str, str]:
        """Return the headers that request only the missing bytes; {} if the file must be downloaded from its start."""
        same = bool(self.version) and self.url == url
        if not self.size() or not (same or self.has_checksum):
            return {}
        return {"Range": f"bytes={self.size()}-", **({"If-Range": self.version} if same else {})}


def _transfer(url: str, part: _Part, timeout: float) -> None:
    """Download what is missing of `part` from `url`, and set its `url`, `version` and `total`; `timeout` is in seconds.

    Raises:
        OSError, HTTPException: the connection broke, or the response does not continue or complete the file. What was
            received remains in `part`, unless it turned out to be of another file. `_Unusable`: a retry is useless.
    """
    if not url.lower().startswith(("http:", "https:", "file:")):
        raise _Unusable("only http, https and file addresses can be fetched")
    headers = part.range_headers(url)
    request = urllib.request.Request(url, headers={"User-Agent": "mindcv", **headers})
    try:
        response = urllib.request.build_opener(_HttpRedirects).open(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        if error.code != 416:
            raise
        with error:  # 416: the file is not longer than `part`, which is complete or belongs to another file
            if error.headers.get("Content-Range") != f"bytes */{part.size()}":
                part.path.unlink(missing_ok=True)
                raise DownloadError(f"{part.path} was of another file") from error
        return
    with response:
        start, total = _extent(response, part)
        part.url, part.version, part.total = url, _version(response.headers), total
        with (
            open(part.path, "ab" if start else "wb") as file,
            tqdm(
                total=total,
                initial=start,
                desc=part.path.stem,
                unit="B",
                unit_scale=True,
                unit_divisor=1024,
                disable=None,  # if the output is not a terminal
            ) as bar,
        ):
            while block := response.read(_BLOCK):
                file.write(block)
                bar.update(len(block))
            file.flush()
            os.fsync(file.fileno())
    if total is not None and part.size() != total:
        raise DownloadError(f"the connection ended after {part.size()} of {total} bytes")


def _extent(response, part: _Part) -> tuple[int, int | None]:
    """Return the position in the file where the body of `response` begins, and the file's length (None if unknown).

    Raises:
        DownloadError: the body begins neither where `part` ends nor at 0, does not reach the file's end, or is of
            another version of the file than `part`, which is deleted then. Also if the status or the length is invalid,
            or if neither a length nor a checksum would show that the connection ended too soon.
    """
    length = response.headers.get("Content-Length")
    if length is not None and not re.fullmatch("[0-9]+", length.strip()):
        raise DownloadError(f"the server gives {length!r} as the file's length")
    if response.status == 206:
        start, field = part.size(), response.headers.get("Content-Range", "")
        span = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", field.strip())
        first, last, total = map(int, span.groups()) if span else (-1, -1, -1)
        if first != start or last + 1 != total or (length is not None and int(length) != total - start):
            part.path.unlink(missing_ok=True)
            raise DownloadError(f"requested the bytes from {start} on, but the server sent {field or 'others'!r}")
        is_same = _version(response.headers) in ("", part.version) and part.total in (None, total)
        if not is_same and not part.has_checksum:  # the server ignored If-Range
            part.path.unlink(missing_ok=True)
            raise DownloadError("the file changed on the server during the download")
        return start, total
    if response.status not in (200, None):  # None: a file: address
        raise DownloadError(f"the server answered {response.status} {response.reason}")
    if length is None and not part.has_checksum and not response.chunked:
        raise _Unusable("the server does not say how long the file is, and no checksum is known")
    return 0, None if length is None else int(length)


def _version(headers) -> str:
    """Return a value for `If-Range`: a strong ETag, else the modification date, else ""."""
    etag = headers.get("ETag", "")
    return etag if etag.startswith('"') else headers.get("Last-Modified", "")


def _mismatch(path: Path, sha256: str, md5: str) -> str:
    """Return what is wrong with the checksum of the file `path`, "" if nothing.

    `sha256` and `md5` are hexadecimal, whole or the first digits, in any case; an empty one is not checked.
    """
    for algorithm, expected in (("sha256", sha256), ("md5", md5)):
        if expected:
            digest = hashlib.new(algorithm, usedforsecurity=False)
            with open(path, "rb") as file:
                while block := file.read(_BLOCK):
                    digest.update(block)
            if not digest.hexdigest().startswith(expected.lower()):
                return f"its {algorithm} is {digest.hexdigest()}, and {expected} was expected"
    return ""


def _explain(error: Exception) -> str:
    """Return the cause of a failed attempt in a few words, such as "the server answered 404 Not Found"."""
    if isinstance(error, urllib.error.HTTPError):
        return f"the server answered {error.code} {error.reason}"
    if isinstance(error, urllib.error.URLError):
        return f"no connection ({error.reason})"
    if isinstance(error, http.client.IncompleteRead):
        return f"the connection ended {error.expected or 'some'} bytes too soon"
    return str(error) or type(error).__name__


def extract(archive: str | os.PathLike, folder: str | os.PathLike) -> None:
    """Unpack a tar (.tar, .tar.gz, .tgz, …) or zip archive into `folder`, which is created if missing.

    Existing files are replaced. Each file appears complete or not at all; one process unpacks at a time, others wait.

    Refused before anything is unpacked: archives with a member outside `folder` ("../x", "/x", or through a link in
    `folder`), and archives with a member that is not a file or a folder (links, devices, pipes).

    Raises:
        OSError: `folder` cannot be written to, or `archive` cannot be read.
        ValueError: the archive is refused, damaged, encrypted, or neither tar nor zip. Where damage is noticed late,
            some files are unpacked already.
    """
    folder = Path(folder)
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as packed:
                members = {info.filename: None if info.is_dir() else info for info in packed.infolist()}
                _refuse_special(archive, [info.filename for info in packed.infolist() if not _is_plain(info)])
                _unpack(archive, folder, members, packed.open)
        elif tarfile.is_tarfile(archive):
            with tarfile.open(archive) as packed:
                while packed.fileobj.read(_BLOCK):  # to the end of the stream, which verifies gzip's checksum
                    pass
                _refuse_special(archive, [m.name for m in packed.getmembers() if not (m.isfile() or m.isdir())])
                unpacked = {m.name: None if m.isdir() else m for m in packed.getmembers()}
                _unpack(archive, folder, unpacked, packed.extractfile)
        else:
            raise ValueError(f"{archive} is neither a tar nor a zip archive")
    except (*_DAMAGED, OSError) as error:
        # the disk's errors have a number, the decompressors' do not; a damaged zip names places outside the file
        if isinstance(error, LockError) or getattr(error, "errno", None) not in (None, errno.EINVAL):
            raise
        raise ValueError(f"{archive} is damaged: {error}; delete it and fetch it again") from error
    except (RuntimeError, NotImplementedError) as error:
        raise ValueError(f"{archive} cannot be unpacked: {error}") from error  # a password, an unknown compression


def _is_plain(member: zipfile.ZipInfo) -> bool:
    """Return whether `member` is a file or a folder by its Unix mode, the upper half of `external_attr` (0: none)."""
    return stat.S_IFMT(member.external_attr >> 16) in (0, stat.S_IFREG, stat.S_IFDIR)


def _refuse_special(archive, names: list[str]) -> None:
    """Raise a ValueError if `names`, of links and devices in `archive`, is not empty."""
    if names:
        raise ValueError(f"{archive}: {names[0]} is neither a file nor a folder; nothing was unpacked")


def _unpack(archive, folder: Path, members: dict, open_member: Callable) -> None:
    """Write the members of `archive` to `folder`, each file atomically, under a lock of this archive in `folder`.

    Args:
        archive: Path of the archive, for the lock and messages.
        folder: Created if missing.
        members: What `open_member` takes, by name; None for a folder.
        open_member: Returns a member's binary file object.

    Raises:
        ValueError: a member would be outside `folder`; nothing was written.
        OSError: a file cannot be written.
    """
    root = folder.resolve()
    for name in members:
        if not (root / name).resolve().is_relative_to(root):
            raise ValueError(f"{archive}: {name} would land outside {folder}; nothing was unpacked")
    with locked(folder / f".{Path(archive).name}.lock"):
        for name, member in members.items():
            target = root / name
            if member is None:
                target.mkdir(parents=True, exist_ok=True)
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            part = target.with_name(f"{target.name}.part")
            with open_member(member) as source, open(part, "wb") as file:
                shutil.copyfileobj(source, file)
            os.replace(part, target)

"""Fetch files: resumed, retried, verified, and visible only when whole.

What is fetched by default lies under one folder, `$MINDCV_HOME` or `~/.cache/mindcv`: data sets in
`datasets/`. Proxies come from the environment (`HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY`).
"""

import errno
import hashlib
import http.client
import logging
import os
import shutil
import tarfile
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

logger = logging.getLogger("mindcv")

_BLOCK = 1 << 20
_REFUSED = (401, 403, 404, 410)  # answers that another attempt will not change
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES)


class DownloadError(OSError):
    """A file could not be fetched, or is not what it should be."""


def get_download_root() -> str:
    """The folder for everything fetched: `$MINDCV_HOME`, or else `~/.cache/mindcv`."""
    return os.environ.get("MINDCV_HOME") or str(Path.home() / ".cache" / "mindcv")


def get_dataset_download_root() -> str:
    """The folder for data sets: `datasets` in `get_download_root()`."""
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
    """Fetch a file, unless it is there already.

    The bytes go to `path` + ".part", from where a later call goes on after a break; the file is renamed to
    `path` once it is complete and its checksum is right. Partial bytes that turn out wrong are thrown away
    and fetched once more.

    Args:
        url: where from, or several mirrors to try in turn.
        path: where to.
        sha256: the expected digest, as hexadecimal digits; the first eight or more will do.
        md5: the same, for publishers that give only this.
        retries: attempts after the first, each mirror in turn.
        backoff: seconds to wait before the first of them, doubled each time.
        timeout: seconds without a byte after which a connection counts as broken.

    Returns:
        `path`.

    Raises:
        DownloadError: every attempt failed; names the URL and where to put the file by hand.
    """
    path = Path(path)
    urls = [url] if isinstance(url, str) else list(url)
    if path.is_file():
        if wrong := _mismatch(path, sha256, md5):
            raise DownloadError(f"{path} is not the file published at {urls[0]} ({wrong}): delete it and try again")
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    for attempt in range(retries + 1):
        source = urls[attempt % len(urls)]
        try:
            _transfer(source, part, timeout)
            problem = _mismatch(part, sha256, md5)
            if not problem:
                os.replace(part, path)
                return path
            part.unlink()
        except (OSError, http.client.HTTPException) as error:
            problem = _explain(error)
            if getattr(error, "errno", None) in _DISK:
                break
            if isinstance(error, urllib.error.HTTPError) and error.code in _REFUSED:
                urls.remove(source)
        if not urls:
            break
        if attempt < retries:
            logger.info("%s: %s; trying again", source, problem)
            time.sleep(backoff * 2**attempt)
    raise DownloadError(f"cannot fetch {source}: {problem}; to go on without it, put the file at {path}")


def _transfer(url: str, part: Path, timeout: float) -> None:
    """Append to `part` what it lacks of `url`. Raises OSError or HTTPException if the connection breaks."""
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(
        url, headers={"User-Agent": "mindcv", **({"Range": f"bytes={have}-"} if have else {})}
    )
    try:
        response = urllib.request.build_opener().open(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        if error.code != 416:
            raise
        with error:  # there is nothing beyond what we have: so we have all, or the wrong thing
            if error.headers.get("Content-Range") != f"bytes */{have}":
                part.unlink()
                raise DownloadError(f"{part} held something else") from error
        return
    with response:
        if response.status != 206:  # the server knows no ranges: from the start
            have = 0
        length = response.headers.get("Content-Length")
        total = have + int(length) if length is not None else None
        with (
            open(part, "ab" if have else "wb") as file,
            tqdm(
                total=total,
                initial=have,
                desc=part.stem,
                unit="B",
                unit_scale=True,
                unit_divisor=1024,
                disable=None,  # where nobody watches
            ) as bar,
        ):
            while block := response.read(_BLOCK):
                file.write(block)
                bar.update(len(block))
            file.flush()
            os.fsync(file.fileno())
    if total is not None and part.stat().st_size < total:
        raise DownloadError(f"the connection ended after {part.stat().st_size} of {total} bytes")


def _mismatch(path: Path, sha256: str, md5: str) -> str:
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
    if isinstance(error, urllib.error.HTTPError):
        return f"the server answered {error.code} {error.reason}"
    if isinstance(error, urllib.error.URLError):
        return f"no connection ({error.reason})"
    if isinstance(error, http.client.IncompleteRead):
        return f"the connection ended {error.expected or 'some'} bytes too soon"
    return str(error) or type(error).__name__


def extract(archive: str | os.PathLike, folder: str | os.PathLike) -> None:
    """Unpack a tar (.tar, .tar.gz, .tgz, …) or zip archive into `folder`.

    Each file appears whole or not at all.

    Raises:
        ValueError: it is neither, or damaged; or, before anything is unpacked, a member would land outside
            `folder` or is a link or a device.
    """
    folder = Path(folder)
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as packed:
                members = {info.filename: None if info.is_dir() else info for info in packed.infolist()}
                _unpack(archive, folder, members, packed.open)
        elif tarfile.is_tarfile(archive):
            with tarfile.open(archive) as packed:
                if odd := [m.name for m in packed.getmembers() if not (m.isfile() or m.isdir())]:
                    raise ValueError(f"{archive}: {odd[0]} is neither a file nor a folder; nothing was unpacked")
                members = {m.name: None if m.isdir() else m for m in packed.getmembers()}
                _unpack(archive, folder, members, packed.extractfile)
        else:
            raise ValueError(f"{archive} is neither a tar nor a zip archive")
    except (tarfile.TarError, zipfile.BadZipFile, EOFError) as error:
        raise ValueError(f"{archive} is damaged: {error}; delete it and fetch it again") from error


def _unpack(archive, folder: Path, members: dict, open_member) -> None:
    inside = folder.resolve()
    for name in members:
        if not (inside / name).resolve().is_relative_to(inside):
            raise ValueError(f"{archive}: {name} would land outside {folder}; nothing was unpacked")
    for name, member in members.items():
        target = inside / name
        if member is None:
            target.mkdir(parents=True, exist_ok=True)
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f"{target.name}.part")
        with open_member(member) as source, open(part, "wb") as file:
            shutil.copyfileobj(source, file)
        os.replace(part, target)

"""`DownLoad` and the kinds of archives, over `mindcv.io.download`."""

import bz2
import gzip
import hashlib
import os
import shutil
from pathlib import Path

from mindcv.io.download import extract, fetch, get_download_root
from mindcv.io.files import atomic_write

FILE_TYPE_ALIASES = {".tbz": (".tar", ".bz2"), ".tbz2": (".tar", ".bz2"), ".tgz": (".tar", ".gz")}
ARCHIVE_TYPE_SUFFIX = [".tar", ".zip"]
COMPRESS_TYPE_SUFFIX = [".bz2", ".gz"]


def detect_file_type(filename: str) -> tuple[str, str | None, str | None]:
    """Return the end of a file's name, and the archive and the compression it stands for: (".tar.gz", ".tar", ".gz").

    Raises:
        RuntimeError: It stands for neither.
    """
    *_, before, last = "", "", *Path(filename).suffixes
    if last in FILE_TYPE_ALIASES:
        return last, *FILE_TYPE_ALIASES[last]
    if last in ARCHIVE_TYPE_SUFFIX:
        return last, last, None
    if last in COMPRESS_TYPE_SUFFIX:
        return (before + last, before, last) if before in ARCHIVE_TYPE_SUFFIX else (last, None, last)
    raise RuntimeError(f"{filename} ends neither as an archive nor as a compressed file")


def get_default_download_root() -> str:
    """Return the folder for downloads, `$MINDCV_HOME` or else `~/.cache/mindcv`."""
    return get_download_root()


def set_default_download_root(path: str) -> None:
    """Set the folder for downloads of this process and those that it starts."""
    os.environ["MINDCV_HOME"] = str(path)


class DownLoad:
    """Download files once, verified and resumed, and unpack archives; failures are OSError or ValueError."""

    def check_md5(self, file_path: str, md5: str | None = None) -> bool:
        """Return whether a file has the MD5 digest `md5`, in hexadecimal."""
        return md5 == hashlib.md5(Path(file_path).read_bytes(), usedforsecurity=False).hexdigest()

    def extract_archive(self, from_path: str, to_path: str | None = None) -> str:
        """Unpack an archive or a single compressed file into a folder, by default its own.

        Returns:
            The folder, or the path of the single file.
        """
        suffix, archive, compression = detect_file_type(from_path)
        folder = Path(to_path or Path(from_path).parent)
        if archive:
            extract(from_path, folder)
            return str(folder)
        target = folder / Path(from_path).name.removesuffix(suffix)
        opener = {".gz": gzip.open, ".bz2": bz2.open}[compression]
        with opener(from_path) as source, atomic_write(target) as temporary, open(temporary, "wb") as file:
            shutil.copyfileobj(source, file)
        return str(target)

    def download_url(
        self, url: str, path: str | None = None, filename: str | None = None, md5: str | None = None
    ) -> None:
        """Download `url` into the folder `path`, by default that for downloads, unless the file exists."""
        fetch(url, Path(path or get_download_root()).expanduser() / (filename or Path(url).name), md5=md5 or "")

    def download_and_extract_archive(
        self, url: str, download_path: str | None = None, extract_path: str | None = None, filename: str | None = None,
        md5: str | None = None, remove_finished: bool = False,
    ) -> None:  # fmt: skip
        """Download an archive as `download_url` does, and unpack it into `extract_path`, by default the same folder.

        With `remove_finished` the archive is deleted then.
        """
        archive = Path(download_path or get_download_root()).expanduser() / (filename or Path(url).name)
        self.download_url(url, str(archive.parent), archive.name, md5)
        self.extract_archive(str(archive), extract_path)
        if remove_finished:
            archive.unlink()

"""`DownLoad` and the kinds of archives, over `mindcv.io.download`."""

import bz2
import gzip
import hashlib
import os
import re
import shutil
from pathlib import Path

from mindcv.io.download import extract, fetch, get_download_root
from mindcv.io.files import atomic_write

FILE_TYPE_ALIASES = {".tbz": (".tar", ".bz2"), ".tbz2": (".tar", ".bz2"), ".tgz": (".tar", ".gz")}
ARCHIVE_TYPE_SUFFIX, COMPRESS_TYPE_SUFFIX = [".tar", ".zip"], [".bz2", ".gz"]
get_default_download_root = get_download_root


def detect_file_type(filename: str) -> tuple[str, str | None, str | None]:
    """Return a name's end, archive and compression, such as (".tar.gz", ".tar", ".gz"); without any, a RuntimeError."""
    last = Path(filename).suffix
    name = Path(filename).stem + "".join(FILE_TYPE_ALIASES.get(last, (last,)))
    match = re.search(r"(\.tar|\.zip)?(\.gz|\.bz2)?$", name)
    end, archive, compression = match.group(0, 1, 2) if match else ("", None, None)
    if not end:
        raise RuntimeError(f"{filename} ends neither as an archive nor as a compressed file")
    return last if last in FILE_TYPE_ALIASES else end, archive, compression


def set_default_download_root(path: str) -> None:
    """Set the folder for downloads of this process and those that it starts."""
    os.environ["MINDCV_HOME"] = str(path)


class DownLoad:
    """Download files once, verified and resumed, and unpack archives; failures are OSError or ValueError."""

    def check_md5(self, file_path: str, md5: str | None = None) -> bool:
        """Return whether a file has the MD5 digest `md5`, in hexadecimal."""
        return md5 == hashlib.md5(Path(file_path).read_bytes(), usedforsecurity=False).hexdigest()

    def extract_archive(self, from_path: str, to_path: str | None = None) -> str:
        """Unpack an archive or a compressed file into a folder, by default its own; return the folder, or the file."""
        suffix, archive, compression = detect_file_type(from_path)
        folder = Path(to_path or Path(from_path).parent)
        if archive:
            extract(from_path, folder)
            return str(folder)
        target = folder / Path(from_path).name.removesuffix(suffix)
        opened = (gzip if compression == ".gz" else bz2).open(from_path)
        with opened as source, atomic_write(target) as temporary, open(temporary, "wb") as file:
            shutil.copyfileobj(source, file)
        return str(target)

    def download_url(self, url: str, path=None, filename=None, md5=None) -> str:
        """Download `url` unless the file exists, by default into the folder for downloads; return the file's path."""
        return str(
            fetch(url, Path(path or get_download_root()).expanduser() / (filename or Path(url).name), md5=md5 or "")
        )

    def download_and_extract_archive(
        self, url: str, download_path=None, extract_path=None, filename=None, md5=None, remove_finished=False
    ) -> None:
        """Download an archive and unpack it, by default beside itself; with `remove_finished` delete it then."""
        archive = self.download_url(url, download_path, filename, md5)
        self.extract_archive(archive, extract_path)
        if remove_finished:
            os.remove(archive)

"""Atomic writes, and rules for what may be overwritten.

Two rules protect the user's files. An output file that the user names is replaced only if it is an older output of the
same kind; anything else is refused before the work begins (`require_replaceable`). In a folder that the user names, a
file with a name that this program chose is moved to `earlier-N` if another program wrote it (`archive_foreign`).

Every OSError of a write names the file.
"""

import json
import logging
import os
import re
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

_position = threading.Lock()  # of the files that `read_at` reads where there is no pread
_log = logging.getLogger("mindcv")


def expanded(path: str) -> str:
    """Return `path` with a leading `~` or `~user` and every `$VARIABLE` or `${VARIABLE}` replaced, as in a shell.

    If the path exists, unknown names in it are left alone: it may be a file such as `cost$.jpg` or `~old.jpg`.

    Raises:
        ValueError: a variable is not set, or the user does not exist; the message names it.
    """
    result = os.path.expanduser(os.path.expandvars(path))
    unknown = re.match(r"~[^/\\]*", result) or re.search(r"\$([A-Za-z_]\w*|\{[^}]*\})", result)
    if unknown and not os.path.lexists(result):
        raise ValueError(f"{unknown[0]} in {path!r} is not known here")
    return result


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield the path of a temporary file to write, which is renamed to `path` when the `with` block ends.

    Whatever happens, `path` is the complete old or the complete new file. If the block raises an error, the old file
    stays and the temporary one is deleted. The caller flushes the file to the disk if the contents must survive a loss
    of power. The temporary file is in the folder of `path`, which must exist.

    Raises:
        OSError: the file cannot be written; the message names `path`. Any OSError in the block becomes one of these,
            without `errno`.
    """
    temporary = path.with_name(f".{path.name}.part")
    with _named(path):
        try:
            yield temporary
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


def atomic_write_text(path: Path, text: str) -> None:
    """Write `text` to `path` in UTF-8, completely or not at all; create missing folders. An OSError names `path`.

    Bytes of paths that are not UTF-8 become escapes, and line ends are the same on every system: by its bytes a file is
    recognised as this program's. The file is flushed to the disk before it gets its name, so that a loss of power
    leaves no empty file.
    """
    with _named(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as temporary, temporary.open("wb") as file:
        file.write(text.encode(errors="backslashreplace"))
        file.flush()
        os.fsync(file.fileno())


def append_line(path: Path, line: str) -> None:
    """Append `line` and a newline to `path`, which is created if missing, its folder not; an OSError names `path`."""
    with _named(path), path.open("a", encoding="utf-8", newline="\n") as file:
        file.write(f"{line}\n")


def link_or_copy(path: Path, target: Path) -> None:
    """Make `target` a hard link to the file `path`, or a copy on a file system without links; replace it atomically.

    Its folder must exist. An OSError names `target`.
    """
    with atomic_write(target) as temporary:
        temporary.unlink(missing_ok=True)
        try:
            os.link(path, temporary)
        except OSError:
            shutil.copyfile(path, temporary)
            with temporary.open("r+b") as file:  # Windows flushes only what is open for writing
                os.fsync(file.fileno())


def is_replaceable(path: Path, is_ours: Callable[[Path], bool]) -> bool:
    """Return whether `path` may be overwritten: it does not exist, is an empty file, or `is_ours(path)`.

    `is_ours` is not called for the first two; it is called for a folder.
    """
    return not path.exists() or (path.is_file() and path.stat().st_size == 0) or is_ours(path)


def require_replaceable(path: Path, kind: str, is_ours: Callable[[Path], bool]) -> None:
    """Check that `path` can be written, and that only an older output of the same kind would be overwritten.

    Args:
        path: The file to be written. Its folder need not exist.
        kind: What will be written, for the message: "results of validate.py".
        is_ours: Returns whether an existing file is of that kind.

    Raises:
        FileExistsError: `path` is something else.
        OSError: its folder cannot be written to or created; nothing is created here.
    """
    if not is_replaceable(path, is_ours):
        raise FileExistsError(f"{path} exists and is not {kind}: name another file, or move it away")
    require_writable(path.parent)


def require_writable(folder: Path) -> None:
    """Raise an OSError that names the obstacle if `folder` cannot be written to or created; do not create it."""
    existing = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    if not existing.is_dir():
        raise NotADirectoryError(f"cannot write to {folder}: {existing} is not a folder")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise PermissionError(f"cannot write to {folder}: no permission to write to {existing}")


def archive_foreign(owned: Mapping[Path, Callable[[Path], bool]]) -> None:
    """Move files that another program or the user wrote to a new folder `earlier-N` beside them; warn of each.

    Missing and empty files, and those that this program wrote, are left where they are. Without others no folder is
    created.

    Args:
        owned: Paths in one folder that this program is about to write, each with a function that returns whether this
            program wrote an existing file of that name, as it is.

    Raises:
        OSError: a file cannot be moved.
    """
    foreign = [path for path, is_ours in owned.items() if not is_replaceable(path, is_ours)]
    if not foreign:
        return
    archive = next_archive(foreign[0].parent)
    for file in foreign:
        archive.mkdir(exist_ok=True)
        file.rename(archive / file.name)
        _log.warning("%s was not written by this program, or was edited: it is %s now", file, archive / file.name)


def next_archive(folder: Path) -> Path:
    """Return the first of `earlier-1`, `earlier-2`, … in `folder` that does not exist; does not create it."""
    n = 1
    while os.path.lexists(archive := folder / f"earlier-{n}"):
        n += 1
    return archive


def read_utf8(path: str | Path, wanted: str) -> str:
    """Return the text in the file `path`, without a byte order mark.

    Args:
        path: The file.
        wanted: What the file should hold, the end of the message: "lines such as 'image.jpg 65'".

    Raises:
        ValueError: It is not text in UTF-8, or has zero characters, as UTF-16 does.
        OSError: It cannot be read.
    """
    with suppress(UnicodeDecodeError):
        text = Path(path).read_text(encoding="utf-8-sig")
        if "\0" not in text:
            return text
    raise ValueError(f"{path} is not a text in UTF-8; wanted {wanted}")


def read_at(file: BinaryIO, size: int, offset: int) -> bytes:
    """Return `size` bytes of an open file from `offset` on, fewer at its end; several threads may call it at once."""
    if hasattr(os, "pread"):
        return os.pread(file.fileno(), size, offset)
    with _position:  # Windows
        file.seek(offset)
        return file.read(size)


def first_bytes(path: Path, count: int = 256) -> bytes:
    """Return the first `count` bytes of `path`, fewer if it is shorter, or b"" if it cannot be read."""
    with suppress(OSError), path.open("rb") as file:
        return file.read(count)
    return b""


def json_object(path: Path) -> dict:
    """Return the JSON object in `path`, or {} if the file contains anything else or cannot be read."""
    with suppress(OSError, ValueError, RecursionError):
        found = json.loads(path.read_bytes())
        return found if isinstance(found, dict) else {}
    return {}


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Name `path` in the message of an OSError from the `with` block, which loses its `errno` and class.

    The system does not name the file if the disk is full.
    """
    try:
        yield
    except OSError as error:
        raise OSError(f"cannot write {path}: {error.strerror or error}") from error

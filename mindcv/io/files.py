"""Files that are whole or not there, whatever happens; errors name them. And what may be overwritten.

Two rules protect the user's files. A file that the user names as an output is replaced only if it is an older output of
the same kind; anything else is refused before the work begins (`require_replaceable`). A file whose name this program
chose, in a folder that the user names, is moved to `earlier-N` there if something else wrote it (`put_foreign_aside`).
"""

import json
import logging
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

_log = logging.getLogger("mindcv")


def expanded(path: str) -> str:
    """`path` with a leading `~` or `~user` and every `$VARIABLE` or `${VARIABLE}` replaced, as a shell does.

    A path that exists as it is written may hold what is not known, such as a file `cost$.jpg` or `~old.jpg`.

    Raises:
        ValueError: a variable is not set or there is no such user; the message names it.
    """
    result = os.path.expanduser(os.path.expandvars(path))
    unknown = re.match(r"~[^/]*", result) or re.search(r"\$([A-Za-z_]\w*|\{[^}]*\})", result)
    if unknown and not os.path.lexists(result):
        raise ValueError(f"{unknown[0]} in {path!r} is not known here")
    return result


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """A file aside to write to, which takes the name `path` in one step at the end.

    Whatever happens, `path` is the old file or the whole new one.

    Raises:
        OSError: it cannot be written; the message names `path`.
    """
    temporary = path.with_name(f".{path.name}.part")
    with _named(path):
        try:
            yield temporary
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def atomic_write_text(path: Path, text: str) -> None:
    """Write `text` to `path`, as `whole` does. Missing folders are made."""
    with _named(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def append_line(path: Path, line: str) -> None:
    """Add `line` to the end of `path`. Raises OSError as `whole` does."""
    with _named(path), path.open("a", encoding="utf-8") as file:
        file.write(f"{line}\n")


def link_or_copy(path: Path, name: Path) -> None:
    """Let `name` be the file `path` too, as `whole` does; a copy of it where the disk knows no links."""
    with atomic_write(name) as temporary:
        temporary.unlink(missing_ok=True)
        try:
            os.link(path, temporary)
        except OSError:
            shutil.copyfile(path, temporary)
            with temporary.open("rb") as file:
                os.fsync(file.fileno())


def is_replaceable(path: Path, is_ours: Callable[[Path], bool]) -> bool:
    """Return whether nothing is lost by writing `path`: it does not exist, is an empty file, or `is_ours` says so."""
    return not path.exists() or (path.is_file() and path.stat().st_size == 0) or is_ours(path)


def require_replaceable(path: Path, kind: str, is_ours: Callable[[Path], bool]) -> None:
    """Check that `path` can be written and that only an older output of the same kind would be overwritten.

    Args:
        kind: What is written there, for the message: "a results file of validate.py".
        is_ours: Whether an existing file is of that kind.

    Raises:
        OSError: `path` holds something else, or its folder cannot be written to.
    """
    if not is_replaceable(path, is_ours):
        raise FileExistsError(f"{path} exists and is not {kind}: name another file, or move it away")
    require_writable(path.parent)


def require_writable(folder: Path) -> None:
    """Check that `folder` can be written to, or made. Raises OSError, which names what is in the way."""
    there = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    if not there.is_dir():
        raise NotADirectoryError(f"cannot write to {folder}: {there} is not a folder")
    if not os.access(there, os.W_OK | os.X_OK):
        raise PermissionError(f"cannot write to {folder}: no permission to write to {there}")


def put_foreign_aside(owned: Mapping[Path, Callable[[Path], bool]]) -> None:
    """Move the files that are not this program's to a new folder `earlier-N` beside them, and log where they are.

    Args:
        owned: Names in one folder that this program is about to write, each with what recognises its own files.
    """
    foreign = [path for path, is_ours in owned.items() if not is_replaceable(path, is_ours)]
    there = next_earlier(foreign[0].parent) if foreign else None
    for file in foreign:
        there.mkdir(exist_ok=True)
        file.rename(there / file.name)
        _log.warning("%s was not written by this program: it is %s now", file, there / file.name)


def next_earlier(folder: Path) -> Path:
    """Return the first of `earlier-1`, `earlier-2`, … in `folder` that does not exist."""
    n = 1
    while (there := folder / f"earlier-{n}").exists():
        n += 1
    return there


def first_bytes(path: Path, count: int = 256) -> bytes:
    """Return the first `count` bytes of `path`; none if it cannot be read."""
    with suppress(OSError), path.open("rb") as file:
        return file.read(count)
    return b""


def json_object(path: Path) -> dict:
    """Return the JSON object in `path`; an empty one if the file holds anything else or cannot be read."""
    with suppress(OSError, ValueError, RecursionError):
        found = json.loads(path.read_bytes())
        return found if isinstance(found, dict) else {}
    return {}


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Say that `path` cannot be written; a full disk says so without a name."""
    try:
        yield
    except OSError as error:
        raise OSError(f"cannot write {path}: {error.strerror or error}") from error

"""Files that are whole or not there, whatever happens; errors name them."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def write_whole(path: Path, text: str) -> None:
    """Write `text` to `path` in one step; whatever happens, `path` is the old file or the whole new one.

    Raises:
        OSError: it cannot be written; the message names it.
    """
    aside = path.with_name(f".{path.name}.part")
    with _named(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            aside.write_text(text, encoding="utf-8")
            aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)


def append_line(path: Path, line: str) -> None:
    """Add `line` to the end of `path`. Raises OSError as `write_whole` does."""
    with _named(path), path.open("a", encoding="utf-8") as file:
        file.write(f"{line}\n")


def share(path: Path, name: Path) -> None:
    """Let `name` be the file `path` too, in one step; a copy of it where the disk knows no links.

    Raises OSError as `write_whole` does.
    """
    aside = name.with_name(f".{name.name}.part")
    aside.unlink(missing_ok=True)
    with _named(name):
        try:
            try:
                os.link(path, aside)
            except OSError:
                shutil.copyfile(path, aside)
            os.replace(aside, name)
        finally:
            aside.unlink(missing_ok=True)


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """A full disk says so without a name."""
    try:
        yield
    except OSError as error:
        raise OSError(f"cannot write {path}: {error.strerror or error}") from error

"""Files that are whole or not there, whatever happens; errors name them."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A file aside to write to, which takes the name `path` in one step at the end.

    Whatever happens, `path` is the old file or the whole new one.

    Raises:
        OSError: it cannot be written; the message names `path`.
    """
    aside = path.with_name(f".{path.name}.part")
    with _named(path):
        try:
            yield aside
            aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)


def write_whole(path: Path, text: str) -> None:
    """Write `text` to `path`, as `whole` does. Missing folders are made."""
    with _named(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with whole(path) as aside:
        aside.write_text(text, encoding="utf-8")


def append_line(path: Path, line: str) -> None:
    """Add `line` to the end of `path`. Raises OSError as `whole` does."""
    with _named(path), path.open("a", encoding="utf-8") as file:
        file.write(f"{line}\n")


def share(path: Path, name: Path) -> None:
    """Let `name` be the file `path` too, as `whole` does; a copy of it where the disk knows no links."""
    with whole(name) as aside:
        aside.unlink(missing_ok=True)
        try:
            os.link(path, aside)
        except OSError:
            shutil.copyfile(path, aside)
            with aside.open("rb") as file:
                os.fsync(file.fileno())


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Say that `path` cannot be written; a full disk says so without a name."""
    try:
        yield
    except OSError as error:
        raise OSError(f"cannot write {path}: {error.strerror or error}") from error

"""Text files that are whole or not there."""

from pathlib import Path


def write_whole(path: Path, text: str) -> None:
    """Write `text` to `path` in one step; whatever happens, `path` is the old file or the whole new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.part")
    try:
        aside.write_text(text, encoding="utf-8")
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)

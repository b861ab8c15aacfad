"""Archiving what an earlier run left in a folder, in `earlier-N` there, before another run writes to it."""

import logging
from collections.abc import Iterable
from pathlib import Path

from mindcv import weights
from mindcv.config import is_saved_config
from mindcv.engine.checkpoints import CHECKPOINT
from mindcv.io.files import archive_foreign, link_or_copy, next_archive

_log = logging.getLogger("mindcv")

_RUN_FILES = ("best.ckpt", "metrics.jsonl", "config.yaml", "bad_images.txt", "tensorboard")  # besides checkpoints
_UNFINISHED = ".earlier"  # name of the archive until all files are in it


def archive_run(folder: Path) -> None:
    """Move the run in `folder` to a new folder `earlier-N` there, and log where it is.

    Moved are checkpoints of any model, `best.ckpt`, `metrics.jsonl`, `config.yaml`, `bad_images.txt` and `tensorboard`;
    all else stays, such as logs. A folder without checkpoints and metrics holds no run: nothing is moved. If this is
    interrupted, the next call finishes it. `folder` must exist.
    """
    checkpoints = [path for path in folder.iterdir() if CHECKPOINT.fullmatch(path.name) and path.is_file()]
    holds_run = checkpoints or (folder / "best.ckpt").exists() or (folder / "metrics.jsonl").exists()
    if holds_run or is_archive_unfinished(folder):
        unfinished = folder / _UNFINISHED
        unfinished.mkdir(exist_ok=True)
        for file in (*checkpoints, *(folder / name for name in _RUN_FILES)):
            if file.exists():
                file.replace(unfinished / file.name)
        archive = next_archive(folder)
        unfinished.rename(archive)
        _log_files(archive)


def is_run_file(folder: Path, file: str) -> bool:
    """Whether `archive_run(folder)` would move `file`, by its name and place; it need not exist. False for ""."""
    path = Path(file).resolve()
    is_named_so = CHECKPOINT.fullmatch(path.name) or path.name in _RUN_FILES
    return bool(file and is_named_so and path.parent == folder.resolve())


def is_archive_unfinished(folder: Path) -> bool:
    """Whether `archive_run(folder)` was interrupted."""
    return (folder / _UNFINISHED).exists()


def archive_branch(folder: Path, later: Iterable[Path]) -> None:
    """Move the files `later` to a new folder `earlier-N`, for a run that resumes from before them, and log it.

    Copies (hard links where possible) of `best.ckpt`, `metrics.jsonl` and `config.yaml` as they are go there too, as
    the run will rewrite them.

    Args:
        folder: The run's folder.
        later: Checkpoints of later positions, and `best.ckpt` if it is one; files that do not exist are skipped.
    """
    archive, moved = next_archive(folder), {file for file in later if file.exists()}
    archive.mkdir()
    for file in {folder / name for name in ("best.ckpt", "metrics.jsonl", "config.yaml")} - moved:
        if file.exists():
            link_or_copy(file, archive / file.name)
    for file in moved:
        file.replace(archive / file.name)
    _log_files(archive)


def keep_copy(file: Path) -> None:
    """Copy `file` to a new folder `earlier-N` beside it, before it is rewritten, and log where the copy is.

    The copy is a hard link where possible, so the file must be replaced, not written in place.
    """
    archive = next_archive(file.parent)
    archive.mkdir()
    link_or_copy(file, archive / file.name)
    _log_files(archive)


def archive_foreign_files(folder: Path) -> None:
    """Move files that a run would overwrite, and that another program or the user wrote, to `folder`/earlier-N.

    Checked are `config.yaml` (also if it was edited), `best.ckpt` and `tensorboard` in `folder`; empty files stay. A
    warning is logged for each that moves.
    """
    owned = {"config.yaml": is_saved_config, "best.ckpt": weights.is_ours, "tensorboard": Path.is_dir}
    archive_foreign({folder / name: is_ours for name, is_ours in owned.items()})


def _log_files(archive: Path) -> None:
    """Log the names of the files in `archive`."""
    names = ", ".join(sorted(path.name for path in archive.iterdir()))
    _log.info("earlier files are in %s now: %s", archive, names)

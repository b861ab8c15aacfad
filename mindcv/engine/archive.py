"""What an earlier run left in a folder, put aside when another one begins there."""

import logging
from collections.abc import Iterable
from pathlib import Path

from mindcv import weights
from mindcv.config import is_saved_config
from mindcv.engine.checkpoints import CHECKPOINT
from mindcv.io.files import link_or_copy, next_earlier, put_foreign_aside

_log = logging.getLogger("mindcv")

_OTHERS = ("best.ckpt", "metrics.jsonl", "config.yaml", "bad_images.txt", "tensorboard")
_UNFINISHED = ".earlier"  # the folder's name until all is in it


def archive_run(folder: Path) -> None:
    """Move a run in `folder`, all but its logs, to earlier-N there, and say so. Options alone are no run, and stay.

    Whatever breaks this off, the next call finishes it.
    """
    checkpoints = [path for path in folder.iterdir() if CHECKPOINT.fullmatch(path.name) and path.is_file()]
    if (
        checkpoints
        or (folder / "best.ckpt").exists()
        or (folder / "metrics.jsonl").exists()
        or is_archive_unfinished(folder)
    ):
        unfinished = folder / _UNFINISHED
        unfinished.mkdir(exist_ok=True)
        for file in (*checkpoints, *(folder / name for name in _OTHERS)):
            if file.exists():
                file.replace(unfinished / file.name)
        there = next_earlier(folder)
        unfinished.rename(there)
        _tell(there)


def is_run_file(folder: Path, file: str) -> bool:
    """Whether `file` is one that `archive_run` moves from `folder`."""
    path = Path(file).resolve()
    named = CHECKPOINT.fullmatch(path.name) or path.name in _OTHERS
    return bool(file and named and path.parent == folder.resolve())


def is_archive_unfinished(folder: Path) -> bool:
    """Whether `archive_run` was broken off there."""
    return (folder / _UNFINISHED).exists()


def archive_branch(folder: Path, later: Iterable[Path]) -> None:
    """Move the checkpoints `later`, of a run that goes on from before them, to earlier-N in `folder`, and say so.

    What that run will write anew, its best weights, journal and options, is kept there too as it was.
    """
    there, moved = next_earlier(folder), {file for file in later if file.exists()}
    there.mkdir()
    for file in {folder / name for name in ("best.ckpt", "metrics.jsonl", "config.yaml")} - moved:
        if file.exists():
            link_or_copy(file, there / file.name)
    for file in moved:
        file.replace(there / file.name)
    _tell(there)


def keep_copy(file: Path) -> None:
    """Keep `file` as it is in a new folder earlier-N beside it, before it is written anew, and say so."""
    there = next_earlier(file.parent)
    there.mkdir()
    link_or_copy(file, there / file.name)
    _tell(there)


def put_foreign_files_aside(folder: Path) -> None:
    """Move what a run would overwrite in `folder`, and this program did not write, to earlier-N there, and say so."""
    owned = {"config.yaml": is_saved_config, "best.ckpt": weights.is_ours, "tensorboard": Path.is_dir}
    put_foreign_aside({folder / name: is_ours for name, is_ours in owned.items()})


def _tell(there: Path) -> None:
    _log.info("earlier files are in %s now: %s", there, ", ".join(sorted(p.name for p in there.iterdir())))

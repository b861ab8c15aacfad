"""Checkpoints of a run: written whole, named as MindCV names them, kept by a policy."""

import os
from pathlib import Path

import mindspore as ms
from mindspore import nn


def write(cell: nn.Cell, path: Path) -> None:
    """Save the parameters of `cell` as the MindSpore checkpoint `path`, which appears only when it is whole.

    Raises:
        OSError: the folder cannot be written to, or the disk is full. What was at `path` is left.
    """
    aside = path.with_name(f".{path.name}.{os.getpid()}.ckpt")
    try:
        ms.save_checkpoint(cell, str(aside))
        with aside.open("rb") as file:
            os.fsync(file.fileno())
        aside.replace(path)
    except RuntimeError as error:
        raise OSError(f"cannot write checkpoint {path}: {str(error).splitlines()[0]}") from error
    finally:
        aside.chmod(0o600) if aside.exists() else None
        aside.unlink(missing_ok=True)


class Keeper:
    """Writes a run's checkpoints, `{model}-{epoch}_{step}.ckpt` and `best.ckpt`, and deletes old ones.

    Args:
        folder: Where; made if missing.
        model_name: First part of the files' names.
        policy: "latest_k" keeps the newest, "top_k" the best.
        keep: How many; `best.ckpt` comes on top.
    """

    def __init__(self, folder: str | Path, model_name: str, policy: str, keep: int):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.model_name = model_name
        self.policy = policy
        self.keep = keep
        self.kept: list[tuple[float, Path]] = []
        self.best = float("-inf")

    def save(self, model: nn.Cell, epoch: int, step: int, score: float | None) -> Path:
        """Save after `step` steps of `epoch` (from 1); `score` is that of validation, higher is better."""
        path = self.folder / f"{self.model_name}-{epoch}_{step}.ckpt"
        write(model, path)
        rank = score if self.policy == "top_k" and score is not None else float(epoch)
        self.kept = [(r, p) for r, p in self.kept if p != path] + [(rank, path)]
        self.kept.sort(key=lambda entry: entry[0])
        while len(self.kept) > self.keep:
            self.kept.pop(0)[1].unlink(missing_ok=True)
        return path

    def save_best(self, model: nn.Cell, score: float) -> bool:
        """Save `best.ckpt` if no score before was higher."""
        if not score > self.best:
            return False
        self.best = score
        write(model, self.folder / "best.ckpt")
        return True

"""The checkpoints of a run: their names, and which of them are kept."""

import math
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mindcv import weights
from mindcv.io.files import link_or_copy
from mindcv.weights.state_dict import RUN

CHECKPOINT = re.compile(r"(.+)-(\d+)_(\d+)\.ckpt")  # model, epoch and step in a file's name
REMEDY = (  # what messages about losses and weights that are not finite end with
    "lower --lr, lengthen --warmup_epochs or pass --clip_grad True, and go on from the last checkpoint by --resume, "
    "with --resume_changes naming what was changed"
)


class TrainPosition(NamedTuple):
    """How far a run is.

    Attributes:
        epoch: The epoch, from 1.
        step: Number of steps of this epoch that are completed.
    """

    epoch: int
    step: int


START = TrainPosition(1, 0)


def checkpoints_in(folder: Path, model_name: str) -> dict[TrainPosition, Path]:
    """Return the checkpoint files of `model_name` in `folder` by their position in the run, earliest first.

    The positions are those in the files' names; the files are not read. `best.ckpt` is not among them. `folder` must
    exist.
    """
    found = {}
    for path in folder.iterdir():
        match = CHECKPOINT.fullmatch(path.name)
        if match and match[1] == model_name and path.is_file():
            found[TrainPosition(int(match[2]), int(match[3]))] = path
    return dict(sorted(found.items()))


def require_free_names(folder: Path, model_name: str) -> None:
    """Raise an IsADirectoryError if `folder` has a folder named like a checkpoint of `model_name`."""
    for path in folder.iterdir():
        match = CHECKPOINT.fullmatch(path.name)
        if match and match[1] == model_name and path.is_dir():
            raise IsADirectoryError(f"{path} is a folder, and checkpoints have such names: rename it")


class CheckpointManager:
    """Writes a run's checkpoints, `{model}-{epoch}_{step}.ckpt` and `best.ckpt`, and deletes old ones.

    An old checkpoint is deleted only after the new one is complete.

    Args:
        folder: Folder of the checkpoints; it is created if missing.
        model_name: First part of the files' names.
        policy: "latest_k" keeps the newest checkpoints, "top_k" those with the highest scores, and the newest.
        keep: Number of checkpoints that are kept, besides `best.ckpt`.

    Attributes:
        kept: Score and path of each checkpoint that is kept, the newest last; -inf for one without a score.
        best: Highest score so far; -inf before the first.
    """

    def __init__(self, folder: str | Path, model_name: str, policy: str, keep: int):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.model_name = model_name
        self.policy = policy
        self.keep = keep
        self.kept: list[tuple[float, Path]] = []
        self.best = -math.inf

    def save(self, arrays: dict[str, np.ndarray], position: TrainPosition) -> Path:
        """Write `arrays` as the checkpoint of `position`, delete old checkpoints, and return the new one's path.

        It counts as the newest, without a score. An existing file of its name is replaced completely or not at all.

        Raises:
            FloatingPointError: a weight, an average or optimizer state is not finite; no file is changed then.
            OSError: the checkpoint cannot be written.
        """
        for name, array in arrays.items():
            if array.dtype.kind == "f" and not name.startswith(RUN) and not np.isfinite(array).all():
                raise FloatingPointError(
                    f"{name} is not finite after step {position.step} of epoch {position.epoch}, and was not saved: "
                    f"{REMEDY}"
                )
        path = self.path_of(position)
        weights.write(path, arrays)
        self.kept = [entry for entry in self.kept if entry[1] != path]
        self.adopt(path)
        while len(self.kept) > self.keep:
            worst = self.kept[0] if self.policy == "latest_k" else min(self.kept[:-1])
            self.kept.remove(worst)
            worst[1].unlink(missing_ok=True)
        return path

    def adopt(self, path: Path, score: float | None = None) -> None:
        """Count `path` among the run's checkpoints, as the newest; `score` is None for one without a score.

        Changes no file; the next `save` deletes what is too much.
        """
        self.kept.append((-math.inf if score is None else score, path))

    def path_of(self, position: TrainPosition) -> Path:
        """Return the path of the checkpoint of `position`, whether it exists or not."""
        return self.folder / f"{self.model_name}-{position.epoch}_{position.step}.ckpt"

    def has_saved(self, position: TrainPosition) -> bool:
        """Whether the newest checkpoint is that of `position`."""
        return bool(self.kept) and self.kept[-1][1] == self.path_of(position)

    def rate(self, score: float) -> None:
        """Set the score of the newest checkpoint, which must exist; higher is better. `best` and the files stay."""
        self.kept[-1] = (score, self.kept[-1][1])

    def save_best(self, arrays: dict[str, np.ndarray], score: float) -> bool:
        """Write `best.ckpt` and set `best` if `score` is above all so far, and return whether it is (False for NaN).

        An existing `best.ckpt` is replaced completely or not at all.

        Args:
            arrays: Contents of the checkpoint; empty for a link to, or a copy of, the newest checkpoint.
            score: Score in validation; higher is better.

        Raises:
            OSError: it cannot be written.
        """
        if not score > self.best:
            return False
        best = self.folder / "best.ckpt"
        if arrays:
            weights.write(best, arrays)
        else:
            link_or_copy(self.kept[-1][1], best)
        self.best = score
        return True

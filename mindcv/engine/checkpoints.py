"""Checkpoints of a run: what is in them, what they are called, and which are kept."""

import json
import math
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
from mindspore import nn

from mindcv import weights
from mindcv.io.files import link_or_copy
from mindcv.weights.classes import CLASS_NAMES
from mindcv.weights.state_dict import GRID, RUN

CHECKPOINT = re.compile(r"(.+)-(\d+)_(\d+)\.ckpt")  # model, epoch and step in a file's name
REMEDY = (  # for losses and weights that are not finite
    "lower --lr, lengthen --warmup_epochs or pass --clip_grad True, and go on from the last checkpoint by --resume, "
    "with --resume_changes naming what was changed"
)


class TrainPosition(NamedTuple):
    """How far a run is: `step` steps of `epoch` (from 1) are made."""

    epoch: int
    step: int


START = TrainPosition(1, 0)


def contents(model: nn.Cell, class_names: list[str]) -> dict[str, np.ndarray]:
    """What a checkpoint holds: the model's parameters, its grid of patches, and the names of its classes."""
    parameters = {parameter.name: parameter.asnumpy() for parameter in model.get_parameters()}
    return {**parameters, GRID: np.array(model.grid_size, np.int32), CLASS_NAMES: np.array(json.dumps(class_names))}


def checkpoints_in(folder: Path, model_name: str) -> dict[TrainPosition, Path]:
    """The checkpoint files of `model_name` in `folder`, oldest first, by their place in the run."""
    found = {}
    for path in folder.iterdir():
        match = CHECKPOINT.fullmatch(path.name)
        if match and match[1] == model_name and path.is_file():
            found[TrainPosition(int(match[2]), int(match[3]))] = path
    return dict(sorted(found.items()))


class CheckpointManager:
    """Writes a run's checkpoints, `{model}-{epoch}_{step}.ckpt` and `best.ckpt`, and deletes old ones.

    An old one goes only after the new one is whole.

    Args:
        folder: Where; made if missing.
        model_name: First part of the files' names.
        policy: "latest_k" keeps the newest, "top_k" the best and the newest.
        keep: How many; `best.ckpt` comes on top.
    """

    def __init__(self, folder: str | Path, model_name: str, policy: str, keep: int):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.model_name = model_name
        self.policy = policy
        self.keep = keep
        self.kept: list[tuple[float, Path]] = []  # each with its score, the newest last
        self.best = -math.inf

    def save(self, arrays: dict[str, np.ndarray], position: TrainPosition) -> Path:
        """Save `arrays` as the checkpoint of `place`, without a score so far.

        Raises:
            FloatingPointError: a value in them is not finite; nothing is written then.
        """
        for name, array in arrays.items():
            if array.dtype.kind == "f" and not name.startswith(RUN) and not np.isfinite(array).all():
                raise FloatingPointError(
                    f"{name} is not finite after step {position.step} of epoch {position.epoch}, and was not saved: "
                    f"{REMEDY}"
                )
        path = self.path_of(position)
        weights.write(path, arrays)
        self.kept = [entry for entry in self.kept if entry[1] != path] + [(-math.inf, path)]
        while len(self.kept) > self.keep:
            worst = self.kept[0] if self.policy == "latest_k" else min(self.kept[:-1])
            self.kept.remove(worst)
            worst[1].unlink(missing_ok=True)
        return path

    def path_of(self, position: TrainPosition) -> Path:
        """Where the checkpoint of `place` is, if it is kept."""
        return self.folder / f"{self.model_name}-{position.epoch}_{position.step}.ckpt"

    def has_saved(self, position: TrainPosition) -> bool:
        """Whether the checkpoint saved last is that of `place`."""
        return bool(self.kept) and self.kept[-1][1] == self.path_of(position)

    def rate(self, score: float) -> None:
        """Give the checkpoint saved last its score in validation; higher is better."""
        self.kept[-1] = (score, self.kept[-1][1])

    def save_best(self, arrays: dict[str, np.ndarray], score: float) -> bool:
        """Save `best.ckpt` if no score before was as high; without `arrays`, as a link to what was saved last."""
        if not score > self.best:
            return False
        best = self.folder / "best.ckpt"
        if arrays:
            weights.write(best, arrays)
        else:
            link_or_copy(self.kept[-1][1], best)
        self.best = score
        return True

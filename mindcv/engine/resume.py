"""What a run needs to go on exactly, in its checkpoints, and how it is found again."""

import json
import logging
import math
import re
from pathlib import Path

import numpy as np
from mindspore import Parameter, Tensor

from mindcv import weights
from mindcv.config import Config, ConfigError
from mindcv.engine.checkpoints import Keeper, contents
from mindcv.engine.files import write_whole
from mindcv.engine.step import TrainStep
from mindcv.weights.layouts import OPTIMIZER, RUN

_log = logging.getLogger("mindcv")

EPOCH, BEST, WORKERS = RUN + "epoch", RUN + "best", RUN + "loader_workers"


class RunState:
    """All that a step depends on beside the options: weights, optimizer, random state, and how far the run is.

    The order and the augmentation of an epoch's images follow from the seed and the epoch, for one number of loader
    workers.
    """

    def __init__(self, step: TrainStep, class_names: list[str], workers: int):
        self.step = step
        self.class_names = class_names
        self.workers = workers

    def beside_the_weights(self) -> dict[str, Parameter]:
        """The parameters that no model has, by the names that a checkpoint gives them."""
        optimizer = self.step.optimizer.state_parameters()
        return {
            **{OPTIMIZER + name: parameter for name, parameter in optimizer.items()},
            **{RUN + parameter.name: parameter for parameter in self.step.accumulated()},
            RUN + "randomness": self.step.model.randomness,
        }

    def arrays(self, epoch: int, best: float) -> dict[str, np.ndarray]:
        """A checkpoint's contents after `epoch` (from 1), with `best` the best score so far."""
        return {
            **contents(self.step.model, self.class_names),
            **{name: parameter.asnumpy() for name, parameter in self.beside_the_weights().items()},
            EPOCH: np.array(epoch, np.int32),
            BEST: np.array(best, np.float64),
            WORKERS: np.array(self.workers, np.int32),
        }

    def restore(self, path: Path) -> tuple[int, float]:
        """Take the state that `path` holds; its epoch and best score. Before the first step only.

        Raises:
            ValueError: the file is not whole, or holds no such state. Nothing is changed then.
        """
        arrays = weights.read(path)
        wanted = {parameter.name: parameter for parameter in self.step.model.get_parameters()}
        wanted |= self.beside_the_weights()
        odd = [n for n, p in wanted.items() if n not in arrays or arrays[n].shape != p.shape] + [
            name for name in (EPOCH, BEST, WORKERS) if name not in arrays
        ]
        if odd:
            raise ValueError(
                f"{path} holds no state that this run could go on from: {odd[0]} is missing or of another shape; "
                "resume with the options of the run, or load weights alone with --ckpt_path and without --resume"
            )
        for name, parameter in wanted.items():
            parameter.set_data(Tensor(arrays[name], parameter.dtype))
        if arrays[WORKERS] != self.workers:
            _log.warning(
                "the run had %s loader workers and now has %s: images are augmented otherwise than without the break",
                arrays[WORKERS], self.workers,
            )  # fmt: skip
        return int(arrays[EPOCH]), float(arrays[BEST])


def resume(config: Config, state: RunState, keeper: Keeper, journal: Path) -> int:
    """Put the run back to a checkpoint: `config.ckpt_path`, or the newest whole one in `ckpt_save_dir`.

    `metrics.jsonl` is cut back to it.

    Returns:
        The epochs that are done.

    Raises:
        ConfigError: there is nothing to resume, or nothing left to do.
        ValueError: the checkpoint named is not whole, or not of such a run.
    """
    saved = checkpoints_in(keeper.folder, config.model)
    if config.ckpt_path:
        path = Path(config.ckpt_path)
        epoch, keeper.best = state.restore(path)
    else:
        path, epoch, keeper.best = _newest_whole(saved, state)
    if epoch >= config.epoch_size:
        raise ConfigError(f"resume: {path} has all {epoch} epochs of epoch_size {config.epoch_size}; nothing is left")
    records = _cut(journal, epoch)
    scores = {record["epoch"]: record["top_1"] for record in records}
    for number, file in saved.items():
        if number <= epoch:
            score = scores.get(number)
            keeper.kept.append((-math.inf if score is None else score, file))
    _log.info("resumed from %s, after epoch %s of %s", path, epoch, config.epoch_size)
    return epoch


def checkpoints_in(folder: Path, model_name: str) -> dict[int, Path]:
    """The checkpoints of epochs in `folder`, oldest first, by epoch."""
    pattern = re.compile(re.escape(model_name) + r"-(\d+)_\d+\.ckpt")
    found = {int(match[1]): path for path in folder.iterdir() if (match := pattern.fullmatch(path.name))}
    return dict(sorted(found.items()))


def _newest_whole(saved: dict[int, Path], state: RunState) -> tuple[Path, int, float]:
    for path in reversed(saved.values()):
        try:
            return path, *state.restore(path)
        except ValueError as error:
            _log.warning("%s; trying the one before", error)
    raise ConfigError(
        "resume: no whole checkpoint in ckpt_save_dir; start without --resume, or name one by --ckpt_path"
    )


def _cut(journal: Path, epoch: int) -> list[dict]:
    """Leave in `journal` the lines of the epochs up to `epoch`, and return them."""
    if not journal.exists():
        return []
    kept = []
    for line in journal.read_text(encoding="utf-8").splitlines():
        try:
            record = json.loads(line)
        except ValueError:
            break  # torn by the end of the run that wrote it
        if record["epoch"] > epoch:
            break
        kept.append(record)
    write_whole(journal, "".join(json.dumps(record) + "\n" for record in kept))
    return kept

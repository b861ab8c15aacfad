"""What a run needs to go on exactly, in its checkpoints, and how it is found again."""

import json
import logging
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
from mindspore import Parameter, Tensor

from mindcv import weights
from mindcv.config import Config, ConfigError
from mindcv.data.datasets.classes import some
from mindcv.engine.archive import archive_branch, archive_run, keep_copy
from mindcv.engine.checkpoints import CheckpointManager, TrainPosition, checkpoints_in, contents
from mindcv.engine.identity import ANEW, Identity, check_same_run, read_identity, told
from mindcv.engine.metrics import Metrics, scan_metrics
from mindcv.engine.step import TrainStep
from mindcv.io.files import atomic_write_text
from mindcv.weights.state_dict import OPTIMIZER, RUN

_log = logging.getLogger("mindcv")

EPOCH, STEP, BEST = RUN + "epoch", RUN + "step", RUN + "best"


class TrainState:
    """All that a step depends on beside the options: weights, optimizer, random state, and how far the run is.

    The order and the augmentation of an epoch's images follow from the seed and the epoch, for one number of workers
    and of each worker's loader threads; where data sinks into the device, crops and colours from where it began too.

    Args:
        step: Holds the state.
        identity: What checkpoints record about the run.
    """

    def __init__(self, step: TrainStep, identity: Identity):
        self.step = step
        self.identity = identity

    def parameters(self) -> dict[str, Parameter]:
        """The parameters that hold the state, by the names that a checkpoint gives them."""
        optimizer = self.step.optimizer.state_parameters()
        averages = self.step.ema.averages if self.step.ema else ()
        return {
            **{parameter.name: parameter for parameter in (*self.step.model.get_parameters(), *averages)},
            **{OPTIMIZER + name: parameter for name, parameter in optimizer.items()},
            **{RUN + name: parameter for name, parameter in self.step.state_parameters().items()},
            RUN + "randomness": self.step.model.rng_state,
        }

    def arrays(self, position: TrainPosition, best: float) -> dict[str, np.ndarray]:
        """A checkpoint's contents at `place`, with `best` the best score so far."""
        return {
            **contents(self.step.model, self.identity.class_names),
            **self.identity.entries(),
            **{name: parameter.asnumpy() for name, parameter in self.parameters().items()},
            EPOCH: np.array(position.epoch, np.int32),
            STEP: np.array(position.step, np.int32),
            BEST: np.array(best, np.float64),
        }

    def restore(self, path: Path, arrays: dict[str, np.ndarray]) -> tuple[TrainPosition, float]:
        """Take the state from `arrays`, the contents of the checkpoint `path`. Before the first step only.

        Returns:
            The checkpoint's place in the run and the best score until then.

        Raises:
            ValueError: the checkpoint does not hold such a state. Nothing is changed then.
        """
        wanted = self.parameters()
        odd = [n for n, p in wanted.items() if n not in arrays or arrays[n].shape != p.shape] + [
            name for name in (EPOCH, STEP, BEST) if name not in arrays
        ]
        if odd:
            raise ValueError(
                f"{path} holds no state that this run could go on from: {odd[0]} is missing or of another shape; "
                f"resume with the options of the run, or without --ckpt_path from its newest, {ANEW}"
            )
        for name, parameter in wanted.items():
            parameter.set_data(Tensor(arrays[name], parameter.dtype))
        return TrainPosition(int(arrays[EPOCH]), int(arrays[STEP])), float(arrays[BEST])


def resume(
    config: Config,
    state: TrainState,
    checkpoints: CheckpointManager,
    metrics_file: Path,
    end: TrainPosition,
    rates_under: Callable[[Config], list[float]],
) -> TrainPosition:
    """Put the run back to a checkpoint: `config.ckpt_path`, or the newest whole one in `ckpt_save_dir`.

    `metrics.jsonl` is cut back to it; if that drops a line, a copy of the file as it was is put aside. Checkpoints of
    later places are put aside, and `best.ckpt` where it is one.

    Args:
        end: The last step of the run.
        rates_under: Gives the learning rate of every update if the schedule's options were those of a configuration.

    Returns:
        The place to go on from. All steps of an epoch made, and not the next epoch begun, means that the epoch's
        validation and its line are still to come.

    Raises:
        ConfigError: there is nothing to resume, or nothing left to do; or the checkpoint is of another folder, and this
            one has a run's.
        ValueError: the checkpoint is not of this run, or the one named is not whole.
    """
    saved = checkpoints_in(checkpoints.folder, config.model)
    path, arrays = _checkpoint(config.ckpt_path, saved)
    _check_identity(config, path, arrays, state.identity, rates_under)
    position, checkpoints.best = state.restore(path, arrays)
    whole = position.step == state.identity.steps
    elsewhere = path.parent.resolve() != checkpoints.folder.resolve()  # and so is that run's journal
    metrics = Metrics([], {}) if elsewhere else scan_metrics(metrics_file)
    done = position.epoch if whole else position.epoch - 1
    records = [record for record in metrics.records if record["epoch"] <= done]
    dropped = [record for record in metrics.records if record["epoch"] > done]
    ended = whole and (elsewhere or any(record["epoch"] == position.epoch for record in records))
    if position > end or (position == end and (ended or not whole)):
        if config.steps is not None:
            raise ConfigError(f"resume: {path} has the {config.steps} updates of steps already; nothing is left")
        raise ConfigError(
            f"resume: {path} has all {position.epoch} epochs of epoch_size {config.epoch_size}; nothing is left"
        )
    if elsewhere and saved:
        raise ConfigError(
            f"resume: {checkpoints.folder} has checkpoints of its own, and {path} is not of them: go on from the "
            "newest without --ckpt_path, or name another ckpt_save_dir"
        )
    scores = {record["epoch"]: record["top_1"] for record in records if record["top_1"] is not None}
    checkpoints.best = max([checkpoints.best, *scores.values()])
    later = [file for at, file in saved.items() if at > position]
    if any((record["top_1"] or -math.inf) > checkpoints.best for record in dropped):
        later.append(checkpoints.folder / "best.ckpt")
    if elsewhere:
        archive_run(checkpoints.folder)
    elif later:
        archive_branch(checkpoints.folder, later)
    elif dropped or metrics.others:
        keep_copy(metrics_file)
    if metrics.others:
        numbers = some([str(number) for number in metrics.others])
        _log.warning("%s: not a record of an epoch, and left out: line %s", metrics_file, numbers)
    if metrics_file.exists():
        atomic_write_text(metrics_file, "".join(json.dumps(record) + "\n" for record in records))
    for older, file in saved.items():
        if older <= position and weights.is_ours(file):  # the others are never deleted
            full = older.step == state.identity.steps
            checkpoints.kept.append((scores.get(older.epoch, -math.inf) if full else -math.inf, file))
    _log.info(
        "resumed from %s, after step %s of epoch %s of %s", path, position.step, position.epoch, config.epoch_size
    )
    return TrainPosition(position.epoch + 1, 0) if ended else position


def _checkpoint(named: str, saved: dict[TrainPosition, Path]) -> tuple[Path, dict[str, np.ndarray]]:
    """The checkpoint `named`, or else the newest whole one of those `saved`, and its contents."""
    if named:
        return Path(named), weights.read(named)
    for path in reversed(saved.values()):
        try:
            return path, weights.read(path)
        except weights.DamagedCheckpoint as error:
            _log.warning("%s; trying the one before", error)
    raise ConfigError(
        "resume: no whole checkpoint in ckpt_save_dir; start without --resume, or name one by --ckpt_path, or an "
        "earlier run's folder by --ckpt_save_dir"
    )


def _check_identity(
    config: Config,
    path: Path,
    arrays: dict[str, np.ndarray],
    identity: Identity,
    rates_under: Callable[[Config], list[float]],
) -> None:
    """Check that the checkpoint is of this run, and warn of what keeps the run from ending as without the break.

    Raises:
        ValueError: as `check_same_run`.
    """
    saved = read_identity(arrays)

    def rates_to_come(changes: dict) -> list[float] | None:
        steps_made = (int(arrays[EPOCH]) - 1) * identity.steps + int(arrays[STEP])
        try:
            return rates_under(config.replace(**changes))[steps_made // config.gradient_accumulation_steps :]
        except ValueError:
            return None

    warned = check_same_run(path, saved, identity, config.resume_changes or (), rates_to_come)
    if warned:
        _log.warning("%s: the run goes on, but will not end exactly as without the break", told(warned))
    if saved.options is None and EPOCH in arrays:
        _log.warning(
            "%s is of a version that recorded neither options nor training images: that they are the run's own is not "
            "checked", path,
        )  # fmt: skip

"""Resuming a run: choose a checkpoint, check that it is this run's, restore it, and cut the folder back to it."""

import json
import logging
import math
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mindcv import weights
from mindcv.config import RUN_CONFIG, Config, ConfigError, is_saved_config, read_recipe
from mindcv.data.datasets.classes import summarize_names
from mindcv.engine.archive import archive_branch, archive_run, keep_copy
from mindcv.engine.checkpoints import CheckpointManager, TrainPosition, checkpoints_in
from mindcv.engine.identity import Identity, check_same_run, describe_changes, read_identity
from mindcv.engine.metrics import Metrics, scan_metrics
from mindcv.engine.train_state import EPOCH, STEP, TrainState
from mindcv.io.files import atomic_write_text

_log = logging.getLogger("mindcv")


def resume(
    config: Config,
    state: TrainState,
    checkpoints: CheckpointManager,
    metrics_file: Path,
    end: TrainPosition,
    rates_for: Callable[[Config], list[float]],
) -> TrainPosition:
    """Restore a run from `config.ckpt_path`, or from the newest undamaged checkpoint in `ckpt_save_dir`.

    `metrics.jsonl` is cut back to that checkpoint. Later checkpoints, `best.ckpt` if it is later, and a copy of
    `metrics.jsonl` if lines are dropped are moved to a new folder `earlier-N`. If the checkpoint is from another
    folder, what a run left in this one is moved there instead. Only the worker that writes calls it.

    Args:
        config: The options of the run.
        state: The state to set.
        checkpoints: The manager of `ckpt_save_dir`; it gets the checkpoints that are kept and the best score.
        metrics_file: The run's `metrics.jsonl`.
        end: The last step of the run.
        rates_for: Returns the learning rate of every update of this run under other options.

    Returns:
        The position to continue from. If it is at an epoch's end, that epoch's validation and record are still to come.

    Raises:
        ConfigError: there is nothing to resume or nothing left to do, or the checkpoint is from another folder and this
            one holds a run.
        ValueError, FileNotFoundError: the checkpoint is not of this run, or the one in `ckpt_path` is damaged or
            missing. No file is changed in any of these cases.
    """
    saved = checkpoints_in(checkpoints.folder, config.model)
    path, arrays = choose_checkpoint(config.ckpt_path, saved)
    check_identity(config, path, arrays, state.identity, rates_for, not state.missing_entries(arrays))
    position, best = state.restore(path, arrays)
    steps: Any = state.identity.steps  # a run knows its own
    from_other_folder = checkpoints.folder.resolve() not in (path.parent.resolve(), path.resolve().parent)
    metrics = Metrics([], {}) if from_other_folder else scan_metrics(metrics_file)
    history = split_history(metrics.records, position, steps)
    epoch_is_complete = position.step == steps and (from_other_folder or history.has(position.epoch))
    check_work_left(config, path, position, end, position.step == steps and not epoch_is_complete)
    if from_other_folder and saved:
        raise ConfigError(
            f"resume: {checkpoints.folder} has checkpoints of its own, and {path} is not one of them: go on from the "
            "newest without --ckpt_path, or name another ckpt_save_dir"
        )
    checkpoints.best = max([best, *history.scores.values()])
    later = [file for at, file in saved.items() if at > position]
    if history.dropped_best > checkpoints.best:
        later.append(checkpoints.folder / "best.ckpt")
    if from_other_folder:
        archive_run(checkpoints.folder)
    elif later:
        archive_branch(checkpoints.folder, later)
    elif history.dropped or metrics.others:
        keep_copy(metrics_file)
    cut_back_metrics(metrics_file, history.kept, metrics.others)
    for earlier, file in saved.items():
        if earlier <= position and weights.is_ours(file):  # files of other programs are never deleted
            checkpoints.adopt(file, history.scores.get(earlier.epoch) if earlier.step == steps else None)
    _log.info(
        "resumed from %s, after step %s of epoch %s of %s", path, position.step, position.epoch, config.epoch_size
    )
    return TrainPosition(position.epoch + 1, 0) if epoch_is_complete else position


def permitted_changes(config: Config) -> tuple[str, ...] | None:
    """Return the names of options that may differ from the checkpoint's; None if there are none.

    They are `config.resume_changes`, and those that `config.yaml` beside the checkpoint permits, if the option's value
    there is that of `config`: a change that was permitted once holds, even if the run was killed before a checkpoint
    recorded it. "data_dir" of that file holds only until the next checkpoint, as the path does not identify the images.
    """
    folder = Path(config.ckpt_path).resolve().parent if config.ckpt_path else Path(config.ckpt_save_dir)
    file, earlier = folder / RUN_CONFIG, []
    if is_saved_config(file):
        with suppress(ConfigError):  # an option may have been removed since
            recorded = Config(read_recipe(file)[0])
            permitted = recorded.resume_changes or ()
            earlier = [name for name in permitted if getattr(recorded, name) == getattr(config, name)]
    written = [path.stat().st_mtime_ns for path in checkpoints_in(folder, config.model).values()] if earlier else []
    if "data_dir" in earlier and max(written, default=0) > file.stat().st_mtime_ns:
        earlier.remove("data_dir")
    return tuple(dict.fromkeys((*(config.resume_changes or ()), *earlier))) or None


def choose_checkpoint(named: str, saved: dict[TrainPosition, Path]) -> tuple[Path, dict[str, np.ndarray]]:
    """Return the path and the contents of the checkpoint to resume from; log a warning for each newer one of `saved`.

    Args:
        named: The checkpoint that the user named, which may lack training state; "" for the newest one of `saved` that
            is undamaged and has training state.
        saved: The run's checkpoints, oldest first.

    Raises:
        ConfigError: there is no undamaged checkpoint with training state.
        ValueError, FileNotFoundError: the checkpoint that the user named is damaged or missing.
    """
    if named:
        return Path(named), weights.read(named)
    for path in reversed(saved.values()):
        try:
            arrays = weights.read(path)
            if EPOCH in arrays:
                return path, arrays
            _log.warning("%s holds weights, but no training state; trying the one before", path)
        except weights.DamagedCheckpoint as error:
            _log.warning("%s; trying the one before", error)
    raise ConfigError(
        "resume: no undamaged checkpoint in ckpt_save_dir; start without --resume, or name one by --ckpt_path, or an "
        "earlier run's folder by --ckpt_save_dir"
    )


def check_identity(
    config: Config,
    path: Path,
    arrays: dict[str, np.ndarray],
    identity: Identity,
    rates_for: Callable[[Config], list[float]],
    fits: bool = True,
) -> None:
    """Check that a checkpoint is of this run, and warn of changes that alter how the run ends.

    Args:
        config: The options of the run.
        path: The checkpoint.
        arrays: Its contents.
        identity: The run's identity.
        rates_for: Returns the learning rate of every update of this run under other options.
        fits: Whether the checkpoint holds the state of this run; the error does not suggest `--resume_changes` if not.

    Raises:
        ValueError: the checkpoint is of another run; the message says what differs.
    """
    saved = read_identity(arrays)

    def rates(changes: dict) -> list[float] | None:
        """Return the learning rate of every update with the options `changes`; None where they contradict the rest."""
        try:
            return rates_for(config.replace(**changes))
        except ValueError:
            return None

    steps: Any = identity.steps  # a run knows its own
    steps_made = (int(arrays[EPOCH]) - 1) * steps + int(arrays[STEP]) if EPOCH in arrays else 0
    made = steps_made // config.gradient_accumulation_steps
    changes = check_same_run(path, saved, identity, config.resume_changes or (), rates, made, fits)
    if changes:
        _log.warning("%s: the run goes on, but will not end exactly as without the break", describe_changes(changes))
    if saved.options is None and EPOCH in arrays:
        _log.warning(
            "%s was written by a version that recorded neither options nor training images: whether they are the "
            "run's own is not checked", path,
        )  # fmt: skip


def check_work_left(
    config: Config, path: Path, position: TrainPosition, end: TrainPosition, epoch_end_is_due: bool
) -> None:
    """Raise a ConfigError if a run at `position` that ends at `end` has nothing left to do.

    Args:
        config: The options of the run.
        path: The checkpoint, for the message.
        position: The checkpoint's position.
        end: The last step of the run.
        epoch_end_is_due: Whether the validation and the record of the checkpoint's epoch are still to come.
    """
    if position < end or (position == end and epoch_end_is_due):
        return
    if config.steps is not None:
        raise ConfigError(f"resume: {path} has the {config.steps} updates of steps already; nothing is left")
    raise ConfigError(
        f"resume: {path} has all {position.epoch} epochs of epoch_size {config.epoch_size}; nothing is left"
    )


class History(NamedTuple):
    """The records of a run's epochs up to the checkpoint that it resumes from, and those after it.

    Attributes:
        kept: Records of the epochs that were complete at the checkpoint.
        dropped: Records of later epochs.
    """

    kept: list[dict]
    dropped: list[dict]

    def has(self, epoch: int) -> bool:
        """Whether an epoch's record is kept."""
        return any(record["epoch"] == epoch for record in self.kept)

    @property
    def scores(self) -> dict[int, float]:
        """Top-1 in per cent of the kept epochs that were validated, by epoch."""
        return {record["epoch"]: record["top_1"] for record in self.kept if record["top_1"] is not None}

    @property
    def dropped_best(self) -> float:
        """Best top-1 in per cent among the dropped records; -inf if none was validated."""
        return max((record["top_1"] for record in self.dropped if record["top_1"] is not None), default=-math.inf)


def split_history(records: list[dict], position: TrainPosition, steps: int) -> History:
    """Split the records of `metrics.jsonl` at `position`, in a run of `steps` steps an epoch.

    The record of the epoch of `position` is kept if `position` is at its end.
    """
    last = position.epoch if position.step == steps else position.epoch - 1
    kept = [record for record in records if record["epoch"] <= last]
    return History(kept, [record for record in records if record["epoch"] > last])


def cut_back_metrics(metrics_file: Path, records: list[dict], others: dict[int, str]) -> None:
    """Replace `metrics_file`, if it exists, by `records` alone, atomically; warn of its lines that are not records.

    Args:
        metrics_file: The run's `metrics.jsonl`.
        records: The records to keep.
        others: Lines that are not records, by line number.
    """
    if others:
        numbers = summarize_names([str(number) for number in others])
        _log.warning("%s: not a record of an epoch, and left out: line %s", metrics_file, numbers)
    if metrics_file.exists():
        atomic_write_text(metrics_file, "".join(json.dumps(record) + "\n" for record in records))

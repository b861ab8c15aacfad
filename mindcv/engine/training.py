"""A training run, from a configuration to checkpoints."""

import logging
from contextlib import closing, nullcontext
from functools import partial
from pathlib import Path

import mindspore as ms
from mindspore import Tensor

from mindcv.config import RUN_CONFIG, Config, ConfigError, is_resuming, uses_data_sink
from mindcv.data import usable_workers
from mindcv.data.datasets.digest import list_digest
from mindcv.distributed.context import DistributedContext
from mindcv.distributed.signals import StopFlag
from mindcv.engine.archive import archive_run, is_archive_unfinished, is_run_file, put_foreign_files_aside
from mindcv.engine.build import compute_in
from mindcv.engine.callbacks import EpochEnd, Progress, Saving
from mindcv.engine.checkpoints import REMEDY, START, CheckpointManager, TrainPosition
from mindcv.engine.dataloaders import list_left_out, unreadable_images_named, validation_loader
from mindcv.engine.dry_run import dry_run
from mindcv.engine.epoch_metrics import DataWait, memory, norms, observer
from mindcv.engine.identity import Identity, recorded
from mindcv.engine.resume import TrainState, resume
from mindcv.engine.run import Run, build_run
from mindcv.engine.step import TrainStep
from mindcv.engine.tensorboard import TensorBoardWriter
from mindcv.engine.validation import Evaluator
from mindcv.io.lock import file_lock

_log = logging.getLogger("mindcv")


def train(config: Config) -> None:
    """Train as `config` says, into `config.ckpt_save_dir`, alone or as one of the workers that a launcher started.

    The folder gets the resolved options (`config.yaml`), checkpoints and `metrics.jsonl`; those of an earlier run there
    are put aside, and so is a `config.yaml` that this program did not write. With `config.resume` the run goes on
    exactly where a checkpoint was written. With `config.dry_run` its cost is printed, and the folder left alone.

    Raises:
        ValueError, OSError: an option, the data or a checkpoint is at fault, or another run writes to that folder.
        FloatingPointError: the loss is not finite.
        Stopped: SIGINT or SIGTERM asked for it; a checkpoint was written.
    """
    folder = Path(config.ckpt_save_dir)
    if not config.dry_run and not is_resuming(config) and is_run_file(folder, config.ckpt_path):
        raise ConfigError(
            f"ckpt_path {config.ckpt_path} is of the run in ckpt_save_dir, which a new one there puts aside: name "
            "another ckpt_save_dir, or go on with that run by --resume"
        )
    run = build_run(config)
    if config.dry_run:
        return dry_run(run)
    distributed = run.distributed
    state = TrainState(run.step, _identity(run))

    metrics_file = folder / "metrics.jsonl"
    checkpoints, position = None, START
    with file_lock(folder / ".lock", patience=5) if distributed.is_main else nullcontext():
        if distributed.is_main:
            checkpoints = CheckpointManager(folder, config.model, config.ckpt_save_policy, config.keep_checkpoint_max)
            if not is_resuming(config) or is_archive_unfinished(folder):
                archive_run(folder)
            if is_resuming(config):
                position = resume(config, state, checkpoints, metrics_file, run.end, run.rates_under)
            put_foreign_files_aside(folder)
            config.replace(resume_changes=None).save(folder / RUN_CONFIG)
            list_left_out(folder, run.training, run.validation)
        with unreadable_images_named(), distributed.name_lost_workers():
            position = TrainPosition(*map(int, distributed.broadcast(position)))
            distributed.broadcast_parameters(state.parameters().values())
            _draw_apart(run.model, distributed)
            _announce(run)
            _loop(run, state, checkpoints, position, metrics_file)


def _identity(run: Run) -> Identity:
    """What this run's checkpoints record about it; the digest is left to the worker that writes them."""
    config, images = run.config, run.training
    options = recorded(
        config,
        num_classes=run.num_classes,
        num_parallel_workers=usable_workers(config.num_parallel_workers),
        num_devices=run.distributed.size,
        dataset_sink_mode=uses_data_sink(config),
    )
    digest = list_digest(images) if run.distributed.is_main else ""
    return Identity(images.class_names, run.steps, (len(images), digest), options)


def _loop(
    run: Run, state: TrainState, checkpoints: CheckpointManager | None, position: TrainPosition, metrics_file: Path
) -> None:
    """MindSpore's loop from `place` to the run's end, with what happens between its steps and epochs."""
    config, distributed, step = run.config, run.distributed, run.step
    stop_flag = StopFlag()
    board = None
    if config.tensorboard and distributed.is_main:
        board = TensorBoardWriter(metrics_file.parent / "tensorboard", run.steps * (position.epoch - 1) + position.step)
    progress = Progress(
        step,
        run.rates,
        run.images_a_step,
        config.epoch_size,
        run.steps,
        config.log_interval,
        position,
        distributed.is_main,
        board,
    )
    looks_always = config.device_target == "CPU"
    saving = Saving(
        progress, state, checkpoints, config.ckpt_save_interval_steps, run.end, stop_flag, distributed, looks_always
    )
    evaluate = None
    if run.validation:
        loader = validation_loader(config, run.validation, distributed)
        evaluator = Evaluator(
            config, run.model, loader, run.num_classes, distributed, stop_flag, saving.stop_if_alone, REMEDY
        )
        evaluate = partial(_scores, config, evaluator, step)
    waiting = DataWait()
    figures = [waiting, memory, partial(norms, step)]
    if config.log_gates and distributed.is_main:
        figures.append(observer(run))
    epoch_end = EpochEnd(
        progress, saving, evaluate, figures, config.val_interval, config.ckpt_save_interval, metrics_file
    )
    step.set_train()
    with stop_flag.listening(), closing(board) if board else nullcontext():
        if position.step == run.steps:  # stopped between the epoch's last step and its line
            progress.look()
            epoch_end.finish(saved=checkpoints is not None and checkpoints.has_saved(position))
            position = TrainPosition(position.epoch + 1, 0)
            step.set_train()
        runner = ms.train.Model(step)
        for epochs in _calls(run, position):
            runner.train(
                epochs.stop - 1, run.loader(position), callbacks=[progress, saving, epoch_end, waiting],
                dataset_sink_mode=uses_data_sink(config), initial_epoch=epochs.start - 1,
            )  # fmt: skip
            position = TrainPosition(epochs.stop, 0)


def _scores(config: Config, evaluator: Evaluator, step: TrainStep) -> dict[str, float]:
    """The scores of the weights and, under names with `ema_` before them, of their averages."""
    differs = config.val_amp_level != config.amp_level
    if differs:
        compute_in(config, step.model, config.val_amp_level)
    scores = evaluator()
    if step.averages:
        with step.averages.swap_weights():
            scores |= {f"ema_{name}": score for name, score in evaluator().items()}
    if differs:
        compute_in(config, step.model, config.amp_level)
    return scores


def _calls(run: Run, position: TrainPosition) -> list[range]:
    """The epochs, from 1, of each call of MindSpore's loop, from `place` on.

    One epoch a call rebuilds the data pipeline and so reseeds its C++ operations: what an epoch draws then follows from
    the seed and the epoch alone. Where data sinks into the device that would compile the graph anew each epoch, and one
    call does all that are whole.
    """
    epochs = range(position.epoch, run.end.epoch + 1)
    if not uses_data_sink(run.config):
        return [epochs[i : i + 1] for i in range(len(epochs))]
    return [epochs[:1], epochs[1:]] if position.step and len(epochs) > 1 else [epochs][: len(epochs)]


def _draw_apart(model: ms.nn.Cell, distributed: DistributedContext) -> None:
    """Let the workers, which start alike, draw dropout and stochastic depth each for itself."""
    if distributed.rank:
        seed, count = model.rng_state.asnumpy().tolist()
        model.rng_state.set_data(Tensor([(seed + distributed.rank * 1_000_003) % 2**31, count], ms.int32))


def _announce(run: Run) -> None:
    _log.info(
        "%s: %s parameters, %s training images in %s classes, %s steps an epoch, %s epochs",
        run.config.model, f"{sum(p.size for p in run.model.get_parameters()):,}", f"{len(run.training):,}",
        run.num_classes, run.steps, run.config.epoch_size,
    )  # fmt: skip
    left = f", {run.left_out}" if run.left_out else ""
    _log.info(
        "devices: %s, images an update: %s, peak learning rate: %.3g%s",
        run.workers, run.images_an_update, run.peak, left,
    )  # fmt: skip

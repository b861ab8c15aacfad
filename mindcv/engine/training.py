"""A training run: the loop over epochs and steps, and what happens between them."""

import json
import logging
from contextlib import closing, nullcontext
from pathlib import Path
from typing import NoReturn

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn
from mindspore.train import Callback

from mindcv.config import RUN_CONFIG, Config, ConfigError, as_recipe, is_resuming, uses_data_sink
from mindcv.data.datasets.digest import list_digest
from mindcv.distributed.context import DistributedContext
from mindcv.distributed.signals import StopFlag, Stopped
from mindcv.engine.archive import archive_foreign_files, archive_run, is_archive_unfinished, is_run_file
from mindcv.engine.build import with_recorded_model_args
from mindcv.engine.checkpoints import REMEDY, START, CheckpointManager, TrainPosition, require_free_names
from mindcv.engine.dataloaders import loader_workers, name_unreadable_images, validation_loader, write_bad_images
from mindcv.engine.dry_run import dry_run
from mindcv.engine.epoch_metrics import DataWait, attention_monitor, epoch_line, memory, norms, score_metrics
from mindcv.engine.identity import Identity, recorded_options
from mindcv.engine.progress import Progress
from mindcv.engine.resume import permitted_changes, resume
from mindcv.engine.run import Run, build_run
from mindcv.engine.tensorboard import TensorBoardWriter
from mindcv.engine.train_state import TrainState
from mindcv.engine.validation import Evaluator
from mindcv.engine.words import counted
from mindcv.io.files import append_line
from mindcv.io.lock import file_lock

_log = logging.getLogger("mindcv")


def train(config: Config) -> None:
    """Train as `config` says, into the folder `config.ckpt_save_dir`, alone or as one of several workers.

    The folder gets `config.yaml` with the resolved options, checkpoints, and `metrics.jsonl`. What an earlier run or
    another program left there under these names is moved to `earlier-N` in it. With `config.resume` the run continues
    exactly where a checkpoint was written. With `config.dry_run` the cost of the run is printed, and the folder is not
    touched. All workers must call it; worker 0 alone writes there.

    Raises:
        ValueError, OSError: an option, the data or a checkpoint is at fault, or another run is using the folder.
        FloatingPointError: the loss, its gradients or the weights are not finite, in more steps in a row than
            `config.skip_nonfinite`, or in a validation.
        RuntimeError: another worker has ended or does not answer.
        Stopped: SIGINT or SIGTERM was received; a checkpoint was written.
    """
    folder = Path(config.ckpt_save_dir)
    if not config.dry_run and not is_resuming(config) and is_run_file(folder, config.ckpt_path):
        raise ConfigError(
            f"ckpt_path {config.ckpt_path} is of the run in ckpt_save_dir, which a new run there archives: name "
            "another ckpt_save_dir, or go on with that run by --resume"
        )
    config = with_recorded_model_args(config)
    run = build_run(config)
    if config.dry_run:
        return dry_run(run)
    state = TrainState(run.step, run_identity(run))
    distributed, checkpoints, position = run.distributed, None, START
    metrics_file = folder / "metrics.jsonl"
    with file_lock(folder / ".lock", timeout=5) if distributed.is_main else nullcontext():
        if distributed.is_main:
            checkpoints = CheckpointManager(folder, config.model, config.ckpt_save_policy, config.keep_checkpoint_max)
            position = prepare_folder(run, state, checkpoints, metrics_file)
        with name_unreadable_images(), distributed.name_lost_workers():
            position = TrainPosition(*map(int, distributed.broadcast(position)))
            distributed.broadcast_parameters(state.parameters().values())
            decorrelate_workers(run.model, distributed)
            log_run(run)
            Trainer(run, state, checkpoints, metrics_file, position).fit(position)


def prepare_folder(run: Run, state: TrainState, checkpoints: CheckpointManager, metrics_file: Path) -> TrainPosition:
    """Archive or resume what is in the run's folder, write the options there, and return where training begins.

    The list of unreadable images is written too, and other programs' files of the same names are archived. Only the
    worker that writes calls it. Resuming sets `state` and `checkpoints`.

    Raises:
        IsADirectoryError: a folder has the name of a checkpoint; nothing is changed then.
        ValueError, FileNotFoundError: the checkpoint to resume from is missing, damaged or of another run, or nothing
            is left to do.
    """
    config, folder, position = run.config, checkpoints.folder, START
    require_free_names(folder, config.model)
    if not is_resuming(config) or is_archive_unfinished(folder):
        archive_run(folder)
    if is_resuming(config):
        config = config.replace(resume_changes=permitted_changes(config))
        warn_of_unsaved_dropout(run.model)
        position = resume(config, state, checkpoints, metrics_file, run.end, run.rates_for)
    archive_foreign_files(folder)
    as_recipe(config).save(folder / RUN_CONFIG)
    write_bad_images(folder, run.training, run.validation)
    return position


def warn_of_unsaved_dropout(model: nn.Cell) -> None:
    """Log a warning if a model has MindSpore's dropout, whose random state a checkpoint does not hold."""
    dropouts = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)
    names = [name for name, cell in model.cells_and_names() if isinstance(cell, dropouts)]
    if names:
        _log.warning(
            "%s is MindSpore's nn.Dropout, whose random state no checkpoint holds: the run does not go on bit for bit "
            "(mindcv.models.layers.Dropout does)", names[0],
        )  # fmt: skip


def run_identity(run: Run) -> Identity:
    """Return what checkpoints record about the run; on workers that do not write them the images' digest is ""."""
    config, images = run.config, run.training
    options = recorded_options(
        config,
        num_classes=run.num_classes,
        num_parallel_workers=loader_workers(config, run.distributed),
        num_devices=run.distributed.size,
        dataset_sink_mode=uses_data_sink(config),
    )
    digest = list_digest(images) if run.distributed.is_main else ""
    return Identity(images.class_names, run.steps, (len(images), digest), options)


class Trainer:
    """Trains a run: makes its steps, and between them logs, saves, stops, validates and records.

    Args:
        run: The run.
        state: What a checkpoint holds.
        checkpoints: Writes the checkpoints; None on workers that do not write.
        metrics_file: File that gets one JSON object an epoch.
        position: Where training begins.

    Attributes:
        saved: Position of the last checkpoint since this process began, on all workers; None before the first.
    """

    def __init__(
        self,
        run: Run,
        state: TrainState,
        checkpoints: CheckpointManager | None,
        metrics_file: Path,
        position: TrainPosition,
    ):
        config, distributed = run.config, run.distributed
        self.run, self.state, self.checkpoints, self.metrics_file = run, state, checkpoints, metrics_file
        self.stop_flag = StopFlag()
        self.tensorboard = None
        if config.tensorboard and distributed.is_main:
            steps_before = run.steps * (position.epoch - 1) + position.step
            self.tensorboard = TensorBoardWriter(metrics_file.parent / "tensorboard", steps_before)
        self.progress = Progress(run, position, self.tensorboard)
        self.evaluator = None
        if run.validation:
            loader = validation_loader(config, run.validation, distributed)
            self.evaluator = Evaluator(
                config, run.model, loader, run.num_classes, distributed, self.stop_flag, self.stop_in_validation, REMEDY
            )
        self.data_wait = DataWait()
        self.monitor = attention_monitor(run) if config.log_gates and distributed.is_main else None
        self.saved: TrainPosition | None = None

    def fit(self, position: TrainPosition) -> None:
        """Train from `position`, which is `START` in a new run, to the end of the run. All workers must call it.

        If `position` is at an epoch's end, that epoch is first validated and recorded.

        Raises:
            FloatingPointError: too many steps in a row failed, or weights or the loss of a validation are not finite.
            Stopped: a worker received SIGINT or SIGTERM; a checkpoint was written.
            OSError: a checkpoint or the metrics file cannot be written.
        """
        with self.stop_flag.listening(), closing(self.tensorboard) if self.tensorboard else nullcontext():
            if position.step == self.run.steps:  # the run was stopped after an epoch's last step
                self.progress.log_metrics()
                self.finish_epoch(saved=self.checkpoints is not None and self.checkpoints.has_saved(position))
                position = TrainPosition(position.epoch + 1, 0)
            if uses_data_sink(self.run.config):
                return self.train_sunk_epochs(position)
            while position.epoch <= self.run.end.epoch:
                self.train_epoch(position)
                position = TrainPosition(position.epoch + 1, 0)

    def train_epoch(self, position: TrainPosition) -> None:
        """Train from `position` to the epoch's end, or to the run's end inside it, and save what is due.

        At its end the epoch is validated and recorded, by `end_epoch`; at the run's end inside it, it is only saved.
        A stop signal ends it after a step, by Stopped. Each epoch has a data pipeline of its own, whose C++ operations
        are seeded anew: what an epoch draws follows from the seed and the epoch alone. All workers must call it.
        """
        config, run, progress = self.run.config, self.run, self.progress
        run.step.set_train()
        batches = run.loader(position).create_tuple_iterator(num_epochs=1)
        progress.begin_epoch(position)
        for images, labels in self.data_wait.timed(batches):
            run.step(images, labels)
            position = progress.advance()
            if progress.is_log_due():
                progress.log_metrics()
                progress.log_line()
            if position.step == run.steps:
                continue  # the epoch's end saves and stops
            interval = config.ckpt_save_interval_steps
            if position == run.end or (interval and position.step % interval == 0):
                self.save_checkpoint()
            if self.is_stop_requested():
                self.stop()
            if position == run.end:
                return progress.close()
        self.end_epoch()

    def end_epoch(self) -> None:
        """Save, stop if a signal asks for it, validate, and record the epoch, in this order.

        The checkpoint comes first, so that nothing of the epoch is lost whatever happens afterwards. It is due every
        `config.ckpt_save_interval` epochs, where `config.ckpt_save_interval_steps` divides the steps of an epoch, and
        at the run's end. All workers must call this. Stopping raises Stopped.
        """
        config, epoch = self.run.config, self.progress.position.epoch
        self.progress.close()
        is_last, interval = epoch == self.run.end.epoch, config.ckpt_save_interval_steps
        saves = is_last or epoch % config.ckpt_save_interval == 0 or (interval and self.run.steps % interval == 0)
        if saves:
            self.save_checkpoint()
        self.stop_if_any_worker_requests()
        self.finish_epoch(bool(saves))
        if not is_last:
            self.stop_if_any_worker_requests()

    def finish_epoch(self, saved: bool) -> None:
        """Validate if it is due, keep the best checkpoint, and write the epoch's record to the metrics file.

        The record comes last: an epoch that has one is complete. Validation is due every `config.val_interval` epochs
        and at the run's end; all workers take part in it, and the one with `checkpoints` does the rest. The best
        checkpoint is the one with the highest top-1.

        Args:
            saved: Whether the checkpoint of the epoch's end was written; a best one is then a link to it, else written.
        """
        config, checkpoints, epoch = self.run.config, self.checkpoints, self.progress.position.epoch
        metrics = {**self.progress.metrics, "top_1": None, "top_5": None}
        if self.evaluator and (epoch == self.run.end.epoch or epoch % config.val_interval == 0):
            with self.progress.validation():
                metrics |= score_metrics(self.evaluator(self.run.step.ema))
        if checkpoints is None:
            return
        metrics |= {"data_wait": self.data_wait.seconds, **memory(), **norms(self.run.step)}
        if self.monitor:
            metrics |= self.monitor()
        if self.tensorboard:
            self.tensorboard(metrics)
        score, is_best = metrics["top_1"], False
        if score is not None:
            if saved:
                checkpoints.rate(score)
            if score > checkpoints.best:
                is_best = checkpoints.save_best({} if saved else self.checkpoint_arrays(checkpoints.best), score)
        append_line(self.metrics_file, json.dumps(metrics))
        _log.info(epoch_line(metrics, config.epoch_size, is_best, self.progress.time_left()))

    def save_checkpoint(self) -> None:
        """Log the metrics and, on the worker that writes, save a checkpoint of the current position.

        All workers call it, and set `saved`.

        Raises:
            FloatingPointError: more steps in a row failed than are tolerated, or a weight is not finite; nothing is
                saved then.
            OSError: the checkpoint cannot be written.
        """
        self.progress.log_metrics()
        self.saved = self.progress.position
        if self.checkpoints is not None:
            self.checkpoints.save(self.checkpoint_arrays(self.checkpoints.best), self.saved)

    def checkpoint_arrays(self, best: float) -> dict[str, np.ndarray]:
        """Return the contents of a checkpoint of the current position; `best` is the best top-1 so far, in per cent."""
        return self.state.arrays(self.progress.position, best)

    def is_stop_requested(self) -> bool:
        """Whether all workers stop after this step; they all get the same answer.

        All must call it. Several workers learn of each other's requests from the next step's statistics. To read them
        they wait for the device: after every step on a CPU, elsewhere where they read them anyway.
        """
        step, progress = self.run.step, self.progress
        if self.run.distributed.size == 1:
            return bool(self.stop_flag.signal)
        if self.stop_flag.signal:
            step.request_stop()
        reads = self.run.config.device_target == "CPU" or progress.is_log_due() or self.saved == progress.position
        return reads and step.stats.read().stop_requests > 0

    def stop_if_any_worker_requests(self) -> None:
        """Stop all workers between epochs, by `stop`, if one of them received a signal. All workers must call it."""
        if self.run.distributed.any(bool(self.stop_flag.signal)):
            self.stop()

    def stop_in_validation(self) -> None:
        """Save a checkpoint and raise Stopped in the middle of a validation; with several workers, do nothing.

        They stop after the validation, as they would otherwise wait for this one. Averages that are swapped in as
        weights are swapped out before the checkpoint is written.
        """
        if self.run.distributed.size == 1:
            if self.run.step.ema:
                self.run.step.ema.restore_weights()
            self.stop()

    def stop(self) -> NoReturn:
        """Save the current position if it is not saved, and end the run. Raises Stopped.

        Every worker must call it: each waits for the others. Writes no record to the metrics file.
        """
        position = self.progress.position
        if self.saved != position:
            self.save_checkpoint()
        self.run.distributed.wait()
        self.progress.close()
        raise Stopped(
            f"stopped after step {position.step} of epoch {position.epoch}, and saved: go on with --resume",
            self.stop_flag,
        )

    def train_sunk_epochs(self, position: TrainPosition) -> None:
        """Train from `position` to the run's end with whole epochs of data sunk into the device.

        One call of `Model.train` makes all whole epochs, because each call compiles the graph anew; the rest of an
        epoch that has begun is a call of its own. Each epoch ends by `end_epoch`.
        """
        model = ms.train.Model(self.run.step)
        last = self.run.end.epoch
        calls = [(position, position.epoch), (TrainPosition(position.epoch + 1, 0), last)]
        for start, end in calls if position.step else [(position, last)]:
            if start.epoch <= end:
                model.train(
                    end, self.run.loader(start), callbacks=[SunkEpochs(self, start)], dataset_sink_mode=True,
                    initial_epoch=start.epoch - 1,
                )  # fmt: skip


class SunkEpochs(Callback):
    """Connects `Model.train`, where data sink into the device, to the trainer: what happens at an epoch's end.

    Args:
        trainer: The trainer.
        start: Where the first epoch begins.
    """

    def __init__(self, trainer: Trainer, start: TrainPosition):
        super().__init__()
        self.trainer = trainer
        self.start = start

    def on_train_epoch_begin(self, run_context):
        """Set training mode and begin the epoch, which `Model.train` counts from 1."""
        epoch = run_context.original_args().cur_epoch_num
        self.trainer.run.step.set_train()
        self.trainer.progress.begin_epoch(self.start if epoch == self.start.epoch else TrainPosition(epoch, 0))

    def on_train_epoch_end(self, run_context):
        """Count the epoch's steps, log its metrics, and let the trainer end it."""
        progress = self.trainer.progress
        progress.advance(self.trainer.run.steps - progress.position.step)
        progress.log_metrics()
        self.trainer.end_epoch()


def decorrelate_workers(model: ms.nn.Cell, distributed: DistributedContext) -> None:
    """Give each worker random numbers of its own for dropout and stochastic depth.

    Changes the model's random state, if it has one, in place, except on worker 0; call it once, when all workers have
    worker 0's state.
    """
    if distributed.rank and hasattr(model, "rng_state"):
        seed, count = model.rng_state.asnumpy().tolist()
        model.rng_state.set_data(Tensor([(seed + distributed.rank * 1_000_003) % 2**31, count], ms.int32))


def log_run(run: Run) -> None:
    """Log the run's parameters, images, classes, steps, epochs, devices and peak learning rate, in two lines."""
    _log.info(
        "%s: %s parameters, %s%s in %s, %s an epoch, %s",
        run.config.model, f"{sum(p.size for p in run.model.get_parameters()):,}",
        f"{run.images_an_epoch:,} of " if run.images_an_epoch < len(run.training) else "",
        counted(len(run.training), "training image"), counted(run.num_classes, "class", "classes"),
        counted(run.steps, "step"), counted(run.config.epoch_size, "epoch"),
    )  # fmt: skip
    dropped = f", {run.dropped_images}" if run.dropped_images else ""
    _log.info(
        "devices: %s, images an update: %s, peak learning rate: %.3g%s",
        run.workers, run.images_an_update, run.peak, dropped,
    )  # fmt: skip

"""A training run, from a configuration to checkpoints."""

import logging
from pathlib import Path

import mindspore as ms

from mindcv.config import Config, ConfigError
from mindcv.data import usable_workers
from mindcv.engine import device
from mindcv.engine.build import build_model, build_optimizer, build_schedule
from mindcv.engine.callbacks import EpochEnd, Progress
from mindcv.engine.checkpoints import Keeper
from mindcv.engine.pipelines import (
    class_count,
    open_training,
    open_validation,
    training_loader,
    unreadable_images_named,
    validation_loader,
)
from mindcv.engine.resume import RunState, resume
from mindcv.engine.step import TrainStep
from mindcv.engine.validation import Evaluator
from mindcv.loss import create_loss

_log = logging.getLogger("mindcv")


def train(config: Config) -> None:
    """Train as `config` says, into `config.ckpt_save_dir`.

    The folder gets the resolved options (`config.yaml`), checkpoints and `metrics.jsonl`; that of an earlier run there
    becomes `metrics.previous.jsonl`. With `config.resume` the run goes on exactly where a checkpoint was written.

    Raises:
        ValueError, OSError: an option, the data or a checkpoint is at fault; nothing was written then.
        FloatingPointError: the loss is not finite.
    """
    if config.results_file:
        raise ConfigError("results_file is validate.py's: training writes its figures to metrics.jsonl")
    if config.aux_factor:
        raise ConfigError(
            f"aux_factor is {config.aux_factor}, but {config.model} has no auxiliary outputs: leave it at 0"
        )
    device.set_up(config.device_target, config.mode)
    training = open_training(config)
    validation = open_validation(config, training.class_names) if config.val_while_train else None
    num_classes = class_count(config, training)
    loader = training_loader(config, training, num_classes)
    batches = loader.get_dataset_size()
    updates = batches // config.gradient_accumulation_steps
    if not updates:
        raise ConfigError(
            f"gradient_accumulation_steps is {config.gradient_accumulation_steps}, but an epoch has {batches} batches: "
            "lower it or the batch_size"
        )

    model = build_model(config, num_classes)
    rates = build_schedule(config, updates)
    step = TrainStep(
        model,
        create_loss(config.loss, None, config.reduction, config.label_smoothing, config.aux_factor),
        build_optimizer(config, model, rates),
        loss_scale=config.loss_scale,
        accumulation=config.gradient_accumulation_steps,
        clip_norm=config.clip_value if config.clip_grad else None,
    )
    evaluate = None
    if validation:
        evaluate = Evaluator(config, model, validation_loader(config, validation), num_classes)

    folder = Path(config.ckpt_save_dir)
    keeper = Keeper(folder, config.model, config.ckpt_save_policy, config.keep_checkpoint_max)
    journal = folder / "metrics.jsonl"
    state = RunState(step, training.class_names, usable_workers(config.num_parallel_workers))
    done = 0
    if config.resume or config.resume_opt:
        done = resume(config, state, keeper, journal)
        loader = training_loader(config, training, num_classes, epoch=done)
    elif journal.exists():
        journal.replace(folder / "metrics.previous.jsonl")
    config.save(folder / "config.yaml")
    _log.info(
        "%s: %s parameters, %s training images in %s classes, %s steps an epoch, %s epochs",
        config.model, f"{sum(p.size for p in model.get_parameters()):,}", f"{len(training):,}", num_classes,
        updates, config.epoch_size,
    )  # fmt: skip

    progress = Progress(step, rates, config.batch_size, config.epoch_size, config.log_interval)
    epoch_end = EpochEnd(progress, keeper, state, evaluate, config.val_interval, config.ckpt_save_interval, journal)
    step.set_train()
    runner = ms.train.Model(step)
    with unreadable_images_named():
        for epochs in _calls(config, done):
            runner.train(
                epochs.stop, loader, callbacks=[progress, epoch_end],
                dataset_sink_mode=config.dataset_sink_mode, initial_epoch=epochs.start,
            )  # fmt: skip


def _calls(config: Config, done: int) -> list[range]:
    """The epochs of each call of MindSpore's loop, after those that are `done`.

    One epoch a call rebuilds the data pipeline and so reseeds its C++ operations: what an epoch draws then follows from
    the seed and the epoch alone. Where data sinks into the device that would compile the graph anew each epoch, and one
    call does all.
    """
    sinks = config.dataset_sink_mode and config.device_target != "CPU" and config.mode == ms.GRAPH_MODE
    if sinks:
        return [range(done, config.epoch_size)]
    return [range(epoch, epoch + 1) for epoch in range(done, config.epoch_size)]

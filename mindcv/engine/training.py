"""A training run, from a configuration to checkpoints."""

import logging
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import mindspore as ms
from mindspore import Tensor

from mindcv import device
from mindcv.config import Config, ConfigError
from mindcv.data import usable_workers
from mindcv.data.datasets import Source
from mindcv.engine.averages import Averages
from mindcv.engine.build import (
    build_loss,
    build_loss_scale,
    build_model,
    build_optimizer,
    build_schedule,
    compute_in,
    peak_rate,
)
from mindcv.engine.callbacks import EpochEnd, Progress, Saving
from mindcv.engine.checkpoints import BEGINNING, Keeper, Place
from mindcv.engine.group import Group, join
from mindcv.engine.pipelines import (
    class_count,
    list_left_out,
    open_training,
    open_validation,
    training_loader,
    unreadable_images_named,
    validation_loader,
)
from mindcv.engine.resume import RunState, resume
from mindcv.engine.step import TrainStep
from mindcv.engine.validation import Evaluator
from mindcv.launch import claim
from mindcv.stopping import StopWish

_log = logging.getLogger("mindcv")


def train(config: Config) -> None:
    """Train as `config` says, into `config.ckpt_save_dir`, alone or as one of the workers that a launcher started.

    The folder gets the resolved options (`config.yaml`), checkpoints and `metrics.jsonl`; that of an earlier run there
    becomes `metrics.previous.jsonl`. With `config.resume` the run goes on exactly where a checkpoint was written.

    Raises:
        ValueError, OSError: an option, the data or a checkpoint is at fault, or another run writes to that folder.
        FloatingPointError: the loss is not finite.
        Stopped: SIGINT or SIGTERM asked for it; a checkpoint was written.
    """
    if config.results_file:
        raise ConfigError("results_file is validate.py's: training writes its figures to metrics.jsonl")
    if config.aux_factor:
        raise ConfigError(
            f"aux_factor is {config.aux_factor}, but {config.model} has no auxiliary outputs: leave it at 0"
        )
    device.set_up(config.device_target, config.mode)
    group = join(config)
    with group.first_alone() if config.dataset_download or config.pretrained else nullcontext():
        training = open_training(config, waits=not group.leads)
        validation = None
        if config.val_while_train:
            validation = open_validation(config, training.class_names, waits=not group.leads)
        num_classes = class_count(config, training)
        model = build_model(config, num_classes)
    steps = training_loader(config, training, num_classes, group).get_dataset_size()
    updates = steps // config.gradient_accumulation_steps
    if not updates:
        raise ConfigError(
            f"gradient_accumulation_steps is {config.gradient_accumulation_steps}, but an epoch has {steps} batches: "
            "lower it or the batch_size"
        )

    images_a_step = config.batch_size * group.size
    images_an_update = images_a_step * config.gradient_accumulation_steps
    peak = peak_rate(config, images_an_update)
    rates = build_schedule(config, updates, peak)
    compute_in(config, model, config.amp_level)
    step = TrainStep(
        model,
        build_loss(config),
        build_optimizer(config, model, rates),
        loss_scale=build_loss_scale(config),
        accumulation=config.gradient_accumulation_steps,
        clip_norm=config.clip_value if config.clip_grad and config.clip_mode == "norm" else None,
        clip_value=config.clip_value if config.clip_grad and config.clip_mode == "value" else None,
        workers=group.size,
        skip_nonfinite=config.skip_nonfinite,
        averages=Averages(model.get_parameters(), config.ema_decay) if config.ema else None,
    )
    state = RunState(step, training.class_names, steps, usable_workers(config.num_parallel_workers), group.size)

    folder = Path(config.ckpt_save_dir)
    journal = folder / "metrics.jsonl"
    keeper, place = None, BEGINNING
    with claim(folder / ".lock", patience=5) if group.writes else nullcontext():
        if group.writes:
            keeper = Keeper(folder, config.model, config.ckpt_save_policy, config.keep_checkpoint_max)
            if config.resume or config.resume_opt:
                place = resume(config, state, keeper, journal)
            elif journal.exists():
                journal.replace(folder / "metrics.previous.jsonl")
            config.save(folder / "config.yaml")
            list_left_out(folder, training, validation)
        place = Place(*map(int, group.shared(place)))
        group.share(state.parameters().values())
        _draw_apart(model, group)
        _log.info(
            "%s: %s parameters, %s training images in %s classes, %s steps an epoch, %s epochs",
            config.model, f"{sum(p.size for p in model.get_parameters()):,}", f"{len(training):,}", num_classes,
            steps, config.epoch_size,
        )  # fmt: skip
        _log.info(
            "devices: %s, images an update: %s, peak learning rate: %.3g%s",
            group.size, images_an_update, peak, _left_out(config, training, steps, group),
        )  # fmt: skip

        wish = StopWish()
        progress = Progress(
            step, rates, images_a_step, config.epoch_size, steps, config.log_interval, place, group.writes
        )
        looks_always = config.device_target == "CPU"
        saving = Saving(progress, state, keeper, config.ckpt_save_interval_steps, wish, group.wait, looks_always)
        evaluate = None
        if validation:
            loader = validation_loader(config, validation, group)
            evaluator = Evaluator(config, model, loader, num_classes, group, wish, saving.stop_if_alone)
            evaluate = partial(_scores, config, evaluator, step)
        epoch_end = EpochEnd(progress, saving, evaluate, config.val_interval, config.ckpt_save_interval, journal)
        step.set_train()
        with unreadable_images_named(), wish.listening():
            if place.step == steps:  # stopped between the epoch's last step and its line
                progress.look()
                epoch_end.finish(saved=keeper is not None and keeper.kept[-1][1] == keeper.path_of(place))
                place = Place(place.epoch + 1, 0)
                step.set_train()
            runner = ms.train.Model(step)
            for epochs in _calls(config, place):
                runner.train(
                    epochs.stop - 1, training_loader(config, training, num_classes, group, place),
                    callbacks=[progress, saving, epoch_end],
                    dataset_sink_mode=_sinks(config), initial_epoch=epochs.start - 1,
                )  # fmt: skip
                place = Place(epochs.stop, 0)


def _scores(config: Config, evaluator: Evaluator, step: TrainStep) -> dict[str, float]:
    """The scores of the weights and, under names with `ema_` before them, of their averages."""
    differs = config.val_amp_level != config.amp_level
    if differs:
        compute_in(config, step.model, config.val_amp_level)
    scores = evaluator()
    if step.averages:
        with step.averages.in_place():
            scores |= {f"ema_{name}": score for name, score in evaluator().items()}
    if differs:
        compute_in(config, step.model, config.amp_level)
    return scores


def _sinks(config: Config) -> bool:
    """Whether whole epochs of data go to the device at once, and the host has nothing to do between steps."""
    host_acts = config.ckpt_save_interval_steps > 0
    return config.dataset_sink_mode and not host_acts and config.device_target != "CPU" and config.mode == ms.GRAPH_MODE


def _calls(config: Config, place: Place) -> list[range]:
    """The epochs, from 1, of each call of MindSpore's loop, from `place` on.

    One epoch a call rebuilds the data pipeline and so reseeds its C++ operations: what an epoch draws then follows from
    the seed and the epoch alone. Where data sinks into the device that would compile the graph anew each epoch, and one
    call does all that are whole.
    """
    epochs = range(place.epoch, config.epoch_size + 1)
    if not _sinks(config):
        return [epochs[i : i + 1] for i in range(len(epochs))]
    return [epochs[:1], epochs[1:]] if place.step and len(epochs) > 1 else [epochs][: len(epochs)]


def _draw_apart(model: ms.nn.Cell, group: Group) -> None:
    """Let the workers, which start alike, draw dropout and stochastic depth each for itself."""
    if group.rank:
        seed, count = model.randomness.asnumpy().tolist()
        model.randomness.set_data(Tensor([(seed + group.rank * 1_000_003) % 2**31, count], ms.int32))


def _left_out(config: Config, training: Source, steps: int, group: Group) -> str:
    """How many images an epoch leaves out for the sake of equal, full batches, in words, if any."""
    images = config.num_samples or len(training)
    left = images - steps * config.batch_size * group.size if config.drop_remainder else images % group.size
    return f", {left} of {images} images left out of each epoch (drop_remainder)" if left > 0 else ""

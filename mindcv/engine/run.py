"""All that a run is made of, from its configuration."""

from contextlib import nullcontext
from dataclasses import dataclass

import mindspore as ms
from mindspore import nn

from mindcv import device
from mindcv.config import Config, ConfigError
from mindcv.data.datasets import Source
from mindcv.distributed.context import DistributedContext, init_distributed
from mindcv.engine.build import (
    build_loss,
    build_loss_scale,
    build_model,
    build_optimizer,
    build_schedule,
    compute_in,
    learning_rates,
    peak_rate,
    recompute_blocks,
)
from mindcv.engine.checkpoints import START, TrainPosition
from mindcv.engine.dataloaders import (
    class_count,
    open_training,
    open_validation,
    training_loader,
    warn_of_unused_outputs,
)
from mindcv.engine.ema import ModelEMA
from mindcv.engine.step import TrainStep
from mindcv.engine.tensorboard import summary_writer


@dataclass(frozen=True)
class Run:
    """A run that can begin.

    Attributes:
        config: What it was made from.
        group: The workers that are here.
        workers: How many share the data; in a dry run those that the run would have.
        training: Images to train on.
        validation: Images to validate on; None for no validation.
        num_classes: Of the model.
        step: The training step, with the model and the optimizer.
        steps: Steps an epoch.
        rates: The learning rate of every update.
        peak: The learning rate that they are made from.
    """

    config: Config
    distributed: DistributedContext
    workers: int
    training: Source
    validation: Source | None
    num_classes: int
    step: TrainStep
    steps: int
    rates: list[float]
    peak: float

    @property
    def model(self) -> nn.Cell:
        return self.step.model

    @property
    def images_a_step(self) -> int:
        """Of all workers."""
        return self.config.batch_size * self.workers

    @property
    def images_an_update(self) -> int:
        return self.images_a_step * self.config.gradient_accumulation_steps

    def rates_under(self, config: Config) -> list[float]:
        """The learning rate of every update if the schedule's options were those of `config`."""
        return learning_rates(config, self.steps, peak_rate(config, self.images_an_update))

    @property
    def end(self) -> TrainPosition:
        """The last step: that of the last epoch, or of the last update that `steps` allows."""
        total = self.config.epoch_size * self.steps
        if self.config.steps is not None:
            total = min(total, self.config.steps * self.config.gradient_accumulation_steps)
        epochs_before = (total - 1) // self.steps
        return TrainPosition(epochs_before + 1, total - epochs_before * self.steps)

    @property
    def left_out(self) -> str:
        """How many images an epoch leaves out for the sake of equal, full batches, in words; empty if none."""
        images = self.config.num_samples or len(self.training)
        left = images - self.steps * self.images_a_step if self.config.drop_remainder else images % self.workers
        return f"{left} of {images} images left out of each epoch (drop_remainder)" if left > 0 else ""

    def loader(self, position: TrainPosition = START) -> ms.dataset.Dataset:
        """This worker's batches from `place` on."""
        share = DistributedContext(self.distributed.rank, self.workers)
        return training_loader(self.config, self.training, self.num_classes, share, position)


def build_run(config: Config) -> Run:
    """Open the data and build the model and all that trains it; nothing is written to `config.ckpt_save_dir`.

    Raises:
        ValueError, OSError: an option, the data or a checkpoint is at fault.
    """
    if config.results_file:
        raise ConfigError("results_file is validate.py's: training writes its figures to metrics.jsonl")
    if config.aux_factor:
        raise ConfigError(
            f"aux_factor is {config.aux_factor}, but {config.model} has no auxiliary outputs: leave it at 0"
        )
    if config.tensorboard:
        summary_writer()
    device.set_up(config.device_target, config.mode)
    distributed = init_distributed(config)
    workers = config.num_devices * config.num_nodes if config.dry_run and config.distribute else distributed.size
    with distributed.main_first() if config.dataset_download or config.pretrained else nullcontext():
        training = open_training(config, waits=not distributed.is_local_main)
        validation = None
        if config.val_while_train:
            validation = open_validation(config, training.class_names, waits=not distributed.is_local_main)
        num_classes = class_count(config, training)
        model = build_model(config, num_classes, class_names=training.class_names)
    steps = training_loader(
        config, training, num_classes, DistributedContext(distributed.rank, workers)
    ).get_dataset_size()
    peak = peak_rate(config, config.batch_size * workers * config.gradient_accumulation_steps)
    rates = build_schedule(config, steps, peak)
    warn_of_unused_outputs(num_classes, training)
    compute_in(config, model, config.amp_level)
    if config.recompute:
        recompute_blocks(model)
    step = TrainStep(
        model,
        build_loss(config),
        build_optimizer(config, model, rates),
        loss_scale=build_loss_scale(config),
        accumulation=config.gradient_accumulation_steps,
        clip_norm=config.clip_value if config.clip_grad and config.clip_mode == "norm" else None,
        clip_value=config.clip_value if config.clip_grad and config.clip_mode == "value" else None,
        workers=distributed.size,
        skip_nonfinite=config.skip_nonfinite,
        ema=ModelEMA(model.get_parameters(), config.ema_decay) if config.ema else None,
    )
    return Run(config, distributed, workers, training, validation, num_classes, step, steps, rates, peak)

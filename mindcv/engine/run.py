"""What a training run consists of, built from its configuration."""

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
    """A training run that is ready to begin.

    Attributes:
        config: The options of the run.
        distributed: The workers that train together.
        workers: Number of workers that share the data; in a dry run the number that the run would have.
        training: The training images.
        validation: The validation images; None for no validation.
        num_classes: Number of classes of the model.
        step: The training step, with the model and the optimizer.
        steps: Steps an epoch.
        rates: Learning rate of every update.
        peak: Peak learning rate.
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
        """The model that is trained."""
        return self.step.model

    @property
    def images_a_step(self) -> int:
        """Images that all workers together take in one step."""
        return self.config.batch_size * self.workers

    @property
    def images_an_update(self) -> int:
        """Images that all workers together take for one update of the weights."""
        return self.images_a_step * self.config.gradient_accumulation_steps

    def rates_for(self, config: Config) -> list[float]:
        """Return the learning rate of every update of this run with the schedule of `config`; see `learning_rates`."""
        return learning_rates(config, self.steps, peak_rate(config, self.images_an_update))

    @property
    def end(self) -> TrainPosition:
        """Position after the run's last step: of its last epoch, or of the last update that `config.steps` allows.

        Where an epoch ends, this is its last step, (epoch, steps), and not (epoch + 1, 0).
        """
        total = self.config.epoch_size * self.steps
        if self.config.steps is not None:
            total = min(total, self.config.steps * self.config.gradient_accumulation_steps)
        epochs_before = (total - 1) // self.steps
        return TrainPosition(epochs_before + 1, total - epochs_before * self.steps)

    @property
    def dropped_images(self) -> str:
        """Number of images that each epoch leaves out to have equal, full batches, in words; "" if there are none."""
        images = self.config.num_samples or len(self.training)
        dropped = images - self.steps * self.images_a_step if self.config.drop_remainder else images % self.workers
        return f"{dropped} of {images} images left out of each epoch (drop_remainder)" if dropped > 0 else ""

    def loader(self, position: TrainPosition = START) -> ms.dataset.Dataset:
        """Return this worker's training batches from `position` on, as `training_loader` does."""
        distributed = DistributedContext(self.distributed.rank, self.workers)
        return training_loader(self.config, self.training, self.num_classes, distributed, position)


def build_run(config: Config) -> Run:
    """Open the data and build the model, the loss, the optimizer and the training step.

    Sets up the device, joins the other workers, may download data and weights, and decodes every image if
    `config.on_bad_image` is "skip". Nothing is written to `config.ckpt_save_dir`. All workers must call it; the weights
    to resume from are not loaded yet.

    Raises:
        ValueError, OSError: an option, the data or a checkpoint is at fault.
        RuntimeError: other workers did not start, or have ended.
    """
    if config.results_file:
        raise ConfigError("results_file is validate.py's: training writes its figures to metrics.jsonl")
    if config.aux_factor:
        raise ConfigError(
            f"aux_factor is {config.aux_factor}, but {config.model} has no auxiliary outputs: leave it at 0"
        )
    if config.tensorboard:
        summary_writer()
    device.set_up(config.device_target, config.mode, config.jit_level)
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

"""Models and optimizers from a configuration."""

import logging
from collections.abc import Collection, Sequence

import mindspore as ms
from mindspore import nn

from mindcv.config import DECAYING_TO_MIN_LR, Config, ConfigError, is_resuming, model_arguments
from mindcv.engine.loss_scale import START, LossScale
from mindcv.loss import JSDCrossEntropy, create_loss
from mindcv.models import create_model, freeze, set_precision
from mindcv.models.factory import trained_with
from mindcv.optim import create_optimizer
from mindcv.scheduler import create_scheduler

_log = logging.getLogger("mindcv")

FINE_TUNING = ("num_classes", "in_channels", "image_size")


def build_model(
    config: Config, num_classes: int, adapt: Collection[str] = FINE_TUNING, class_names: Sequence[str] | None = None
) -> nn.Cell:
    """Return the model, with published weights or those of `config.ckpt_path` where they are asked for.

    For a run that is resumed no weights are loaded, or fetched.

    Args:
        config: The options.
        num_classes: Classes of the model.
        adapt: In what the checkpoint may differ from the model; see `create_model`. With `config.keep_classifier` never
            in "num_classes".
        class_names: The data's, which a checkpoint's classifier is compared with unless `config.keep_classifier`.
    """
    if config.keep_classifier:
        adapt, class_names = [name for name in adapt if name != "num_classes"], None
    ms.set_seed(config.seed)
    arguments = model_arguments(config)
    if is_resuming(config):  # the checkpoint to resume from puts all weights back
        own = trained_with(config.model, arguments["pretrained"])
        own |= {name: arguments[name] for name in own if arguments[name] is not None}
        arguments |= {**own, "pretrained": False, "checkpoint_path": "", "ema": False}
    return create_model(num_classes=num_classes, adapt=adapt, class_names=class_names, **arguments)


def compute_in(config: Config, model: nn.Cell, level: str) -> None:
    """Let the model compute under `level` of mixed precision, in the type and in the cells that the options name."""
    set_precision(model, level, config.amp_dtype, config.amp_cast_list)


def recompute_blocks(model: nn.Cell) -> None:
    """Let each block be computed again on the way back, and keep its input alone (Chen et al. 2016, arXiv 1604.06174).

    The gradients stay equal to the bit. On a CPU little memory is saved; docs/devices.md has what was measured.
    """
    for block in model.blocks:
        block.recompute()


def build_loss_scale(config: Config) -> LossScale:
    """The scale of the loss; a dynamic one starts at 2¹⁶ where `loss_scale` does not say."""
    half = config.amp_level != "O0" and config.amp_dtype == "float16"
    dynamic = config.loss_scale_type == "dynamic" or (config.loss_scale_type == "auto" and half)
    start = START if dynamic and config.loss_scale == 1 else config.loss_scale
    return LossScale(start, dynamic, config.drop_overflow_update)


def peak_rate(config: Config, images_an_update: int) -> float:
    """The peak learning rate: `config.lr`, or in proportion to the images of an update where it is to be scaled."""
    return config.lr * images_an_update / config.lr_base_batch if config.lr_scale == "linear" else config.lr


def build_schedule(config: Config, steps: int, peak: float) -> list[float]:
    """`learning_rates`, after a line in the log if the run ends before its schedule does."""
    if (planned := _planned_epochs(config)) > config.epoch_size:
        _log.info(
            "the schedule's %s epochs are cut at epoch_size %s, before the learning rate's end",
            planned, config.epoch_size,
        )  # fmt: skip
    return learning_rates(config, steps, peak)


def learning_rates(config: Config, steps: int, peak: float) -> list[float]:
    """The learning rate of every update of the run, `peak` at most, where an epoch has `steps` batches.

    Raises:
        ConfigError: the rate is to decay to one above its peak, or an epoch has no update.
    """
    accumulation = config.gradient_accumulation_steps
    updates = steps // accumulation
    if not updates:
        raise ConfigError(
            f"gradient_accumulation_steps is {accumulation}, but an epoch has {steps} batches: lower it or the "
            "batch_size"
        )
    if config.scheduler in DECAYING_TO_MIN_LR and config.min_lr > peak:
        raise ConfigError(f"min_lr {config.min_lr} is above the scaled learning rate {peak:.3g}: lower it")
    rates = create_scheduler(
        updates,
        scheduler=config.scheduler,
        lr=peak,
        min_lr=config.min_lr,
        warmup_epochs=config.warmup_epochs,
        warmup_factor=config.warmup_factor,
        decay_epochs=config.decay_epochs,
        decay_rate=config.decay_rate,
        milestones=config.multi_step_decay_milestones,
        num_epochs=max(_planned_epochs(config), config.epoch_size),
        num_cycles=config.num_cycles,
        cycle_decay=config.cycle_decay,
        lr_epoch_stair=config.lr_epoch_stair,
        warmup_prefix=config.warmup_prefix,
    )
    rates = rates[: updates * config.epoch_size]
    # What is left of an epoch's batches counts into the next one's first update.
    return [rates[n * accumulation * updates // steps] for n in range(steps * config.epoch_size // accumulation)]


def _planned_epochs(config: Config) -> int:
    """The epochs that the warm-up and the cosines take together; of other decays the warm-up's alone."""
    if not config.scheduler.endswith("cosine_decay"):
        return config.warmup_epochs
    before = config.warmup_epochs if config.warmup_prefix else 0
    return max(config.warmup_epochs, before + config.num_cycles * config.decay_epochs)


def build_loss(config: Config) -> nn.Cell:
    """The loss to train with; where there are views of each image (`aug_splits`), the one that compares them."""
    if config.aug_splits:
        return JSDCrossEntropy(config.aug_splits, smoothing=config.label_smoothing, reduction=config.reduction)
    return create_loss(config.loss, None, config.reduction, config.label_smoothing, config.aux_factor)


def build_optimizer(config: Config, model: nn.Cell, rates: list[float]) -> nn.Optimizer:
    """The optimizer of the model's parameters that are not frozen, at the learning rates `rates`."""
    freeze(model, config.freeze)
    return create_optimizer(
        model,
        opt=config.opt,
        lr=rates,
        weight_decay=config.weight_decay,
        momentum=config.momentum,
        nesterov=config.use_nesterov,
        weight_decay_filter=config.weight_decay_filter,
        layer_decay=config.layer_decay,
        head_lr_multiple=config.head_lr_multiple,
        eps=config.eps,
    )

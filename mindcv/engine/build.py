"""The parts of a run, built from its configuration: model, loss, optimizer, learning rates, loss scale."""

import logging
from collections.abc import Collection, Sequence
from typing import Any

import mindspore as ms
from mindspore import nn

from mindcv.config import DECAYING_TO_MIN_LR, Config, ConfigError, is_resuming, model_arguments, show
from mindcv.config.arguments import OF_SOME_MODELS
from mindcv.deploy import imagenet_names
from mindcv.engine.loss_scale import START, LossScale, is_dynamic
from mindcv.loss import JSDCrossEntropy, create_loss
from mindcv.models import create_model, freeze, set_precision
from mindcv.models.factory import trained_with, with_facts
from mindcv.models.family import require
from mindcv.models.layers import undrawn_weights
from mindcv.models.registry import load_model_module, takes_argument
from mindcv.optim import create_optimizer
from mindcv.scheduler import create_scheduler
from mindcv.weights import classes_in, options_in
from mindcv.weights.classes import Classes

_log = logging.getLogger("mindcv")

FINE_TUNING = ("num_classes", "in_channels", "image_size")


def build_model(
    config: Config, num_classes: int, adapt: Collection[str] = FINE_TUNING, class_names: Sequence[str] | None = None
) -> nn.Cell:
    """Return the model, with the weights of `config.ckpt_path` or published ones if the options ask for them.

    It is in evaluation mode. For a resumed run no weights are loaded, downloaded or drawn. Sets MindSpore's global seed
    to `config.seed`.

    Args:
        config: The options of the run.
        num_classes: Number of classes of the model.
        adapt: Arguments of the model in which the checkpoint may differ, by default `num_classes`, `in_channels` and
            `image_size`. With `config.keep_classifier` the number of classes may not differ.
        class_names: Class names of the data; the rows of the checkpoint's classifier are matched with them by name,
            unless `config.keep_classifier` is set. None to keep the rows as they are.

    Raises:
        ValueError, OSError: an option of the model or its checkpoint is at fault.
    """
    if config.keep_classifier:
        adapt, class_names = [name for name in adapt if name != "num_classes"], None
    ms.set_seed(config.seed)
    load_models(config)
    arguments: dict[str, Any] = {"adapt": adapt, "class_names": class_names}
    if is_resuming(config):  # the checkpoint to resume from restores all weights
        own = trained_with(config.model, config.pretrained)
        own = {name: value for name, value in own.items() if getattr(config, name) is None}
        arguments |= {**own, "pretrained": False, "checkpoint_path": "", "ema": False}
        with undrawn_weights():
            return create_configured(config, num_classes, **arguments)
    return create_configured(config, num_classes, **arguments)


def load_models(config: Config) -> None:
    """Register the models of the user's file `config.model_module`, if there is one; see `load_model_module`."""
    if config.model_module:
        load_model_module(config.model_module)


def create_configured(config: Config, num_classes: int, **arguments) -> nn.Cell:
    """Return the model that the options name, from `config.model_module` or the package.

    Args:
        config: The options of the run.
        num_classes: Number of classes of the model.
        **arguments: Further arguments of `create_model`, which override those that the options give.

    Raises:
        ValueError, OSError: the model does not take an option that the user set, or another option of the model, its
            module or its checkpoint is at fault.
    """
    load_models(config)
    given = model_arguments(config)
    image_size = given["image_size"]
    for name in [name for name in OF_SOME_MODELS if name in given and not takes_argument(config.model, name)]:
        value = given.pop(name)
        if name != "image_size":  # without it, a model takes images of any size
            raise ConfigError(f"{name} is {show(value)}, but {config.model} takes no {name}: leave it out")
    model = create_model(num_classes=num_classes, **{**given, **arguments})
    return with_facts(model, image_size=(image_size,) * 2 if isinstance(image_size, int) else image_size)


def with_recorded_model_args(config: Config) -> Config:
    """Return `config` with the `model_args` that the checkpoint `ckpt_path` records for a model of the same name.

    It is unchanged if `model_args` is given, if the run is resumed, or if no `model_args` are recorded.

    Raises:
        ValueError, OSError: the checkpoint cannot be read.
    """
    if not config.ckpt_path or is_resuming(config) or config.origin("model_args") != "default":
        return config
    recorded = options_in(config.ckpt_path)
    if recorded.get("model") != config.model or not recorded.get("model_args"):
        return config
    config = config.replace(model_args=recorded["model_args"])
    _log.info("model_args %s, as in %s", show(config.model_args), config.ckpt_path)
    return config


def classes_of_weights(config: Config) -> Classes:
    """Return the classes of the weights that the options name: of `ckpt_path`, or ImageNet's 1,000 without names.

    Raises:
        ValueError, OSError: the checkpoint cannot be read.
    """
    return classes_in(config.ckpt_path) if config.ckpt_path else Classes(len(imagenet_names()), None)


def compute_in(config: Config, model: nn.Cell, level: str) -> None:
    """Set the model's mixed-precision level in place, with `config.amp_dtype` and `config.amp_cast_list`.

    Args:
        config: The options of the run.
        model: The model.
        level: "O0" (float32) to "O3", or "auto".

    Raises:
        ValueError: one of the cells does not exist, or the device does not compute in the dtype.
    """
    set_precision(model, level, config.amp_dtype, config.amp_cast_list)


def recompute_blocks(model: nn.Cell) -> None:
    """Set each block of the model to be recomputed in the backward pass, so that its activations are not kept.

    See Chen et al. 2016 (arXiv 1604.06174). The gradients stay equal bit for bit. On a CPU this saves little memory;
    docs/devices.md has measurements.

    Raises:
        TypeError: the model has no blocks.
    """
    for block in require(model, "there is nothing to recompute", "blocks").blocks:
        block.recompute()


def build_loss_scale(config: Config) -> LossScale:
    """Return the loss scale: dynamic if `loss_scale_type` is "dynamic", or "auto" and the model computes in float16.

    Otherwise it is fixed. It is `config.loss_scale` at first; a dynamic one is 2¹⁶ if that is left at 1.
    """
    dynamic = is_dynamic(config.loss_scale_type, config.amp_level, config.amp_dtype)
    start = START if dynamic and config.loss_scale == 1 else config.loss_scale
    return LossScale(start, dynamic, config.drop_overflow_update)


def peak_rate(config: Config, images_an_update: int) -> float:
    """Return the peak learning rate: `config.lr`, with `lr_scale` "linear" times images_an_update / lr_base_batch."""
    if config.lr_scale != "linear" or config.lr_base_batch is None:
        return config.lr
    return config.lr * images_an_update / config.lr_base_batch


def build_schedule(config: Config, steps: int, peak: float) -> list[float]:
    """Return the learning rate of every update of the run's epochs, and log if they end before the schedule.

    `steps` are those of an epoch, `peak` is the highest rate. A final rate above it, or an epoch without an update, is
    a ConfigError; options of the schedule that do not fit each other are a ValueError.
    """
    if (planned := _planned_epochs(config)) > config.epoch_size:
        _log.info(
            "the schedule's %s epochs are cut at epoch_size %s, before the learning rate's end",
            planned, config.epoch_size,
        )  # fmt: skip
    return learning_rates(config, steps, peak)


def learning_rates(config: Config, steps: int, peak: float) -> list[float]:
    """Return the learning rate of every update of the run.

    Args:
        config: The options of the run.
        steps: Steps an epoch.
        peak: Peak learning rate.

    Returns:
        `steps * epoch_size // gradient_accumulation_steps` learning rates, even if `config.steps` ends the run earlier.

    Raises:
        ConfigError: the final learning rate is above the peak, or an epoch has no update.
        ValueError: an option of the schedule does not fit the others, such as a warm-up longer than the run.
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
    # Steps that are left over at an epoch's end belong to the next epoch's first update.
    return [rates[n * accumulation * updates // steps] for n in range(steps * config.epoch_size // accumulation)]


def _planned_epochs(config: Config) -> int:
    """Return the epochs that the schedule needs: those of the warm-up, and with a cosine schedule its cycles too."""
    if not config.scheduler.endswith("cosine_decay"):
        return config.warmup_epochs
    before = config.warmup_epochs if config.warmup_prefix else 0
    return max(config.warmup_epochs, before + config.num_cycles * config.decay_epochs)


def build_loss(config: Config) -> nn.Cell:
    """Return the training loss `config.loss`, or with `config.aug_splits` the one that compares an image's views."""
    if config.aug_splits:
        return JSDCrossEntropy(config.aug_splits, smoothing=config.label_smoothing, reduction=config.reduction)
    return create_loss(config.loss, None, config.reduction, config.label_smoothing, config.aux_factor)


def build_optimizer(config: Config, model: nn.Cell, rates: list[float]) -> nn.Optimizer:
    """Freeze the parts that the options name, and return the optimizer of the other parameters.

    Args:
        config: The options of the run.
        model: The model; parameters of frozen parts get `requires_grad = False`.
        rates: Learning rate of every update.

    Raises:
        ValueError: a part does not exist, nothing would be left to train, or an option of the optimizer is at fault.
    """
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

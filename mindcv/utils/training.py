"""Seeds, logs, sums over workers, mixed precision, and a `mindspore.Model` over the step of `mindcv.engine`."""

import logging
import random
import re
import sys
from pathlib import Path

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops
from mindspore.train import Model

from mindcv.engine.ema import ModelEMA
from mindcv.engine.loss_scale import START, WINDOW, LossScale, is_dynamic
from mindcv.engine.step import TrainStep as EngineStep
from mindcv.errors import require_in_range
from mindcv.models import set_precision
from mindcv.models.layers.precision import PolicyCell

_TRANSPOSED = (nn.Conv1dTranspose, nn.Conv2dTranspose, nn.Conv3dTranspose)
AMP_WHITE_LIST = (nn.Dense, nn.Conv1d, nn.Conv2d, nn.Conv3d, *_TRANSPOSED)
AMP_BLACK_LIST = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.LayerNorm)


class AllReduceSum(nn.Cell):
    """Returns the sum of a tensor over the workers of `communication.init`; on a CPU integers are exact up to 2²⁴."""

    def __init__(self):
        super().__init__()
        self.sum_over_workers, self.is_cpu = ops.AllReduce(), ms.get_context("device_target") == "CPU"

    def construct(self, x: Tensor) -> Tensor:
        return self.sum_over_workers(x.astype(ms.float32) if self.is_cpu else x).astype(x.dtype)


def set_seed(seed: int = 42, rank: int | None = 0) -> None:
    """Set the global seeds of `random`, NumPy and MindSpore to `seed` + `rank`; `create_dataset` has its own seed."""
    for set_one in (random.seed, np.random.seed, ms.set_seed):
        set_one(seed + (rank or 0))


def set_logger(name=None, output_dir=None, rank=0, log_level=logging.INFO, color=True) -> logging.Logger:
    """Return the logger `name`; the first call sets up standard output (worker 0) and `output_dir`/rank{rank}.log."""
    logger, rank = logging.getLogger(name), rank or 0
    if not getattr(logger, "is_set", False):
        logger.is_set, logger.propagate = True, False  # type: ignore[attr-defined]
        logger.setLevel(log_level)
        handlers: list[logging.Handler] = [] if rank else [logging.StreamHandler(sys.stdout)]
        if output_dir is not None:
            Path(output_dir).mkdir(parents=True, exist_ok=True)
            handlers.append(logging.FileHandler(Path(output_dir) / f"rank{rank}.log"))
        for handler in handlers:
            handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(levelname)s - %(message)s"))
            logger.addHandler(handler)
    return logger


def auto_mixed_precision(network: nn.Cell, amp_level: str = "O0", amp_cast_list=None) -> None:
    """Set a network's precision in place; `amp_cast_list`, as "[nn.Dense]", limits O1 in a model of this package."""
    classes = re.findall(r"(?:nn\.)?([\w.]+)", str(amp_cast_list or "")) or None
    is_ours = any(isinstance(cell, PolicyCell) for _, cell in network.cells_and_names())
    if classes and not (is_ours and amp_level in ("O0", "O1")):
        raise ValueError(f"amp_cast_list {amp_cast_list} needs amp_level O1 and a model of this package")
    if is_ours:
        set_precision(network, amp_level, cast_list=classes)
    elif amp_level != "O0":
        ms.amp.auto_mixed_precision(network, amp_level)


class TrainStep(EngineStep):
    """One training step, for `mindspore.Model`. Data-parallel workers average their gradients.

    Args:
        network: Maps images and labels to the loss, a scalar, such as `nn.WithLossCell(model, loss)`.
        optimizer: Its parameters are trained. Its learning rates have one value per call, also with accumulation.
        scale_sense: A number, a scalar Tensor, a `LossScale`, or an update cell of MindSpore, which skips overflows.
        ema, ema_decay, clip_grad, clip_value: Average the weights as `ModelEMA`; clip the gradients' global norm.
        gradient_accumulation_steps: Calls whose gradients are averaged into one update.
    """

    def __init__(
        self, network: nn.Cell, optimizer: nn.Optimizer, scale_sense=1.0, ema: bool = False, ema_decay: float = 0.9999,
        clip_grad: bool = False, clip_value: float = 15.0, gradient_accumulation_steps: int = 1,
    ):  # fmt: skip
        if gradient_accumulation_steps > 1 and optimizer.dynamic_lr:
            rates = optimizer.learning_rate if optimizer.is_group_lr else [optimizer.learning_rate]
            cells = [_EveryNth(rate, gradient_accumulation_steps) for rate in rates]
            optimizer.learning_rate = nn.CellList(cells, auto_prefix=False) if optimizer.is_group_lr else cells[0]
        is_parallel = ms.get_auto_parallel_context("parallel_mode") == "data_parallel"
        super().__init__(
            None, None, optimizer, _loss_scale(scale_sense), gradient_accumulation_steps,
            clip_norm=clip_value if clip_grad else None,
            workers=ms.get_auto_parallel_context("device_num") if is_parallel else 1,
            ema=ModelEMA(network.get_parameters(), ema_decay) if ema else None,
        )  # fmt: skip
        self.network = network

    def scaled_loss(self, images: Tensor, labels: Tensor) -> Tensor:
        return self.network(images, labels) * self.loss_scale.factor()


class _EveryNth(nn.Cell):
    """Returns the learning rate of an update: that of its last call, in a schedule with one value per call."""

    def __init__(self, schedule: nn.Cell, interval: int):
        super().__init__(auto_prefix=False)
        self.schedule, self.interval = schedule, interval

    def construct(self, update: Tensor) -> Tensor:
        return self.schedule(update * self.interval + (self.interval - 1))


def _loss_scale(scale) -> LossScale:
    """Return the `scale_sense` of `TrainStep` as a `LossScale`."""
    if isinstance(scale, LossScale):
        return scale
    start, window = getattr(scale, "loss_scale_value", scale), getattr(scale, "scale_window", None)
    return LossScale(float(start), window is not None, isinstance(scale, nn.Cell), window or WINDOW)


def get_metrics(num_classes: int) -> dict[str, nn.Metric]:
    """Return MindSpore's metrics "Top_1_Accuracy" and, with five classes or more, "Top_5_Accuracy", both 0 to 1."""
    metrics = {"Top_1_Accuracy": nn.Top1CategoricalAccuracy()}
    return metrics | {"Top_5_Accuracy": nn.Top5CategoricalAccuracy()} if num_classes >= 5 else metrics


def require_customized_train_step(ema=False, clip_grad=False, gradient_accumulation_steps=1, amp_cast_list=None):
    """Return whether MindCV trains with a step of its own; `create_trainer` always does."""
    return bool(ema or clip_grad or gradient_accumulation_steps > 1 or amp_cast_list)


def create_trainer(
    network: nn.Cell, loss: nn.Cell, optimizer: nn.Cell, metrics: dict | set, amp_level: str, amp_cast_list: str | None,
    loss_scale_type: str, loss_scale: float = 1.0, drop_overflow_update: bool = False, ema: bool = False,
    ema_decay: float = 0.9999, clip_grad: bool = False, clip_value: float = 15.0, gradient_accumulation_steps: int = 1,
) -> Model:  # fmt: skip
    """Return a `mindspore.Model` that trains `network`, which maps images to logits, by `TrainStep`.

    `loss_scale_type` is "fixed", "dynamic", or "auto": dynamic unless `amp_level` is "O0". `loss_scale` is at least 1,
    of a dynamic one the first, 65536 if 1. `drop_overflow_update` skips overflows, as a dynamic scale does.
    The rest is as for `mindspore.Model`, `auto_mixed_precision` and `TrainStep`.
    """
    require_in_range("loss_scale", loss_scale, at_least=1)
    require_in_range("gradient_accumulation_steps", gradient_accumulation_steps, at_least=1)
    if loss_scale_type.lower() not in ("fixed", "dynamic", "auto"):
        raise ValueError(f"loss_scale_type is {loss_scale_type!r}; it can be fixed, dynamic or auto")
    dynamic = is_dynamic(loss_scale_type.lower(), amp_level, "float16")
    scale = LossScale(START if dynamic and loss_scale == 1 else loss_scale, dynamic, drop_overflow_update)
    auto_mixed_precision(network, amp_level, amp_cast_list)
    averages_and_gradients = ema, ema_decay, clip_grad, clip_value, gradient_accumulation_steps
    step = TrainStep(nn.WithLossCell(network, loss), optimizer, scale, *averages_and_gradients).set_train()
    evaluation = nn.WithEvalCell(network, loss, add_cast_fp32=amp_level != "O0")
    return Model(step, eval_network=evaluation, metrics=metrics, eval_indexes=[0, 1, 2])

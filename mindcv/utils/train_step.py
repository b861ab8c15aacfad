"""`TrainStep`: the step of `mindcv.engine`, of a network that returns the loss."""

import mindspore as ms
from mindspore import Tensor, nn

from mindcv.engine.ema import ModelEMA
from mindcv.engine.loss_scale import LossScale
from mindcv.engine.step import TrainStep as EngineStep


class TrainStep(EngineStep):
    """One training step, for `mindspore.Model`. Data-parallel workers average their gradients.

    The optimizer's learning rates have one value per call, also with accumulation.

    Args:
        network: Maps images and labels to the loss, a scalar, such as `nn.WithLossCell(model, loss)`.
        optimizer: Its parameters are trained.
        scale_sense: Loss scale: a number, a scalar Tensor, a `LossScale`, or one of MindSpore's update cells
            (`nn.DynamicLossScaleUpdateCell`, `nn.FixedLossScaleUpdateCell`, both of which skip overflows).
        ema, ema_decay: Keep exponential moving averages of the parameters, as `ModelEMA` does, with this decay.
        clip_grad, clip_value: Clip the gradients to this global norm.
        gradient_accumulation_steps: Calls whose gradients are averaged into one update.
    """

    def __init__(
        self, network: nn.Cell, optimizer: nn.Optimizer, scale_sense=1.0, ema: bool = False, ema_decay: float = 0.9999,
        clip_grad: bool = False, clip_value: float = 15.0, gradient_accumulation_steps: int = 1,
    ):  # fmt: skip
        _take_every_nth_rate(optimizer, gradient_accumulation_steps)
        is_parallel = ms.get_auto_parallel_context("parallel_mode") == "data_parallel"
        super().__init__(
            None, None, optimizer, _loss_scale(scale_sense), gradient_accumulation_steps,
            clip_norm=clip_value if clip_grad else None,
            workers=ms.get_auto_parallel_context("device_num") if is_parallel else 1,
            ema=ModelEMA(network.get_parameters(), ema_decay) if ema else None,
        )  # fmt: skip
        self.network = network

    def scaled_loss(self, images: Tensor, labels: Tensor) -> Tensor:
        """Return the network's loss times the loss scale, a scalar."""
        return self.network(images, labels) * self.loss_scale.factor()


class _EveryNth(nn.Cell):
    """The learning rate of every `interval`-th step of a schedule."""

    def __init__(self, schedule: nn.Cell, interval: int):
        super().__init__(auto_prefix=False)
        self.schedule = schedule
        self.interval = interval

    def construct(self, update: Tensor) -> Tensor:
        return self.schedule(update * self.interval + (self.interval - 1))


def _take_every_nth_rate(optimizer: nn.Optimizer, interval: int) -> None:
    """Let `optimizer`, which counts updates, take learning rates of a schedule that has one per call, in place."""
    if interval > 1 and optimizer.dynamic_lr:
        schedules = optimizer.learning_rate if optimizer.is_group_lr else [optimizer.learning_rate]
        sparse = [_EveryNth(schedule, interval) for schedule in schedules]
        optimizer.learning_rate = nn.CellList(sparse, auto_prefix=False) if optimizer.is_group_lr else sparse[0]


def _loss_scale(scale_sense) -> LossScale:
    """Return `scale_sense`, see `TrainStep`, as a `LossScale`."""
    if isinstance(scale_sense, LossScale):
        return scale_sense
    if isinstance(scale_sense, nn.DynamicLossScaleUpdateCell):
        return LossScale(float(scale_sense.loss_scale_value), dynamic=True, window=scale_sense.scale_window)
    if isinstance(scale_sense, nn.FixedLossScaleUpdateCell):
        return LossScale(float(scale_sense.loss_scale_value), skips_overflow=True)
    return LossScale(float(scale_sense.asnumpy().item() if isinstance(scale_sense, Tensor) else scale_sense))

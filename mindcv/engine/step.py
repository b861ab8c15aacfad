"""One training step as one cell, for MindSpore to compile whole."""

from dataclasses import dataclass

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor, nn, ops

from mindcv.device import has_fused_kernels
from mindcv.engine.ema import ModelEMA
from mindcv.engine.loss_scale import LossScale


@dataclass(frozen=True)
class StepStats:
    """What the device noted of an epoch's calls of `TrainStep` so far; one that failed was not finite.

    Attributes:
        loss_sum: Of the calls that did not fail.
        good: How many these are.
        last_loss: The last one's loss, or that of an epoch before; NaN before the first.
        in_a_row: Failed calls since the last update, in epochs before too.
        failed: Failed calls in all.
        gave_up_at: The call, from 1, at which more had failed in a row than are tolerated; 0: none.
        stop: How many workers wish to stop.
        norm_sum: Of the updates' gradients, each norm before clipping, where it is finite.
        norms: How many these are.
    """

    loss_sum: float
    good: int
    last_loss: float
    in_a_row: int
    failed: int
    gave_up_at: int
    stop: int
    norm_sum: float
    norms: int

    @property
    def mean_loss(self) -> float:
        return self.loss_sum / self.good if self.good else float("nan")

    @property
    def mean_norm(self) -> float | None:
        """The mean of the gradients' global norms; None before the first."""
        return self.norm_sum / self.norms if self.norms else None


class TrainStep(nn.Cell):
    """Loss, gradients, their mean over the workers, scale, accumulation and clipping, and the optimizer's update.

    What is to be known of the calls is noted on the device (`read_stats`), so that looking at it is the only time the
    host waits for the device.

    Args:
        model: Images (B, C, H, W) to logits.
        loss: `loss(logits, labels)` to a scalar.
        optimizer: Called with the gradients of `optimizer.parameters`.
        loss_scale: The loss is multiplied by it before the gradients are taken, and they are divided by it. As a
            `LossScale` it may change, and tell that updates of gradients that overflow are left out.
        accumulation: Calls whose gradients are averaged into one update.
        clip_norm: Limit of the gradients' global norm; None for no limit.
        clip_value: Limit of each number in the gradients; None for no limit.
        workers: How many workers average their gradients.
        skip_nonfinite: Calls in a row, without an update between, that may fail, by a loss or by gradients that are
            not finite: no update is made of them.
        averages: Follow the weights after each update; None for no averages.
    """

    def __init__(
        self,
        model: nn.Cell,
        loss: nn.Cell,
        optimizer: nn.Optimizer,
        loss_scale: float | LossScale = 1.0,
        accumulation: int = 1,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        workers: int = 1,
        skip_nonfinite: int = 0,
        averages: ModelEMA | None = None,
    ):
        super().__init__(auto_prefix=False)
        self.model = model
        self.loss = loss
        self.optimizer = optimizer
        self.loss_scale = loss_scale if isinstance(loss_scale, LossScale) else LossScale(loss_scale)
        self.accumulation = accumulation
        self.clip_norm = clip_norm
        self.clip_value = clip_value
        self.workers = workers
        self.skip_nonfinite = skip_nonfinite
        self.averages = averages
        self.scales = self.loss_scale.dynamic or self.loss_scale.start * accumulation != 1 or clip_norm is not None
        self.leaves_out = skip_nonfinite > 0 or self.loss_scale.drops
        self.hyper_map = ops.HyperMap()
        self.sum_of_squares = _sum_of_squares if has_fused_kernels() else _sum_of_squares_as_product
        self.stats = Parameter(Tensor(_NO_NOTES), name="notes", requires_grad=False)
        self.stop_flag = Parameter(Tensor(0.0, ms.float32), name="wish", requires_grad=False)
        self.gradients_of = ms.value_and_grad(self.scaled_loss, None, optimizer.parameters)
        if workers > 1:
            self.sum_over_workers = ops.AllReduce()
            self.mean_over_workers = nn.DistributedGradReducer(optimizer.parameters, mean=True, degree=workers)
        if accumulation > 1:
            self.sums = optimizer.parameters.clone(prefix="accumulated", init="zeros")
            self.calls = Parameter(Tensor(0, ms.int32), name="accumulated_calls", requires_grad=False)

    def state_parameters(self) -> dict[str, Parameter]:
        """What is carried from one call to the next, beside the model's and the optimizer's."""
        carried = [self.stats]
        if self.accumulation > 1:
            carried += [*self.sums, self.calls]
        if self.loss_scale.drops:
            carried.append(self.loss_scale.state)
        if self.averages is not None:
            carried.append(self.averages.updates)
        return {parameter.name: parameter for parameter in carried}

    def read_stats(self) -> StepStats:
        """What was noted since the epoch began. The host waits for the device here."""
        loss_sum, good, last_loss, *counts, norm_sum, norms = self.stats.asnumpy().tolist()
        return StepStats(loss_sum, int(good), last_loss, *(int(count) for count in counts), norm_sum, int(norms))

    def reset_stats(self) -> None:
        """Begin an epoch's notes. The last loss and the failed calls in a row are the run's."""
        notes = _NO_NOTES.copy()
        notes[2:4] = self.stats.asnumpy()[2:4]
        self.stats.set_data(Tensor(notes))

    def scaled_loss(self, images: Tensor, labels: Tensor) -> Tensor:
        return self.loss(self.model(images), labels) * self.loss_scale.factor()

    def construct(self, images: Tensor, labels: Tensor) -> Tensor:
        """One call on images (B, C, H, W) and labels, (B,) or (B, classes): the loss, a mean over the workers."""
        loss, gradients = self.gradients_of(images, labels)
        loss, stop = loss / self.loss_scale.factor(), self.stop_flag * 1
        if self.workers > 1:
            gradients = self.mean_over_workers(gradients)  # each call's, so that all workers' sums are the one's saved
            loss, stop = ops.unstack(self.sum_over_workers(ops.stack([loss / self.workers, stop])))
        if self.accumulation == 1:
            updated, made, norm = self.update(gradients)
        else:
            updated, norm = ops.isfinite(loss), ops.zeros_like(loss)
            made = ops.zeros_like(updated)
            self.hyper_map(ops.assign_add, self.sums, gradients)
            ops.assign_add(self.calls, 1)
            if self.calls % self.accumulation == 0:
                updated, made, norm = self.update(self.sums)
                self.hyper_map(_clear, self.sums)
        self.update_stats(loss, ops.logical_and(ops.isfinite(loss), updated), made, stop, norm)
        return loss

    def update(self, gradients: tuple[Tensor, ...]) -> tuple[Tensor, Tensor, Tensor]:
        """Let the optimizer make its step.

        Returns:
            Whether this is no failure (nor is an overflow that the scale answers), whether the gradients were finite,
            and their norm before clipping.
        """
        factor = 1 / (self.loss_scale.factor() * self.accumulation)
        norm = factor * ops.sqrt(ops.addn(self.hyper_map(self.sum_of_squares, gradients)))
        finite = fine = ops.isfinite(norm)
        if self.clip_norm is not None:
            factor = factor * ops.minimum(1.0, self.clip_norm / (norm + 1e-6))
        if self.scales:
            gradients = self.hyper_map(ops.partial(_times, factor), gradients)
        if self.clip_value is not None:
            gradients = self.hyper_map(ops.partial(_limited, self.clip_value), gradients)
        if not self.leaves_out or finite:
            self.optimizer(gradients)
            if self.averages is not None:
                self.averages()
        if self.loss_scale.drops:
            fine = self.loss_scale.follow(finite)
        return fine, finite, norm

    def update_stats(self, loss: Tensor, good: Tensor, made: Tensor, stop: Tensor, norm: Tensor):
        """Bring the notes up to date, in the order of `StepStats`; a `norm` of 0 stands for none."""
        loss_sum, goods, last_loss, in_a_row, failed, gave_up_at, _stop, norm_sum, norms = ops.unstack(self.stats * 1)
        one = good.astype(ms.float32)
        in_a_row = (in_a_row + 1 - one) * (1 - ops.logical_and(good, made).astype(ms.float32))
        failed = failed + 1 - one
        goods = goods + one
        gives_up = ops.logical_and(in_a_row > self.skip_nonfinite, gave_up_at == 0)
        counts = ops.logical_and(ops.isfinite(norm), norm > 0)
        notes = [
            loss_sum + ops.where(good, loss, ops.zeros_like(loss)),
            goods,
            ops.where(good, loss, last_loss),
            in_a_row,
            failed,
            ops.where(gives_up, goods + failed, gave_up_at),
            stop,
            norm_sum + ops.where(counts, norm, ops.zeros_like(norm)),
            norms + counts.astype(ms.float32),
        ]
        ops.assign(self.stats, ops.stack(notes))


_NO_NOTES = np.array([0, 0, np.nan, 0, 0, 0, 0, 0, 0], np.float32)


def _clear(parameter: Parameter) -> Tensor:
    return ops.assign(parameter, ops.zeros_like(parameter))


def _sum_of_squares(x: Tensor) -> Tensor:
    return (x * x).sum()


def _sum_of_squares_as_product(x: Tensor) -> Tensor:
    row = x.reshape(1, -1)
    return ops.matmul(row, row.swapaxes(0, 1)).reshape(())


def _limited(limit: float, x: Tensor) -> Tensor:
    return ops.clamp(x, -limit, limit)


def _times(factor, x: Tensor) -> Tensor:
    return x * factor

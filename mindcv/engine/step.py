"""One training step as a single cell, compiled as one graph."""

import mindspore as ms
from mindspore import Parameter, Tensor, nn, ops

from mindcv.device import has_fused_kernels
from mindcv.engine.ema import ModelEMA
from mindcv.engine.logits import require_logits
from mindcv.engine.loss_scale import LossScale
from mindcv.engine.stats import DeviceStats
from mindcv.graph import CompiledCell
from mindcv.optim.lamb import sum_of_squares


class TrainStep(CompiledCell):
    """One training step: loss, gradients, their mean over the workers, clipping, and the optimizer's update.

    Statistics of the steps stay on the device in `stats`; the host waits for the device only when it reads them.

    Args:
        model: Maps images (B, C, H, W) to logits, of its attribute `num_classes` if it has one.
        loss: `loss(logits, labels)` returns a scalar.
        optimizer: Called with the gradients of `optimizer.parameters`, times the loss scale that it divides out itself
            (1 unless it was created with one).
        loss_scale: Factor of the loss, divided out of the gradients again; a number, or a `LossScale` that may change
            and may skip updates whose gradients overflow.
        accumulation: Steps whose gradients are averaged into one update.
        clip_norm: Limit of the gradients' global norm; None for no limit.
        clip_value: Limit of the absolute value of each gradient element; None for no limit.
        workers: Number of workers that average their gradients.
        skip_nonfinite: Steps in a row that may fail, by a loss or gradients that are not finite. Failed steps do not
            update the weights.
        ema: Moving averages that follow the weights after each update; None for no averages.
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
        ema: ModelEMA | None = None,
    ):
        super().__init__(auto_prefix=False)
        self.model = model
        self.num_classes = getattr(model, "num_classes", None)
        self.rng_state = getattr(model, "rng_state", None)  # hidden in the model; a kept graph finds it here
        self.loss = loss
        self.optimizer = optimizer
        self.loss_scale = loss_scale if isinstance(loss_scale, LossScale) else LossScale(loss_scale)
        self.accumulation = accumulation
        self.clip_norm = clip_norm
        self.clip_value = clip_value
        self.workers = workers
        self.skip_nonfinite = skip_nonfinite
        self.ema = ema
        self.stats = DeviceStats(tolerated_failures=skip_nonfinite)
        self.stop_request = Parameter(Tensor(0.0, ms.float32), name="wish", requires_grad=False)
        self.optimizer_scale = float(optimizer.loss_scale)
        self.scales_gradients = (
            self.loss_scale.dynamic
            or self.loss_scale.start * accumulation != 1
            or clip_norm is not None
            or self.optimizer_scale != 1
        )
        self.skips_updates = skip_nonfinite > 0 or self.loss_scale.skips_overflow
        self.hyper_map = ops.HyperMap()
        self.sum_of_squares = sum_of_squares if has_fused_kernels() else _sum_of_squares_as_product
        self.loss_and_gradients = ms.value_and_grad(self.scaled_loss, None, optimizer.parameters)
        if workers > 1:
            self.sum_over_workers = ops.AllReduce()
            self.mean_over_workers = nn.DistributedGradReducer(optimizer.parameters, mean=True, degree=workers)
        if accumulation > 1:
            self.gradient_sums = optimizer.parameters.clone(prefix="accumulated", init="zeros")
            self.accumulated = Parameter(Tensor(0, ms.int32), name="accumulated_calls", requires_grad=False)

    def state_parameters(self) -> dict[str, Parameter]:
        """Return what a checkpoint must keep of this step, by name, besides model, optimizer and moving averages.

        These are the statistics and, where they are used, the sums of gradients, the loss scale and the averages'
        number of updates: the parameters themselves, not copies.
        """
        state = [self.stats.values]
        if self.accumulation > 1:
            state += [*self.gradient_sums, self.accumulated]
        if self.loss_scale.skips_overflow:
            state.append(self.loss_scale.state)
        if self.ema is not None:
            state.append(self.ema.updates)
        return {parameter.name: parameter for parameter in state}

    def request_stop(self) -> None:
        """Let the other workers know, with the next step's statistics, that this worker received a stop signal.

        They find it in `stats.read().stop_requests`. It is not withdrawn.
        """
        self.stop_request.set_data(Tensor(1.0, ms.float32))

    def scaled_loss(self, images: Tensor, labels: Tensor) -> Tensor:
        """Return the loss of a batch times the loss scale, a scalar."""
        logits = require_logits(self.model(images), self.num_classes)
        return self.loss(logits, labels) * self.loss_scale.factor()

    def construct(self, images: Tensor, labels: Tensor) -> Tensor:
        """Make one step and return its loss, a scalar without the loss scale, a mean over the workers.

        The weights change in every step, or with accumulation in every `accumulation`-th. That a loss or gradients are
        not finite raises no error; `stats` records it. All workers must call it.

        Args:
            images: (B, C, H, W).
            labels: Class indices (B,) or soft labels (B, classes).
        """
        loss, gradients = self.loss_and_gradients(images, labels)
        loss, stop_requests = loss / self.loss_scale.factor(), self.stop_request * 1
        if self.workers > 1:
            # Every step's gradients are averaged, not every update's: the accumulated sums are then equal on all
            # workers, and a checkpoint of one worker holds them.
            gradients = self.mean_over_workers(gradients)
            loss, stop_requests = ops.unstack(self.sum_over_workers(ops.stack([loss / self.workers, stop_requests])))
        if self.accumulation == 1:
            succeeded, updated, grad_norm = self.update(gradients)
        else:
            succeeded, grad_norm = ops.isfinite(loss), ops.zeros_like(loss)
            updated = ops.zeros_like(succeeded)
            self.hyper_map(ops.assign_add, self.gradient_sums, gradients)
            ops.assign_add(self.accumulated, 1)
            if self.accumulated % self.accumulation == 0:
                succeeded, updated, grad_norm = self.update(self.gradient_sums)
                self.hyper_map(ops.partial(_clear, ops.zeros_like(loss)), self.gradient_sums)
        self.stats(loss, ops.logical_and(ops.isfinite(loss), succeeded), updated, stop_requests, grad_norm)
        return loss

    def update(self, gradients: tuple[Tensor, ...]) -> tuple[Tensor, Tensor, Tensor]:
        """Unscale and clip the gradients and update the weights with them, then the moving averages and the loss scale.

        The norm is clipped before the single elements. Gradients that are not finite update neither weights nor moving
        averages if `skip_nonfinite` is above 0 or the loss scale skips overflows; otherwise they do.

        Args:
            gradients: Gradients of the scaled loss by each of `optimizer.parameters`: means over the workers, and sums,
                not means, over the steps of an accumulation.

        Returns:
            Whether the update succeeded (an overflow that the loss scale handles counts as success) and whether the
            gradients were finite, both bool, and the unscaled gradients' global norm before clipping.
        """
        factor = 1 / (self.loss_scale.factor() * self.accumulation)
        grad_norm = factor * ops.sqrt(ops.addn(self.hyper_map(self.sum_of_squares, gradients)))
        finite = succeeded = ops.isfinite(grad_norm)
        if self.clip_norm is not None:
            factor = factor * ops.minimum(1.0, self.clip_norm / (grad_norm + 1e-6))
        if self.scales_gradients:
            gradients = self.hyper_map(ops.partial(_multiply, factor * self.optimizer_scale), gradients)
        if self.clip_value is not None:
            gradients = self.hyper_map(ops.partial(_clip, self.clip_value * self.optimizer_scale), gradients)
        if not self.skips_updates or finite:
            self.optimizer(gradients)
            if self.ema is not None:
                self.ema()
        if self.loss_scale.skips_overflow:
            succeeded = self.loss_scale.adjust(finite)
        return succeeded, finite, grad_norm


def _clear(zero: Tensor, parameter: Parameter) -> Tensor:
    # a graph would hold ops.zeros_like(parameter) as a constant of the parameter's size
    return ops.assign(parameter, ops.broadcast_to(zero, parameter.shape).astype(parameter.dtype))


def _sum_of_squares_as_product(x: Tensor) -> Tensor:
    """Return the sum of the squares, a scalar, by matrix products with ones, for a CPU.

    For the gradients of convit_tiny this takes 7 ms on one core, a product of each one, as a row, with itself 12 ms.
    """
    squares = (x * x).reshape(x.shape[0] if x.ndim > 1 else 1, -1)
    rows, columns = squares.shape
    column_sums = ops.matmul(ops.ones((1, rows), x.dtype), squares) if rows > 1 else squares
    return ops.matmul(column_sums, ops.ones((columns, 1), x.dtype)).reshape(())


def _clip(limit: float, x: Tensor) -> Tensor:
    return ops.clamp(x, -limit, limit)


def _multiply(factor, x: Tensor) -> Tensor:
    return x * factor

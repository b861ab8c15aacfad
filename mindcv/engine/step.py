"""One training step as one cell, for MindSpore to compile whole."""

import mindspore as ms
from mindspore import Parameter, Tensor, nn, ops


class TrainStep(nn.Cell):
    """Loss, gradients, their scale, accumulation and clipping, and the optimizer's update.

    Sums of the losses stay on the device, so that looking at them is the only time the host waits for it; once a loss
    is not finite, neither is the sum.

    Args:
        model: Images (B, C, H, W) to logits.
        loss: `loss(logits, labels)` to a scalar.
        optimizer: Called with the gradients of `optimizer.parameters`.
        loss_scale: The loss is multiplied by it before the gradients are taken, and they are divided by it.
        accumulation: Calls whose gradients are averaged into one update.
        clip_norm: Limit of the gradients' global norm; None for no limit.
    """

    def __init__(
        self,
        model: nn.Cell,
        loss: nn.Cell,
        optimizer: nn.Optimizer,
        loss_scale: float = 1.0,
        accumulation: int = 1,
        clip_norm: float | None = None,
    ):
        super().__init__(auto_prefix=False)
        self.model = model
        self.loss = loss
        self.optimizer = optimizer
        self.loss_scale = loss_scale
        self.accumulation = accumulation
        self.clip_norm = clip_norm
        self.scales = loss_scale * accumulation != 1 or clip_norm is not None
        self.hyper_map = ops.HyperMap()
        self.loss_sum = Parameter(Tensor(0.0, ms.float32), name="loss_sum", requires_grad=False)
        self.gradients_of = ms.value_and_grad(self.scaled_loss, None, optimizer.parameters)
        if accumulation > 1:
            self.sums = optimizer.parameters.clone(prefix="accumulated", init="zeros")
            self.calls = Parameter(Tensor(0, ms.int32), name="accumulated_calls", requires_grad=False)

    def accumulated(self) -> list[Parameter]:
        """What is carried from one call to the next when gradients accumulate."""
        return [*self.sums, self.calls] if self.accumulation > 1 else []

    def scaled_loss(self, images: Tensor, labels: Tensor) -> Tensor:
        return self.loss(self.model(images), labels) * self.loss_scale

    def construct(self, images: Tensor, labels: Tensor) -> Tensor:
        """One call on images (B, C, H, W) and labels, (B,) or (B, classes): the loss."""
        loss, gradients = self.gradients_of(images, labels)
        loss = loss / self.loss_scale
        ops.assign_add(self.loss_sum, loss)
        if self.accumulation == 1:
            self.update(gradients)
        else:
            self.hyper_map(ops.assign_add, self.sums, gradients)
            ops.assign_add(self.calls, 1)
            if self.calls % self.accumulation == 0:
                self.update(self.sums)
                self.hyper_map(_clear, self.sums)
        return loss

    def update(self, gradients: tuple[Tensor, ...]):
        factor = 1 / (self.loss_scale * self.accumulation)
        if self.clip_norm is not None:
            norm = factor * ops.sqrt(ops.addn(self.hyper_map(_sum_of_squares, gradients)))
            factor = factor * ops.minimum(1.0, self.clip_norm / (norm + 1e-6))
        if self.scales:
            gradients = self.hyper_map(ops.partial(_times, factor), gradients)
        self.optimizer(gradients)


def _clear(parameter: Parameter) -> Tensor:
    return ops.assign(parameter, ops.zeros_like(parameter))


def _sum_of_squares(x: Tensor) -> Tensor:
    return (x * x).sum()


def _times(factor, x: Tensor) -> Tensor:
    return x * factor

"""RMSProp, with or without momentum."""

import math

from mindspore import ops

from mindcv.errors import require_in_range
from mindcv.optim.optimizer import Optimizer, add_l2, require_decay_rates, update_average


class RMSProp(Optimizer):
    """RMSProp (Hinton's lecture 6e, 2012), as in PyTorch: v ← decay·v + (1 - decay)·g², p ← p - lr·g / (√v + eps).

    With momentum, b ← momentum·b + g / (√v + eps) and p ← p - lr·b. MindSpore's RMSProp has eps under the root and lr
    inside b, which gives other updates as soon as lr changes.

    Args:
        params: Parameters, or dicts with "params" and optionally "lr" and "weight_decay".
        learning_rate: A number, or a sequence with one number per step.
        decay: Decay rate of v, in [0, 1).
        momentum: In [0, 1).
        eps: Added to the denominator, at least 0.
        weight_decay: L2 regularisation, added to the gradient, at least 0.
        loss_scale: Factor by which the loss was multiplied, above 0; gradients are divided by it.

    Raises:
        ValueError: An argument is out of range.
    """

    def __init__(self, params, learning_rate, decay=0.9, momentum=0.0, eps=1e-8, weight_decay=0.0, loss_scale=1.0):
        require_decay_rates(decay=decay, momentum=momentum)
        require_in_range("eps", eps, at_least=0, below=math.inf)
        slots = ("moment2", "velocity") if momentum > 0 else ("moment2",)
        super().__init__(params, learning_rate, weight_decay, loss_scale, slots)
        self.decay, self.momentum, self.eps = decay, momentum, eps

    def update(self, terms, lr, weight_decay, parameter, moment2, *velocity_and_gradient):
        """Update `parameter` and its slots v and, with momentum, b in place; `terms` is not used.

        `velocity_and_gradient` is (b, gradient), without momentum (gradient,); the gradient is unscaled, float32. `lr`
        is this step's learning rate. Nothing uses the result.
        """
        gradient = add_l2(weight_decay, parameter, velocity_and_gradient[-1])
        v = update_average(moment2, self.decay, gradient * gradient)
        direction = gradient / (ops.sqrt(v) + self.eps)
        if self.momentum > 0:
            velocity = velocity_and_gradient[0]
            direction = self.momentum * velocity + direction
            ops.assign(velocity, direction)
        return ops.assign_sub(parameter, lr * direction)

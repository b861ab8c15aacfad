"""RMSProp, with or without momentum."""

import math

from mindspore import ops

from mindcv.optim.optimizer import Optimizer, check_range, moving_average, with_l2


class RMSProp(Optimizer):
    """v ← decay·v + (1 - decay)·g², p ← p - lr·g / (√v + eps) (Hinton's lecture 6e, 2012), as PyTorch's.

    With momentum, b ← momentum·b + g / (√v + eps) and p ← p - lr·b. MindSpore's own has eps under the root
    and lr inside b, which is another path as soon as lr changes. Weight decay is L2, in the gradient g.

    Args:
        params, learning_rate, weight_decay, loss_scale: see `Optimizer`.
        decay: in [0, 1).
        momentum: in [0, 1).
        eps: at least 0.
    """

    def __init__(self, params, learning_rate, decay=0.9, momentum=0.0, eps=1e-8, weight_decay=0.0, loss_scale=1.0):
        check_range(0, 1, decay=decay, momentum=momentum)
        check_range(0, math.inf, eps=eps)
        slots = ("moment2", "velocity") if momentum > 0 else ("moment2",)
        super().__init__(params, learning_rate, weight_decay, loss_scale, slots)
        self.decay, self.momentum, self.eps = decay, momentum, eps

    def update(self, shared, rate, decay, parameter, moment2, *velocity_and_gradient):
        gradient = with_l2(decay, parameter, velocity_and_gradient[-1])
        v = moving_average(moment2, self.decay, gradient * gradient)
        direction = gradient / (ops.sqrt(v) + self.eps)
        if self.momentum > 0:
            velocity = velocity_and_gradient[0]
            direction = self.momentum * velocity + direction
            ops.assign(velocity, direction)
        return ops.assign_sub(parameter, rate * direction)

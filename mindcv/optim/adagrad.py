"""AdaGrad."""

import math

from mindspore import ops

from mindcv.optim.optimizer import Optimizer, check_range, with_l2


class Adagrad(Optimizer):
    """s ← s + g², p ← p - lr·g / (√s + eps) (Duchi et al. 2011), from s = 0, as PyTorch's.

    MindSpore's own has no eps, and so divides 0 by 0 where a gradient is 0. Weight decay is L2, in g.

    Args:
        params, learning_rate, weight_decay, loss_scale: see `Optimizer`.
        eps: over 0.
    """

    def __init__(self, params, learning_rate, eps=1e-10, weight_decay=0.0, loss_scale=1.0):
        check_range(1e-30, math.inf, eps=eps)
        super().__init__(params, learning_rate, weight_decay, loss_scale, slots=("squares",))
        self.eps = eps

    def update(self, shared, rate, decay, parameter, squares, gradient):
        gradient = with_l2(decay, parameter, gradient)
        total = squares + gradient * gradient
        ops.assign(squares, total)
        return ops.assign_sub(parameter, rate * gradient / (ops.sqrt(total) + self.eps))

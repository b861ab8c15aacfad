"""Adam with Nesterov's momentum."""

import math

import mindspore as ms
import numpy as np
from mindspore import ops

from mindcv.optim.optimizer import Optimizer, check_range, log_of, moving_average, one_minus_power, with_l2


class NAdam(Optimizer):
    """NAdam (Dozat 2016) with the momentum schedule μ_t = β1·(1 - 0.96^(t·schedule_decay) / 2), as PyTorch's.

    p ← p - lr·((1 - μ_t)·g / (1 - Πμ) + μ_{t+1}·m / (1 - Πμ·μ_{t+1})) / (√v̂ + eps) with Πμ = μ_1 ⋯ μ_t.
    Weight decay is L2, in the gradient g.

    Args:
        params, learning_rate, weight_decay, loss_scale: see `Optimizer`.
        beta1, beta2: in [0, 1).
        schedule_decay: how fast the momentum rises from β1/2 to β1, at least 0.
        eps: at least 0.
    """

    def __init__(
        self,
        params,
        learning_rate,
        beta1=0.9,
        beta2=0.999,
        schedule_decay=4e-3,
        eps=1e-8,
        weight_decay=0.0,
        loss_scale=1.0,
    ):
        check_range(0, 1, beta1=beta1, beta2=beta2)
        check_range(0, math.inf, schedule_decay=schedule_decay, eps=eps)
        super().__init__(params, learning_rate, weight_decay, loss_scale, slots=("moment1", "moment2"))
        self.beta1, self.beta2, self.schedule_decay, self.eps = beta1, beta2, schedule_decay, eps
        self.log_beta2 = log_of(beta2)
        self.momentum_product = ms.Parameter(ms.Tensor(np.float32(1)), name="momentum_product")

    def momentum(self, step):
        return self.beta1 * (1 - ops.exp(step * (self.schedule_decay * math.log(0.96))) / 2)

    def shared(self, step, gradients):
        now, later = self.momentum(step), self.momentum(step + 1)
        product = self.momentum_product * now
        ops.assign(self.momentum_product, product)
        of_gradient = (1 - now) / (1 - product)
        of_moment = later / (1 - product * later)
        return of_gradient, of_moment, ops.sqrt(one_minus_power(step, self.log_beta2))

    def update(self, shared, rate, decay, parameter, moment1, moment2, gradient):
        of_gradient, of_moment, root = shared
        gradient = with_l2(decay, parameter, gradient)
        m = moving_average(moment1, self.beta1, gradient)
        v = moving_average(moment2, self.beta2, gradient * gradient)
        step = (of_gradient * gradient + of_moment * m) / (ops.sqrt(v) / root + self.eps)
        return ops.assign_sub(parameter, rate * step)

"""Adan: Nesterov's momentum through gradient differences."""

import math

from mindspore import dtype as mstype
from mindspore import ops

from mindcv.optim.optimizer import Optimizer, check_range, log_of, moving_average, one_minus_power


class Adan(Optimizer):
    """Adan (Xie et al. 2022, algorithm 1) with bias correction, as in the authors' code and timm.

    With the difference d of this gradient g and the last (0 at the first step), the moving averages m of g
    (β1), n of d (β2) and v of (g + β2·d)² (β3), and their bias corrections,
    p ← (p - lr·(m̂ + β2·n̂) / (√v̂ + eps)) / (1 + lr·weight_decay).

    The three betas are the weights of the old values, 1 minus the paper's.

    Args:
        params, learning_rate, weight_decay, loss_scale: see `Optimizer`.
        beta1, beta2, beta3: in [0, 1).
        eps: at least 0.
        no_prox: decay as AdamW does, by (1 - lr·weight_decay) before the step, in place of the division.
    """

    def __init__(
        self,
        params,
        learning_rate,
        beta1=0.98,
        beta2=0.92,
        beta3=0.99,
        eps=1e-8,
        no_prox=False,
        weight_decay=0.0,
        loss_scale=1.0,
    ):
        check_range(0, 1, beta1=beta1, beta2=beta2, beta3=beta3)
        check_range(0, math.inf, eps=eps)
        slots = ("moment1", "difference", "moment2", "last_gradient")
        super().__init__(params, learning_rate, weight_decay, loss_scale, slots)
        self.beta1, self.beta2, self.beta3, self.eps = beta1, beta2, beta3, eps
        self.log_beta1, self.log_beta2, self.log_beta3 = log_of(beta1), log_of(beta2), log_of(beta3)
        self.no_prox = no_prox

    def shared(self, step, gradients):
        return (
            (step > 1).astype(mstype.float32),
            one_minus_power(step, self.log_beta1),
            one_minus_power(step, self.log_beta2),
            ops.sqrt(one_minus_power(step, self.log_beta3)),
        )

    def update(self, shared, rate, decay, parameter, moment1, difference, moment2, last_gradient, gradient):
        has_last, correction1, correction2, root = shared
        d = has_last * (gradient - last_gradient)
        ops.assign(last_gradient, gradient)
        m = moving_average(moment1, self.beta1, gradient) / correction1
        n = moving_average(difference, self.beta2, d) / correction2
        ahead = gradient + self.beta2 * d
        v = moving_average(moment2, self.beta3, ahead * ahead)
        step = rate * (m + self.beta2 * n) / (ops.sqrt(v) / root + self.eps)
        if self.no_prox:
            return ops.assign(parameter, (1 - rate * decay) * parameter - step)
        return ops.assign(parameter, (parameter - step) / (1 + rate * decay))

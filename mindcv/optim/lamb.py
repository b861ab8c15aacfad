"""LAMB: Adam with a trust ratio for every parameter."""

import math

from mindspore import ops

from mindcv.optim.optimizer import Optimizer, check_range, log_of, moving_average, one_minus_power


class Lamb(Optimizer):
    """LAMB (You et al. 2020, algorithm 2) with bias correction, as timm's.

    Gradients are first divided by max(1, ‖all gradients‖ / max_grad_norm). Then p ← p - lr·(‖p‖ / ‖u‖)·u with
    u = m̂ / (√v̂ + eps) + weight_decay·p. The ratio is 1 where either norm is 0, and for parameters without
    weight decay.

    Args:
        params, learning_rate, weight_decay, loss_scale: see `Optimizer`.
        beta1, beta2: in [0, 1).
        eps: at least 0.
        max_grad_norm: over 0, or None to leave the gradients' norm alone.
    """

    def __init__(
        self,
        params,
        learning_rate,
        beta1=0.9,
        beta2=0.999,
        eps=1e-6,
        max_grad_norm=1.0,
        weight_decay=0.0,
        loss_scale=1.0,
    ):
        check_range(0, 1, beta1=beta1, beta2=beta2)
        check_range(0, math.inf, eps=eps)
        if max_grad_norm is not None and not max_grad_norm > 0:
            raise ValueError(f"max_grad_norm must be over 0, or None, got {max_grad_norm}")
        super().__init__(params, learning_rate, weight_decay, loss_scale, slots=("moment1", "moment2"))
        self.beta1, self.beta2, self.eps, self.max_grad_norm = beta1, beta2, eps, max_grad_norm
        self.log_beta1, self.log_beta2 = log_of(beta1), log_of(beta2)

    def shared(self, step, gradients):
        share = 1.0
        if self.max_grad_norm is not None:
            norm = ops.sqrt(ops.addn(self.hyper_map(self.square_sum, gradients)))
            share = self.max_grad_norm / ops.maximum(norm, self.max_grad_norm)
        root = ops.sqrt(one_minus_power(step, self.log_beta2))
        return share, one_minus_power(step, self.log_beta1), root

    def update(self, shared, rate, decay, parameter, moment1, moment2, gradient):
        share, correction1, root = shared
        gradient = gradient * share
        m = moving_average(moment1, self.beta1, gradient)
        v = moving_average(moment2, self.beta2, gradient * gradient)
        step = m / correction1 / (ops.sqrt(v) / root + self.eps)
        if decay > 0:
            step = step + decay * parameter
            weight_norm, step_norm = ops.sqrt(self.square_sum(parameter)), ops.sqrt(self.square_sum(step))
            either_is_0 = ops.logical_or(weight_norm == 0, step_norm == 0)
            rate = rate * ops.where(either_is_0, ops.ones_like(step_norm), weight_norm / step_norm)
        return ops.assign_sub(parameter, rate * step)

    def square_sum(self, tensor):
        return (tensor * tensor).sum()

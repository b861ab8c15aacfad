"""LAMB, Adam with a trust ratio for each parameter."""

import math

from mindspore import Tensor, ops

from mindcv.errors import require_in_range
from mindcv.optim.optimizer import Optimizer, bias_correction, require_decay_rates, safe_log, update_average


class Lamb(Optimizer):
    """LAMB (You et al. 2020, algorithm 2) with bias correction, as in timm.

    Gradients are first divided by max(1, ‖all gradients‖ / max_grad_norm). Then p ← p - lr·(‖p‖ / ‖u‖)·u with
    u = m̂ / (√v̂ + eps) + weight_decay·p. The trust ratio ‖p‖ / ‖u‖ is replaced by 1 where either norm is 0 and for
    parameters without weight decay.

    Args:
        params: Parameters, or dicts with "params" and optionally "lr" and "weight_decay".
        learning_rate: A number, or a sequence with one number per step.
        beta1, beta2: Decay rates of the first and second moment, in [0, 1).
        eps: Added to the denominator, at least 0.
        max_grad_norm: Largest norm of all gradients together, above 0; None disables clipping.
        weight_decay: Decoupled weight decay, part of u, at least 0.
        loss_scale: Factor by which the loss was multiplied, above 0; gradients are divided by it.

    Raises:
        ValueError: An argument is out of range.
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
        require_decay_rates(beta1=beta1, beta2=beta2)
        require_in_range("eps", eps, at_least=0, below=math.inf)
        if max_grad_norm is not None:
            require_in_range("max_grad_norm", max_grad_norm, above=0)
        super().__init__(params, learning_rate, weight_decay, loss_scale, slots=("moment1", "moment2"))
        self.beta1, self.beta2, self.eps, self.max_grad_norm = beta1, beta2, eps, max_grad_norm
        self.log_beta1, self.log_beta2 = safe_log(beta1), safe_log(beta2)

    def step_terms(self, step, gradients):
        """Return the factor that clips the gradients, at most 1, and the bias corrections 1 - β1ᵗ and √(1 - β2ᵗ)."""
        clip_factor = 1.0
        if self.max_grad_norm is not None:
            norm = ops.sqrt(ops.addn(self.hyper_map(sum_of_squares, gradients)))
            clip_factor = self.max_grad_norm / ops.maximum(norm, self.max_grad_norm)
        root = ops.sqrt(bias_correction(step, self.log_beta2))
        return clip_factor, bias_correction(step, self.log_beta1), root

    def update(self, terms, lr, weight_decay, parameter, moment1, moment2, gradient):
        """Update `parameter` and its moments in place; `terms` is what `step_terms` returned.

        `gradient` is unscaled, float32; `lr` is this step's learning rate. Nothing uses the result.
        """
        clip_factor, correction1, root = terms
        gradient = gradient * clip_factor
        m = update_average(moment1, self.beta1, gradient)
        v = update_average(moment2, self.beta2, gradient * gradient)
        step = m / correction1 / (ops.sqrt(v) / root + self.eps)
        if weight_decay > 0:
            step = step + weight_decay * parameter
            weight_norm, step_norm = ops.sqrt(sum_of_squares(parameter)), ops.sqrt(sum_of_squares(step))
            either_is_0 = ops.logical_or(weight_norm == 0, step_norm == 0)
            lr = lr * ops.where(either_is_0, ops.ones_like(step_norm), weight_norm / step_norm)
        return ops.assign_sub(parameter, lr * step)


def sum_of_squares(x: Tensor) -> Tensor:
    """Return the sum of the squares of all elements, a scalar."""
    return (x * x).sum()

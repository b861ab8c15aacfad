"""Adan, Nesterov momentum from differences of gradients."""

import math

from mindspore import dtype as mstype
from mindspore import ops

from mindcv.errors import require_in_range
from mindcv.optim.optimizer import Optimizer, bias_correction, require_decay_rates, safe_log, update_average


class Adan(Optimizer):
    """Adan (Xie et al. 2022, algorithm 1) with bias correction, as in the authors' code and timm.

    With the gradient g, its difference d from the last one (0 at the first step), and the moving averages m of g (β1),
    n of d (β2) and v of (g + β2·d)² (β3), bias-corrected to m̂, n̂ and v̂:
    p ← (p - lr·(m̂ + β2·n̂) / (√v̂ + eps)) / (1 + lr·weight_decay).

    The betas weight the old values; they are 1 minus the paper's.

    Args:
        params: Parameters, or dicts with "params" and optionally "lr" and "weight_decay".
        learning_rate: A number, or a sequence with one number per step.
        beta1, beta2, beta3: Decay rates of the moving averages m, n and v, in [0, 1).
        eps: Added to the denominator, at least 0.
        no_prox: Decay as AdamW does, by (1 - lr·weight_decay) before the step, instead of dividing after it.
        weight_decay: Decoupled weight decay, multiplied by the learning rate, at least 0.
        loss_scale: Factor by which the loss was multiplied, above 0; gradients are divided by it.

    Raises:
        ValueError: An argument is out of range.
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
        require_decay_rates(beta1=beta1, beta2=beta2, beta3=beta3)
        require_in_range("eps", eps, at_least=0, below=math.inf)
        slots = ("moment1", "difference", "moment2", "last_gradient")
        super().__init__(params, learning_rate, weight_decay, loss_scale, slots)
        self.beta1, self.beta2, self.beta3, self.eps = beta1, beta2, beta3, eps
        self.log_beta1, self.log_beta2, self.log_beta3 = safe_log(beta1), safe_log(beta2), safe_log(beta3)
        self.no_prox = no_prox

    def step_terms(self, step, gradients):
        """Return 0.0 at the first step, else 1.0; and the bias corrections 1 - β1ᵗ, 1 - β2ᵗ and √(1 - β3ᵗ)."""
        return (
            (step > 1).astype(mstype.float32),
            bias_correction(step, self.log_beta1),
            bias_correction(step, self.log_beta2),
            ops.sqrt(bias_correction(step, self.log_beta3)),
        )

    def update(self, terms, lr, weight_decay, parameter, moment1, difference, moment2, last_gradient, gradient):
        """Update `parameter` and its slots m, n, v and last gradient in place; `terms` is what `step_terms` returned.

        `gradient` is unscaled, float32; `lr` is this step's learning rate. Nothing uses the result.
        """
        has_last, correction1, correction2, root = terms
        d = has_last * (gradient - last_gradient)
        ops.assign(last_gradient, gradient)
        m = update_average(moment1, self.beta1, gradient) / correction1
        n = update_average(difference, self.beta2, d) / correction2
        extrapolated = gradient + self.beta2 * d
        v = update_average(moment2, self.beta3, extrapolated * extrapolated)
        step = lr * (m + self.beta2 * n) / (ops.sqrt(v) / root + self.eps)
        if self.no_prox:
            return ops.assign(parameter, (1 - lr * weight_decay) * parameter - step)
        return ops.assign(parameter, (parameter - step) / (1 + lr * weight_decay))

"""NAdam, Adam with Nesterov momentum."""

import math

import mindspore as ms
import numpy as np
from mindspore import ops

from mindcv.errors import require_in_range
from mindcv.optim.optimizer import Optimizer, add_l2, bias_correction, require_decay_rates, safe_log, update_average


class NAdam(Optimizer):
    """NAdam (Dozat 2016) with the momentum schedule μ_t = β1·(1 - 0.96^(t·schedule_decay) / 2), as in PyTorch.

    p ← p - lr·((1 - μ_t)·g / (1 - Πμ) + μ_{t+1}·m / (1 - Πμ·μ_{t+1})) / (√v̂ + eps) with Πμ = μ_1 ⋯ μ_t.

    Args:
        params: Parameters, or dicts with "params" and optionally "lr" and "weight_decay".
        learning_rate: A number, or a sequence with one number per step.
        beta1, beta2: Decay rates of the first and second moment, in [0, 1).
        schedule_decay: How fast the momentum rises from β1 / 2 to β1, at least 0.
        eps: Added to the denominator, at least 0.
        weight_decay: L2 regularisation, added to the gradient, at least 0.
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
        schedule_decay=4e-3,
        eps=1e-8,
        weight_decay=0.0,
        loss_scale=1.0,
    ):
        require_decay_rates(beta1=beta1, beta2=beta2)
        require_in_range("schedule_decay", schedule_decay, at_least=0, below=math.inf)
        require_in_range("eps", eps, at_least=0, below=math.inf)
        super().__init__(params, learning_rate, weight_decay, loss_scale, slots=("moment1", "moment2"))
        self.beta1, self.beta2, self.schedule_decay, self.eps = beta1, beta2, schedule_decay, eps
        self.log_beta2 = safe_log(beta2)
        self.momentum_product = ms.Parameter(ms.Tensor(np.float32(1)), name="momentum_product")

    def momentum(self, step):
        """Return the momentum μ_t of the step t = `step`, from 1, a float32 scalar tensor."""
        return self.beta1 * (1 - ops.exp(step * (self.schedule_decay * math.log(0.96))) / 2)

    def step_terms(self, step, gradients):
        """Return the factors of g and of m in the step, and √(1 - β2ᵗ); multiply the state Πμ by this step's μ."""
        momentum, next_momentum = self.momentum(step), self.momentum(step + 1)
        product = self.momentum_product * momentum
        ops.assign(self.momentum_product, product)
        gradient_factor = (1 - momentum) / (1 - product)
        moment_factor = next_momentum / (1 - product * next_momentum)
        return gradient_factor, moment_factor, ops.sqrt(bias_correction(step, self.log_beta2))

    def update(self, terms, lr, weight_decay, parameter, moment1, moment2, gradient):
        """Update `parameter` and its moments in place; `terms` is what `step_terms` returned.

        `gradient` is unscaled, float32; `lr` is this step's learning rate. Nothing uses the result.
        """
        gradient_factor, moment_factor, root = terms
        gradient = add_l2(weight_decay, parameter, gradient)
        m = update_average(moment1, self.beta1, gradient)
        v = update_average(moment2, self.beta2, gradient * gradient)
        step = (gradient_factor * gradient + moment_factor * m) / (ops.sqrt(v) / root + self.eps)
        return ops.assign_sub(parameter, lr * step)

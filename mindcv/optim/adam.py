"""Adam and AdamW: one update, two places for the weight decay."""

import math

import mindspore as ms
import numpy as np
from mindspore import ops

from mindcv.optim.optimizer import Optimizer, check_range


class Adam(Optimizer):
    """Adam (Kingma & Ba 2015, algorithm 1), as PyTorch computes it; weight decay is L2, in the gradient.

    p ← p - lr·m̂ / (√v̂ + eps), with m̂ = m / (1 - β1ᵗ) and v̂ = v / (1 - β2ᵗ). It runs on MindSpore's fused Adam
    kernel, which knows no corrected v̂: the rate √(1 - β2ᵗ) / (1 - β1ᵗ) and eps·√(1 - β2ᵗ) make the two equal.

    Args:
        params, learning_rate, weight_decay, loss_scale: see `Optimizer`.
        beta1, beta2: decay of the first and second moment, in [0, 1).
        eps: at least 0.
    """

    decoupled = False

    def __init__(
        self, params, learning_rate, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.0, loss_scale=1.0
    ):
        check_range(0, 1, beta1=beta1, beta2=beta2)
        check_range(0, math.inf, eps=eps)
        super().__init__(params, learning_rate, weight_decay, loss_scale)
        self.beta1, self.beta2, self.eps = beta1, beta2, eps
        self.log_beta1, self.log_beta2 = log_float32(beta1), log_float32(beta2)
        self.moment1 = self.slot("moment1")
        self.moment2 = self.slot("moment2")
        self.adam = ops.Adam()

    @ms.jit
    def construct(self, gradients):
        rates, gradients = self.begin(gradients)
        step = self.step()
        if not self.decoupled:
            gradients = self.with_l2(gradients)
        root = ops.sqrt(-ops.expm1(step * self.log_beta2))
        correction = root / -ops.expm1(step * self.log_beta1)
        update = ops.partial(
            _update, self.adam, self.decoupled, self.beta1, self.beta2, self.eps * root, correction
        )
        return self.hyper_map(
            update, rates, self.decays, self.parameters, self.moment1, self.moment2, gradients
        )


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019, algorithm 2), as in PyTorch.

    p ← (1 - lr·weight_decay)·p comes before Adam's update, whose moments see the bare gradient.
    """

    decoupled = True


def _update(adam, decoupled, beta1, beta2, eps, correction, rate, decay, parameter, m, v, gradient):
    if decoupled and decay > 0:
        ops.assign(parameter, parameter * (1 - rate * decay))
    # beta powers of 0: the bias correction is in the rate already
    return adam(parameter, m, v, 0.0, 0.0, rate * correction, beta1, beta2, eps, gradient)


def log_float32(beta: float) -> float:
    """ln of beta as float32 kernels see it: 1 - βᵗ = -expm1(t·ln β) then agrees with their moments."""
    return math.log(np.float32(beta)) if beta > 0 else -math.inf

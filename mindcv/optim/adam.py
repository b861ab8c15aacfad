"""Adam and AdamW: one update, two places for the weight decay."""

import math

import numpy as np
from mindspore import ops

from mindcv.optim.optimizer import Optimizer, check_range, log_of, one_minus_power, with_l2


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

    def __init__(self, params, learning_rate, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.0, loss_scale=1.0):
        check_range(0, 1, beta1=beta1, beta2=beta2)
        check_range(0, math.inf, eps=eps)
        super().__init__(params, learning_rate, weight_decay, loss_scale, slots=("moment1", "moment2"))
        self.beta1, self.beta2, self.eps = beta1, beta2, eps
        # of β as the float32 kernel has it: 1 - βᵗ then agrees with its moments
        self.log_beta1, self.log_beta2 = (log_of(float(np.float32(beta))) for beta in (beta1, beta2))
        self.adam = ops.Adam()

    def shared(self, step, gradients):
        root = ops.sqrt(one_minus_power(step, self.log_beta2))
        return root / one_minus_power(step, self.log_beta1), self.eps * root

    def update(self, shared, rate, decay, parameter, moment1, moment2, gradient):
        if not self.decoupled:
            gradient = with_l2(decay, parameter, gradient)
        elif decay > 0:
            ops.assign(parameter, parameter * (1 - rate * decay))
        correction, eps = shared
        # beta powers of 0 keep the kernel from correcting the rate once more
        return self.adam(
            parameter, moment1, moment2, 0.0, 0.0, rate * correction, self.beta1, self.beta2, eps, gradient
        )


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019, algorithm 2), as in PyTorch.

    p ← (1 - lr·weight_decay)·p comes before Adam's update, whose moments see the bare gradient.
    """

    decoupled = True

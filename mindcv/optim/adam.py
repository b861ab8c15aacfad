"""Adam and AdamW, which differ in where the weight decay acts."""

import math

import numpy as np
from mindspore import ops

from mindcv.errors import require_in_range
from mindcv.optim.optimizer import Optimizer, add_l2, bias_correction, require_decay_rates, safe_log


class Adam(Optimizer):
    """Adam (Kingma & Ba 2015, algorithm 1), as in PyTorch: p ← p - lr·m̂ / (√v̂ + eps).

    m̂ = m / (1 - β1ᵗ) and v̂ = v / (1 - β2ᵗ) are the bias-corrected moments. MindSpore's fused Adam kernel does not
    correct v; called with the learning rate lr·√(1 - β2ᵗ) / (1 - β1ᵗ) and with eps·√(1 - β2ᵗ) it makes the same update.

    Args:
        params: Parameters, or dicts with "params" and optionally "lr" and "weight_decay".
        learning_rate: A number, or a sequence with one number per step.
        beta1, beta2: Decay rates of the first and second moment, in [0, 1).
        eps: Added to the denominator, at least 0.
        weight_decay: L2 regularisation, added to the gradient, at least 0.
        loss_scale: Factor by which the loss was multiplied, above 0; gradients are divided by it.

    Raises:
        ValueError: An argument is out of range.
    """

    decoupled = False

    def __init__(self, params, learning_rate, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.0, loss_scale=1.0):
        require_decay_rates(beta1=beta1, beta2=beta2)
        require_in_range("eps", eps, at_least=0, below=math.inf)
        super().__init__(params, learning_rate, weight_decay, loss_scale, slots=("moment1", "moment2"))
        self.beta1, self.beta2, self.eps = beta1, beta2, eps
        # the logarithm of β rounded to float32, as in the kernel: 1 - βᵗ then matches the kernel's moments
        self.log_beta1, self.log_beta2 = (safe_log(float(np.float32(beta))) for beta in (beta1, beta2))
        self.adam = ops.Adam()

    def step_terms(self, step, gradients):
        """Return √(1 - β2ᵗ) / (1 - β1ᵗ), the factor of the learning rate, and eps·√(1 - β2ᵗ), for t = `step`."""
        root = ops.sqrt(bias_correction(step, self.log_beta2))
        return root / bias_correction(step, self.log_beta1), self.eps * root

    def group_terms(self, terms, lr, weight_decay):
        """Return the kernel's learning rate and the weight decay, for AdamW the factor that decays parameters instead.

        The factor is None if the weight decay is 0.
        """
        correction, _eps = terms
        decay = weight_decay
        if self.decoupled:
            decay = 1 - lr * weight_decay if weight_decay > 0 else None
        return lr * correction, decay

    def update(self, terms, kernel_lr, decay, parameter, moment1, moment2, gradient):
        """Update `parameter` and its moments in place; `terms` is what `step_terms` returned.

        `gradient` is unscaled, float32; `kernel_lr` and `decay` are what `group_terms` returned. Nothing uses the
        result.
        """
        if not self.decoupled:
            gradient = add_l2(decay, parameter, gradient)
        elif decay is not None:
            ops.assign(parameter, parameter * decay)
        _correction, eps = terms
        # with beta powers of 0 the kernel does not correct the learning rate a second time
        return self.adam(parameter, moment1, moment2, 0.0, 0.0, kernel_lr, self.beta1, self.beta2, eps, gradient)


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019, algorithm 2), as in PyTorch.

    p ← (1 - lr·weight_decay)·p, then Adam's update, whose moments do not include the decay.

    Args:
        params: Parameters, or dicts with "params" and optionally "lr" and "weight_decay".
        learning_rate: A number, or a sequence with one number per step.
        beta1, beta2: Decay rates of the first and second moment, in [0, 1).
        eps: Added to the denominator, at least 0.
        weight_decay: Decoupled weight decay, multiplied by the learning rate, at least 0.
        loss_scale: Factor by which the loss was multiplied, above 0; gradients are divided by it.

    Raises:
        ValueError: An argument is out of range.
    """

    decoupled = True

"""AdaGrad."""

import math

from mindspore import ops

from mindcv.errors import require_in_range
from mindcv.optim.optimizer import Optimizer, add_l2


class Adagrad(Optimizer):
    """AdaGrad (Duchi et al. 2011), as in PyTorch: s ← s + g², p ← p - lr·g / (√s + eps), from s = 0.

    MindSpore's AdaGrad has no eps, and so divides 0 by 0 where a gradient is 0.

    Args:
        params: Parameters, or dicts with "params" and optionally "lr" and "weight_decay".
        learning_rate: A number, or a sequence with one number per step.
        eps: Added to the denominator, at least 1e-30.
        weight_decay: L2 regularisation, added to the gradient, at least 0.
        loss_scale: Factor by which the loss was multiplied, above 0; gradients are divided by it.

    Raises:
        ValueError: An argument is out of range.
    """

    def __init__(self, params, learning_rate, eps=1e-10, weight_decay=0.0, loss_scale=1.0):
        require_in_range("eps", eps, at_least=1e-30, below=math.inf)
        super().__init__(params, learning_rate, weight_decay, loss_scale, slots=("squares",))
        self.eps = eps

    def update(self, terms, lr, weight_decay, parameter, squares, gradient):
        """Update `parameter` and `squares`, the sum of its squared gradients, in place; `terms` is not used.

        `gradient` is unscaled, float32; `lr` is this step's learning rate. Nothing uses the result.
        """
        gradient = add_l2(weight_decay, parameter, gradient)
        total = squares + gradient * gradient
        ops.assign(squares, total)
        return ops.assign_sub(parameter, lr * gradient / (ops.sqrt(total) + self.eps))

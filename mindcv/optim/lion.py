"""Lion: the sign of a momentum."""

from mindspore import ops

from mindcv.optim.optimizer import Optimizer, check_range, moving_average


class Lion(Optimizer):
    """p ← (1 - lr·weight_decay)·p - lr·sign(β1·m + (1 - β1)·g), then m ← β2·m + (1 - β2)·g.

    Chen et al. 2023, program 1. Weight decay is decoupled.

    Args:
        params, learning_rate, weight_decay, loss_scale: see `Optimizer`.
        beta1, beta2: in [0, 1).
    """

    def __init__(self, params, learning_rate, beta1=0.9, beta2=0.99, weight_decay=0.0, loss_scale=1.0):
        check_range(0, 1, beta1=beta1, beta2=beta2)
        super().__init__(params, learning_rate, weight_decay, loss_scale, slots=("moment1",))
        self.beta1, self.beta2 = beta1, beta2

    def update(self, shared, rate, decay, parameter, moment1, gradient):
        direction = ops.sign(self.beta1 * moment1 + (1 - self.beta1) * gradient)
        moving_average(moment1, self.beta2, gradient)
        return ops.assign(parameter, (1 - rate * decay) * parameter - rate * direction)

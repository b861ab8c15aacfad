"""Lion, which follows the sign of a momentum."""

from mindspore import ops

from mindcv.optim.optimizer import Optimizer, require_decay_rates, update_average


class Lion(Optimizer):
    """Lion (Chen et al. 2023, program 1).

    p ← (1 - lr·weight_decay)·p - lr·sign(β1·m + (1 - β1)·g), then m ← β2·m + (1 - β2)·g.

    Args:
        params: Parameters, or dicts with "params" and optionally "lr" and "weight_decay".
        learning_rate: A number, or a sequence with one number per step.
        beta1: Weight of the momentum in the direction of the step, in [0, 1).
        beta2: Decay rate of the momentum, in [0, 1).
        weight_decay: Decoupled weight decay, multiplied by the learning rate, at least 0.
        loss_scale: Factor by which the loss was multiplied, above 0; gradients are divided by it.

    Raises:
        ValueError: An argument is out of range.
    """

    def __init__(self, params, learning_rate, beta1=0.9, beta2=0.99, weight_decay=0.0, loss_scale=1.0):
        require_decay_rates(beta1=beta1, beta2=beta2)
        super().__init__(params, learning_rate, weight_decay, loss_scale, slots=("moment1",))
        self.beta1, self.beta2 = beta1, beta2

    def update(self, terms, lr, weight_decay, parameter, moment1, gradient):
        """Update `parameter` and its momentum m, `moment1`, in place; `terms` is not used.

        `gradient` is unscaled, float32; `lr` is this step's learning rate. Nothing uses the result.
        """
        direction = ops.sign(self.beta1 * moment1 + (1 - self.beta1) * gradient)
        update_average(moment1, self.beta2, gradient)
        return ops.assign(parameter, (1 - lr * weight_decay) * parameter - lr * direction)

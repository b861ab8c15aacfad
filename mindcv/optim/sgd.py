"""Stochastic gradient descent, plain, with momentum or with Nesterov momentum."""

from mindspore import ops

from mindcv.optim.optimizer import Optimizer, add_l2, require_decay_rates


class SGD(Optimizer):
    """SGD with momentum, plain or Nesterov (Sutskever et al. 2013): v ← momentum·v + g, then p ← p - lr·v.

    Nesterov momentum: p ← p - lr·(g + momentum·v) instead. Without momentum the optimizer keeps no state.

    Args:
        params: Parameters, or dicts with "params" and optionally "lr" and "weight_decay".
        learning_rate: A number, or a sequence with one number per step.
        momentum: In [0, 1); 0 for none.
        nesterov: Use Nesterov momentum, which needs a momentum above 0.
        weight_decay: L2 regularisation, added to the gradient, at least 0.
        loss_scale: Factor by which the loss was multiplied, above 0; gradients are divided by it.

    Raises:
        ValueError: An argument is out of range.
    """

    def __init__(self, params, learning_rate, momentum=0.0, nesterov=False, weight_decay=0.0, loss_scale=1.0):
        require_decay_rates(momentum=momentum)
        if nesterov and momentum == 0:
            raise ValueError("Nesterov momentum needs a momentum above 0, got 0")
        slots = ("velocity",) if momentum > 0 else ()
        super().__init__(params, learning_rate, weight_decay, loss_scale, slots)
        self.momentum = momentum
        self.nesterov = nesterov
        self.apply_momentum = ops.ApplyMomentum()

    def update(self, terms, lr, weight_decay, parameter, *velocity_and_gradient):
        """Update `parameter` and, with momentum, its velocity v in place; `terms` is not used.

        `velocity_and_gradient` is (v, gradient), without momentum (gradient,); the gradient is unscaled, float32. `lr`
        is this step's learning rate. Nothing uses the result.
        """
        gradient = add_l2(weight_decay, parameter, velocity_and_gradient[-1])
        if self.momentum == 0:
            return ops.assign_sub(parameter, lr * gradient)
        velocity = velocity_and_gradient[0]
        if not self.nesterov:
            return self.apply_momentum(parameter, velocity, lr, gradient, self.momentum)
        # not ApplyMomentum(use_nesterov=True), which computes plain momentum on a CPU
        updated = self.momentum * velocity + gradient
        ops.assign(velocity, updated)
        return ops.assign_sub(parameter, lr * (gradient + self.momentum * updated))

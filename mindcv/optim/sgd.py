"""Stochastic gradient descent, plain, with momentum or with Nesterov's."""

from mindspore import ops

from mindcv.optim.optimizer import Optimizer, check_range, with_l2


class SGD(Optimizer):
    """v ← momentum·v + g, p ← p - lr·v; Nesterov: p ← p - lr·(g + momentum·v) (Sutskever et al. 2013).

    Weight decay is L2: it is added to the gradient g. Without momentum there is no state.

    Args:
        params, learning_rate, weight_decay, loss_scale: see `Optimizer`.
        momentum: in [0, 1).
        nesterov: needs a momentum over 0.
    """

    def __init__(self, params, learning_rate, momentum=0.0, nesterov=False, weight_decay=0.0, loss_scale=1.0):
        check_range(0, 1, momentum=momentum)
        if nesterov and momentum == 0:
            raise ValueError("Nesterov's update needs a momentum over 0, got 0")
        slots = ("velocity",) if momentum > 0 else ()
        super().__init__(params, learning_rate, weight_decay, loss_scale, slots)
        self.momentum = momentum
        self.nesterov = nesterov
        self.apply_momentum = ops.ApplyMomentum()

    def update(self, shared, rate, decay, parameter, *velocity_and_gradient):
        gradient = with_l2(decay, parameter, velocity_and_gradient[-1])
        if self.momentum == 0:
            return ops.assign_sub(parameter, rate * gradient)
        velocity = velocity_and_gradient[0]
        if not self.nesterov:
            return self.apply_momentum(parameter, velocity, rate, gradient, self.momentum)
        # not ApplyMomentum(use_nesterov=True), which on a CPU computes plain momentum
        moved = self.momentum * velocity + gradient
        ops.assign(velocity, moved)
        return ops.assign_sub(parameter, rate * (gradient + self.momentum * moved))

"""Stochastic gradient descent, plain, with momentum or with Nesterov's."""

import mindspore as ms
from mindspore import ops

from mindcv.optim.optimizer import Optimizer, check_range


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
        super().__init__(params, learning_rate, weight_decay, loss_scale)
        self.momentum = momentum
        self.velocity = self.slot("velocity") if momentum > 0 else None
        self.nesterov = nesterov
        self.apply_momentum = ops.ApplyMomentum()

    @ms.jit
    def construct(self, gradients):
        rates, gradients = self.begin(gradients)
        gradients = self.with_l2(gradients)
        if self.velocity is None:
            return self.hyper_map(_descend, rates, self.parameters, gradients)
        if self.nesterov:
            update = ops.partial(_look_ahead, self.momentum)
        else:
            update = ops.partial(_roll, self.apply_momentum, self.momentum)
        return self.hyper_map(update, rates, self.parameters, self.velocity, gradients)


def _descend(rate, parameter, gradient):
    return ops.assign_sub(parameter, rate * gradient)


def _roll(apply_momentum, momentum, rate, parameter, velocity, gradient):
    return apply_momentum(parameter, velocity, rate, gradient, momentum)


def _look_ahead(momentum, rate, parameter, velocity, gradient):
    # not ApplyMomentum(use_nesterov=True), which on a CPU computes plain momentum
    moved = momentum * velocity + gradient
    ops.assign(velocity, moved)
    return ops.assign_sub(parameter, rate * (gradient + momentum * moved))

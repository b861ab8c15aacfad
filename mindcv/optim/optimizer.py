"""What every optimizer here shares: groups, learning rates, unscaled gradients and state to save."""

import math
from collections.abc import Iterable

import mindspore as ms
from mindspore import Parameter, nn, ops
from mindspore import dtype as mstype


class Optimizer(nn.Optimizer):
    """A step on `parameters`, called as `optimizer(gradients)` with one gradient a parameter, in their order.

    An algorithm is a subclass that says what it keeps for each parameter (its slots), what it works out once
    a step (`shared`), and how it updates one parameter (`update`). Slots are Parameters named
    `<slot>.<parameter's name>`, and whatever depends on the step's number follows from `global_step`, so that
    saving `state_parameters()` is enough for an exact resume.

    Args:
        params: Parameters, or dicts with "params" and, where they differ, "lr" and "weight_decay".
        learning_rate: a number, or one for every step.
        weight_decay: at least 0; what it does is the algorithm's own matter.
        loss_scale: what the loss was multiplied by, over 0; gradients are divided by it.
        slots: names of what is kept for each parameter, zero before the first step.
    """

    def __init__(
        self,
        params: Iterable,
        learning_rate,
        weight_decay: float = 0.0,
        loss_scale: float = 1.0,
        slots: tuple[str, ...] = (),
    ):
        groups = list(params)
        if groups and isinstance(groups[0], Parameter):
            groups = [{"params": groups}]  # ungrouped, MindSpore spares what has beta or gamma in its name
        super().__init__(learning_rate, groups, weight_decay, float(loss_scale))
        self.decays = tuple(decay / self.loss_scale for decay in self.group_weight_decay)
        for slot in slots:
            setattr(self, slot, self.parameters.clone(prefix=slot, init="zeros"))
        self.slots = tuple(getattr(self, slot) for slot in slots)
        first_of = {}  # which parameter is the first to hold each of the groups' learning rates
        for i, rate in enumerate(self.group_lr):
            first_of.setdefault(id(rate), i)
        self.rate_holders = tuple(first_of.values())
        self.rate_numbers = tuple(list(first_of).index(id(rate)) for rate in self.group_lr)

    @ms.jit
    def construct(self, gradients):
        rates = self.rates()
        self.assignadd(self.global_step, self.global_step_increase_tensor)
        step = self.global_step.astype(mstype.float32).reshape(())
        gradients = self.hyper_map(self.unscaled, gradients)
        # The rates go in by number: a tuple with one rate a parameter takes many seconds to compile.
        update = ops.partial(self.update_at, self.shared(step, gradients), rates)
        return self.hyper_map(update, self.rate_numbers, self.decays, self.parameters, *self.slots, gradients)

    def shared(self, step, gradients):
        """What the updates of all parameters need in this step: its number counts from 1."""
        return ()

    def update(self, shared, rate, decay, parameter, *slots_and_gradient):
        """Update one parameter and its slots from its gradient, learning rate and weight decay (a float)."""
        raise NotImplementedError

    def update_at(self, shared, rates, number, decay, parameter, *slots_and_gradient):
        return self.update(shared, rates[number], decay, parameter, *slots_and_gradient)

    def rates(self):
        """The groups' different learning rates in this step."""
        rates = ()
        for i in self.rate_holders:
            rate = self.learning_rate[i] if self.is_group_lr else self.learning_rate
            rates += (rate(self.global_step).reshape(()) if self.dynamic_lr else rate,)
        return rates

    def unscaled(self, gradient):
        gradient = gradient.astype(mstype.float32)
        return gradient * self.reciprocal_scale if self.need_scale else gradient

    def state_parameters(self) -> dict[str, Parameter]:
        """What a checkpoint must hold beside the model's own parameters to go on exactly, by name."""
        mine = {id(parameter) for parameter in self.parameters}
        return {
            name: parameter
            for name, parameter in self.parameters_dict().items()
            if id(parameter) not in mine and not name.startswith("learning_rate")
        }


def with_l2(decay: float, parameter, gradient):
    """The gradient of the loss plus decay/2 · ‖parameter‖²."""
    return gradient + decay * parameter if decay > 0 else gradient


def moving_average(average, beta: float, value):
    """β·average + (1 - β)·value, assigned to `average` and returned."""
    moved = average + (1 - beta) * (value - average)
    ops.assign(average, moved)
    return moved


def one_minus_power(step, log_beta: float):
    """1 - βᵗ from t = `step` and ln β, without the cancellation that 1 - βᵗ in float32 suffers at small t."""
    return -ops.expm1(step * log_beta)


def log_of(beta: float) -> float:
    """ln β, with ln 0 = -∞."""
    return math.log(beta) if beta > 0 else -math.inf


def check_range(low: float, high: float, **values: float) -> None:
    """Raise ValueError for the first value outside [low, high)."""
    for name, value in values.items():
        if not low <= value < high:
            wanted = f"at least {low}" if high == math.inf else f"in [{low}, {high})"
            raise ValueError(f"{name} must be {wanted}, got {value}")

"""What every optimizer here shares: groups, learning rates, unscaled gradients and state to save."""

from collections.abc import Iterable

from mindspore import Parameter, nn, ops
from mindspore import dtype as mstype


class Optimizer(nn.Optimizer):
    """A step on `parameters`, called as `optimizer(gradients)` with one gradient a parameter, in their order.

    A subclass keeps its state in Parameters named `<slot>.<parameter's name>` and derives whatever depends on
    the step's number from `global_step`, so that saving `state_parameters()` is enough for an exact resume.

    Args:
        params: Parameters, or dicts with "params" and, where they differ, "lr" and "weight_decay".
        learning_rate: a number, or one for every step.
        weight_decay: at least 0; what it does is the algorithm's own matter.
        loss_scale: what the loss was multiplied by, over 0; gradients are divided by it.
    """

    def __init__(self, params: Iterable, learning_rate, weight_decay: float = 0.0, loss_scale: float = 1.0):
        groups = list(params)
        if groups and isinstance(groups[0], Parameter):
            groups = [
                {"params": groups}
            ]  # ungrouped, MindSpore would spare whatever has beta or gamma in its name
        super().__init__(learning_rate, groups, weight_decay, float(loss_scale))
        self.decays = tuple(decay / self.loss_scale for decay in self.group_weight_decay)

    def begin(self, gradients):
        """Open a step: every parameter's learning rate in it, and the gradients unscaled, in float32."""
        rates = self.get_lr()
        if not self.is_group_lr:
            rates = (rates,) * self.param_length
        self.assignadd(self.global_step, self.global_step_increase_tensor)
        unscaled = ops.partial(_unscaled, self.need_scale, self.reciprocal_scale)
        return rates, self.hyper_map(unscaled, gradients)

    def step(self):
        """The number of the step that `begin` opened, from 1, in float32."""
        return self.global_step.astype(mstype.float32).reshape(())

    def with_l2(self, gradients):
        """The gradients of the loss plus decay/2 · ‖parameter‖²."""
        return self.hyper_map(_with_l2, self.decays, self.parameters, gradients)

    def slot(self, name: str):
        """A zero of each parameter's shape, saved as `name.<parameter's name>`."""
        return self.parameters.clone(prefix=name, init="zeros")

    def state_parameters(self) -> dict[str, Parameter]:
        """What a checkpoint must hold beside the model's own parameters to go on exactly, by name."""
        mine = {id(parameter) for parameter in self.parameters}
        return {
            name: parameter
            for name, parameter in self.parameters_dict().items()
            if id(parameter) not in mine and not name.startswith("learning_rate")
        }


def _unscaled(scaled, reciprocal, gradient):
    gradient = gradient.astype(mstype.float32)
    return gradient * reciprocal if scaled else gradient


def _with_l2(decay, parameter, gradient):
    return gradient + decay * parameter if decay > 0 else gradient


def check_range(low: float, high: float, **values: float) -> None:
    """Raise ValueError for the first value outside [low, high)."""
    for name, value in values.items():
        if not low <= value < high:
            wanted = f"at least {low}" if high == float("inf") else f"in [{low}, {high})"
            raise ValueError(f"{name} must be {wanted}, got {value}")

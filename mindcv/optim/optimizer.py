"""Base class of the optimizers: parameter groups, learning rates, gradient unscaling and the state to save."""

import math
from collections.abc import Iterable

import mindspore as ms
from mindspore import Parameter, Tensor, nn, ops
from mindspore import dtype as mstype

from mindcv.errors import require_in_range


class Optimizer(nn.Optimizer):
    """Base class of optimizers, called as `optimizer(gradients)` with one gradient per entry of `parameters`, in order.

    A subclass names the state that it keeps for each parameter (its slots), computes what one step needs for all
    parameters (`step_terms`), and updates one parameter (`update`). Slots are Parameters named
    `<slot>.<parameter's name>`. Everything that depends on the number of the step follows from `global_step`, so saving
    `state_parameters()` is enough to resume exactly.

    Args:
        params: Parameters, or dicts with "params" and optionally "lr", "weight_decay" and "grad_centralization" (True
            to subtract from each gradient its mean over all axes but the first).
        learning_rate: A number, or a sequence with one number per step.
        weight_decay: At least 0; the subclass defines whether it is L2 regularisation or decoupled.
        loss_scale: Factor by which the loss was multiplied, above 0; gradients are divided by it.
        slots: Names of the state kept for each parameter, zeros before the first step.
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
            groups = [{"params": groups}]  # without groups, MindSpore does not decay names that contain beta or gamma
        super().__init__(learning_rate, groups, weight_decay, float(loss_scale))
        # MindSpore's weight decays are multiplied by the loss scale
        self.weight_decays = tuple(decay / self.loss_scale for decay in self.group_weight_decay)
        self.centralized = tuple(self.group_grad_centralization) if self.is_group else ()
        self.centralizes = any(self.centralized)
        for slot in slots:
            setattr(self, slot, self.parameters.clone(prefix=slot, init="zeros"))
        self.slots = tuple(getattr(self, slot) for slot in slots)
        first_index: dict[int, int] = {}  # of each distinct learning rate: the first parameter that has it
        for i, lr in enumerate(self.group_lr):
            first_index.setdefault(id(lr), i)
        self.lr_owners = tuple(first_index.values())
        lr_indices = [list(first_index).index(id(lr)) for lr in self.group_lr]
        groups = list(zip(lr_indices, self.weight_decays, strict=True))
        self.groups = tuple(dict.fromkeys(groups))  # distinct pairs of a learning rate's index and a weight decay
        self.group_indices = tuple(map(self.groups.index, groups))

    def unused_attributes(self) -> tuple[str, ...]:
        """Return the names of the attributes that the graph does not depend on, see `mindcv.graph.fingerprint`."""
        return ("group_lr",)  # MindSpore's list of rates that `learning_rate` has too

    @ms.jit
    def construct(self, gradients):
        """Update all parameters and slots in place, and count `global_step` up; nothing uses the result.

        `gradients` are those of the scaled loss, one for each of `parameters`, in their order.
        """
        lrs = self.current_lrs()
        self.assignadd(self.global_step, self.global_step_increase_tensor)
        step = self.global_step.astype(mstype.float32).reshape(())
        gradients = self.hyper_map(self.unscale, gradients)
        if self.centralizes:
            gradients = self.hyper_map(_centralize, self.centralized, gradients)
        terms = self.step_terms(step, gradients)
        # The terms of a group are computed once and passed by index: a tuple with one element per parameter would take
        # seconds to compile.
        group_terms = ()
        for lr_index, weight_decay in self.groups:
            group_terms += (self.group_terms(terms, lrs[lr_index], weight_decay),)
        update = ops.partial(self.update_in_group, terms, group_terms)
        return self.hyper_map(update, self.group_indices, self.parameters, *self.slots, gradients)

    def step_terms(self, step, gradients):
        """Return what the updates of all parameters share in this step.

        Args:
            step: The number of the step, from 1, as a float32 scalar tensor.
            gradients: The unscaled float32 gradients of all parameters, in their order.

        Returns:
            () here; a subclass returns a tuple, which `update` gets as `terms`.
        """
        return ()

    def group_terms(self, terms, lr, weight_decay):
        """Return what the updates of all parameters with the same learning rate and weight decay share in this step.

        Args:
            terms: What `step_terms` returned for this step.
            lr: The learning rate in this step, a scalar tensor.
            weight_decay: The weight decay, a float.

        Returns:
            A pair, which `update` gets in place of learning rate and weight decay; here these two.
        """
        return lr, weight_decay

    def update(self, terms, lr, weight_decay, parameter, *slots_and_gradient):
        """Update one parameter and its slots in place.

        Args:
            terms: What `step_terms` returned for this step.
            lr, weight_decay: What `group_terms` returned for the parameter's learning rate and weight decay.
            parameter: The parameter.
            slots_and_gradient: The parameter's slots in the order of `slots`, then its unscaled float32 gradient.

        Returns:
            The result of its last operation; nothing uses the value.
        """
        raise NotImplementedError

    def update_in_group(self, terms, group_terms, group, parameter, *slots_and_gradient):
        """Call `update` with the pair of index `group` in `group_terms`."""
        lr, weight_decay = group_terms[group]
        return self.update(terms, lr, weight_decay, parameter, *slots_and_gradient)

    def current_lrs(self):
        """Return the distinct learning rates of this step, a tuple of scalar tensors.

        `groups` has their indices. The step is `global_step`, before it is counted up.
        """
        lrs = ()
        for i in self.lr_owners:
            lr = self.learning_rate[i] if self.is_group_lr else self.learning_rate
            lrs += (lr(self.global_step).reshape(()) if self.dynamic_lr else lr,)
        return lrs

    def unscale(self, gradient):
        """Return `gradient` in float32, divided by the loss scale."""
        gradient = gradient.astype(mstype.float32)
        return gradient * self.reciprocal_scale if self.need_scale else gradient

    def state_parameters(self) -> dict[str, Parameter]:
        """Return the Parameters to save, besides the model's, for an exact resume, by name.

        They are the slots, the step counter and what else a subclass keeps: the optimizer's own, not copies.
        """
        model_ids = {id(parameter) for parameter in self.parameters}
        return {
            name: parameter
            for name, parameter in self.parameters_dict().items()
            if id(parameter) not in model_ids and not name.startswith("learning_rate")
        }


def _centralize(is_centralized: bool, gradient: Tensor) -> Tensor:
    """Return `gradient`, minus its mean over all axes but the first if it has several and `is_centralized`."""
    if not is_centralized or gradient.ndim < 2:
        return gradient
    return gradient - gradient.mean(tuple(range(1, gradient.ndim)), True)


def add_l2(weight_decay: float, parameter: Tensor, gradient: Tensor) -> Tensor:
    """Return gradient + weight_decay · parameter: of the loss plus weight_decay / 2 · ‖parameter‖²."""
    return gradient + weight_decay * parameter if weight_decay > 0 else gradient


def update_average(average: Parameter, beta: float, value: Tensor) -> Tensor:
    """Assign β · average + (1 - β) · value to `average`, and return it."""
    updated = average + (1 - beta) * (value - average)
    ops.assign(average, updated)
    return updated


def bias_correction(step: Tensor, log_beta: float) -> Tensor:
    """Return 1 - βᵗ for t = `step` and ln β, without the cancellation of 1 - βᵗ in float32 at small t."""
    return -ops.expm1(step * log_beta)


def safe_log(beta: float) -> float:
    """Return the natural logarithm of `beta`, -inf for 0."""
    return math.log(beta) if beta > 0 else -math.inf


def require_decay_rates(**rates: float) -> None:
    """Raise a ValueError that names the first of the `rates` (betas, momentum, …) outside [0, 1)."""
    for name, rate in rates.items():
        require_in_range(name, rate, at_least=0, below=1)

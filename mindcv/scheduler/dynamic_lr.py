"""Learning-rate schedules as lists with one learning rate per step, steps_per_epoch · epochs long.

Each schedule is a curve over the time t in epochs, with t = 0 at the first step. The plain functions change the
learning rate at the start of each epoch, as PyTorch's `lr_scheduler` classes of the same names do when stepped once per
epoch; the `refined` ones follow the curve at every step, t = step / steps_per_epoch. `one_cycle_lr` and `cyclic_lr`
count in steps.

The durations `total_iters`, `step_size`, `milestones`, `decay_epochs`, `t_max` and `te` are in epochs; `lr`, `eta_min`,
`eta_max`, `base_lr` and `max_lr` are learning rates. A duration that is divided by must be at least 1; otherwise the
function raises a ValueError.
"""

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import pairwise

from mindcv.errors import require_in_range


def constant_lr(factor: float, total_iters: int, *, lr: float, steps_per_epoch: int, epochs: int) -> list[float]:
    """Return one learning rate per step: factor · lr for the first `total_iters` epochs, then lr."""
    return _per_epoch(lambda t: lr * factor if t < total_iters else lr, steps_per_epoch, epochs)


def linear_lr(
    start_factor: float,
    end_factor: float,
    total_iters: int,
    *,
    lr: float,
    steps_per_epoch: int,
    epochs: int,
) -> list[float]:
    """Return one learning rate per step, on a line from start_factor · lr to end_factor · lr.

    The line begins at t = 0, ends at t = total_iters, with the time t in epochs, and is constant from there. The
    learning rate changes at the start of each epoch.

    Raises:
        ValueError: `total_iters` is below 1.
    """
    return _per_epoch(_linear(lr * start_factor, lr * end_factor, total_iters), steps_per_epoch, epochs)


def linear_refined_lr(
    start_factor: float,
    end_factor: float,
    total_iters: int,
    *,
    lr: float,
    steps_per_epoch: int,
    epochs: int,
) -> list[float]:
    """Return one learning rate per step, on a line from start_factor · lr to end_factor · lr.

    The line begins at t = 0, ends at t = total_iters, with the time t in epochs, and is constant from there. The
    learning rate changes at every step.

    Raises:
        ValueError: `total_iters` is below 1.
    """
    return _per_step(_linear(lr * start_factor, lr * end_factor, total_iters), steps_per_epoch, epochs)


def polynomial_lr(total_iters: int, power: float, *, lr: float, steps_per_epoch: int, epochs: int) -> list[float]:
    """Return one learning rate per step: lr · (1 - t / total_iters)^power, 0 from t = total_iters on.

    t is the number of the epoch, from 0, so the learning rate changes at the start of each epoch.

    Raises:
        ValueError: `total_iters` is below 1.
    """
    return _per_epoch(_polynomial(lr, total_iters, power), steps_per_epoch, epochs)


def polynomial_refined_lr(
    total_iters: int, power: float, *, lr: float, steps_per_epoch: int, epochs: int
) -> list[float]:
    """Return one learning rate per step: lr · (1 - t / total_iters)^power, 0 from t = total_iters on.

    t is the time of the step, from 0, in epochs, so the learning rate changes at every step.

    Raises:
        ValueError: `total_iters` is below 1.
    """
    return _per_step(_polynomial(lr, total_iters, power), steps_per_epoch, epochs)


def exponential_lr(gamma: float, *, lr: float, steps_per_epoch: int, epochs: int) -> list[float]:
    """Return one learning rate per step: lr · gamma^t, with the number t of the epoch, from 0."""
    return _per_epoch(lambda t: lr * _power(gamma, t), steps_per_epoch, epochs)


def exponential_refined_lr(gamma: float, *, lr: float, steps_per_epoch: int, epochs: int) -> list[float]:
    """Return one learning rate per step: lr · gamma^t, with the time t of the step, from 0, in epochs."""
    return _per_step(lambda t: lr * _power(gamma, t), steps_per_epoch, epochs)


def step_lr(step_size: int, gamma: float, *, lr: float, steps_per_epoch: int, epochs: int) -> list[float]:
    """Return one learning rate per step: lr, multiplied by gamma every `step_size` epochs.

    Raises:
        ValueError: `step_size` is below 1.
    """
    require_in_range("step_size", step_size, at_least=1)
    return _per_epoch(lambda t: lr * _power(gamma, t // step_size), steps_per_epoch, epochs)


def multi_step_lr(
    milestones: Sequence[int], gamma: float, *, lr: float, steps_per_epoch: int, epochs: int
) -> list[float]:
    """Return one learning rate per step: lr, multiplied by gamma at the start of each epoch in `milestones`.

    The first epoch is 0. The milestones may be in any order; one that is listed twice counts twice.
    """
    ordered = sorted(milestones)
    return _per_epoch(lambda t: lr * _power(gamma, bisect_right(ordered, t)), steps_per_epoch, epochs)


def cosine_decay_lr(
    decay_epochs: int,
    eta_min: float,
    *,
    eta_max: float,
    steps_per_epoch: int,
    epochs: int,
    num_cycles: int = 1,
    cycle_decay: float = 1.0,
) -> list[float]:
    """Return one learning rate per step: `num_cycles` times half a cosine from eta_max to eta_min, then eta_min.

    Each takes `decay_epochs` epochs. Cycle c, from 0, starts at eta_max · cycle_decay^c. The learning rate changes at
    the start of each epoch.

    Raises:
        ValueError: `decay_epochs` is below 1.
    """
    curve = _cosine_cycles(decay_epochs, eta_min, eta_max, num_cycles, cycle_decay)
    return _per_epoch(curve, steps_per_epoch, epochs)


def cosine_decay_refined_lr(
    decay_epochs: int,
    eta_min: float,
    *,
    eta_max: float,
    steps_per_epoch: int,
    epochs: int,
    num_cycles: int = 1,
    cycle_decay: float = 1.0,
) -> list[float]:
    """Return one learning rate per step: `num_cycles` times half a cosine from eta_max to eta_min, then eta_min.

    Each takes `decay_epochs` epochs. Cycle c, from 0, starts at eta_max · cycle_decay^c. The learning rate changes at
    every step, so the last step of a cycle is one increment above eta_min.

    Raises:
        ValueError: `decay_epochs` is below 1.
    """
    curve = _cosine_cycles(decay_epochs, eta_min, eta_max, num_cycles, cycle_decay)
    return _per_step(curve, steps_per_epoch, epochs)


def cosine_annealing_lr(
    t_max: int, eta_min: float, *, eta_max: float, steps_per_epoch: int, epochs: int
) -> list[float]:
    """Return one learning rate per step: a cosine from eta_max down to eta_min in `t_max` epochs, up again, and so on.

    The learning rate changes at the start of each epoch.

    Raises:
        ValueError: `t_max` is below 1.
    """
    require_in_range("t_max", t_max, at_least=1)
    return _per_epoch(lambda t: _cosine(eta_max, eta_min, t / t_max), steps_per_epoch, epochs)


def cosine_annealing_warm_restarts_lr(
    te: int, tm: int, eta_min: float, *, eta_max: float, steps_per_epoch: int, epochs: int
) -> list[float]:
    """Return SGDR (Loshchilov & Hutter 2017, section 3): half cosines from eta_max to eta_min, with restarts.

    The result has one learning rate per step. The first period lasts `te` epochs, each later one `tm` times as long as
    the one before. The learning rate changes at every step.

    Raises:
        ValueError: `te` or `tm` is below 1.
    """
    require_in_range("te", te, at_least=1)
    require_in_range("tm", tm, at_least=1)

    def curve(t: float) -> float:
        """Return the learning rate at the time `t` in epochs."""
        start, period = 0, te
        while t >= start + period:
            start, period = start + period, period * tm
        return _cosine(eta_max, eta_min, (t - start) / period)

    return _per_step(curve, steps_per_epoch, epochs)


def one_cycle_lr(
    max_lr: float,
    pct_start: float = 0.3,
    anneal_strategy: str = "cos",
    div_factor: float = 25.0,
    final_div_factor: float = 10000.0,
    three_phase: bool = False,
    *,
    steps_per_epoch: int,
    epochs: int,
) -> list[float]:
    """Return the 1cycle policy (Smith & Topin 2018) with the phases of PyTorch's `OneCycleLR`, one number per step.

    With n = steps_per_epoch · epochs: from max_lr / div_factor at step 0 up to max_lr at step pct_start · n - 1, then
    down to max_lr / div_factor / final_div_factor at step n - 1.

    Args:
        max_lr: The highest learning rate.
        pct_start: Fraction of the steps in which the learning rate rises, 0 to 1.
        anneal_strategy: "cos" or "linear".
        div_factor: max_lr divided by the first learning rate.
        final_div_factor: The first learning rate divided by the last; inf ends at 0.
        three_phase: Fall to the first learning rate in as many steps as the rise took, then to the last one.

    Raises:
        ValueError: `anneal_strategy` is neither "cos" nor "linear".
    """
    if anneal_strategy not in ("cos", "linear"):
        raise ValueError(f"anneal_strategy must be 'cos' or 'linear', got {anneal_strategy!r}")
    interpolate = _cosine if anneal_strategy == "cos" else _lerp
    steps = steps_per_epoch * epochs
    first = max_lr / div_factor
    last = first / final_div_factor
    peak = pct_start * steps - 1
    points = [(0, first), (peak, max_lr), (steps - 1, last)]
    if three_phase:
        points.insert(2, (2 * peak, first))

    def curve(step: int) -> float:
        """Return the learning rate of `step`, from 0, between the two points around it."""
        for (start, start_lr), (end, end_lr) in pairwise(points):
            if step <= end and end > start:
                return interpolate(start_lr, end_lr, (step - start) / (end - start))
        return last

    return [curve(step) for step in range(steps)]


def cyclic_lr(
    base_lr: float,
    max_lr: float,
    step_size_up: int = 2000,
    step_size_down: int | None = None,
    mode: str = "triangular",
    gamma: float = 1.0,
    scale_fn: Callable[[int], float] | None = None,
    scale_mode: str = "cycle",
    *,
    steps_per_epoch: int,
    epochs: int,
) -> list[float]:
    """Return cyclical learning rates (Smith 2017): linearly from base_lr up to max_lr and down again, repeatedly.

    The result has one number per step, steps_per_epoch · epochs in all.

    Args:
        base_lr, max_lr: The lowest and the highest learning rate.
        step_size_up: Number of steps from base_lr to max_lr, at least 1.
        step_size_down: Number of steps from max_lr to base_lr, at least 1; None for `step_size_up`.
        mode: Amplitude of the cycles: "triangular" keeps it, "triangular2" halves it every cycle, "exp_range"
            multiplies it by gamma^step.
        gamma: Base of "exp_range".
        scale_fn: Function that returns the factor of the amplitude, instead of `mode`.
        scale_mode: Argument of `scale_fn`: "cycle", the number of the cycle from 1, or "iterations", the number of the
            step from 0.

    Raises:
        ValueError: `mode` or `scale_mode` is unknown, or a number of steps is below 1.
    """
    modes = {
        "triangular": ("cycle", lambda cycle: 1.0),
        "triangular2": ("cycle", lambda cycle: 2.0 ** (1 - cycle)),
        "exp_range": ("iterations", lambda step: gamma**step),
    }
    if scale_fn is None:
        if mode not in modes:
            raise ValueError(f"mode must be one of {', '.join(modes)}, got {mode!r}")
        scale_mode, scale_fn = modes[mode]
    if scale_mode not in ("cycle", "iterations"):
        raise ValueError(f"scale_mode must be 'cycle' or 'iterations', got {scale_mode!r}")
    up = require_in_range("step_size_up", step_size_up, at_least=1)
    down = up if step_size_down is None else require_in_range("step_size_down", step_size_down, at_least=1)

    def curve(step: int) -> float:
        """Return the learning rate of `step`, from 0."""
        cycle, position = divmod(step, up + down)
        height = position / up if position <= up else (up + down - position) / down
        scale = scale_fn(cycle + 1 if scale_mode == "cycle" else step)
        return base_lr + (max_lr - base_lr) * height * scale

    return [curve(step) for step in range(steps_per_epoch * epochs)]


def _per_epoch(curve: Callable[[float], float], steps_per_epoch: int, epochs: int) -> list[float]:
    """Return curve(epoch), with the number of the epoch from 0, for every step of every epoch."""
    return [lr for epoch in range(epochs) for lr in [curve(epoch)] * steps_per_epoch]


def _per_step(curve: Callable[[float], float], steps_per_epoch: int, epochs: int) -> list[float]:
    """Return curve(t) for every step, with its time t = step / steps_per_epoch in epochs."""
    return [curve(step / steps_per_epoch) for step in range(steps_per_epoch * epochs)]


def _power(base: float, exponent: float) -> float:
    """Return base ** exponent for a base of at least 0, and infinity where that overflows."""
    try:
        return base**exponent
    except OverflowError:
        return math.inf


def _lerp(start: float, end: float, fraction: float) -> float:
    """Return the value at `fraction` of a line from `start` (fraction 0) to `end` (fraction 1)."""
    return start + (end - start) * fraction


def _cosine(start: float, end: float, fraction: float) -> float:
    """Return the value at `fraction` of half a cosine from `start` (fraction 0) to `end` (fraction 1)."""
    return end + (start - end) * (1 + math.cos(math.pi * fraction)) / 2


def _linear(start: float, end: float, total_iters: int) -> Callable[[float], float]:
    """Return a function of t: from `start` (t = 0) linearly to `end` (t = total_iters), constant from there.

    Raises:
        ValueError: `total_iters` is below 1.
    """
    require_in_range("total_iters", total_iters, at_least=1)
    return lambda t: _lerp(start, end, min(t / total_iters, 1.0))


def _polynomial(lr: float, total_iters: int, power: float) -> Callable[[float], float]:
    """Return the function of t that gives lr · (1 - t / total_iters)^power, 0 from t = total_iters on.

    Raises:
        ValueError: `total_iters` is below 1.
    """
    require_in_range("total_iters", total_iters, at_least=1)
    return lambda t: lr * (1 - min(t / total_iters, 1.0)) ** power


def _cosine_cycles(
    decay_epochs: int, eta_min: float, eta_max: float, num_cycles: int, cycle_decay: float
) -> Callable[[float], float]:
    """Return a function of the time t in epochs: `num_cycles` half cosines of `decay_epochs` epochs, then eta_min.

    Cycle c, from 0, goes from eta_max · cycle_decay^c to eta_min.

    Raises:
        ValueError: `decay_epochs` is below 1.
    """
    require_in_range("decay_epochs", decay_epochs, at_least=1)

    def curve(t: float) -> float:
        """Return the learning rate at the time `t` in epochs."""
        cycle, position = divmod(t, decay_epochs)
        if cycle >= num_cycles:
            return eta_min
        return _cosine(eta_max * _power(cycle_decay, cycle), eta_min, position / decay_epochs)

    return curve

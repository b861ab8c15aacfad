"""Learning-rate schedules as lists with one learning rate a step, steps_per_epoch · epochs long.

Each is a curve over time t in epochs, t = 0 at the first step. Plain functions change the rate at the start
of each epoch, as PyTorch's `lr_scheduler` classes of the same names do when stepped once an epoch; `refined`
ones follow the curve at every step, t = step / steps_per_epoch. `one_cycle_lr` and `cyclic_lr` count steps.

Durations (`total_iters`, `step_size`, `milestones`, `decay_epochs`, `t_max`, `te`) are in epochs. Those that
are divided by must be at least 1, or it is a ValueError.
"""

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import pairwise


def constant_lr(factor: float, total_iters: int, *, lr: float, steps_per_epoch: int, epochs: int) -> list[float]:
    """factor · lr for the first `total_iters` epochs, then lr."""
    return _each_epoch(lambda t: lr * factor if t < total_iters else lr, steps_per_epoch, epochs)


def linear_lr(
    start_factor: float,
    end_factor: float,
    total_iters: int,
    *,
    lr: float,
    steps_per_epoch: int,
    epochs: int,
) -> list[float]:
    """A straight line from start_factor · lr to end_factor · lr at t = total_iters, constant from there."""
    return _each_epoch(_line(lr * start_factor, lr * end_factor, total_iters), steps_per_epoch, epochs)


def linear_refined_lr(
    start_factor: float,
    end_factor: float,
    total_iters: int,
    *,
    lr: float,
    steps_per_epoch: int,
    epochs: int,
) -> list[float]:
    """`linear_lr` at every step."""
    return _each_step(_line(lr * start_factor, lr * end_factor, total_iters), steps_per_epoch, epochs)


def polynomial_lr(total_iters: int, power: float, *, lr: float, steps_per_epoch: int, epochs: int) -> list[float]:
    """lr · (1 - t / total_iters)^power, 0 from t = total_iters on."""
    return _each_epoch(_polynomial(lr, total_iters, power), steps_per_epoch, epochs)


def polynomial_refined_lr(
    total_iters: int, power: float, *, lr: float, steps_per_epoch: int, epochs: int
) -> list[float]:
    """`polynomial_lr` at every step."""
    return _each_step(_polynomial(lr, total_iters, power), steps_per_epoch, epochs)


def exponential_lr(gamma: float, *, lr: float, steps_per_epoch: int, epochs: int) -> list[float]:
    """lr · gamma^t."""
    return _each_epoch(lambda t: lr * _power(gamma, t), steps_per_epoch, epochs)


def exponential_refined_lr(gamma: float, *, lr: float, steps_per_epoch: int, epochs: int) -> list[float]:
    """`exponential_lr` at every step."""
    return _each_step(lambda t: lr * _power(gamma, t), steps_per_epoch, epochs)


def step_lr(step_size: int, gamma: float, *, lr: float, steps_per_epoch: int, epochs: int) -> list[float]:
    """lr, multiplied by gamma every `step_size` epochs."""
    _at_least_one(step_size=step_size)
    return _each_epoch(lambda t: lr * _power(gamma, t // step_size), steps_per_epoch, epochs)


def multi_step_lr(
    milestones: Sequence[int], gamma: float, *, lr: float, steps_per_epoch: int, epochs: int
) -> list[float]:
    """lr, multiplied by gamma at the start of each epoch in `milestones` (the first epoch is 0)."""
    ordered = sorted(milestones)
    return _each_epoch(lambda t: lr * _power(gamma, bisect_right(ordered, t)), steps_per_epoch, epochs)


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
    """Half a cosine from eta_max (t = 0) to eta_min (t = decay_epochs), `num_cycles` times, then eta_min.

    Cycle c, from 0, starts at eta_max · cycle_decay^c.
    """
    curve = _cosine_cycles(decay_epochs, eta_min, eta_max, num_cycles, cycle_decay)
    return _each_epoch(curve, steps_per_epoch, epochs)


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
    """`cosine_decay_lr` at every step: the decay's last step is one increment above eta_min."""
    curve = _cosine_cycles(decay_epochs, eta_min, eta_max, num_cycles, cycle_decay)
    return _each_step(curve, steps_per_epoch, epochs)


def cosine_annealing_lr(
    t_max: int, eta_min: float, *, eta_max: float, steps_per_epoch: int, epochs: int
) -> list[float]:
    """The whole cosine: down from eta_max to eta_min at t = t_max, up again, and so on."""
    _at_least_one(t_max=t_max)
    return _each_epoch(lambda t: _half_cosine(eta_max, eta_min, t / t_max), steps_per_epoch, epochs)


def cosine_annealing_warm_restarts_lr(
    te: int, tm: int, eta_min: float, *, eta_max: float, steps_per_epoch: int, epochs: int
) -> list[float]:
    """SGDR (Loshchilov & Hutter 2017, section 3) at every step.

    `te` epochs from eta_max to eta_min, a restart, and so on, each period `tm` times as long as the last.
    """
    _at_least_one(te=te, tm=tm)

    def curve(t: float) -> float:
        start, period = 0, te
        while t >= start + period:
            start, period = start + period, period * tm
        return _half_cosine(eta_max, eta_min, (t - start) / period)

    return _each_step(curve, steps_per_epoch, epochs)


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
    """The 1cycle policy (Smith & Topin 2018) with the phases of PyTorch's `OneCycleLR`.

    max_lr / div_factor at the first step, max_lr at step pct_start · steps - 1, and at the last step the
    first rate / final_div_factor. With `three_phase`, down to the first rate takes as long as up from it.

    Raises:
        ValueError: an `anneal_strategy` other than "cos" and "linear".
    """
    if anneal_strategy not in ("cos", "linear"):
        raise ValueError(f"anneal_strategy must be 'cos' or 'linear', got {anneal_strategy!r}")
    between = _half_cosine if anneal_strategy == "cos" else _straight
    steps = steps_per_epoch * epochs
    first = max_lr / div_factor
    last = first / final_div_factor
    peak = pct_start * steps - 1
    points = [(0, first), (peak, max_lr), (steps - 1, last)]
    if three_phase:
        points.insert(2, (2 * peak, first))

    def curve(step: int) -> float:
        for (start, high), (end, low) in pairwise(points):
            if step <= end and end > start:
                return between(high, low, (step - start) / (end - start))
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
    """Cyclical learning rates (Smith 2017): base_lr up to max_lr in `step_size_up` steps, down in
    `step_size_down` (as many, if None), again and again.

    Args:
        mode: "triangular"; "triangular2" halves the height every cycle; "exp_range" multiplies it by
            gamma^step.
        scale_fn: overrides `mode`: the factor of the height, from the number of the cycle, from 1, or, with
            `scale_mode` "iterations", of the step, from 0.

    Raises:
        ValueError: an unknown `mode` or `scale_mode`, or a step size below 1.
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
    up = step_size_up
    down = up if step_size_down is None else step_size_down
    _at_least_one(step_size_up=up, step_size_down=down)

    def curve(step: int) -> float:
        cycle, position = divmod(step, up + down)
        height = position / up if position <= up else (up + down - position) / down
        scale = scale_fn(cycle + 1 if scale_mode == "cycle" else step)
        return base_lr + (max_lr - base_lr) * height * scale

    return [curve(step) for step in range(steps_per_epoch * epochs)]


def _each_epoch(curve: Callable[[float], float], steps_per_epoch: int, epochs: int) -> list[float]:
    return [rate for epoch in range(epochs) for rate in [curve(epoch)] * steps_per_epoch]


def _each_step(curve: Callable[[float], float], steps_per_epoch: int, epochs: int) -> list[float]:
    return [curve(step / steps_per_epoch) for step in range(steps_per_epoch * epochs)]


def _power(base: float, exponent: float) -> float:
    """base ** exponent for a base of at least 0; infinity, in place of an OverflowError, where it is too large."""
    try:
        return base**exponent
    except OverflowError:
        return math.inf


def _at_least_one(**durations: int) -> None:
    for name, value in durations.items():
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")


def _straight(start: float, end: float, share: float) -> float:
    return start + (end - start) * share


def _half_cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


def _line(start: float, end: float, duration: int) -> Callable[[float], float]:
    _at_least_one(total_iters=duration)
    return lambda t: _straight(start, end, min(t / duration, 1.0))


def _polynomial(lr: float, duration: int, power: float) -> Callable[[float], float]:
    _at_least_one(total_iters=duration)
    return lambda t: lr * (1 - min(t / duration, 1.0)) ** power


def _cosine_cycles(
    duration: int, low: float, high: float, num_cycles: int, cycle_decay: float
) -> Callable[[float], float]:
    _at_least_one(decay_epochs=duration)

    def curve(t: float) -> float:
        cycle, within = divmod(t, duration)
        if cycle >= num_cycles:
            return low
        return _half_cosine(high * _power(cycle_decay, cycle), low, within / duration)

    return curve

"""Learning-rate schedules by name."""

import math
import warnings
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from mindcv.errors import did_you_mean, explain_unknown, require_in_range
from mindcv.scheduler.dynamic_lr import (
    cosine_decay_refined_lr,
    cyclic_lr,
    exponential_refined_lr,
    linear_refined_lr,
    multi_step_lr,
    one_cycle_lr,
    polynomial_refined_lr,
    step_lr,
)

SCHEDULERS = (
    "constant",
    "cosine_decay",
    "cyclic",
    "exponential_decay",
    "multi_step_decay",
    "one_cycle",
    "polynomial_decay",
    "step_decay",
)
_MAX_STEPS = 20_000_000  # a list of so many learning rates takes a few seconds and 0.6 GB
_MAX_LR = 1e30  # below the largest float32
ALIASES = dict.fromkeys(("cosine", "warmup_cosine_decay", "warmup_cosine_decay_lr"), "cosine_decay")


@explain_unknown(
    epoch_size="num_epochs", epochs="num_epochs", multi_step_decay_milestones="milestones", learning_rate="lr",
    base_lr="lr", lr_scheduler="scheduler", name="scheduler", batch_num="steps_per_epoch",
)  # fmt: skip
def create_scheduler(
    steps_per_epoch: int,
    scheduler: str = "constant",
    lr: float = 0.01,
    min_lr: float = 1e-6,
    warmup_epochs: int = 3,
    warmup_factor: float = 0.0,
    decay_epochs: int = 10,
    decay_rate: float = 0.9,
    milestones: Sequence[int] | None = None,
    num_epochs: int = 200,
    num_cycles: int = 1,
    cycle_decay: float = 1.0,
    lr_epoch_stair: bool = False,
    warmup_prefix: bool = True,
) -> list[float]:
    """Return the learning rate of every step of a run, steps_per_epoch · num_epochs numbers.

    In the first `warmup_epochs`, the learning rate rises linearly from `warmup_factor` times the schedule's first
    value, at step 0, to that value at the first step after the warm-up, where the schedule begins. With the time t in
    epochs from there and the number of remaining epochs n = num_epochs - warmup_epochs, the schedules are:

    - constant: lr.
    - cosine_decay: half a cosine from lr (t = 0) to min_lr (t = decay_epochs), `num_cycles` times, cycle c
      from lr · cycle_decay^c; then min_lr. If no epoch is left after the decay, the last step is one
      increment of the cosine above min_lr.
    - step_decay: lr, multiplied by decay_rate every decay_epochs.
    - multi_step_decay: lr, multiplied by decay_rate when t reaches each of the milestones.
    - exponential_decay: lr · decay_rate^t.
    - polynomial_decay: lr · (1 - t / n)^decay_rate, its last step one increment above 0.
    - one_cycle: half a cosine from lr / 25 up to lr in the first 30 % of the steps, another down to min_lr at the
      last step.
    - cyclic: `num_cycles` triangles from min_lr up to lr and down, ending one increment above min_lr.

    A schedule ignores the options that its line does not mention.

    Args:
        steps_per_epoch: At least 1.
        scheduler: One of the names above; "cosine" and "warmup_cosine_decay" mean cosine_decay.
        lr: The highest learning rate, at least 0.
        min_lr: The lowest learning rate of cosine_decay, one_cycle and cyclic, 0 to `lr`.
        warmup_epochs: 0 for no warm-up.
        warmup_factor: First learning rate of the warm-up as a fraction of the schedule's first one, in [0, 1].
        decay_epochs: Length of a cycle of cosine_decay and of a step of step_decay, in epochs, at least 1.
        decay_rate: Factor of step_decay, multi_step_decay and exponential_decay; exponent of polynomial_decay; at
            least 0.
        milestones: Times t of multi_step_decay, in epochs after the warm-up (after the run's start if `warmup_prefix`
            is False), increasing; None with other schedules.
        num_epochs: Total number of epochs, warm-up included, at least 1. A warm-up and a cosine decay that take more
            are cut there, with a warning.
        num_cycles: Number of cycles of cosine_decay and cyclic, at least 1.
        cycle_decay: Factor from the first learning rate of a cycle of cosine_decay to that of the next, at least 0.
        lr_epoch_stair: Keep the learning rate of an epoch's first step for the whole epoch.
        warmup_prefix: If False, the schedule starts at the run's first step (t = 0, n = num_epochs), and the warm-up
            replaces its beginning, as by default in timm.

    Raises:
        TypeError: An argument does not exist; the message names the one to use.
        ValueError: The name is unknown, an argument is out of range, there are more than 20 million steps, or the
            learning rate grows above 1e30.
    """
    name = ALIASES.get(scheduler, scheduler)
    if name not in SCHEDULERS:
        raise ValueError(f"unknown scheduler {scheduler!r}{did_you_mean(scheduler, [*SCHEDULERS, *ALIASES])}")
    at_least_1 = {"steps_per_epoch": steps_per_epoch, "num_epochs": num_epochs, "num_cycles": num_cycles}
    for option, number in at_least_1.items():
        require_in_range(option, number, at_least=1)
    at_least_0 = {
        "warmup_epochs": warmup_epochs, "lr": lr, "min_lr": min_lr, "decay_epochs": decay_epochs,
        "decay_rate": decay_rate, "cycle_decay": cycle_decay,
    }  # fmt: skip
    for option, value in at_least_0.items():
        require_in_range(option, value, at_least=0)
    require_in_range("warmup_factor", warmup_factor, at_least=0, at_most=1)
    prefix = warmup_epochs if warmup_prefix else 0  # epochs before the schedule begins
    planned = max(warmup_epochs, prefix + decay_epochs * num_cycles if name == "cosine_decay" else 0)
    length = steps_per_epoch * num_epochs
    if planned > num_epochs:
        warnings.warn(
            f"the schedule takes {planned} epochs and is cut at num_epochs {num_epochs}: lower warmup_epochs or "
            "decay_epochs", stacklevel=3,
        )  # fmt: skip
        num_epochs = planned
    if steps_per_epoch * num_epochs > _MAX_STEPS:
        raise ValueError(
            f"{num_epochs} epochs of {steps_per_epoch} steps are {steps_per_epoch * num_epochs} learning rates: lower "
            f"the number of epochs to have at most {_MAX_STEPS}"
        )

    span: dict[str, Any] = {"steps_per_epoch": steps_per_epoch, "epochs": num_epochs - prefix}
    if name in ("cosine_decay", "cyclic", "one_cycle") and min_lr > lr:
        raise ValueError(f"{name} goes down from lr to min_lr, but min_lr {min_lr} is above lr {lr}")
    if name == "constant":
        lrs = [lr] * (steps_per_epoch * span["epochs"])
    elif name == "cosine_decay":
        lrs = cosine_decay_refined_lr(
            decay_epochs, min_lr, eta_max=lr, num_cycles=num_cycles, cycle_decay=cycle_decay, **span
        )
    elif name == "step_decay":
        lrs = step_lr(decay_epochs, decay_rate, lr=lr, **span)
    elif name == "multi_step_decay":
        if not milestones or any(a >= b for a, b in pairwise(milestones)):
            raise ValueError(f"multi_step_decay needs increasing milestones in epochs, got {milestones}")
        lrs = multi_step_lr(milestones, decay_rate, lr=lr, **span)
    elif name == "exponential_decay":
        lrs = exponential_refined_lr(decay_rate, lr=lr, **span)
    elif name == "polynomial_decay":
        lrs = polynomial_refined_lr(span["epochs"], decay_rate, lr=lr, **span)
    elif name == "one_cycle":
        lrs = one_cycle_lr(lr, final_div_factor=lr / 25 / min_lr if min_lr > 0 else math.inf, **span)
    elif name == "cyclic":
        half_cycle = steps_per_epoch * span["epochs"] // (2 * num_cycles)
        if half_cycle == 0:
            raise ValueError(f"num_cycles {num_cycles} is too many for {steps_per_epoch * span['epochs']} steps")
        lrs = cyclic_lr(min_lr, lr, half_cycle, **span)

    if warmup_epochs:
        first = lrs[0] if lrs else lr
        span = {"steps_per_epoch": steps_per_epoch, "epochs": warmup_epochs}
        warmup = linear_refined_lr(warmup_factor, 1.0, warmup_epochs, lr=first, **span)
        lrs = warmup + lrs[(warmup_epochs - prefix) * steps_per_epoch :]
    if lr_epoch_stair:
        if warmup_epochs and warmup_factor == 0:
            warnings.warn("the first epoch's learning rate is 0: set warmup_factor above 0", stacklevel=2)
        lrs = [lrs[step - step % steps_per_epoch] for step in range(len(lrs))]
    if not all(value <= _MAX_LR for value in lrs):
        raise ValueError(
            f"the learning rate of {name} grows above {_MAX_LR:g}: lower lr {lr}, decay_rate {decay_rate} or "
            f"cycle_decay {cycle_decay}"
        )
    return lrs[:length]

"""Learning-rate schedules by name."""

import math
import warnings
from collections.abc import Sequence
from difflib import get_close_matches
from itertools import pairwise

from mindcv.errors import explain_unknown
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
_MOST_STEPS = 20_000_000  # whose rates take a few seconds and 0.6 GB
_HIGHEST = 1e30
ALIASES = {"cosine": "cosine_decay", "warmup_cosine_decay": "cosine_decay"}


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
    """The learning rate of every step, steps_per_epoch · num_epochs of them.

    The first `warmup_epochs` rise in a straight line from `warmup_factor` times the schedule's first rate, at
    step 0, to that rate at the step after the warm-up, where the schedule begins. With its time t in epochs
    from there, and the epochs that remain, n = num_epochs - warmup_epochs (but see `warmup_prefix`):

    - constant: lr.
    - cosine_decay: half a cosine from lr (t = 0) to min_lr (t = decay_epochs), `num_cycles` times, cycle c
      from lr · cycle_decay^c; then min_lr. If no epoch is left after the decay, the last step is one
      increment of the cosine above min_lr.
    - step_decay: lr, multiplied by decay_rate every decay_epochs.
    - multi_step_decay: lr, multiplied by decay_rate when t reaches each of the milestones.
    - exponential_decay: lr · decay_rate^t.
    - polynomial_decay: lr · (1 - t / n)^decay_rate, its last step one increment above 0.
    - one_cycle: a cosine from lr / 25 up to lr in the first 30 % of the steps, another down to min_lr at the
      last step.
    - cyclic: `num_cycles` triangles from min_lr up to lr and down, ending one increment above min_lr.

    Options that a schedule does not mention have no part in it.

    Args:
        steps_per_epoch: at least 1.
        scheduler: a name of the list; "cosine" and "warmup_cosine_decay" mean cosine_decay.
        lr: the highest learning rate.
        warmup_epochs: 0 for none.
        warmup_factor: in [0, 1].
        num_epochs: all epochs, warm-up included.
        lr_epoch_stair: keep each epoch at the learning rate of its first step.
        warmup_prefix: where false, the schedule begins with the run, t = 0 at its first step and n = num_epochs, and
            the warm-up takes the place of its beginning, as by default in timm.

    Raises:
        TypeError: an argument that does not exist, with the one to use.
        ValueError: an unknown name, an argument out of range, a warm-up and decay longer than the run, more than 20
            million steps, or rates that grow above 1e30.
    """
    name = ALIASES.get(scheduler, scheduler)
    if name not in SCHEDULERS:
        near = get_close_matches(scheduler, [*SCHEDULERS, *ALIASES], cutoff=0.3)
        hint = f"did you mean {' or '.join(map(repr, near))}?" if near else "there is no such scheduler."
        raise ValueError(f"unknown scheduler {scheduler!r}: {hint} Known: {', '.join(SCHEDULERS)}")
    _at_least(1, steps_per_epoch=steps_per_epoch, num_epochs=num_epochs, num_cycles=num_cycles)
    _at_least(0, warmup_epochs=warmup_epochs, lr=lr, min_lr=min_lr)
    _at_least(0, decay_epochs=decay_epochs, decay_rate=decay_rate, cycle_decay=cycle_decay)
    if not 0 <= warmup_factor <= 1:
        raise ValueError(f"warmup_factor must be in [0, 1], got {warmup_factor}")
    if warmup_epochs > num_epochs:
        raise ValueError(f"warmup_epochs {warmup_epochs} is more than num_epochs {num_epochs}")
    if steps_per_epoch * num_epochs > _MOST_STEPS:
        raise ValueError(
            f"{num_epochs} epochs of {steps_per_epoch} steps are {steps_per_epoch * num_epochs} learning rates: lower "
            f"the number of epochs to have at most {_MOST_STEPS}"
        )

    before = warmup_epochs if warmup_prefix else 0
    span = {"steps_per_epoch": steps_per_epoch, "epochs": num_epochs - before}
    if name in ("cosine_decay", "cyclic", "one_cycle") and min_lr > lr:
        raise ValueError(f"{name} goes down from lr to min_lr, but min_lr {min_lr} is above lr {lr}")
    if name == "constant":
        rates = [lr] * (steps_per_epoch * span["epochs"])
    elif name == "cosine_decay":
        if before + decay_epochs * num_cycles > num_epochs:
            raise ValueError(
                f"{before} warm-up and {num_cycles} x {decay_epochs} decay epochs are more than "
                f"num_epochs {num_epochs}: lower decay_epochs"
            )
        rates = cosine_decay_refined_lr(
            decay_epochs, min_lr, eta_max=lr, num_cycles=num_cycles, cycle_decay=cycle_decay, **span
        )
    elif name == "step_decay":
        rates = step_lr(decay_epochs, decay_rate, lr=lr, **span)
    elif name == "multi_step_decay":
        if not milestones or any(a >= b for a, b in pairwise(milestones)):
            raise ValueError(f"multi_step_decay needs increasing milestones in epochs, got {milestones}")
        rates = multi_step_lr(milestones, decay_rate, lr=lr, **span)
    elif name == "exponential_decay":
        rates = exponential_refined_lr(decay_rate, lr=lr, **span)
    elif name == "polynomial_decay":
        rates = polynomial_refined_lr(span["epochs"], decay_rate, lr=lr, **span)
    elif name == "one_cycle":
        rates = one_cycle_lr(lr, final_div_factor=lr / 25 / min_lr if min_lr > 0 else math.inf, **span)
    elif name == "cyclic":
        half_cycle = steps_per_epoch * span["epochs"] // (2 * num_cycles)
        if half_cycle == 0:
            raise ValueError(f"num_cycles {num_cycles} is too many for {steps_per_epoch * span['epochs']} steps")
        rates = cyclic_lr(min_lr, lr, half_cycle, **span)

    if warmup_epochs:
        first = rates[0] if rates else lr
        span = {"steps_per_epoch": steps_per_epoch, "epochs": warmup_epochs}
        rise = linear_refined_lr(warmup_factor, 1.0, warmup_epochs, lr=first, **span)
        rates = rise + rates[(warmup_epochs - before) * steps_per_epoch :]
    if lr_epoch_stair:
        if warmup_epochs and warmup_factor == 0:
            warnings.warn("the first epoch's learning rate is 0: set warmup_factor over 0", stacklevel=2)
        rates = [rates[step - step % steps_per_epoch] for step in range(len(rates))]
    if not all(rate <= _HIGHEST for rate in rates):
        raise ValueError(
            f"the learning rate of {name} grows above {_HIGHEST:g}: lower lr {lr}, decay_rate {decay_rate} or "
            f"cycle_decay {cycle_decay}"
        )
    return rates


def _at_least(low: int, **values: float) -> None:
    for name, value in values.items():
        if not value >= low:
            raise ValueError(f"{name} must be at least {low}, got {value}")

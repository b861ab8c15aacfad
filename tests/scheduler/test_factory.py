"""Compare create_scheduler with closed forms, step by step."""

import math

import pytest

from mindcv.scheduler import create_scheduler

STEPS, EPOCHS, WARMUP = 4, 10, 2
LR, MIN_LR, FACTOR = 0.4, 0.02, 0.25
N = STEPS * (EPOCHS - WARMUP)  # steps after the warm-up


def schedule(name, **options):
    settings = {"lr": LR, "min_lr": MIN_LR, "warmup_epochs": WARMUP, "warmup_factor": FACTOR}
    return create_scheduler(STEPS, name, **{**settings, "num_epochs": EPOCHS, **options})


def cosine(s):
    return MIN_LR + (LR - MIN_LR) * (1 + math.cos(math.pi * s / 24)) / 2 if s < 24 else MIN_LR


def one_cycle(s):
    peak = 0.3 * N - 1
    start, end, fraction = (LR / 25, LR, s / peak) if s <= peak else (LR, MIN_LR, (s - peak) / (N - 1 - peak))
    return (start + end) / 2 + (start - end) / 2 * math.cos(math.pi * fraction)


def two_cosines(s):
    top = LR if s < 12 else LR / 2
    return MIN_LR + (top - MIN_LR) * math.cos(math.pi * (s % 12) / 24) ** 2 if s < 24 else MIN_LR


CURVES = {
    "constant": ({}, lambda s: LR),
    "cosine_decay": ({"decay_epochs": 6}, cosine),
    "cosine": ({"decay_epochs": 3, "num_cycles": 2, "cycle_decay": 0.5}, two_cosines),
    "step_decay": ({"decay_epochs": 3, "decay_rate": 0.5}, lambda s: LR / 2 ** (s // 12)),
    "multi_step_decay": (
        {"milestones": [1, 5], "decay_rate": 0.1},
        lambda s: LR * (1 if s < 4 else 0.1 if s < 20 else 0.01),
    ),
    "exponential_decay": ({"decay_rate": 0.8}, lambda s: LR * math.exp(math.log(0.8) * s / STEPS)),
    "polynomial_decay": ({"decay_rate": 2}, lambda s: LR * ((N - s) / N) ** 2),
    "one_cycle": ({}, one_cycle),
    "cyclic": ({"num_cycles": 2}, lambda s: LR - (LR - MIN_LR) * abs(1 - (s % 16) / 8)),
}


@pytest.mark.parametrize("name", CURVES)
def test_create_scheduler_matches_closed_form_after_linear_warmup(name):
    options, curve = CURVES[name]
    lrs = schedule(name, **options)
    assert len(lrs) == STEPS * EPOCHS
    assert lrs[STEPS * WARMUP :] == pytest.approx([curve(s) for s in range(N)], rel=1e-12)
    first = curve(0)
    expected = [first * (FACTOR + (1 - FACTOR) * s / 8) for s in range(8)]
    assert lrs[: STEPS * WARMUP] == pytest.approx(expected, rel=1e-12)
    assert all(isinstance(lr, float) for lr in lrs)


@pytest.mark.parametrize("name", CURVES)
def test_create_scheduler_lr_epoch_stair_holds_first_lr_of_each_epoch(name):
    options, _ = CURVES[name]
    smooth, stair = (schedule(name, **options, lr_epoch_stair=flag) for flag in (False, True))
    assert stair == [rate for rate in smooth[::STEPS] for _ in range(STEPS)]


@pytest.mark.parametrize("name", CURVES)
def test_create_scheduler_without_warmup_prefix_replaces_beginning(name):
    options, _ = CURVES[name]
    without_warmup = schedule(name, **options, warmup_epochs=0)
    lrs = schedule(name, **options, warmup_prefix=False)
    assert len(lrs) == STEPS * EPOCHS
    assert lrs[STEPS * WARMUP :] == without_warmup[STEPS * WARMUP :]
    expected = [without_warmup[0] * (FACTOR + (1 - FACTOR) * s / 8) for s in range(8)]
    assert lrs[: STEPS * WARMUP] == pytest.approx(expected, rel=1e-12)


def test_create_scheduler_first_and_last_lr_are_as_documented():
    lrs = schedule("cosine", decay_epochs=8)
    assert lrs[0] == FACTOR * LR and lrs[8] == LR
    increment = (LR - MIN_LR) * (1 - math.cos(math.pi / 32)) / 2
    assert lrs[-1] == pytest.approx(MIN_LR + increment, rel=1e-12)
    assert schedule("cosine", decay_epochs=7)[-1] == MIN_LR
    assert schedule("one_cycle")[-1] == pytest.approx(MIN_LR, rel=1e-12)
    assert schedule("one_cycle", min_lr=0)[-1] == 0
    assert schedule("cosine", decay_epochs=10, warmup_epochs=0)[0] == LR


@pytest.mark.parametrize(
    ("options", "needed"),
    [
        ({"decay_epochs": 9}, 11),
        ({"decay_epochs": 5, "num_cycles": 2}, 12),
        ({"decay_epochs": 12, "warmup_prefix": False}, 12),
        ({"decay_epochs": 1, "warmup_epochs": 12, "warmup_prefix": False}, 12),
    ],
)
def test_create_scheduler_cuts_a_schedule_that_is_longer_than_the_run_with_a_warning(options, needed):
    with pytest.warns(UserWarning, match=f"takes {needed} epochs and is cut at num_epochs 10"):
        rates = schedule("cosine", **options)
    assert rates == schedule("cosine", num_epochs=needed, **options)[: len(rates)]
    assert len(rates) == len(schedule("constant"))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("cosin_decay", {}, "unknown scheduler 'cosin_decay'; did you mean 'cosine_decay'"),
        ("cosine", {"decay_epochs": 0}, "decay_epochs is 0; it must be at least 1"),
        ("cosine", {"decay_epochs": 8, "min_lr": 1}, "min_lr 1 is above lr 0.4"),
        ("constant", {"warmup_epochs": -1}, "warmup_epochs is -1; it must be at least 0"),
        ("constant", {"warmup_factor": 1.5}, "warmup_factor is 1.5; it must be at least 0 and at most 1"),
        ("constant", {"num_epochs": 0}, "num_epochs is 0; it must be at least 1"),
        ("constant", {"lr": float("nan")}, "lr is nan; it must be at least 0"),
        ("step_decay", {"decay_epochs": 0}, "step_size is 0; it must be at least 1"),
        ("multi_step_decay", {}, "increasing milestones"),
        ("multi_step_decay", {"milestones": [5, 3]}, "increasing milestones"),
        ("cyclic", {"num_cycles": 99}, "num_cycles 99 is too many for 32 steps"),
    ],
)
def test_create_scheduler_invalid_argument_raises(name, options, message):
    with pytest.raises(ValueError, match=message):
        schedule(name, **options)


def test_create_scheduler_stair_from_zero_warns():
    with pytest.warns(UserWarning, match="first epoch's learning rate is 0"):
        schedule("constant", warmup_factor=0, lr_epoch_stair=True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"epoch_size": 3}, "'epoch_size'; use num_epochs"), ({"warmup_epoch": 3}, "did you mean 'warmup_epochs'")],
)
def test_create_scheduler_unknown_argument_names_the_one_to_use(arguments, message):
    with pytest.raises(TypeError, match=message):
        create_scheduler(STEPS, **arguments)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("exponential_decay", {"lr": 1e30, "decay_rate": 1e30}),
        ("step_decay", {"decay_rate": 1e200, "decay_epochs": 1}),
        ("multi_step_decay", {"decay_rate": 1e200, "milestones": [1, 2, 3, 4]}),
        ("cosine_decay", {"lr": 1e30, "cycle_decay": 1e30, "num_cycles": 2, "decay_epochs": 4}),
        ("constant", {"lr": math.inf}),
    ],
)
def test_create_scheduler_lr_above_limit_raises(name, options):
    with pytest.raises(ValueError, match=f"the learning rate of {name} grows above 1e\\+30: lower lr"):
        schedule(name, **options)


def test_create_scheduler_with_too_many_steps_raises():
    with pytest.raises(ValueError, match="1000000000 epochs of 4 steps are 4000000000 learning rates"):
        create_scheduler(4, num_epochs=1_000_000_000)

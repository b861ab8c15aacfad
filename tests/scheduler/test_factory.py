"""create_scheduler against closed forms worked out here, step by step."""

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
    start, end, share = (LR / 25, LR, s / peak) if s <= peak else (LR, MIN_LR, (s - peak) / (N - 1 - peak))
    return (start + end) / 2 + (start - end) / 2 * math.cos(math.pi * share)


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
def test_schedule_is_its_closed_form_after_a_straight_warm_up(name):
    options, curve = CURVES[name]
    rates = schedule(name, **options)
    assert len(rates) == STEPS * EPOCHS
    assert rates[STEPS * WARMUP :] == pytest.approx([curve(s) for s in range(N)], rel=1e-12)
    first = curve(0)
    expected = [first * (FACTOR + (1 - FACTOR) * s / 8) for s in range(8)]
    assert rates[: STEPS * WARMUP] == pytest.approx(expected, rel=1e-12)
    assert all(isinstance(rate, float) for rate in rates)


@pytest.mark.parametrize("name", CURVES)
def test_stair_holds_the_first_rate_of_each_epoch(name):
    options, _ = CURVES[name]
    smooth, stair = (schedule(name, **options, lr_epoch_stair=flag) for flag in (False, True))
    assert stair == [rate for rate in smooth[::STEPS] for _ in range(STEPS)]


@pytest.mark.parametrize("name", CURVES)
def test_a_warm_up_may_take_the_place_of_the_beginning(name):
    options, _ = CURVES[name]
    whole = schedule(name, **options, warmup_epochs=0)
    rates = schedule(name, **options, warmup_prefix=False)
    assert len(rates) == STEPS * EPOCHS
    assert rates[STEPS * WARMUP :] == whole[STEPS * WARMUP :]
    expected = [whole[0] * (FACTOR + (1 - FACTOR) * s / 8) for s in range(8)]
    assert rates[: STEPS * WARMUP] == pytest.approx(expected, rel=1e-12)


def test_where_the_schedules_begin_and_end():
    whole = schedule("cosine", decay_epochs=8)
    assert whole[0] == FACTOR * LR and whole[8] == LR
    increment = (LR - MIN_LR) * (1 - math.cos(math.pi / 32)) / 2
    assert whole[-1] == pytest.approx(MIN_LR + increment, rel=1e-12)
    assert schedule("cosine", decay_epochs=7)[-1] == MIN_LR
    assert schedule("one_cycle")[-1] == pytest.approx(MIN_LR, rel=1e-12)
    assert schedule("one_cycle", min_lr=0)[-1] == 0
    assert schedule("cosine", decay_epochs=10, warmup_epochs=0)[0] == LR


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("cosin_decay", {}, "unknown scheduler 'cosin_decay': did you mean 'cosine_decay'"),
        ("cosine", {"decay_epochs": 9}, "2 warm-up and 1 x 9 decay epochs are more than num_epochs 10"),
        ("cosine", {"decay_epochs": 5, "num_cycles": 2}, "2 x 5 decay epochs"),
        ("cosine", {"decay_epochs": 11, "warmup_prefix": False}, "0 warm-up and 1 x 11 decay epochs"),
        ("cosine", {"decay_epochs": 0}, "decay_epochs must be at least 1"),
        ("cosine", {"decay_epochs": 8, "min_lr": 1}, "min_lr 1 is above lr 0.4"),
        ("constant", {"warmup_epochs": -1}, "warmup_epochs must be at least 0"),
        ("constant", {"warmup_epochs": 11}, "warmup_epochs 11 is more than num_epochs 10"),
        ("constant", {"warmup_factor": 1.5}, "warmup_factor must be in"),
        ("constant", {"num_epochs": 0}, "num_epochs must be at least 1"),
        ("constant", {"lr": float("nan")}, "lr must be at least 0"),
        ("step_decay", {"decay_epochs": 0}, "step_size must be at least 1"),
        ("multi_step_decay", {}, "increasing milestones"),
        ("multi_step_decay", {"milestones": [5, 3]}, "increasing milestones"),
        ("cyclic", {"num_cycles": 99}, "num_cycles 99 is too many for 32 steps"),
    ],
)
def test_bad_arguments_are_named(name, options, message):
    with pytest.raises(ValueError, match=message):
        schedule(name, **options)


def test_a_stair_that_starts_at_zero_warns():
    with pytest.warns(UserWarning, match="first epoch's learning rate is 0"):
        schedule("constant", warmup_factor=0, lr_epoch_stair=True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"epoch_size": 3}, "'epoch_size'; use num_epochs"), ({"warmup_epoch": 3}, "did you mean warmup_epochs")],
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
def test_create_scheduler_rates_beyond_single_precision_are_refused(name, options):
    with pytest.raises(ValueError, match=f"the learning rate of {name} grows above 1e\\+30: lower lr"):
        schedule(name, **options)


def test_create_scheduler_with_too_many_steps_is_refused():
    with pytest.raises(ValueError, match="1000000000 epochs of 4 steps are 4000000000 learning rates"):
        create_scheduler(4, num_epochs=1_000_000_000)

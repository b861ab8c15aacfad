"""Compare the schedule functions with values computed by hand."""

import math

import pytest

from mindcv.scheduler import dynamic_lr

TIME = {"steps_per_epoch": 2, "epochs": 5}
HALF = math.sqrt(0.5)


@pytest.mark.parametrize(
    ("name", "arguments", "epochs"),
    [
        ("constant_lr", {"factor": 0.5, "total_iters": 2, "lr": 8}, [4, 4, 8, 8, 8]),
        ("linear_lr", {"start_factor": 0.25, "end_factor": 1, "total_iters": 3, "lr": 8}, [2, 4, 6, 8, 8]),
        ("polynomial_lr", {"total_iters": 4, "power": 2, "lr": 16}, [16, 9, 4, 1, 0]),
        ("exponential_lr", {"gamma": 0.5, "lr": 16}, [16, 8, 4, 2, 1]),
        ("step_lr", {"step_size": 2, "gamma": 0.1, "lr": 1}, [1, 1, 0.1, 0.1, 0.01]),
        ("multi_step_lr", {"milestones": [3, 1], "gamma": 0.5, "lr": 8}, [8, 4, 4, 2, 2]),
        ("cosine_decay_lr", {"decay_epochs": 3, "eta_min": 1, "eta_max": 5}, [5, 4, 2, 1, 1]),
        ("cosine_annealing_lr", {"t_max": 3, "eta_min": 1, "eta_max": 5}, [5, 4, 2, 1, 2]),
        (
            "cosine_decay_lr",
            {"decay_epochs": 2, "eta_min": 0, "eta_max": 8, "num_cycles": 2, "cycle_decay": 0.5},
            [8, 4, 4, 2, 0],
        ),
    ],
)
def test_schedule_changed_per_epoch_matches_values(name, arguments, epochs):
    lrs = getattr(dynamic_lr, name)(**arguments, **TIME)
    assert lrs == pytest.approx([lr for lr in epochs for _ in range(2)], rel=1e-12, abs=1e-12)


@pytest.mark.parametrize(
    ("name", "arguments", "steps"),
    [
        (
            "linear_refined_lr",
            {"start_factor": 0, "end_factor": 1, "total_iters": 4, "lr": 8},
            [0, 1, 2, 3, 4, 5, 6, 7, 8, 8],
        ),
        (
            "polynomial_refined_lr",
            {"total_iters": 4, "power": 2, "lr": 64},
            [64, 49, 36, 25, 16, 9, 4, 1, 0, 0],
        ),
        (
            "exponential_refined_lr",
            {"gamma": 0.25, "lr": 512},
            [512, 256, 128, 64, 32, 16, 8, 4, 2, 1],
        ),
        (
            "cosine_decay_refined_lr",
            {"decay_epochs": 2, "eta_min": 1, "eta_max": 3},
            [3, 2 + HALF, 2, 2 - HALF, 1, 1, 1, 1, 1, 1],
        ),
        (
            "cosine_annealing_warm_restarts_lr",
            {"te": 1, "tm": 2, "eta_min": 1, "eta_max": 3},
            [3, 2, 3, 2 + HALF, 2, 2 - HALF, 3] + [2 + math.cos(math.pi * k / 8) for k in (1, 2, 3)],
        ),
        (
            "cyclic_lr",
            {"base_lr": 1, "max_lr": 5, "step_size_up": 2, "step_size_down": 4},
            [1, 3, 5, 4, 3, 2, 1, 3, 5, 4],
        ),
        (
            "cyclic_lr",
            {"base_lr": 1, "max_lr": 5, "step_size_up": 2, "mode": "triangular2"},
            [1, 3, 5, 3, 1, 2, 3, 2, 1, 1.5],
        ),
        (
            "cyclic_lr",
            {"base_lr": 0, "max_lr": 512, "step_size_up": 1, "mode": "exp_range", "gamma": 0.5},
            [0, 256, 0, 64, 0, 16, 0, 4, 0, 1],
        ),
        (
            "cyclic_lr",
            {"base_lr": 0, "max_lr": 6, "step_size_up": 1, "scale_fn": lambda cycle: 1 / cycle},
            [0, 6, 0, 3, 0, 2, 0, 1.5, 0, 1.2],
        ),
        (
            "one_cycle_lr",
            {"max_lr": 50, "pct_start": 0.5, "anneal_strategy": "linear", "final_div_factor": 2},
            [2, 14, 26, 38, 50, 40.2, 30.4, 20.6, 10.8, 1],
        ),
        (
            "one_cycle_lr",
            {
                "max_lr": 50,
                "pct_start": 0.4,
                "anneal_strategy": "linear",
                "three_phase": True,
                "final_div_factor": 2,
            },
            [2, 18, 34, 50, 34, 18, 2, 5 / 3, 4 / 3, 1],
        ),
        (
            "one_cycle_lr",
            {"max_lr": 50, "pct_start": 0.3, "final_div_factor": 2},
            [2, 26, 50] + [25.5 + 24.5 * math.cos(math.pi * k / 7) for k in range(1, 8)],
        ),
    ],
)
def test_schedule_changed_per_step_matches_values(name, arguments, steps):
    lrs = getattr(dynamic_lr, name)(**arguments, **TIME)
    assert lrs == pytest.approx(steps, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("linear_lr", {"start_factor": 0, "end_factor": 1, "total_iters": 0, "lr": 1}, "total_iters"),
        ("step_lr", {"step_size": 0, "gamma": 0.1, "lr": 1}, "step_size"),
        ("cosine_annealing_warm_restarts_lr", {"te": 2, "tm": 0, "eta_min": 0, "eta_max": 1}, "tm"),
        ("one_cycle_lr", {"max_lr": 1, "anneal_strategy": "sine"}, "anneal_strategy"),
        ("cyclic_lr", {"base_lr": 0, "max_lr": 1, "mode": "square"}, "mode"),
        ("cyclic_lr", {"base_lr": 0, "max_lr": 1, "step_size_up": 0}, "step_size_up"),
    ],
)
def test_schedule_invalid_argument_raises(name, arguments, message):
    with pytest.raises(ValueError, match=message):
        getattr(dynamic_lr, name)(**arguments, **TIME)

"""Statistics of training steps, recorded without a training step."""

import math

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor

from mindcv.engine.stats import DeviceStats, StepStats


def record(stats, loss=1.0, succeeded=True, updated=True, stop_requests=0, grad_norm=0.0):
    """Record one step in `stats`."""
    numbers = [Tensor(value, ms.float32) for value in (loss, stop_requests, grad_norm)]
    stats(numbers[0], Tensor(succeeded), Tensor(updated), *numbers[1:])


def test_mean_loss_without_a_step_is_nan():
    assert math.isnan(StepStats().mean_loss)
    assert StepStats(loss_sum=3.0, succeeded=2).mean_loss == 1.5


def test_mean_grad_norm_without_an_update_is_none():
    assert StepStats().mean_grad_norm is None
    assert StepStats(grad_norm_sum=3.0, grad_norms=2).mean_grad_norm == 1.5


def test_device_stats_begin_as_the_defaults_of_step_stats():
    np.testing.assert_array_equal(DeviceStats().read(), StepStats())


def test_device_stats_add_up_steps_that_succeed_and_count_those_that_fail(both_modes):
    stats = DeviceStats(tolerated_failures=2)
    record(stats, loss=2.0, grad_norm=3.0)
    record(stats, loss=np.nan, succeeded=False, grad_norm=np.nan)
    record(stats, loss=4.0, updated=False, stop_requests=2)
    seen = stats.read()
    assert seen == StepStats(
        loss_sum=6.0, succeeded=2, last_loss=4.0, failed_in_a_row=1, failed=1, gave_up_at=0, stop_requests=2,
        grad_norm_sum=3.0, grad_norms=1,
    )  # fmt: skip
    assert [type(value) for value in seen] == list(StepStats.__annotations__.values())


@pytest.mark.parametrize(
    ("tolerated", "steps", "expected"),
    [
        (0, "succeeds fails succeeds", 2),
        (1, "fails succeeds fails fails fails", 4),
        (2, "fails fails succeeds fails fails", 0),
        (1, "fails accumulates fails", 3),  # a step that updates no weights does not end a row of failures
    ],
)
def test_gave_up_at_is_the_first_step_after_too_many_failures_in_a_row(tolerated, steps, expected):
    ms.set_context(mode=ms.PYNATIVE_MODE)
    stats = DeviceStats(tolerated)
    for step in steps.split():
        record(stats, succeeded=step != "fails", updated=step == "succeeds")
    assert stats.read().gave_up_at == expected


def test_reset_keeps_the_last_loss_and_the_row_of_failures():
    ms.set_context(mode=ms.PYNATIVE_MODE)
    stats = DeviceStats(tolerated_failures=2)
    record(stats, loss=5.0, stop_requests=1, grad_norm=1.0)
    for _ in range(2):
        record(stats, loss=np.nan, succeeded=False)
    stats.reset()
    assert stats.read() == StepStats(last_loss=5.0, failed_in_a_row=2)
    record(stats, loss=np.nan, succeeded=False)
    seen = stats.read()
    assert (seen.gave_up_at, seen.failed_in_a_row, seen.failed, seen.last_loss) == (1, 3, 1, 5.0)

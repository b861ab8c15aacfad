"""Position, speed and metrics of a run, with stand-ins for the run and the clock."""

from types import SimpleNamespace

import pytest

from mindcv.distributed import BARS
from mindcv.distributed.context import ALONE
from mindcv.engine import progress as module
from mindcv.engine.checkpoints import START, TrainPosition
from mindcv.engine.progress import Progress
from mindcv.engine.stats import StepStats

STEPS, EPOCHS = 6, 2


class FakeStats:
    """Statistics that are set by hand."""

    def __init__(self):
        self.values, self.resets = StepStats(loss_sum=3.0, succeeded=2, grad_norm_sum=1.0, grad_norms=1), 0

    def read(self):
        return self.values

    def reset(self):
        self.resets += 1


@pytest.fixture
def clock(monkeypatch):
    """Return a clock whose `now`, in seconds, is set by hand."""
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(module.time, "perf_counter", lambda: clock.now)
    return clock


@pytest.fixture
def run():
    """Return a run of 2 epochs of 6 steps, 4 images each, whose learning rate grows by 1 an update."""
    step = SimpleNamespace(
        stats=FakeStats(), accumulation=1, skip_nonfinite=0, loss_scale=SimpleNamespace(skips_overflow=False)
    )
    config = SimpleNamespace(epoch_size=EPOCHS, log_interval=4)
    rates = [float(update) for update in range(EPOCHS * STEPS)]
    return SimpleNamespace(
        config=config, step=step, steps=STEPS, total_steps=EPOCHS * STEPS, rates=rates, images_a_step=4,
        distributed=ALONE,
    )  # fmt: skip


def test_advance_counts_steps_from_the_position_where_the_epoch_began(run, clock):
    progress = Progress(run, TrainPosition(1, 2))
    progress.begin_epoch(TrainPosition(1, 2))
    assert progress.advance() == TrainPosition(1, 3)
    assert progress.advance(3) == progress.position == TrainPosition(1, 6)


@pytest.mark.parametrize(("step", "resets"), [(0, 1), (2, 0)])
def test_begin_epoch_resets_the_statistics_only_at_its_first_step(step, resets, run, clock):
    progress = Progress(run, TrainPosition(1, step))
    progress.begin_epoch(TrainPosition(1, step))
    assert run.step.stats.resets == resets


def test_is_log_due_every_log_interval_and_at_the_epochs_end(run, clock):
    progress = Progress(run, START)
    progress.begin_epoch(START)
    due = []
    for step in range(1, STEPS + 1):
        progress.advance()
        due += [step] * progress.is_log_due()
    assert due == [4, 6]


def test_log_metrics_keeps_and_passes_on_the_metrics_of_the_epoch_so_far(run, clock):
    logged = []
    progress = Progress(run, START, logged.append)
    progress.begin_epoch(TrainPosition(2, 0))
    clock.now = 10.0  # the first step compiles the graph and does not count into the speed
    progress.advance()
    clock.now = 14.0
    progress.advance(2)
    progress.log_metrics()
    assert logged == [progress.metrics]
    assert progress.metrics == {
        "epoch": 2, "step": 9, "loss": 1.5, "lr": 8.0, "grad_norm": 1.0, "images_per_second": 2.0, "seconds": 14.0,
        "skipped": 0,
    }  # fmt: skip


def test_log_metrics_after_the_first_step_has_no_speed_yet(run, clock):
    progress = Progress(run, START)
    progress.begin_epoch(START)
    progress.advance()
    progress.log_metrics()
    assert progress.metrics["images_per_second"] is None


@pytest.mark.parametrize(("mode", "text"), [(0, "the graph was compiled and"), (1, "the first step was made")])
def test_advance_names_compiling_in_graph_mode_only(mode, text, run, clock, caplog, monkeypatch):
    monkeypatch.setattr(module.ms, "get_context", lambda _name: mode)
    progress = Progress(run, START)
    progress.begin_epoch(START)
    with caplog.at_level("INFO", "mindcv"):
        progress.advance()
    assert caplog.messages[0].startswith(text)


def test_log_line_without_a_bar_names_step_metrics_and_time_left(run, clock, caplog):
    progress = Progress(run, START)
    progress.begin_epoch(START)
    clock.now = 10.0  # compiling does not count into the time left
    progress.advance()
    clock.now = 14.0
    progress.advance(3)
    progress.log_metrics()
    caplog.clear()
    with caplog.at_level("INFO", "mindcv"):
        progress.log_line()
        progress.advance(2)
        progress.log_line()  # the epoch's end has a line of its own
    # three steps of 4 images took 4 s; 8 of the run's 12 steps are left
    assert caplog.messages == ["epoch 1/2, step 4/6, loss 1.5000, lr 3.00e+00, 3.0 images/s, 00:10 left"]


def test_log_line_with_a_visible_bar_is_not_logged(run, clock, caplog, monkeypatch):
    monkeypatch.setenv(BARS, "1")
    progress = Progress(run, START)
    progress.begin_epoch(START)
    progress.advance()
    progress.log_metrics()
    caplog.clear()
    with caplog.at_level("INFO", "mindcv"):
        progress.log_line()
    progress.close()
    assert caplog.messages == []


def test_time_left_is_empty_at_the_runs_end_and_before_a_timed_step(run, clock):
    progress = Progress(run, START)
    assert progress.time_left() == ""
    progress.begin_epoch(TrainPosition(2, 5))
    clock.now = 2.0
    progress.advance()
    assert progress.time_left() == ""


def test_time_left_leaves_out_the_first_validation_alone(run, clock):
    progress = Progress(run, START)
    progress.begin_epoch(START)
    progress.advance()
    progress.advance(5)
    clock.now = 5.0
    for end, wanted in ((105.0, ", 00:06 left"), (110.0, ", 00:12 left")):  # 6 steps are left, 5 are timed
        with progress.validation():
            clock.now = end
        assert progress.time_left() == wanted


def test_log_metrics_with_accumulation_gives_the_rate_of_the_update(run, clock):
    run.step.accumulation, run.rates = 4, run.rates[:3]
    progress = Progress(run, START)
    rates = []
    for position in (TrainPosition(1, 4), TrainPosition(1, 5), TrainPosition(2, 6)):
        progress.begin_epoch(position)
        progress.log_metrics()
        rates.append(progress.metrics["lr"])
    assert rates == [0.0, 1.0, 2.0]


def test_log_metrics_with_a_loss_scale_that_skips_adds_scale_and_overflows(run, clock):
    state = SimpleNamespace(asnumpy=lambda: SimpleNamespace(tolist=lambda: [512.0, 1.0, 3.0]))
    run.step.loss_scale = SimpleNamespace(skips_overflow=True, state=state)
    progress = Progress(run, START)
    progress.begin_epoch(START)
    progress.advance()
    progress.log_metrics()
    assert (progress.metrics["loss_scale"], progress.metrics["overflows"]) == (512.0, 3)


@pytest.mark.parametrize(("tolerated", "before"), [(0, ""), (2, " and 2 before it")])
def test_log_metrics_after_too_many_failures_raises_and_names_step_rate_and_loss(tolerated, before, run, clock):
    run.step.skip_nonfinite = tolerated
    run.step.stats.values = StepStats(last_loss=0.25, failed=3, gave_up_at=5)
    progress = Progress(run, TrainPosition(2, 0))
    progress.begin_epoch(TrainPosition(2, 5))
    message = rf"^the loss or .* at step 5 of epoch 2{before} are not finite \(learning rate 10, the last .* 0\.25\): "
    with pytest.raises(FloatingPointError, match=message):
        progress.log_metrics()

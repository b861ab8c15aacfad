"""The callbacks, called as MindSpore's loop calls them, for what does not happen on a CPU or takes long."""

from contextlib import nullcontext
from types import SimpleNamespace

import pytest

from mindcv.distributed.context import ALONE
from mindcv.distributed.signals import StopFlag, Stopped
from mindcv.engine.callbacks import EpochEnd, Progress, Saving
from mindcv.engine.checkpoints import START, TrainPosition

WATCHED = SimpleNamespace(gave_up_at=0, mean_loss=1.0, mean_norm=1.0, failed=0, last_loss=1.0, stop=0)


class DistributedContext(SimpleNamespace):
    """Two workers, of which this one gets no signal."""

    size = 2
    wait = staticmethod(lambda: None)


@pytest.fixture
def loop(tmp_path):
    """A function that gives the callbacks of a run of 4 epochs of 6 steps, what they saved, and their context."""

    def make(position=START, sinks=False, interval=0, epochs=1, distributed=ALONE):
        step = SimpleNamespace(
            read_stats=lambda: WATCHED, reset_stats=lambda: None, accumulation=1, loss_scale=SimpleNamespace(drops=False),
            stop_flag=SimpleNamespace(set_data=lambda value: None),
        )  # fmt: skip
        saved = []
        checkpoints = SimpleNamespace(save=lambda arrays, position: saved.append(position), best=0.0)
        state = SimpleNamespace(arrays=lambda position, best: {})
        progress = Progress(step, [0.1] * 24, 1, 4, 6, 100, position, visible=False)
        saving = Saving(
            progress, state, checkpoints, interval, TrainPosition(4, 6), StopFlag(), distributed, looks_always=False
        )
        end = EpochEnd(progress, saving, None, (), 1, epochs, tmp_path / "metrics.jsonl")
        facts = SimpleNamespace(
            dataset_sink_mode=sinks, cur_epoch_num=position.epoch, train_network=SimpleNamespace(set_train=lambda: None)
        )
        return progress, saving, end, saved, SimpleNamespace(original_args=lambda: facts)

    return make


def run_epoch(progress, saving, end, context, calls):
    progress.on_train_epoch_begin(context)
    for _ in range(calls):
        progress.on_train_step_end(context)
        saving.on_train_step_end(context)
    progress.on_train_epoch_end(context)
    end.on_train_epoch_end(context)


def test_an_epoch_that_sinks_from_its_middle_ends_at_its_end(loop):
    progress, saving, end, saved, context = loop(position=TrainPosition(2, 4), sinks=True)
    run_epoch(progress, saving, end, context, calls=1)
    assert saved == [TrainPosition(2, 6)]


@pytest.mark.parametrize(
    ("epochs", "interval", "wanted"),
    [(1, 0, [6]), (2, 0, []), (2, 2, [2, 4, 6]), (2, 4, [4]), (1, 4, [4, 6])],
)
def test_checkpoints_come_every_so_many_steps_and_epochs(epochs, interval, wanted, loop):
    progress, saving, end, saved, context = loop(interval=interval, epochs=epochs)
    run_epoch(progress, saving, end, context, calls=6)
    assert [position.step for position in saved] == wanted


@pytest.mark.parametrize(("answers", "saves"), [([True], 1), ([False, True], 1), ([False, False], 0)])
def test_workers_agree_to_stop_between_epochs(answers, saves, loop):
    """Before an epoch's validation and after it, whichever of them got the signal; nothing is lost that is not due."""
    distributed = DistributedContext(any=lambda says_so: answers.pop(0))
    progress, saving, end, saved, context = loop(sinks=True, epochs=2, distributed=distributed)
    with pytest.raises(Stopped, match="after step 6 of epoch 1, and saved") if saves else nullcontext():
        run_epoch(progress, saving, end, context, calls=1)
    assert saved == [TrainPosition(1, 6)] * saves
    assert not answers


def test_a_signal_in_the_last_validation_does_not_unmake_the_run(loop):
    answers = [False]
    distributed = DistributedContext(any=lambda says_so: answers.pop(0))
    progress, saving, end, saved, context = loop(position=TrainPosition(4, 0), sinks=True, distributed=distributed)
    run_epoch(progress, saving, end, context, calls=1)
    assert saved == [TrainPosition(4, 6)]

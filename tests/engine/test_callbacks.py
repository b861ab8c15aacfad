"""The callbacks, called as MindSpore's loop calls them, for what does not happen on a CPU or takes long."""

from contextlib import nullcontext
from types import SimpleNamespace

import pytest

from mindcv.engine.callbacks import EpochEnd, Progress, Saving
from mindcv.engine.checkpoints import BEGINNING, Place
from mindcv.engine.group import ALONE
from mindcv.stopping import Stopped, StopWish

WATCHED = SimpleNamespace(gave_up_at=0, mean_loss=1.0, mean_norm=1.0, failed=0, last_loss=1.0, stop=0)


class Group(SimpleNamespace):
    """Two workers, of which this one gets no signal."""

    size = 2
    wait = staticmethod(lambda: None)


@pytest.fixture
def loop(tmp_path):
    """A function that gives the callbacks of a run of 4 epochs of 6 steps, what they saved, and their context."""

    def make(place=BEGINNING, sinks=False, interval=0, epochs=1, group=ALONE):
        step = SimpleNamespace(
            watched=lambda: WATCHED, forget=lambda: None, accumulation=1, loss_scale=SimpleNamespace(drops=False),
            wish=SimpleNamespace(set_data=lambda value: None),
        )  # fmt: skip
        saved = []
        keeper = SimpleNamespace(save=lambda arrays, place: saved.append(place), best=0.0)
        state = SimpleNamespace(arrays=lambda place, best: {})
        progress = Progress(step, [0.1] * 24, 1, 4, 6, 100, place, visible=False)
        saving = Saving(progress, state, keeper, interval, Place(4, 6), StopWish(), group, looks_always=False)
        end = EpochEnd(progress, saving, None, (), 1, epochs, tmp_path / "metrics.jsonl")
        facts = SimpleNamespace(
            dataset_sink_mode=sinks, cur_epoch_num=place.epoch, train_network=SimpleNamespace(set_train=lambda: None)
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
    progress, saving, end, saved, context = loop(place=Place(2, 4), sinks=True)
    run_epoch(progress, saving, end, context, calls=1)
    assert saved == [Place(2, 6)]


@pytest.mark.parametrize(
    ("epochs", "interval", "wanted"),
    [(1, 0, [6]), (2, 0, []), (2, 2, [2, 4, 6]), (2, 4, [4]), (1, 4, [4, 6])],
)
def test_checkpoints_come_every_so_many_steps_and_epochs(epochs, interval, wanted, loop):
    progress, saving, end, saved, context = loop(interval=interval, epochs=epochs)
    run_epoch(progress, saving, end, context, calls=6)
    assert [place.step for place in saved] == wanted


@pytest.mark.parametrize(("answers", "saves"), [([True], 1), ([False, True], 1), ([False, False], 0)])
def test_workers_agree_to_stop_between_epochs(answers, saves, loop):
    """Before an epoch's validation and after it, whichever of them got the signal; nothing is lost that is not due."""
    group = Group(any=lambda says_so: answers.pop(0))
    progress, saving, end, saved, context = loop(sinks=True, epochs=2, group=group)
    with pytest.raises(Stopped, match="after step 6 of epoch 1, and saved") if saves else nullcontext():
        run_epoch(progress, saving, end, context, calls=1)
    assert saved == [Place(1, 6)] * saves
    assert not answers


def test_a_signal_in_the_last_validation_does_not_unmake_the_run(loop):
    answers = [False]
    group = Group(any=lambda says_so: answers.pop(0))
    progress, saving, end, saved, context = loop(place=Place(4, 0), sinks=True, group=group)
    run_epoch(progress, saving, end, context, calls=1)
    assert saved == [Place(4, 6)]

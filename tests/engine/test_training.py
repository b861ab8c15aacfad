"""The trainer's loop, with stand-ins for the step, the data and the workers."""

from contextlib import nullcontext
from types import SimpleNamespace

import pytest
from mindspore import nn

from mindcv.distributed.context import ALONE
from mindcv.distributed.signals import Stopped
from mindcv.engine.checkpoints import START, TrainPosition
from mindcv.engine.stats import StepStats
from mindcv.engine.training import SunkEpochs, Trainer, warn_of_unsaved_dropout
from mindcv.models.layers import Dropout

EPOCHS, STEPS = 4, 6


class TwoWorkers(SimpleNamespace):
    """The context of the first of two workers, which receives no signal itself."""

    size = 2
    is_main = True
    wait = staticmethod(lambda: None)


@pytest.fixture
def trainer(tmp_path):
    """Return a function that returns a trainer of 4 epochs of 6 steps, and the list of the positions that it saves."""

    def build(position=START, end=None, steps_interval=0, epochs_interval=1, distributed=ALONE):
        stats = SimpleNamespace(read=lambda: StepStats(loss_sum=1.0, succeeded=1), reset=lambda: None)
        step = SimpleNamespace(
            stats=stats, accumulation=1, loss_scale=SimpleNamespace(skips_overflow=False), set_train=lambda: None,
            model=SimpleNamespace(get_parameters=list), ema=None, request_stop=lambda: None,
        )  # fmt: skip
        made = []
        step_cell = type("Step", (SimpleNamespace,), {"__call__": lambda self, *batch: made.append(batch)})
        config = SimpleNamespace(
            tensorboard=False, log_gates=False, log_interval=100, epoch_size=EPOCHS, val_interval=1,
            ckpt_save_interval=epochs_interval, ckpt_save_interval_steps=steps_interval, device_target="Ascend",
            dataset_sink_mode=False, steps=None, mode=0,
        )  # fmt: skip
        loader = lambda position: SimpleNamespace(  # noqa: E731
            create_tuple_iterator=lambda num_epochs: [("images", "labels")] * (STEPS - position.step)
        )
        run = SimpleNamespace(
            config=config, step=step_cell(**vars(step)), model=step.model, distributed=distributed, validation=None,
            steps=STEPS, end=end or TrainPosition(EPOCHS, STEPS), rates=[0.1] * EPOCHS * STEPS, images_a_step=1,
            total_steps=EPOCHS * STEPS,
            loader=loader,
        )  # fmt: skip
        saved = []
        checkpoints = SimpleNamespace(
            save=lambda arrays, position: saved.append(position), best=0.0, has_saved=lambda position: position in saved
        )
        state = SimpleNamespace(arrays=lambda position, best: {})
        return Trainer(run, state, checkpoints, tmp_path / "metrics.jsonl", position), saved

    return build


def run_sunk_epoch(trainer, position):
    """Call the callback as `Model.train` does for an epoch whose data sink into the device."""
    callback = SunkEpochs(trainer, position)
    context = SimpleNamespace(original_args=lambda: SimpleNamespace(cur_epoch_num=position.epoch))
    callback.on_train_epoch_begin(context)
    callback.on_train_epoch_end(context)


def test_sunk_epoch_resumed_in_its_middle_is_saved_at_its_end(trainer):
    position = TrainPosition(2, 4)
    trainer, saved = trainer(position)
    run_sunk_epoch(trainer, position)
    assert saved == [TrainPosition(2, STEPS)]


@pytest.mark.parametrize(
    ("epochs", "interval", "wanted"),
    [(1, 0, [6]), (2, 0, []), (2, 2, [2, 4, 6]), (2, 4, [4]), (1, 4, [4, 6])],
)
def test_train_epoch_saves_at_the_intervals_of_steps_and_epochs(epochs, interval, wanted, trainer):
    trainer, saved = trainer(steps_interval=interval, epochs_interval=epochs)
    trainer.train_epoch(START)
    assert [position.step for position in saved] == wanted


@pytest.mark.parametrize(("end", "wanted"), [((2, 3), [(1, 6), (2, 3)]), ((2, 6), [(1, 6), (2, 6)])])
def test_fit_ends_at_the_end_of_the_run(end, wanted, trainer):
    trainer, saved = trainer(end=TrainPosition(*end))
    trainer.fit(START)
    assert saved == wanted


def test_fit_resumed_at_an_epochs_end_records_it_and_goes_on(trainer):
    position = TrainPosition(3, STEPS)
    trainer, saved = trainer(position)
    trainer.fit(position)
    assert saved == [TrainPosition(4, STEPS)]
    assert trainer.metrics_file.read_text().count("\n") == 2


@pytest.mark.parametrize(("answers", "saves"), [([True], 1), ([False, True], 1), ([False, False], 0)])
def test_workers_asked_to_stop_between_epochs_save_once_and_stop(answers, saves, trainer):
    """They agree before an epoch's validation and after it, whichever of them received the signal."""
    distributed = TwoWorkers(any=lambda requested: answers.pop(0))
    trainer, saved = trainer(epochs_interval=2, distributed=distributed)
    with pytest.raises(Stopped, match="after step 6 of epoch 1, and saved") if saves else nullcontext():
        run_sunk_epoch(trainer, START)
    assert saved == [TrainPosition(1, STEPS)] * saves
    assert not answers


def test_signal_in_the_last_validation_does_not_stop_the_finished_run(trainer):
    answers = [False]
    trainer, saved = trainer(TrainPosition(4, 0), distributed=TwoWorkers(any=lambda requested: answers.pop(0)))
    run_sunk_epoch(trainer, TrainPosition(4, 0))
    assert saved == [TrainPosition(4, STEPS)]


@pytest.mark.parametrize(("drop", "wanted"), [(nn.Dropout(p=0.5), ["1 is MindSpore's nn.Dropout"]), (Dropout(0.5), [])])
def test_warn_of_unsaved_dropout_names_the_layer(drop, wanted, caplog):
    warn_of_unsaved_dropout(nn.SequentialCell(nn.ReLU(), drop))
    assert [record.message.split(",")[0] for record in caplog.records] == wanted

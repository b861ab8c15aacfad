"""What a checkpoint holds, and how a run takes it back."""

import mindspore as ms
import numpy as np
import pytest

from mindcv import weights
from mindcv.engine.checkpoints import TrainPosition
from mindcv.engine.ema import ModelEMA
from mindcv.engine.loss_scale import LossScale
from mindcv.engine.step import TrainStep
from mindcv.engine.train_state import BEST, TrainState, model_entries
from mindcv.loss import create_loss
from mindcv.optim import create_optimizer


@pytest.fixture
def state(small_model, identity):
    """Return a function that builds the state of a step with averages, accumulation and a dynamic loss scale."""
    ms.set_context(mode=ms.PYNATIVE_MODE)

    def build():
        model = small_model()
        optimizer = create_optimizer(model, "adamw", lr=0.1)
        scale, averages = LossScale(64.0, dynamic=True, window=2), ModelEMA(model.get_parameters(), 0.9)
        step = TrainStep(model, create_loss("CE"), optimizer, scale, accumulation=2, ema=averages).set_train()
        return TrainState(step, identity)

    return build


def test_model_entries_restore_the_model_and_its_class_names(small_model, tmp_path):
    model = small_model(image_size=(16, 8))
    weights.write(tmp_path / "a.ckpt", model_entries(model, ["cat", "dog"]))
    assert weights.classes_in(tmp_path / "a.ckpt") == (7, ["cat", "dog"])
    twin = small_model(image_size=(16, 8))
    for parameter in twin.get_parameters():
        parameter.set_data(parameter * 0)
    weights.load(twin, tmp_path / "a.ckpt")
    for one, other in zip(model.get_parameters(), twin.get_parameters(), strict=True):
        np.testing.assert_array_equal(one.asnumpy(), other.asnumpy())


def test_classes_in_a_checkpoint_without_names_has_no_names(small_model, tmp_path):
    weights.write(tmp_path / "a.ckpt", {p.name: p.asnumpy() for p in small_model().get_parameters()})
    assert weights.classes_in(tmp_path / "a.ckpt").names is None


def test_restored_state_continues_bit_for_bit(state, batch, tmp_path):
    """The checkpoint is of the middle of an update, after the dynamic loss scale has doubled once."""
    one, other = state(), state()
    for _ in range(5):
        one.step(*batch)
    weights.write(tmp_path / "1.ckpt", one.arrays(TrainPosition(2, 5), 71.5))
    assert other.restore(tmp_path / "1.ckpt", weights.read(tmp_path / "1.ckpt")) == (TrainPosition(2, 5), 71.5)
    for each in (one, other):
        for _ in range(3):
            each.step(*batch)
        assert each.step.loss_scale.state.asnumpy().tolist() == [256, 0, 0]
        assert each.step.ema.updates.asnumpy() == 4
    found, expected = (each.arrays(TrainPosition(2, 8), 71.5) for each in (other, one))
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)


@pytest.mark.parametrize("damage", ["missing", "shape", "position"])
def test_restore_of_an_unusable_checkpoint_fails_and_changes_nothing(damage, state):
    one = state()
    arrays = one.arrays(TrainPosition(1, 1), 0.0)
    arrays = {name: value + 1 if value.dtype.kind == "f" else value for name, value in arrays.items()}
    name = BEST if damage == "position" else "ema.classifier.bias"
    arrays[name] = np.zeros(3, np.float32)
    if damage != "shape":
        del arrays[name]
    before = {name: parameter.asnumpy() for name, parameter in one.parameters().items()}
    with pytest.raises(ValueError, match=rf"^1\.ckpt holds no state that this run could go on from: {name} is missing"):
        one.restore("1.ckpt", arrays)
    for name, parameter in one.parameters().items():
        np.testing.assert_array_equal(parameter.asnumpy(), before[name])

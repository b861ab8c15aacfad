import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor

from mindcv import weights
from mindcv.config import Config, ConfigError
from mindcv.engine.build import build_loss_scale
from mindcv.engine.checkpoints import TrainPosition
from mindcv.engine.loss_scale import LossScale
from mindcv.engine.step import TrainStep
from mindcv.engine.train_state import TrainState
from mindcv.loss import create_loss
from mindcv.models import set_precision
from mindcv.optim import create_optimizer


@pytest.fixture(autouse=True)
def pynative():
    ms.set_context(mode=ms.PYNATIVE_MODE)


def step_of(model, scale, **options):
    optimizer = create_optimizer(model, "sgd", lr=0.1, momentum=0.0)
    return TrainStep(model, create_loss("CE"), optimizer, scale, **options).set_train()


def values(model):
    return [parameter.asnumpy().copy() for parameter in model.get_parameters()]


def same(one, other):
    return all((a == b).all() for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("mode", [ms.GRAPH_MODE, ms.PYNATIVE_MODE])
def test_a_dynamic_scale_halves_until_gradients_fit_and_doubles_again(mode, small_model, batch):
    """At 2^24 float16 gradients overflow; the updates are left out, and no step is counted as failed."""
    ms.set_context(mode=mode)
    model = small_model()
    set_precision(model, "O2")
    step = step_of(model, LossScale(2.0**24, dynamic=True, window=2))
    factors, left_out = [2.0**24], 0
    while left_out < 30:
        before = values(model)
        step(*batch)
        factor, _, overflows = step.loss_scale.state.asnumpy().tolist()
        moved = not same(before, values(model))
        assert moved == (overflows == left_out)
        factors.append(factor)
        if moved:
            break
        left_out += 1
        assert factor == factors[-2] / 2
    assert 0 < left_out < 24
    step(*batch)
    assert step.loss_scale.state.asnumpy()[0] == 2 * factor
    seen = step.stats.read()
    assert (seen.failed, seen.gave_up_at, seen.succeeded) == (0, 0, left_out + 2)


def test_what_overflows_without_a_scale_is_a_failure(small_model, batch):
    model = small_model()
    step = step_of(model, LossScale(2.0, dynamic=True))
    poison = Tensor(np.full((8, 3, 16, 16), np.inf, np.float32)), batch[1]
    before = values(model)
    for _ in range(2):
        step(*poison)
    assert same(before, values(model))
    assert step.loss_scale.state.asnumpy()[0] == 1
    assert step.stats.read().gave_up_at == 1  # the loss is not finite: no scale would help


def test_an_overflow_that_is_left_out_does_not_end_a_row_of_failures(small_model, batch):
    model = small_model()
    set_precision(model, "O2")
    step = step_of(model, LossScale(2.0**24, skips_overflow=True), skip_nonfinite=1)
    poison = Tensor(np.full((8, 3, 16, 16), np.nan, np.float32)), batch[1]
    for images, labels in (poison, batch, poison):
        step(images, labels)
    assert step.stats.read().gave_up_at == 3


@pytest.mark.parametrize(
    ("drops", "mode"), [(True, ms.GRAPH_MODE), (True, ms.PYNATIVE_MODE), (False, ms.PYNATIVE_MODE)]
)
def test_a_fixed_scale_may_leave_out_what_overflows(drops, mode, small_model, batch):
    ms.set_context(mode=mode)
    model = small_model()
    set_precision(model, "O2")
    before = values(model)
    step = step_of(model, LossScale(2.0**24, skips_overflow=drops))
    loss = step(*batch)
    assert np.isfinite(loss.asnumpy())
    assert same(before, values(model)) == drops
    assert step.stats.read().failed == (not drops)
    assert all(np.isfinite(value).all() for value in values(model)) == drops
    assert (step.loss_scale.state.asnumpy() == [2.0**24, 0, int(drops)]).all()


def test_the_scale_is_saved_and_resumed(small_model, batch, identity, tmp_path):
    one, other = (step_of(small_model(), LossScale(64.0, dynamic=True, window=2)) for _ in range(2))
    for _ in range(3):
        one(*batch)
    weights.write(tmp_path / "1.ckpt", TrainState(one, identity).arrays(TrainPosition(1, 1), 0.0))
    TrainState(other, identity).restore(tmp_path / "1.ckpt", weights.read(tmp_path / "1.ckpt"))
    for step in (one, other):
        step(*batch)
        assert step.loss_scale.state.asnumpy().tolist() == [256, 0, 0]
    assert same(values(one.model), values(other.model))


def test_dynamic_and_fixed_scales_give_the_same_gradients(small_model, batch):
    one, other = small_model(), small_model()
    step_of(one, LossScale(1024.0, dynamic=True))(*batch)
    step_of(other, 1.0)(*batch)
    for a, b in zip(values(one), values(other), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(("options", "wanted"), [
    ({}, (1.0, False, False)),
    ({"loss_scale": 1024, "drop_overflow_update": True}, (1024.0, False, True)),
    ({"loss_scale_type": "dynamic"}, (65536.0, True, True)),
    ({"loss_scale_type": "dynamic", "loss_scale": 512}, (512.0, True, True)),
    ({"loss_scale_type": "auto"}, (1.0, False, False)),
    ({"loss_scale_type": "auto", "amp_level": "O2"}, (65536.0, True, True)),
    ({"loss_scale_type": "auto", "amp_level": "O2", "amp_dtype": "bfloat16"}, (1.0, False, False)),
])  # fmt: skip
def test_what_the_options_say(options, wanted):
    scale = build_loss_scale(Config(options))
    assert (scale.start, scale.dynamic, scale.skips_overflow) == wanted


@pytest.mark.parametrize(("options", "said"), [
    ({"amp_cast_list": "Mlp"}, "amp_cast_list .* pass --amp_level O1"),
    ({"amp_dtype": "bfloat16"}, "amp_dtype is bfloat16, but nothing"),
    ({"clip_mode": "value"}, "clip_mode is value, but nothing is clipped"),
])  # fmt: skip
def test_contradictions(options, said):
    with pytest.raises(ConfigError, match=said):
        Config(options)

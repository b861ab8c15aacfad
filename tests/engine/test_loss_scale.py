import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor

from mindcv.config import Config, ConfigError
from mindcv.engine.build import build_loss_scale
from mindcv.engine.loss_scale import LossScale
from mindcv.engine.step import TrainStep
from mindcv.loss import create_loss
from mindcv.models import set_precision
from mindcv.optim import create_optimizer


@pytest.fixture(autouse=True)
def pynative():
    ms.set_context(mode=ms.PYNATIVE_MODE)


def step_of(model, scale, **options):
    """Return a training step of `model` by SGD with the loss scale `scale`."""
    optimizer = create_optimizer(model, "sgd", lr=0.1, momentum=0.0)
    return TrainStep(model, create_loss("CE"), optimizer, scale, **options).set_train()


def values(model):
    """Return copies of the weights."""
    return [parameter.asnumpy().copy() for parameter in model.get_parameters()]


def same(one, other):
    """Whether two lists of arrays are equal bit for bit."""
    return all((a == b).all() for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("mode", [ms.GRAPH_MODE, ms.PYNATIVE_MODE])
def test_dynamic_scale_halves_until_the_gradients_are_finite_and_doubles_again(mode, perceptron, batch):
    """At 2^24 the float16 gradients overflow; these updates are skipped, and no step counts as failed."""
    ms.set_context(mode=mode)
    model = perceptron()
    set_precision(model, "O2")
    step = step_of(model, LossScale(2.0**24, dynamic=True, window=2))
    factors, skipped = [2.0**24], 0
    while skipped < 30:
        before = values(model)
        step(*batch)
        factor, _, overflows = step.loss_scale.state.asnumpy().tolist()
        moved = not same(before, values(model))
        assert moved == (overflows == skipped)
        factors.append(factor)
        if moved:
            break
        skipped += 1
        assert factor == factors[-2] / 2
    assert 0 < skipped < 24
    step(*batch)
    assert step.loss_scale.state.asnumpy()[0] == 2 * factor
    seen = step.stats.read()
    assert (seen.failed, seen.gave_up_at, seen.succeeded) == (0, 0, skipped + 2)


def test_dynamic_scale_with_an_infinite_loss_counts_a_failed_step(perceptron, batch):
    model = perceptron()
    step = step_of(model, LossScale(2.0, dynamic=True))
    poison = Tensor(np.full((8, 3, 16, 16), np.inf, np.float32)), batch[1]
    before = values(model)
    for _ in range(2):
        step(*poison)
    assert same(before, values(model))
    assert step.loss_scale.state.asnumpy()[0] == 1
    assert step.stats.read().gave_up_at == 1  # the loss is not finite: no scale would help


def test_skipped_overflow_does_not_reset_the_failures_in_a_row(perceptron, batch):
    model = perceptron()
    set_precision(model, "O2")
    step = step_of(model, LossScale(2.0**24, skips_overflow=True), skip_nonfinite=1)
    poison = Tensor(np.full((8, 3, 16, 16), np.nan, np.float32)), batch[1]
    for images, labels in (poison, batch, poison):
        step(images, labels)
    assert step.stats.read().gave_up_at == 3


@pytest.mark.parametrize(
    ("skips", "mode"), [(True, ms.GRAPH_MODE), (True, ms.PYNATIVE_MODE), (False, ms.PYNATIVE_MODE)]
)
def test_fixed_scale_skips_overflows_only_with_skips_overflow(skips, mode, perceptron, batch):
    ms.set_context(mode=mode)
    model = perceptron()
    set_precision(model, "O2")
    before = values(model)
    step = step_of(model, LossScale(2.0**24, skips_overflow=skips))
    loss = step(*batch)
    assert np.isfinite(loss.asnumpy())
    assert same(before, values(model)) == skips
    assert step.stats.read().failed == (not skips)
    assert all(np.isfinite(value).all() for value in values(model)) == skips
    assert (step.loss_scale.state.asnumpy() == [2.0**24, 0, int(skips)]).all()


def test_dynamic_scale_makes_the_same_update_as_no_scale(perceptron, batch):
    one, other = perceptron(), perceptron()
    step_of(one, LossScale(1024.0, dynamic=True))(*batch)
    step_of(other, 1.0)(*batch)
    for a, b in zip(values(one), values(other), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(("options", "expected"), [
    ({}, (1.0, False, False)),
    ({"loss_scale": 1024, "drop_overflow_update": True}, (1024.0, False, True)),
    ({"loss_scale_type": "dynamic"}, (65536.0, True, True)),
    ({"loss_scale_type": "dynamic", "loss_scale": 512}, (512.0, True, True)),
    ({"loss_scale_type": "auto"}, (1.0, False, False)),
    ({"loss_scale_type": "auto", "amp_level": "O2"}, (65536.0, True, True)),
    ({"loss_scale_type": "auto", "amp_level": "O2", "amp_dtype": "bfloat16"}, (1.0, False, False)),
])  # fmt: skip
def test_build_loss_scale_follows_the_options(options, expected):
    scale = build_loss_scale(Config(options))
    assert (scale.start, scale.dynamic, scale.skips_overflow) == expected


@pytest.mark.parametrize(("options", "message"), [
    ({"amp_cast_list": "Mlp"}, "amp_cast_list .* pass --amp_level O1"),
    ({"amp_dtype": "bfloat16"}, "amp_dtype is bfloat16, but nothing"),
    ({"clip_mode": "value"}, "clip_mode is value, but nothing is clipped"),
])  # fmt: skip
def test_config_with_contradicting_precision_options_fails(options, message):
    with pytest.raises(ConfigError, match=message):
        Config(options)

import mindspore as ms
import numpy as np
import pytest

from mindcv import weights
from mindcv.config import Config
from mindcv.distributed.context import ALONE
from mindcv.distributed.signals import StopFlag
from mindcv.engine.build import compute_in
from mindcv.engine.checkpoints import TrainPosition
from mindcv.engine.ema import ModelEMA
from mindcv.engine.step import TrainStep
from mindcv.engine.train_state import TrainState
from mindcv.engine.validation import Evaluator
from mindcv.loss import create_loss
from mindcv.optim import create_optimizer


@pytest.fixture(autouse=True)
def pynative():
    ms.set_context(mode=ms.PYNATIVE_MODE)


def values(parameters):
    """Return copies of the parameters' values."""
    return [parameter.asnumpy().copy() for parameter in parameters]


def step_of(model, decay, **options):
    """Return a training step of `model` by SGD with moving averages."""
    optimizer = create_optimizer(model, "sgd", lr=0.5, momentum=0.0)
    averages = ModelEMA(model.get_parameters(), decay)
    return TrainStep(model, create_loss("CE"), optimizer, ema=averages, **options).set_train()


@pytest.mark.parametrize("mode", [ms.GRAPH_MODE, ms.PYNATIVE_MODE])
def test_averages_follow_the_weights_as_computed_in_float64(mode, perceptron, batch):
    """Only updates move the averages: a skipped step does not, nor does the first of two accumulated ones."""
    ms.set_context(mode=mode)
    model = perceptron()
    step = step_of(model, 0.22, accumulation=2, skip_nonfinite=1)
    wanted = [value.astype(np.float64) for value in values(model.get_parameters())]
    images, labels = batch
    updates = 0
    for bad in (False, False, True, False, False):
        step(images * float("nan") if bad else images, labels)
        step(images, labels)
        if not bad:
            updates += 1
            decay = min(0.22, (1 + updates) / (10 + updates))
            now = values(model.get_parameters())
            wanted = [decay * mean + (1 - decay) * value for mean, value in zip(wanted, now, strict=True)]
    assert step.ema.updates.asnumpy() == updates == 4
    moved = 0
    for mean, want, value in zip(values(step.ema.averages), wanted, values(step.ema.weights), strict=True):
        np.testing.assert_allclose(mean, want, rtol=1e-5, atol=1e-6)
        moved = max(moved, abs(mean - value).max())
    assert moved > 1e-3
    distance = np.sqrt(
        sum(((m - w) ** 2).sum() for m, w in zip(wanted, now, strict=True)) / sum((w**2).sum() for w in now)
    )
    assert step.ema.relative_distance() == pytest.approx(distance, rel=1e-4)


@pytest.mark.parametrize("mode", [ms.GRAPH_MODE, ms.PYNATIVE_MODE])
def test_evaluator_scores_weights_and_averages_and_restores_the_weights_bit_for_bit(
    mode, small_model, batch, identity, tmp_path
):
    ms.set_context(mode=mode)
    model = small_model()
    images, labels = batch
    loader = ms.dataset.NumpySlicesDataset((images.asnumpy(), labels.asnumpy()), shuffle=False).batch(4)
    step = step_of(model, 0.9)
    config = Config(device_target="CPU")
    evaluator = Evaluator(config, model, loader, 7, ALONE, StopFlag(), lambda: None)
    for _ in range(2):
        step(images, labels)
    weights.write(tmp_path / "1.ckpt", TrainState(step, identity).arrays(TrainPosition(1, 1), 0.0))
    before = values(model.get_parameters())
    first = evaluator(step.ema)
    assert abs(first["loss"] - first["ema_loss"]) > 1e-4
    for parameter, value in zip(model.get_parameters(), before, strict=True):
        np.testing.assert_array_equal(parameter.asnumpy(), value)
    model.set_train()
    step(images, labels)
    assert evaluator(step.ema)["loss"] < first["loss"]

    twin = small_model()
    weights.load(twin, tmp_path / "1.ckpt", ema=True)
    again = Evaluator(config, twin, loader, 7, ALONE, StopFlag(), lambda: None)()
    assert again["loss"] == pytest.approx(first["ema_loss"], rel=1e-6)


def test_evaluator_with_averages_that_are_not_finite_fails_and_restores_the_weights(perceptron, batch):
    ms.set_context(mode=ms.PYNATIVE_MODE)
    model = perceptron()
    images, labels = batch
    loader = ms.dataset.NumpySlicesDataset((images.asnumpy(), labels.asnumpy()), shuffle=False).batch(4)
    step = step_of(model, 0.9)
    config = Config(device_target="CPU")
    evaluator = Evaluator(config, model, loader, 7, ALONE, StopFlag(), lambda: None, "lower the rate")
    average = step.ema.averages[-1]
    average.set_data(ms.ops.full_like(average, np.nan))
    before = values(model.get_parameters())
    message = f"^the validation loss is not finite: {step.ema.weights[-1].name} holds NaN or .*: lower the rate$"
    with pytest.raises(FloatingPointError, match=message):
        evaluator(step.ema)
    for parameter, value in zip(model.get_parameters(), before, strict=True):
        np.testing.assert_array_equal(parameter.asnumpy(), value)


@pytest.mark.parametrize("mode", [ms.GRAPH_MODE, ms.PYNATIVE_MODE])
def test_evaluator_between_half_precision_steps_computes_in_val_amp_level(mode, perceptron, batch):
    ms.set_context(mode=mode)
    images, labels = batch
    loader = ms.dataset.NumpySlicesDataset((images.asnumpy(), labels.asnumpy()), shuffle=False).batch(4)

    def losses(amp_level):
        config = Config(device_target="CPU", amp_level=amp_level, val_amp_level="O0")
        model = perceptron()
        compute_in(config, model, amp_level)
        step = step_of(model, 0.9)
        evaluator = Evaluator(config, model, loader, 7, ALONE, StopFlag(), lambda: None)
        scored = evaluator(step.ema)["loss"]
        return scored, float(step.set_train()(images, labels).asnumpy())

    (scored, trained), (in_float32, trained_in_float32) = losses("O2"), losses("O0")
    assert scored == in_float32
    assert trained != trained_in_float32, "the step after the validation is in half precision again"

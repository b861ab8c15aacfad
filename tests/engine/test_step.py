import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor

from mindcv.engine.step import TrainStep
from mindcv.loss import create_loss
from mindcv.optim import create_optimizer


@pytest.fixture(autouse=True, params=[ms.GRAPH_MODE, ms.PYNATIVE_MODE], ids=["graph", "pynative"])
def both_modes(request):
    ms.set_context(mode=request.param)


def weights_after(model, calls, **options):
    """The weights after SGD on `calls`, and the losses."""
    optimizer = create_optimizer(model, "sgd", lr=0.1, momentum=0.0)
    step = TrainStep(model, create_loss("CE"), optimizer, **options).set_train()
    losses = [float(step(images, labels).asnumpy()) for images, labels in calls]
    assert float(step.loss_sum.asnumpy()) == pytest.approx(sum(losses), rel=1e-6)
    return {p.name: p.asnumpy() for p in model.get_parameters()}, losses


def assert_equal(one, other):
    for name, value in one.items():
        np.testing.assert_allclose(value, other[name], rtol=1e-5, atol=1e-7, err_msg=name)


def test_loss_scale_changes_nothing(small_model, batch):
    plain, losses = weights_after(small_model(), [batch] * 2)
    scaled, same_losses = weights_after(small_model(), [batch] * 2, loss_scale=1024.0)
    assert_equal(plain, scaled)
    assert losses == pytest.approx(same_losses, rel=1e-6)
    assert losses[1] < losses[0]


def test_accumulation_equals_the_large_batch(small_model, batch):
    images, labels = batch
    halves = [(images[:4], labels[:4]), (images[4:], labels[4:])]
    whole, _ = weights_after(small_model(), [batch] * 2)
    halved, losses = weights_after(small_model(), halves * 2, accumulation=2)
    assert_equal(whole, halved)
    assert len(losses) == 4


@pytest.mark.parametrize("clip_norm", [0.01, 1e6])
def test_clipping_limits_the_global_norm(clip_norm, small_model, batch):
    before = {p.name: p.asnumpy() for p in small_model().get_parameters()}
    free, _ = weights_after(small_model(), [batch])
    clipped, _ = weights_after(small_model(), [batch], clip_norm=clip_norm)
    norms = [
        np.sqrt(sum(((after[name] - before[name]) ** 2).sum() for name in before)) / 0.1 for after in (free, clipped)
    ]
    assert norms[1] == pytest.approx(min(norms[0], clip_norm), rel=1e-3)


def test_a_loss_that_is_not_finite_shows_in_the_sum(small_model, batch):
    model = small_model()
    step = TrainStep(model, create_loss("CE"), create_optimizer(model, "sgd", lr=0.1)).set_train()
    step(Tensor(np.full((8, 3, 16, 16), np.nan, np.float32)), batch[1])
    assert np.isnan(step.loss_sum.asnumpy())

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn

from mindcv.engine.step import TrainStep
from mindcv.loss import create_loss
from mindcv.models.layers import Linear
from mindcv.optim import create_optimizer


@pytest.fixture(autouse=True, params=[ms.GRAPH_MODE, ms.PYNATIVE_MODE], ids=["graph", "pynative"])
def both_modes(request):
    ms.set_context(mode=request.param)


@pytest.fixture
def perceptron():
    """A function that builds a small model that compiles fast, each time with the same weights."""

    def build():
        ms.set_seed(0)
        model = nn.SequentialCell(nn.Flatten(), Linear(3 * 16 * 16, 8), nn.Tanh(), Linear(8, 7))
        for weight in (model[1].weight, model[3].weight):
            weight.set_data(weight * 10)
        return model

    return build


def weights_after(model, calls, **options):
    """The weights after SGD on `calls`, and the losses."""
    optimizer = create_optimizer(model, "sgd", lr=0.1, momentum=0.0)
    step = TrainStep(model, create_loss("CE"), optimizer, **options).set_train()
    losses = [float(step(images, labels).asnumpy()) for images, labels in calls]
    seen = step.stats.read()
    assert seen.loss_sum == pytest.approx(sum(losses), rel=1e-6)
    assert (seen.succeeded, seen.failed, seen.gave_up_at) == (len(losses), 0, 0)
    assert seen.last_loss == pytest.approx(losses[-1], rel=1e-6)
    return {p.name: p.asnumpy() for p in model.get_parameters()}, losses


def assert_equal(one, other):
    for name, value in one.items():
        np.testing.assert_allclose(value, other[name], rtol=1e-5, atol=1e-7, err_msg=name)


def test_loss_scale_changes_nothing(perceptron, batch):
    plain, losses = weights_after(perceptron(), [batch] * 2)
    scaled, same_losses = weights_after(perceptron(), [batch] * 2, loss_scale=1024.0)
    assert_equal(plain, scaled)
    assert losses == pytest.approx(same_losses, rel=1e-6)
    assert losses[1] < losses[0]


def test_accumulation_equals_the_large_batch(perceptron, batch):
    images, labels = batch
    halves = [(images[:4], labels[:4]), (images[4:], labels[4:])]
    whole, _ = weights_after(perceptron(), [batch] * 2)
    halved, losses = weights_after(perceptron(), halves * 2, accumulation=2)
    assert_equal(whole, halved)
    assert len(losses) == 4


@pytest.mark.parametrize("clip_norm", [0.01, 1e6])
def test_clipping_limits_the_global_norm(clip_norm, perceptron, batch):
    before = {p.name: p.asnumpy() for p in perceptron().get_parameters()}
    free, _ = weights_after(perceptron(), [batch])
    clipped, _ = weights_after(perceptron(), [batch], clip_norm=clip_norm)
    norms = [
        np.sqrt(sum(((after[name] - before[name]) ** 2).sum() for name in before)) / 0.1 for after in (free, clipped)
    ]
    assert norms[1] == pytest.approx(min(norms[0], clip_norm), rel=1e-3)


@pytest.mark.parametrize(
    "options", [{}, {"clip_norm": 0.01}, {"loss_scale": 64.0, "clip_value": 0.01}, {"accumulation": 2}], ids=str
)
def test_the_norm_of_the_gradients_before_clipping_is_noted(options, perceptron, batch):
    """A plain step of SGD moves the weights by the gradient times the rate."""
    model = perceptron()
    before = {p.name: p.asnumpy().astype(np.float64) for p in model.get_parameters()}
    free, _ = weights_after(model, [batch])
    norm = np.sqrt(sum(((free[name] - value) ** 2).sum() for name, value in before.items())) / 0.1
    step = step_of(perceptron(), **options)
    images, labels = batch
    halves = [(images[:4], labels[:4]), (images[4:], labels[4:])]
    for call in halves if "accumulation" in options else [batch]:
        assert step.stats.read().mean_grad_norm is None
        step(*call)
    assert step.stats.read().mean_grad_norm == pytest.approx(norm, rel=1e-5)
    assert step.stats.read().grad_norms == 1


def test_clipping_by_value_limits_each_number_after_the_scale_is_taken_out(perceptron, batch):
    before = {p.name: p.asnumpy().copy() for p in perceptron().get_parameters()}
    free, _ = weights_after(perceptron(), [batch])
    clipped, _ = weights_after(perceptron(), [batch], clip_value=0.01, loss_scale=64.0)
    for name, value in before.items():
        gradient = (value - free[name]).astype(np.float64) / 0.1
        np.testing.assert_allclose((value - clipped[name]) / 0.1, np.clip(gradient, -0.01, 0.01), atol=2e-6)
    assert max(abs(before[name] - free[name]).max() for name in before) > 0.0011


def step_of(model, **options):
    return TrainStep(model, create_loss("CE"), create_optimizer(model, "adamw", lr=0.1), **options).set_train()


@pytest.fixture
def poison(batch):
    """Images that make the loss NaN."""
    return Tensor(np.full((8, 3, 16, 16), np.nan, np.float32)), batch[1]


def test_the_first_loss_that_is_not_finite_is_noted(perceptron, batch, poison):
    step = step_of(perceptron())
    for images, labels in (batch, poison, batch):
        step(images, labels)
    seen = step.stats.read()
    assert seen.gave_up_at == 2
    assert np.isfinite(seen.last_loss)
    step.stats.reset()
    assert step.stats.read().gave_up_at == 0
    assert step.stats.read().mean_grad_norm is None


def test_steps_that_are_not_finite_are_skipped(perceptron, batch, poison):
    one, other = perceptron(), perceptron()
    step, clean = step_of(one, skip_nonfinite=2), step_of(other)
    for images, labels in (batch, poison, poison, batch):
        step(images, labels)
    for images, labels in (batch, batch):
        clean(images, labels)
    seen = step.stats.read()
    assert (seen.succeeded, seen.failed, seen.failed_in_a_row, seen.gave_up_at) == (2, 2, 0, 0)
    assert seen.mean_loss == pytest.approx(clean.stats.read().mean_loss, rel=1e-6)
    for mine, its in zip(one.get_parameters(), other.get_parameters(), strict=True):
        np.testing.assert_allclose(mine.asnumpy(), its.asnumpy(), rtol=1e-6, atol=1e-7)


def test_more_in_a_row_than_tolerated_end_it(perceptron, batch, poison):
    step = step_of(perceptron(), skip_nonfinite=1)
    for images, labels in (poison, batch, poison, poison, poison):
        step(images, labels)
    assert step.stats.read().gave_up_at == 4
    assert step.stats.read().failed == 4


def test_a_row_goes_on_from_one_epoch_to_the_next(perceptron, batch, poison):
    step = step_of(perceptron(), skip_nonfinite=2)
    step(*batch)
    good = step.stats.read().last_loss
    for calls in (2, 1):
        step.stats.reset()
        for _ in range(calls):
            step(*poison)
    seen = step.stats.read()
    assert (seen.gave_up_at, seen.failed_in_a_row, seen.failed) == (1, 3, 1)
    assert seen.last_loss == good


def test_good_calls_without_an_update_do_not_end_a_row(perceptron, batch, poison):
    step = step_of(perceptron(), accumulation=2, skip_nonfinite=1)
    for images, labels in (batch, poison, batch, poison):
        step(images, labels)
    assert step.stats.read().gave_up_at == 4


def test_accumulation_skips_the_update_that_a_bad_call_is_part_of(perceptron, batch, poison):
    model = perceptron()
    before = {p.name: p.asnumpy().copy() for p in model.get_parameters()}
    step = step_of(model, accumulation=2, skip_nonfinite=2)
    for images, labels in (batch, poison):
        step(images, labels)
    for parameter in model.get_parameters():
        np.testing.assert_array_equal(parameter.asnumpy(), before[parameter.name])
    for images, labels in (batch, batch):
        step(images, labels)
    assert any((parameter.asnumpy() != before[parameter.name]).any() for parameter in model.get_parameters())
    assert all(np.isfinite(parameter.asnumpy()).all() for parameter in model.get_parameters())

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor

from mindcv.engine.step import TrainStep
from mindcv.loss import create_loss
from mindcv.optim import create_optimizer


@pytest.fixture(autouse=True, scope="module", params=[ms.GRAPH_MODE, ms.PYNATIVE_MODE], ids=["graph", "pynative"])
def mode(request):
    ms.set_context(mode=request.param)
    return request.param


@pytest.fixture(scope="module")
def make_step(mode, perceptron):
    """Return a function that returns a training step of a small model in its initial state.

    In graph mode a step with the same options is built and compiled once, and set back to its initial state.
    """
    steps = {}

    def build(opt, **options):
        model = perceptron()
        optimizer = create_optimizer(model, opt, lr=0.1, **({"momentum": 0.0} if opt == "sgd" else {}))
        return TrainStep(model, create_loss("CE"), optimizer, **options).set_train()

    def parameters(step):
        state = [*step.optimizer.state_parameters().values(), *step.state_parameters().values()]
        return [*step.model.get_parameters(), *state]

    def make(opt="sgd", **options):
        if mode == ms.PYNATIVE_MODE:
            return build(opt, **options)
        key = opt, *options.items()
        if key not in steps:
            step = build(opt, **options)
            steps[key] = step, [parameter.asnumpy().copy() for parameter in parameters(step)]
        step, start = steps[key]
        for parameter, value in zip(parameters(step), start, strict=True):
            parameter.set_data(Tensor(value.copy()))
        return step

    return make


def values(step):
    """Return the weights by name."""
    return {parameter.name: parameter.asnumpy().copy() for parameter in step.model.get_parameters()}


def train(step, batches):
    """Make steps that all succeed; return the weights before and after, and the losses."""
    before = values(step)
    losses = [float(step(images, labels).asnumpy()) for images, labels in batches]
    seen = step.stats.read()
    assert seen.loss_sum == pytest.approx(sum(losses), rel=1e-6)
    assert (seen.succeeded, seen.failed, seen.gave_up_at) == (len(losses), 0, 0)
    assert seen.last_loss == pytest.approx(losses[-1], rel=1e-6)
    return before, values(step), losses


def norm_of_update(before, after):
    """Return the global norm of the gradients by which one step of SGD at a rate of 0.1 changed the weights."""
    return np.sqrt(sum(((after[name].astype(np.float64) - before[name]) ** 2).sum() for name in before)) / 0.1


def assert_close(one, other, **tolerance):
    for name, value in one.items():
        np.testing.assert_allclose(value, other[name], **{"rtol": 1e-5, "atol": 1e-7, **tolerance}, err_msg=name)


@pytest.fixture
def halves(batch):
    images, labels = batch
    return [(images[:4], labels[:4]), (images[4:], labels[4:])]


@pytest.fixture
def poison(batch):
    """Return a batch whose images make the loss NaN."""
    return Tensor(np.full((8, 3, 16, 16), np.nan, np.float32)), batch[1]


def test_step_with_a_loss_scale_makes_the_same_updates(make_step, batch):
    _, plain, losses = train(make_step(), [batch] * 2)
    _, scaled, same_losses = train(make_step(loss_scale=1024.0), [batch] * 2)
    assert_close(plain, scaled)
    assert losses == pytest.approx(same_losses, rel=1e-6)
    assert losses[1] < losses[0]


def test_step_with_accumulation_equals_the_large_batch(make_step, batch, halves):
    _, large, _ = train(make_step(), [batch] * 2)
    _, accumulated, losses = train(make_step(accumulation=2), halves * 2)
    assert_close(large, accumulated)
    assert len(losses) == 4


@pytest.mark.parametrize("clip_norm", [0.01, 1e6])
def test_step_with_clip_norm_limits_the_global_norm(clip_norm, make_step, batch):
    free = norm_of_update(*train(make_step(), [batch])[:2])
    clipped = norm_of_update(*train(make_step(clip_norm=clip_norm), [batch])[:2])
    assert clipped == pytest.approx(min(free, clip_norm), rel=1e-3)


def test_step_with_clip_value_limits_each_element_of_the_unscaled_gradients(make_step, batch):
    before, free, _ = train(make_step(), [batch])
    _, clipped, _ = train(make_step(loss_scale=64.0, clip_value=0.01), [batch])
    for name, value in before.items():
        gradient = (value - free[name]).astype(np.float64) / 0.1
        np.testing.assert_allclose((value - clipped[name]) / 0.1, np.clip(gradient, -0.01, 0.01), atol=2e-6)
    assert max(abs(before[name] - free[name]).max() for name in before) > 0.0011


@pytest.mark.parametrize(
    "options", [{}, {"clip_norm": 0.01}, {"loss_scale": 64.0, "clip_value": 0.01}, {"accumulation": 2}], ids=str
)
def test_step_records_the_norm_of_the_gradients_before_clipping(options, make_step, batch, halves):
    norm = norm_of_update(*train(make_step(), [batch])[:2])
    step = make_step(**options)
    for images, labels in halves if "accumulation" in options else [batch]:
        assert step.stats.read().mean_grad_norm is None
        step(images, labels)
    assert step.stats.read().mean_grad_norm == pytest.approx(norm, rel=1e-5)
    assert step.stats.read().grad_norms == 1


def test_step_with_a_loss_that_is_not_finite_gives_up_there(make_step, batch, poison):
    step = make_step()
    for images, labels in (batch, poison, batch):
        step(images, labels)
    seen = step.stats.read()
    assert seen.gave_up_at == 2
    assert np.isfinite(seen.last_loss)


def test_step_with_skip_nonfinite_makes_no_update_with_failed_steps_until_it_gives_up(make_step, batch, poison):
    step = make_step("adamw", skip_nonfinite=2)
    for images, labels in (batch, poison, poison, batch):
        step(images, labels)
    seen, skipping = step.stats.read(), values(step)
    assert (seen.succeeded, seen.failed, seen.failed_in_a_row, seen.gave_up_at) == (2, 2, 0, 0)
    for _ in range(4):
        step(*poison)
    assert step.stats.read().gave_up_at == 7
    clean = make_step("adamw")
    for images, labels in (batch, batch):
        clean(images, labels)
    assert seen.mean_loss == pytest.approx(clean.stats.read().mean_loss, rel=1e-6)
    assert_close(skipping, values(clean), rtol=1e-6)


def test_step_with_accumulation_skips_the_update_that_a_failed_step_is_part_of(make_step, batch, poison):
    step = make_step("adamw", accumulation=2, skip_nonfinite=1)
    before = values(step)
    for images, labels in (batch, poison):
        step(images, labels)
    for name, value in values(step).items():
        np.testing.assert_array_equal(value, before[name])
    assert step.stats.read().gave_up_at == 0
    for images, labels in (batch, batch):
        step(images, labels)
    assert any((value != before[name]).any() for name, value in values(step).items())
    assert all(np.isfinite(value).all() for value in values(step).values())


def test_step_with_accumulation_gives_up_although_steps_without_an_update_succeed(make_step, batch, poison):
    step = make_step("adamw", accumulation=2, skip_nonfinite=1)
    for images, labels in (batch, poison, batch, poison):
        step(images, labels)
    assert step.stats.read().gave_up_at == 4

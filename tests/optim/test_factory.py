"""Test create_optimizer: its options, exact resume, and graph and PyNative mode."""

from functools import cache

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn

from mindcv.optim import create_optimizer, load_state
from mindcv.optim.factory import OPTIMIZERS

RNG = np.random.default_rng(3)
VALUES = {"w.weight": RNG.standard_normal((3, 2)), "w.bias": RNG.standard_normal(3)}
GRADIENTS = [[RNG.standard_normal(value.shape) for value in VALUES.values()] for _ in range(6)]


def parameters():
    return [ms.Parameter(ms.Tensor(value.astype(np.float32)), name=name) for name, value in VALUES.items()]


def step(optimizer, number):
    optimizer(tuple(ms.Tensor(gradient.astype(np.float32)) for gradient in GRADIENTS[number]))


def values(optimizer):
    return [parameter.asnumpy().copy() for parameter in optimizer.parameters]


def save_state(optimizer, path):
    state = optimizer.state_parameters()
    ms.save_checkpoint([{"name": name, "data": ms.Tensor(value.asnumpy())} for name, value in state.items()], str(path))


def set_values(optimizer, values):
    for parameter, value in zip(optimizer.parameters, values, strict=True):
        ms.ops.assign(parameter, ms.Tensor(value))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizer_resumed_from_saved_state_is_bit_exact(name, tmp_path):
    optimizer = create_optimizer(parameters(), name, lr=[0.1, 0.07, 0.05, 0.02], weight_decay=0.1)
    for number in range(4):
        if number == 2:
            save_state(optimizer, tmp_path / "optimizer.ckpt")
            saved_values = values(optimizer)
        step(optimizer, number)
    final = values(optimizer)

    load_state(optimizer, tmp_path / "optimizer.ckpt")
    set_values(optimizer, saved_values)
    assert int(optimizer.global_step) == 2
    for number in (2, 3):
        step(optimizer, number)
    for resumed, uninterrupted in zip(values(optimizer), final, strict=True):
        np.testing.assert_array_equal(resumed, uninterrupted)


def test_create_optimizer_checkpoint_path_loads_state(tmp_path):
    first = create_optimizer(parameters(), "adamw", lr=0.1)
    step(first, 0)
    save_state(first, tmp_path / "optimizer.ckpt")
    second = create_optimizer(parameters(), "adamw", lr=0.1, checkpoint_path=str(tmp_path / "optimizer.ckpt"))
    set_values(second, values(first))
    for optimizer in (first, second):
        step(optimizer, 1)
    for resumed, uninterrupted in zip(values(second), values(first), strict=True):
        np.testing.assert_array_equal(resumed, uninterrupted)


@pytest.mark.parametrize("name", ["adagrad", "rmsprop", "adamw", "lamb"])
def test_optimizer_zero_gradient_without_decay_keeps_parameters(name):
    optimizer = create_optimizer(parameters(), name, lr=0.1)
    optimizer(tuple(ms.Tensor(np.zeros(value.shape, np.float32)) for value in VALUES.values()))
    for value, expected in zip(values(optimizer), VALUES.values(), strict=True):
        np.testing.assert_array_equal(value, expected.astype(np.float32))


def test_optimizer_groups_use_their_own_lr_and_weight_decay():
    first, second = parameters()
    groups = [{"params": [first], "lr": [1.0, 0.25]}, {"params": [second], "weight_decay": 0.5}]
    optimizer = create_optimizer(groups, "sgd", lr=0.5, momentum=0)
    step(optimizer, 0)
    step(optimizer, 1)
    weight = VALUES["w.weight"] - GRADIENTS[0][0] - 0.25 * GRADIENTS[1][0]
    bias = VALUES["w.bias"]
    for gradients in GRADIENTS[:2]:
        bias = bias - 0.5 * (gradients[1] + 0.5 * bias)
    np.testing.assert_allclose(first.asnumpy(), weight, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(second.asnumpy(), bias, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("lr", [0.5, np.array([0.5, 0.1]), ms.Tensor([0.5, 0.1], ms.float32)])
def test_optimizer_accepts_lr_as_number_array_or_tensor(lr):
    optimizer = create_optimizer(parameters(), "sgd", lr=lr, momentum=0)
    step(optimizer, 0)
    for value, start, gradient in zip(values(optimizer), VALUES.values(), GRADIENTS[0], strict=True):
        np.testing.assert_allclose(value, start - 0.5 * gradient, rtol=1e-6, atol=1e-7)


def test_adamw_schedule_from_zero_matches_float64_reference():
    """The decay follows the schedule too, over 60 steps."""
    lr = np.concatenate([np.linspace(0, 0.01, 20), np.full(40, 0.01)])
    optimizer = create_optimizer(parameters(), "adamw", lr=lr, weight_decay=0.3, eps=1e-8)
    expected = list(VALUES.values())
    m, v = ([np.zeros_like(value) for value in expected] for _ in range(2))
    for t, rate in enumerate(lr, start=1):
        step(optimizer, t % 6)
        for i, gradient in enumerate(GRADIENTS[t % 6]):
            m[i] = 0.9 * m[i] + 0.1 * gradient
            v[i] = 0.999 * v[i] + 0.001 * gradient**2
            root = np.sqrt(v[i] / (1 - 0.999**t)) + 1e-8
            expected[i] = expected[i] * (1 - rate * 0.3) - rate * m[i] / (1 - 0.9**t) / root
    for value, reference in zip(values(optimizer), expected, strict=True):
        np.testing.assert_allclose(value, reference, rtol=1e-5, atol=1e-6)


class TrainStep(nn.Cell):
    def __init__(self, model, optimizer):
        super().__init__(auto_prefix=False)
        self.optimizer = optimizer
        self.value_and_grad = ms.value_and_grad(model, None, weights=optimizer.parameters)

    def construct(self, inputs):
        loss, gradients = self.value_and_grad(inputs)
        self.optimizer(gradients)
        return loss


class Mean(nn.Cell):
    def __init__(self):
        super().__init__()
        self.dense = nn.Dense(2, 3)
        for parameter, value in zip(self.dense.get_parameters(), VALUES.values(), strict=True):
            parameter.set_data(ms.Tensor(value.astype(np.float32)))

    def construct(self, inputs):
        return self.dense(inputs).mean()


@pytest.mark.parametrize("name", ["adamw", "momentum"])
def test_optimizer_in_training_cell_takes_equal_steps_in_both_modes(name):
    inputs = ms.Tensor(RNG.standard_normal((4, 2)).astype(np.float32))
    before, ends = ms.get_context("mode"), []
    for mode in (ms.GRAPH_MODE, ms.PYNATIVE_MODE):
        ms.set_context(mode=mode)
        model = Mean()
        start = model.dense.weight.asnumpy().copy()
        options = {"weight_decay": 0.1, "weight_decay_filter": "auto"}
        train = TrainStep(model, create_optimizer(model, name, lr=[0.1, 0.2], **options))
        for _ in range(2):
            train(inputs)
        ends.append([parameter.asnumpy() for parameter in model.get_parameters()])
        assert np.abs(ends[-1][0] - start).min() > 1e-3
    ms.set_context(mode=before)
    for graph, pynative in zip(*ends, strict=True):
        np.testing.assert_allclose(graph, pynative, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"opt": "adamw", "momentum": 0.5}, "adamw has no momentum: momentum=0.5 does nothing"),
        ({"opt": "adam", "nesterov": True}, "adam has no nesterov"),
        ({"opt": "sgd", "eps": 1e-8}, "sgd has no eps"),
    ],
)
def test_create_optimizer_ignores_an_option_of_other_algorithms_with_a_warning(options, message):
    with pytest.warns(UserWarning, match=message):
        create_optimizer(parameters(), **options)


@pytest.mark.parametrize(("given", "name"), [(True, "norm_and_bias"), (False, "disable")])
def test_create_optimizer_takes_filter_bias_and_bn_with_a_warning(given, name):
    with pytest.warns(UserWarning, match=f"filter_bias_and_bn is now weight_decay_filter='{name}'"):
        optimizer = create_optimizer(parameters(), "adamw", weight_decay=0.1, filter_bias_and_bn=given)
    expected = create_optimizer(parameters(), "adamw", weight_decay=0.1, weight_decay_filter=name)
    assert optimizer.weight_decays == expected.weight_decays


def test_grad_centralization_subtracts_the_mean_of_each_row_in_its_group_only():
    def ends(*flags):
        both = [ms.Parameter(ms.Tensor(VALUES["w.weight"].astype(np.float32)), name=name) for name in ("a.w", "b.w")]
        groups = [{"params": [p], "grad_centralization": flag} for p, flag in zip(both, flags, strict=True)]
        optimizer = create_optimizer(groups, "sgd", lr=1.0, momentum=0.0)
        optimizer((ms.Tensor(GRADIENTS[0][0].astype(np.float32)),) * 2)
        return values(optimizer)

    gradient, start = GRADIENTS[0][0], VALUES["w.weight"]
    centred, plain = ends(True, False)
    np.testing.assert_allclose(plain, start - gradient, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(centred, start - (gradient - gradient.mean(1, keepdims=True)), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"opt": "adamq"}, ValueError, "unknown optimizer 'adamq'; did you mean 'adam"),
        ({"opt": "adam", "beta3": 1}, TypeError, "adam has no argument 'beta3'; it takes beta1, beta2, eps"),
        ({"opt": "adam", "beta4": 1}, TypeError, "create_optimizer has no argument 'beta4'; did you mean 'beta"),
        ({"use_nesterov": True}, TypeError, "no argument 'use_nesterov'; use nesterov"),
        ({"weight_decy": 0.1}, TypeError, "no argument 'weight_decy'; did you mean 'weight_decay'"),
        ({"opt": "nesterov", "momentum": 0}, ValueError, "needs a momentum above 0"),
        ({"opt": "adam", "beta1": 1.0}, ValueError, "beta1 is 1.0; it must be at least 0 and below 1"),
        ({"opt": "adamw", "eps": -1}, ValueError, "eps is -1; it must be at least 0"),
        ({"lr": [0.1, float("nan")]}, ValueError, "lr is nan; it must be at least 0"),
        ({"lr": -0.1}, ValueError, "lr is -0.1; it must be at least 0"),
        ({"weight_decay": -1}, ValueError, "weight_decay is -1; it must be at least 0"),
        ({"loss_scale": 0}, ValueError, "loss_scale is 0; it must be above 0"),
        ({"opt": "lamb", "max_grad_norm": 0}, ValueError, "max_grad_norm is 0; it must be above 0"),
    ],
)
def test_create_optimizer_invalid_option_raises(options, error, message):
    with pytest.raises(error, match=message):
        create_optimizer(parameters(), **options)


@cache
def weight_after_two_steps(name, **option):
    optimizer = create_optimizer(parameters(), name, lr=0.1, **{"weight_decay": 0.1, **option})
    for number in range(2):
        step(optimizer, number)
    return values(optimizer)[0]


@pytest.mark.parametrize(
    ("option", "names"),
    [
        ({"momentum": 0.5}, ["sgd", "rmsprop"]),
        ({"nesterov": True}, ["momentum"]),
        ({"schedule_decay": 0.5}, ["nadam"]),
        ({"decay": 0.5}, ["rmsprop"]),
        ({"beta1": 0.5}, ["lion"]),
        ({"beta2": 0.5}, ["adam"]),
        ({"beta3": 0.5}, ["adan"]),
        ({"no_prox": True}, ["adan"]),
        ({"max_grad_norm": None}, ["lamb"]),
        ({"eps": 0.5}, ["adam", "nadam", "rmsprop", "adagrad", "adan", "lamb"]),
        ({"weight_decay": 0.5}, ["nadam", "rmsprop", "adagrad"]),
    ],
)
def test_optimizer_option_changes_the_steps(option, names):
    for name in names:
        assert np.abs(weight_after_two_steps(name, **option) - weight_after_two_steps(name)).max() > 1e-4


def test_create_optimizer_checkpoint_that_does_not_fit_raises(tmp_path):
    with pytest.raises(FileNotFoundError, match="no optimizer checkpoint"):
        create_optimizer(parameters(), "adam", checkpoint_path=str(tmp_path / "none.ckpt"))
    path = str(tmp_path / "state.ckpt")
    optimizer = create_optimizer(parameters(), "adam")
    save_state(optimizer, path)
    with pytest.raises(ValueError, match=r"2 of 3 parts are missing, the first is 'velocity.w.weight'"):
        create_optimizer(parameters(), "momentum", checkpoint_path=path)
    wide = ms.Parameter(ms.Tensor(np.zeros((9, 2), np.float32)), name="w.weight")
    with pytest.raises(
        ValueError, match=r"'moment1.w.weight' has shape \(3, 2\) in the file and \(9, 2\) in the optimizer"
    ):
        create_optimizer([wide, parameters()[1]], "adam", checkpoint_path=path)

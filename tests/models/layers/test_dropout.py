"""Random numbers, dropout and stochastic depth from a random state."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn

from mindcv.models.layers import Dropout, RandomState, StochasticDepth
from mindcv.models.layers.dropout import uniform

STATE = Tensor([5, 7], ms.int32)


def test_uniform_draws_are_uniform_and_uncorrelated():
    draws = uniform(STATE, 3, (100, 100)).asnumpy()
    assert draws.min() >= 0
    assert draws.max() < 1
    counts, _ = np.histogram(draws, 20, (0, 1))
    chi_squared = ((counts - 500) ** 2 / 500).sum()
    assert chi_squared < 45  # 19 degrees of freedom: exceeded with probability 0.001
    assert abs(np.corrcoef(draws.ravel()[:-1], draws.ravel()[1:])[0, 1]) < 0.04


@pytest.mark.parametrize(("state", "stream"), [([5, 8], 3), ([6, 7], 3), ([5, 7], 4)])
def test_uniform_with_another_state_or_stream_is_independent(state, stream):
    one, other = uniform(STATE, 3, (5000,)).asnumpy(), uniform(Tensor(state, ms.int32), stream, (5000,)).asnumpy()
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.06


class Layers(nn.Cell):
    """Random layers with a random state, applied to the same input."""

    def __init__(self, *layers):
        super().__init__()
        self.layers = nn.CellList(list(layers))
        self.random_state = RandomState(self)

    def construct(self, x):
        factors = self.random_state(x.shape[0])
        return tuple(layer(x, factors) if isinstance(layer, StochasticDepth) else layer(x) for layer in self.layers)


@pytest.fixture
def ones():
    return Tensor(np.ones((4000, 2, 3)), ms.float32)


def test_dropout_zeroes_and_rescales_in_training_only(ones, pynative):
    model = Layers(Dropout(0.25)).set_train()
    [out] = model(ones)
    out = out.asnumpy()
    assert set(np.unique(out)) == {0, np.float32(1) / np.float32(0.75)}
    assert (out == 0).mean() == pytest.approx(0.25, abs=0.015)
    assert (model.set_train(False)(ones)[0].asnumpy() == 1).all()


def test_stochastic_depth_drops_whole_images_and_has_mean_1(ones, pynative):
    outputs = [out.asnumpy() for out in Layers(*map(StochasticDepth, (0.0, 0.2, 0.5))).set_train()(ones)]
    assert (outputs[0] == 1).all()
    for out, rate in zip(outputs[1:], (0.2, 0.5), strict=True):
        assert (out == out[:, :1, :1]).all()
        assert (out[:, 0, 0] == 0).mean() == pytest.approx(rate, abs=0.03)
        assert out.max() == pytest.approx(1 / (1 - rate))
        assert out.mean() == pytest.approx(1, abs=0.05)


def test_stochastic_depth_branches_continue_one_stream(ones, pynative):
    model = Layers(Dropout(0.5), StochasticDepth(0.5), StochasticDepth(0.5)).set_train()
    outputs = model(ones)
    draws = uniform(model.random_state.rng_state[0], 1, (2 * 4000,)).asnumpy().reshape(2, -1)
    for out, draw in zip(outputs[1:], draws, strict=True):
        np.testing.assert_array_equal(out.asnumpy()[:, 0, 0] > 0, draw >= 0.5)


def test_random_state_advances_in_training_only_if_a_layer_draws(ones, pynative):
    for rate, training, steps in ((0.5, True, 1), (0.5, False, 0), (0.0, True, 0)):
        model = Layers(Dropout(rate), StochasticDepth(rate)).set_train(training)
        [state] = model.random_state.rng_state
        seed, step = state.asnumpy().tolist()
        model(ones)
        assert state.asnumpy().tolist() == [seed, step + steps]


def test_random_layer_without_a_random_state_raises(ones, pynative):
    with pytest.raises(ValueError, match="no random state: create a RandomState of the model"):
        Dropout(0.5).set_train()(ones)
    with pytest.raises(ValueError, match="no factors of stochastic depth: pass what the model's RandomState returned"):
        StochasticDepth(0.5).set_train()(ones, ())


def test_dropout_rate_out_of_range_raises():
    for layer in (Dropout, StochasticDepth):
        for rate in (1.0, -0.1):
            with pytest.raises(ValueError, match="at least 0 and below 1"):
                layer(rate)

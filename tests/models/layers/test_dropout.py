"""Random numbers, dropout and stochastic depth from a random state."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor

from mindcv.models.layers import Dropout, StochasticDepth
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


def test_dropout_zeroes_and_rescales_in_training_only():
    layer = Dropout(0.25, stream=1).set_train()
    out = layer(Tensor(np.ones((200, 100)), ms.float32), STATE).asnumpy()
    assert set(np.unique(out)) == {0, np.float32(1) / np.float32(0.75)}
    assert (out == 0).mean() == pytest.approx(0.25, abs=0.015)
    assert (layer.set_train(False)(Tensor(np.ones(9), ms.float32), STATE).asnumpy() == 1).all()


def test_stochastic_depth_factors_have_the_rates_and_mean_1():
    layer = StochasticDepth([0.0, 0.2, 0.5], stream=2)
    factors = np.stack([factor.asnumpy() for factor in layer(STATE, 4000)])
    assert factors.shape == (3, 4000, 1, 1)
    assert (factors[0] == 1).all()
    for branch, rate in ((1, 0.2), (2, 0.5)):
        assert (factors[branch] == 0).mean() == pytest.approx(rate, abs=0.03)
        assert factors[branch].max() == pytest.approx(1 / (1 - rate))
        assert factors[branch].mean() == pytest.approx(1, abs=0.05)


def test_dropout_rate_out_of_range_raises():
    with pytest.raises(ValueError, match="below 1"):
        Dropout(1.0, stream=0)
    with pytest.raises(ValueError, match="below 1"):
        StochasticDepth([0.1, -0.1], stream=0)

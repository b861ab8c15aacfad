import mindspore as ms
import numpy as np
from mindspore.common.initializer import initializer

from mindcv.models.layers import Linear, RandomWeights, undrawn_weights


def weights():
    return Linear(100, 100).weight.asnumpy()


def test_random_weights_are_of_deviation_0_02_and_follow_the_seed():
    ms.set_seed(1)
    drawn = weights()
    assert 0.019 < drawn.std() < 0.021
    ms.set_seed(1)
    np.testing.assert_array_equal(weights(), drawn)


def test_random_weights_of_two_layers_are_independent():
    assert abs(np.corrcoef(weights().ravel(), weights().ravel())[0, 1]) < 0.05


def test_random_weights_are_drawn_in_half_precision():
    assert 0.019 < initializer(RandomWeights(), (100, 100), ms.float16).init_data().asnumpy().std() < 0.021


def test_undrawn_weights_are_zeros_until_the_context_ends():
    with undrawn_weights():
        assert not weights().any()
    assert weights().all()

"""Splitting channels into heads and joining them, on a CPU and on other devices."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor

from mindcv.models.layers import join_heads, split_heads


@pytest.mark.parametrize("fused", [True, False])
def test_split_and_join_heads_are_inverse(fused, both_modes, monkeypatch):
    monkeypatch.setattr("mindcv.device.has_fused_kernels", lambda: fused)
    tokens = np.arange(2 * 5 * 6, dtype=np.float32).reshape(2, 5, 6)
    heads = split_heads(Tensor(tokens), 3)
    np.testing.assert_array_equal(heads.asnumpy(), tokens.reshape(2, 5, 3, 2).transpose(0, 2, 1, 3))
    np.testing.assert_array_equal(join_heads(heads).asnumpy(), tokens)


def test_split_heads_gradient_goes_to_the_same_channels(both_modes):
    draw = np.random.default_rng(0).standard_normal
    tokens, weights = Tensor(draw((2, 5, 6)), ms.float32), Tensor(draw((2, 3, 5, 2)), ms.float32)

    def weighted(tokens):
        return (split_heads(tokens, 3) * weights).sum()

    wanted = weights.asnumpy().transpose(0, 2, 1, 3).reshape(2, 5, 6)
    np.testing.assert_array_equal(ms.grad(weighted)(tokens).asnumpy(), wanted)

"""Repeating in place of broadcasting: the same numbers, and on a CPU alone."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor

from mindcv.models.layers import spread


@pytest.mark.parametrize(("fused", "shape"), [(False, (2, 3, 4)), (True, (3, 1))])
def test_spread(fused, shape, both_modes, monkeypatch):
    monkeypatch.setattr("mindcv.device.has_fused_kernels", lambda: fused)
    x, like = np.arange(3, dtype=np.float32).reshape(3, 1), np.ones((2, 3, 4), np.float32)

    @ms.jit
    def both(x, like):
        wide = spread(x, like)
        return wide, wide * like

    wide, product = both(Tensor(x), Tensor(like))
    assert wide.shape == shape
    np.testing.assert_array_equal(product.asnumpy(), x * like)

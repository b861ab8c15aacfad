"""`expand_as`: the numbers of broadcasting, and an expanded tensor on a CPU only."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor

from mindcv.models.layers import expand_as


@pytest.mark.parametrize(("fused", "shape"), [(False, (2, 3, 4)), (True, (3, 1))])
def test_expand_as_expands_on_a_cpu_only(fused, shape, both_modes, monkeypatch):
    monkeypatch.setattr("mindcv.device.has_fused_kernels", lambda: fused)
    x, like = np.arange(3, dtype=np.float32).reshape(3, 1), np.ones((2, 3, 4), np.float32)

    @ms.jit
    def both(x, like):
        expanded = expand_as(x, like)
        return expanded, expanded * like

    expanded, product = both(Tensor(x), Tensor(like))
    assert expanded.shape == shape
    np.testing.assert_array_equal(product.asnumpy(), x * like)

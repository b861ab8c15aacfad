"""LayerNorm and softmax, composed and fused, against float64, forward and backward."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor

from mindcv.models.layers import Softmax, TokenNorm


@pytest.mark.parametrize("fused", [False, True])
def test_token_norm_matches_float64(fused, monkeypatch):
    """`fused` as on Ascend, and composed as on a CPU."""
    monkeypatch.setattr("mindcv.models.layers.layer_norm.has_fused_kernels", lambda: fused)
    rng = np.random.default_rng(0)
    x, dout = rng.standard_normal((2, 5, 7, 24)) * 3 + 1
    gamma, beta = rng.standard_normal((2, 24))
    norm = TokenNorm(24, eps=1e-3)
    norm.gamma.set_data(Tensor(gamma, ms.float32))
    norm.beta.set_data(Tensor(beta, ms.float32))

    deviation = np.sqrt(x.var(-1, keepdims=True) + 1e-3)
    unit = (x - x.mean(-1, keepdims=True)) / deviation
    np.testing.assert_allclose(norm(Tensor(x, ms.float32)).asnumpy(), unit * gamma + beta, rtol=1e-5, atol=1e-5)

    def weighted(x):
        return (norm(x) * Tensor(dout, ms.float32)).sum()

    gradient, (dgamma, dbeta) = ms.grad(weighted, 0, [norm.gamma, norm.beta])(Tensor(x, ms.float32))
    inner = dout * gamma
    expected = (inner - inner.mean(-1, keepdims=True) - unit * (inner * unit).mean(-1, keepdims=True)) / deviation
    np.testing.assert_allclose(gradient.asnumpy(), expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(dgamma.asnumpy(), (dout * unit).sum((0, 1)), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(dbeta.asnumpy(), dout.sum((0, 1)), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("fused", [False, True])
def test_softmax_matches_float64(fused, monkeypatch):
    monkeypatch.setattr("mindcv.models.layers.softmax.has_fused_kernels", lambda: fused)
    rng = np.random.default_rng(0)
    x, dout = rng.standard_normal((2, 3, 4, 9)) * 2
    expected = np.exp(x) / np.exp(x).sum(-1, keepdims=True)
    softmax = Softmax()
    np.testing.assert_allclose(softmax(Tensor(x, ms.float32)).asnumpy(), expected, rtol=1e-5)

    def weighted(x):
        return (softmax(x) * Tensor(dout, ms.float32)).sum()

    gradient = ms.grad(weighted)(Tensor(x, ms.float32)).asnumpy()
    np.testing.assert_allclose(gradient, expected * (dout - (dout * expected).sum(-1, keepdims=True)), atol=1e-6)

"""GELU against float64, forward and backward."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor
from scipy.special import ndtr

from mindcv.models.layers.gelu import create_activation

X = np.linspace(-12, 12, 200_001).astype(np.float32).astype(np.float64)


def derivative(act):
    def total(x):
        return act(x).sum()

    return ms.grad(total)(Tensor(X, ms.float32)).asnumpy()


def test_gelu_matches_float64():
    act = create_activation("gelu")
    assert np.abs(act(Tensor(X, ms.float32)).asnumpy() - X * ndtr(X)).max() < 7e-7
    slope = ndtr(X) + X * np.exp(-(X**2) / 2) / np.sqrt(2 * np.pi)
    assert np.abs(derivative(act) - slope).max() < 1e-6


def test_gelu_tanh_matches_float64():
    act = create_activation("gelu_tanh")
    inner = np.sqrt(2 / np.pi) * (X + 0.044715 * X**3)
    expected = 0.5 * X * (1 + np.tanh(inner))
    assert np.abs(act(Tensor(X, ms.float32)).asnumpy() - expected).max() < 2e-6
    assert np.abs(expected - X * ndtr(X)).max() > 1e-4, "the two forms differ"
    slope = 0.5 * (1 + np.tanh(inner)) + 0.5 * X / np.cosh(inner) ** 2 * np.sqrt(2 / np.pi) * (1 + 3 * 0.044715 * X**2)
    assert np.abs(derivative(act) - slope).max() < 5e-6


@pytest.mark.parametrize("name", ["gelu", "gelu_tanh"])
def test_gelu_fused_kernel_matches_the_composition(name, monkeypatch):
    composed = create_activation(name)(Tensor(X, ms.float32)).asnumpy()
    monkeypatch.setattr("mindcv.models.layers.gelu.has_fused_kernels", lambda: True)
    assert np.abs(create_activation(name)(Tensor(X, ms.float32)).asnumpy() - composed).max() < 3e-6


def test_create_activation_with_unknown_name_raises():
    with pytest.raises(ValueError, match=r"'relu'; it can be 'gelu' or 'gelu_tanh'"):
        create_activation("relu")

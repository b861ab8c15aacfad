"""GELU, exact and in its tanh form (Hendrycks & Gimpel 2016)."""

import math

import mindspore as ms
from mindspore import nn, ops

from mindcv.models.layers.device import has_fused_kernels

# logit(Φ(x)) / x as a polynomial in x², highest power first: least squares on 0 < x < 5.6, weighted by its effect
# on x·Φ(x), which it leaves within 6.6e-8. Past 5.6 float32 knows Φ only as 0 or 1.
_LOGIT_OF_PHI = (
    3.6278763969818406e-09,
    -2.675673500861527e-07,
    7.948156470537698e-06,
    -0.00011054687837457808,
    -6.605307478650496e-05,
    0.07266829785612307,
    1.5957685368833239,
)
_END_OF_FIT = 5.6**2


class NormalCDF(nn.Cell):
    """Φ(x), the normal distribution function, elementwise, as σ(x·P(x²)).

    Its derivative is the normal density, cheaper than differentiating the polynomial.
    """

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        t = ops.minimum(x * x, _END_OF_FIT)
        p = _LOGIT_OF_PHI[0]
        for coefficient in _LOGIT_OF_PHI[1:]:
            p = p * t + coefficient
        return ops.sigmoid(x * p)

    def bprop(self, x, out, dout):
        return (dout * (ops.exp(-0.5 * (x * x)) * (1 / math.sqrt(2 * math.pi))),)


class GELU(nn.Cell):
    """x·Φ(x) elementwise; with `approximate`, 0.5·x·(1 + tanh(√(2/π)·(x + 0.044715·x³)))."""

    def __init__(self, approximate: bool = False):
        super().__init__()
        self.approximate = approximate
        self.fused = has_fused_kernels()
        self.cdf = NormalCDF()

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        if self.fused:
            return ops.gelu(x, approximate="tanh" if self.approximate else "none")
        if x.dtype != ms.float32:  # the polynomial's coefficients are too small for half precision
            return self.composed(x.astype(ms.float32)).astype(x.dtype)
        return self.composed(x)

    def composed(self, x: ms.Tensor) -> ms.Tensor:
        if self.approximate:
            return x * ops.sigmoid(x * (x * x * (0.044715 * math.sqrt(8 / math.pi)) + math.sqrt(8 / math.pi)))
        return x * self.cdf(x)


_ACTIVATIONS = {"gelu": False, "gelu_tanh": True}


def create_activation(name: str) -> nn.Cell:
    """The activation called `name`: "gelu" or "gelu_tanh". Raises ValueError for any other."""
    if name not in _ACTIVATIONS:
        raise ValueError(f"act is {name!r}; it can be {' or '.join(map(repr, _ACTIVATIONS))}")
    return GELU(approximate=_ACTIVATIONS[name])

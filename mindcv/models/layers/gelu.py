"""GELU, exact and in its tanh form (Hendrycks & Gimpel 2016)."""

import math

import mindspore as ms
from mindspore import nn, ops

from mindcv.device import has_fused_kernels
from mindcv.models.layers.precision import PolicyCell

# logit(Φ(x)) / x as a polynomial in x², highest power first, fitted on 0 < x < 6.5 so that the error of x·Φ(x) is at
# most 7.6e-8. For larger x it only grows, and Φ(±x) is 1 and 0 in float32.
_LOGIT_OF_PHI = (
    3.7389485945686955e-09,
    -2.727082029496205e-07,
    8.035017672459174e-06,
    -0.00011121980166673996,
    -6.360049631357638e-05,
    0.07266448864776731,
    1.5957703247353276,
)


class ExactGELU(PolicyCell):
    """Compute (x·Φ(x), Φ(x)) elementwise for float32 x, with Φ(x) = σ(x·P(x²)) the normal distribution function.

    Only the first result carries a gradient, dout·(Φ(x) + x·Φ'(x)) with the normal density Φ': cheaper than
    differentiating the polynomial P.
    """

    def construct(self, x: ms.Tensor) -> tuple[ms.Tensor, ms.Tensor]:
        square = x * x
        polynomial = _LOGIT_OF_PHI[0]
        for coefficient in _LOGIT_OF_PHI[1:]:
            polynomial = polynomial * square + coefficient
        cdf = ops.sigmoid(x * polynomial)
        return x * cdf, cdf

    def bprop(self, x, out, dout):
        density = ops.exp(-0.5 * (x * x)) * (1 / math.sqrt(2 * math.pi))
        return (dout[0] * (out[1] + x * density),)


class GELU(PolicyCell):
    """Compute x·Φ(x) elementwise, or with `approximate` 0.5·x·(1 + tanh(√(2/π)·(x + 0.044715·x³)))."""

    def __init__(self, approximate: bool = False):
        super().__init__()
        self.approximate = approximate
        self.fused = has_fused_kernels()
        self.exact_gelu = ExactGELU()

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        if self.fused:
            return ops.gelu(x, approximate="tanh" if self.approximate else "none")
        if x.dtype != ms.float32:  # the polynomial's coefficients are too small for half precision
            return self.composed(x.astype(ms.float32)).astype(x.dtype)
        return self.composed(x)

    def composed(self, x: ms.Tensor) -> ms.Tensor:
        """Return GELU of float32 `x` of any shape, in the cell's form, composed from elementwise operations."""
        if self.approximate:
            return x * ops.sigmoid(x * (x * x * (0.044715 * math.sqrt(8 / math.pi)) + math.sqrt(8 / math.pi)))
        return self.exact_gelu(x)[0]


_ACTIVATIONS = {"gelu": False, "gelu_tanh": True}


def create_activation(name: str) -> nn.Cell:
    """Return a new activation layer.

    Args:
        name: "gelu", or "gelu_tanh" for its approximation with tanh.

    Raises:
        ValueError: `name` is neither.
    """
    if name not in _ACTIVATIONS:
        raise ValueError(f"act is {name!r}; it can be {' or '.join(map(repr, _ACTIVATIONS))}")
    return GELU(approximate=_ACTIVATIONS[name])

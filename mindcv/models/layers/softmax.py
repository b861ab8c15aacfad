"""Softmax over the last axis, with a gradient that is fast on a CPU."""

from mindspore import Tensor, ops

from mindcv.device import has_fused_kernels
from mindcv.models.layers.precision import PolicyCell


class ProductSoftmax(PolicyCell):
    """Softmax over the last axis, whose gradient is composed from matrix products.

    The gradient is out·(dout − Σ dout·out). The sum, and its expansion along the row, are products with ones: a CPU's
    reduction is single-threaded, and its broadcasting keeps a table of 16 bytes per element.
    """

    def construct(self, x: Tensor) -> Tensor:
        return ops.softmax(x, -1)

    def bprop(self, x, out, dout):
        length = out.shape[-1]
        row_sum = ops.matmul((dout * out).reshape(-1, length), ops.ones((length, 1), out.dtype))
        row_sum = ops.matmul(row_sum, ops.ones((1, length), out.dtype))
        return (out * (dout - row_sum.reshape(out.shape)),)


class Softmax(PolicyCell):
    """Compute exp(x) / Σ exp(x) over the last axis, by the device's fused kernel or by `ProductSoftmax`."""

    def __init__(self):
        super().__init__()
        self.fused = has_fused_kernels()
        self.composed = ProductSoftmax()

    def construct(self, x: Tensor) -> Tensor:
        x = self.cast(x, self.policy.norm)
        if self.fused:
            return ops.softmax(x, -1)
        return self.composed(x)

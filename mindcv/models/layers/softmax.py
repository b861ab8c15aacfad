"""Softmax over the last axis, with a cheap gradient."""

from mindspore import Tensor, ops

from mindcv.device import has_fused_kernels
from mindcv.models.layers.precision import Mixed


class ProductSoftmax(Mixed):
    """Softmax over the last axis, with a gradient that is cheap on a CPU.

    It is out·(dout − Σ dout·out); the sum is taken, and spread over its row, as a product with ones: the
    CPU's reduction is not threaded, and its broadcasting keeps a table of 16 bytes for every element.
    """

    def construct(self, x: Tensor) -> Tensor:
        return ops.softmax(x, -1)

    def bprop(self, x, out, dout):
        length = out.shape[-1]
        total = ops.matmul((dout * out).reshape(-1, length), ops.ones((length, 1), out.dtype))
        total = ops.matmul(total, ops.ones((1, length), out.dtype))
        return (out * (dout - total.reshape(out.shape)),)


class Softmax(Mixed):
    """exp(x) / Σ exp(x) over the last axis."""

    def __init__(self):
        super().__init__()
        self.fused = has_fused_kernels()
        self.composed = ProductSoftmax()

    def construct(self, x: Tensor) -> Tensor:
        if self.fused:
            return ops.softmax(x, -1)
        return self.composed(x)

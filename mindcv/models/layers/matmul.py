"""Matrix products of batches."""

from mindspore import Tensor, ops

from mindcv.models.layers.precision import Mixed


class MatMul(Mixed):
    """The matrix product of the last two axes of `a` and `b`, those of `b` exchanged with `transpose_b`.

    `ops.matmul` is avoided because its gradient makes transposed copies of both factors, whole maps, already in the
    forward pass. The product is a cell of its own so that MindSpore's "O1" finds it (see `Mixed`).
    """

    def __init__(self, transpose_b: bool = False):
        super().__init__()
        self.times = ops.BatchMatMul(transpose_b=transpose_b)

    def construct(self, a: Tensor, b: Tensor) -> Tensor:
        a, b = self.cast(a, self.operands), self.cast(b, self.operands)
        product = self.times(a, b)
        return self.cast(self.cast(product, self.operands), self.outcome)

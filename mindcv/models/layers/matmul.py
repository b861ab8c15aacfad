"""Batched matrix product."""

from mindspore import Tensor, ops

from mindcv.models.layers.precision import PolicyCell


class MatMul(PolicyCell):
    """Compute a·b over the last two axes of `a` and `b`, or a·bᵀ with `transpose_b`; leading axes must be equal.

    It replaces `ops.matmul`, whose gradient makes transposed copies of both factors, attention maps included, already
    in the forward pass. It is a cell of its own so that MindSpore's "O1" finds the product (see `PolicyCell`).
    """

    def __init__(self, transpose_b: bool = False):
        super().__init__()
        self.bmm = ops.BatchMatMul(transpose_b=transpose_b)

    def construct(self, a: Tensor, b: Tensor) -> Tensor:
        a, b = self.cast(a, self.policy.compute), self.cast(b, self.policy.compute)
        product = self.cast(self.bmm(a, b), self.policy.compute)
        return self.cast(product, self.policy.output)

"""In which type a cell computes what: the casts of mixed precision, written where they happen."""

import mindspore as ms
from mindspore import Tensor, nn


class Mixed(nn.Cell):
    """A cell with casts; None, as each type is at first, stands for none.

    `mindcv.models.set_precision` sets the types.

    Attributes:
        operands: Of matrix products.
        outcome: What their results are cast to.
        exact: What LayerNorm and softmax compute in.
        other: What LayerNorm hands on, and parameters and constants that a cell adds or multiplies with.
        rounds: Whether bfloat16 stands for float32 numbers rounded to it, where the device lacks operations in it.
    """

    operands = outcome = exact = other = None
    rounds = False

    def cast(self, x: Tensor, kind) -> Tensor:
        if kind is None:
            return x
        if self.rounds and kind == ms.bfloat16:
            return x.astype(ms.bfloat16).astype(ms.float32)
        return x.astype(kind)

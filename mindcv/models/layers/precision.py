"""In which type a cell computes what: the casts of mixed precision, written where they happen."""

import mindspore as ms
from mindspore import Tensor, nn

from mindcv.device import rounds_bfloat16

_FLAGS = {"fp16": ms.float16, "bf16": ms.bfloat16, "fp32": ms.float32}


class Mixed(nn.Cell):
    """A cell with casts; None, as each type is at first, stands for none.

    `mindcv.models.set_precision` sets the types, and so does MindSpore's `to_float`, which its "O2" and "O3" call. The
    layers of this package all derive from this class, because the casts that MindSpore itself would put around a cell
    also reach what must stay in float32, such as the inside of GELU.

    Its "O1" rewrites the code of cells, and sees a layer or product only where a method of the cell's own class calls
    it, or where a loop goes over a `CellList` itself. It names generated classes after the originals, so that a class
    must not have the name of its base.

    Attributes:
        operands: Of matrix products.
        outcome: What their results are cast to.
        exact: What LayerNorm and softmax compute in.
        other: What LayerNorm hands on, and parameters and constants that a cell adds or multiplies with.
        rounds: Whether bfloat16 stands for float32 numbers rounded to it, where the device lacks operations in it.
    """

    operands = outcome = exact = other = None
    rounds = False

    def add_flags(self, **flags):
        """Use the type that `to_float` passes down to each cell in these flags for everything this cell computes."""
        for flag, kind in _FLAGS.items():
            if flags.get(flag):
                self.operands = self.outcome = self.exact = self.other = kind
                self.rounds = rounds_bfloat16()
        self.__dict__.update({flag: flags.pop(flag) for flag in _FLAGS if flag in flags})
        return super().add_flags(**flags)

    def cast(self, x: Tensor, kind) -> Tensor:
        if kind is None:
            return x
        if self.rounds and kind == ms.bfloat16:
            return x.astype(ms.bfloat16).astype(ms.float32)
        return x.astype(kind)

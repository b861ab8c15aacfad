"""The dtype policy of mixed precision, and the base class of cells that follow one."""

from dataclasses import dataclass

import mindspore as ms
from mindspore import Tensor, nn

from mindcv.device import emulates_bfloat16
from mindcv.mindspore_hooks import PRECISION_FLAGS


@dataclass(frozen=True)
class DtypePolicy:
    """The dtypes that a cell computes in; None keeps the dtype of the input.

    Attributes:
        compute: Of the operands of matrix products.
        output: Of the results of matrix products.
        norm: Of the inside of LayerNorm and softmax.
        residual: Of LayerNorm's output, and of parameters that are added to or multiplied with tokens.
        emulate_bf16: Whether float32 values rounded to bfloat16 stand for bfloat16, as on a CPU.
    """

    compute: ms.Type | None = None
    output: ms.Type | None = None
    norm: ms.Type | None = None
    residual: ms.Type | None = None
    emulate_bf16: bool = False


class PolicyCell(nn.Cell):
    """A cell that casts its inputs and results as its `policy` says; at first the policy casts nothing.

    `mindcv.models.set_precision` sets the policy, and so does MindSpore's `to_float`, which the levels "O2" and "O3" of
    `mindspore.amp` call. All layers of this package derive from this class, because the casts that MindSpore itself
    would put around a cell also reach what must stay in float32, such as the inside of GELU.

    The level "O1" of `mindspore.amp` rewrites the source code of cells. It finds a layer or a product only where a
    method of the cell's own class calls it, or where a loop runs over a `CellList` itself; so layers are not called
    from methods of base classes. It names the classes it generates after the originals, so a class must not have the
    name of its base class.
    """

    policy = DtypePolicy()

    def add_flags(self, **flags):
        """Set flags as `nn.Cell` does, but turn the precision flags of `to_float` into a policy of one dtype.

        These are fp16, bf16 and fp32; of several that are true, the last counts. They become attributes of the cell
        instead of flags. Returns the cell.
        """
        for flag, dtype in PRECISION_FLAGS.items():
            if flags.get(flag):
                self.policy = DtypePolicy(dtype, dtype, dtype, dtype, emulates_bfloat16())
        self.__dict__.update({flag: flags.pop(flag) for flag in PRECISION_FLAGS if flag in flags})
        return super().add_flags(**flags)

    def cast(self, x: Tensor, dtype: ms.Type | None) -> Tensor:
        """Return `x` as `dtype`, or unchanged for None.

        Where the policy emulates bfloat16, a cast to it returns float32 rounded to bfloat16.
        """
        if dtype is None:
            return x
        if self.policy.emulate_bf16 and dtype == ms.bfloat16:
            return x.astype(ms.bfloat16).astype(ms.float32)
        return x.astype(dtype)

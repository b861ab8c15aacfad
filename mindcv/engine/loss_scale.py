"""Loss scaling, so that small gradients do not become zero in half precision."""

import mindspore as ms
from mindspore import Parameter, Tensor, nn, ops

WINDOW = 2000  # updates; the default of MindSpore and PyTorch
START = 2.0**16
MAX_SCALE = 2.0**24


def is_dynamic(loss_scale_type: str, amp_level: str | None, amp_dtype: str | None) -> bool:
    """Whether options ask for a dynamic scale: type "dynamic", or "auto" and the model computes in float16."""
    return loss_scale_type == "dynamic" or (loss_scale_type == "auto" and amp_level != "O0" and amp_dtype == "float16")


class LossScale(nn.Cell):
    """A fixed or dynamic factor of the loss (Micikevicius et al. 2018, section 3.2).

    A dynamic scale halves, down to 1, when gradients overflow, and doubles after `window` updates in a row without
    an overflow.

    Args:
        start: The factor, or the first one of a dynamic scale.
        dynamic: Whether the factor follows the gradients.
        skips_overflow: Whether updates whose gradients overflow are skipped and do not count as failed. Dynamic scales
            always do so while they are above 1; an overflow at 1 comes from the model itself.
        window: Updates without an overflow after which a dynamic scale doubles.
    """

    def __init__(self, start: float, dynamic: bool = False, skips_overflow: bool = False, window: int = WINDOW):
        super().__init__(auto_prefix=False)
        self.start = start
        self.dynamic = dynamic
        self.skips_overflow = skips_overflow or dynamic
        self.window = window
        # the factor, updates since it changed, skipped updates
        self.state = Parameter(Tensor([start, 0, 0], ms.float32), name="loss_scale", requires_grad=False)

    def factor(self):
        """Return the current factor, a number or a scalar tensor."""
        return self.state[0] if self.dynamic else self.start

    def adjust(self, finite: Tensor) -> Tensor:
        """Record whether the gradients were finite and adjust a dynamic scale. Call it only if `skips_overflow` is set.

        Args:
            finite: Whether the gradients of this update were finite, a scalar bool.

        Returns:
            Whether the update succeeded, bool: the gradients were finite, or their overflow may be skipped.
        """
        factor, since_change, skipped = ops.unstack(self.state * 1)
        succeeded = ops.logical_or(finite, factor > 1) if self.dynamic else Tensor(True)
        since_change = ops.where(finite, since_change + 1, ops.zeros_like(since_change))
        skipped = skipped + 1 - finite.astype(ms.float32)
        if self.dynamic:
            grows = since_change == self.window
            grown = ops.where(grows, ops.minimum(factor * 2, MAX_SCALE), factor)
            factor = ops.where(finite, grown, ops.maximum(factor / 2, 1.0))
            since_change = ops.where(grows, ops.zeros_like(since_change), since_change)
        ops.assign(self.state, ops.stack([factor, since_change, skipped]))
        return succeeded

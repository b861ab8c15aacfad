"""What the loss is multiplied by, so that the gradients' small values do not vanish in half precision."""

import mindspore as ms
from mindspore import Parameter, Tensor, nn, ops

WINDOW = 2000  # updates; MindSpore's and PyTorch's
START = 2.0**16
HIGHEST = 2.0**24


class LossScale(nn.Cell):
    """A fixed factor, or one that follows the gradients (Micikevicius et al. 2018, section 3.2).

    The second halves when gradients overflow, to 1 at least, and doubles after `window` updates in a row without.

    Args:
        start: The factor, or the first.
        dynamic: Whether it follows the gradients.
        drops: Whether updates whose gradients overflow are left out, and not counted as failed. Dynamic scales do so
            while they are above 1: an overflow there is one of the model, and no scale's.
        window: Updates.
    """

    def __init__(self, start: float, dynamic: bool = False, drops: bool = False, window: int = WINDOW):
        super().__init__(auto_prefix=False)
        self.start = start
        self.dynamic = dynamic
        self.drops = drops or dynamic
        self.window = window
        # the factor, updates since it changed, updates left out
        self.state = Parameter(Tensor([start, 0, 0], ms.float32), name="loss_scale", requires_grad=False)

    def factor(self):
        """A number, or a scalar tensor."""
        return self.state[0] if self.dynamic else self.start

    def follow(self, finite: Tensor) -> Tensor:
        """Note whether gradients were finite; whether that is fine: they were, or the update may be left out."""
        factor, since, left_out = ops.unstack(self.state * 1)
        fine = ops.logical_or(finite, factor > 1) if self.dynamic else Tensor(True)
        since = ops.where(finite, since + 1, ops.zeros_like(since))
        left_out = left_out + 1 - finite.astype(ms.float32)
        if self.dynamic:
            grows = since == self.window
            grown = ops.where(grows, ops.minimum(factor * 2, HIGHEST), factor)
            factor = ops.where(finite, grown, ops.maximum(factor / 2, 1.0))
            since = ops.where(grows, ops.zeros_like(since), since)
        ops.assign(self.state, ops.stack([factor, since, left_out]))
        return fine

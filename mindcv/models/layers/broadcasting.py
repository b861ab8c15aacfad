"""Broadcasting that is cheap on a CPU, see `expand_as`."""

from mindspore import Tensor, ops

from mindcv.device import has_fast_broadcast


def expand_as(x: Tensor, like: Tensor) -> Tensor:
    """Return `x`, which must broadcast to `like`, expanded to its shape on a CPU, and unchanged on other devices.

    Use it before adding `x` to `like` or multiplying them. A CPU's elementwise kernels broadcast through a table of
    16 bytes per element that lives as long as the graph: four times the memory of the expanded tensor, and three to
    ten times the time.
    """
    return x if has_fast_broadcast() else ops.broadcast_to(x, like.shape)


def cast_like(x: Tensor, like: Tensor) -> Tensor:
    """Return `x` in the dtype of `like`."""
    return x.astype(like.dtype)


def scale(x: Tensor, factor: Tensor) -> Tensor:
    """Return `x` times `factor`, which must broadcast to it, in the dtype of `x`."""
    return expand_as(cast_like(factor, x), x) * x

"""The class token."""

from mindspore import Tensor, ops


def join_class_token(class_token: Tensor, x: Tensor) -> Tensor:
    """Return tokens (B, 1 + N, C): the class token (1, 1, C), then the tokens `x` (B, N, C), in the dtype of `x`."""
    return ops.cat((ops.broadcast_to(class_token.astype(x.dtype), (x.shape[0], 1, -1)), x), 1)

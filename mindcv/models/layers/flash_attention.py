"""Attention in one kernel, without a stored map (Dao et al. 2022, arXiv 2205.14135)."""

import mindspore as ms
from mindspore import Tensor, ops

from mindcv.device import without_flash_attention
from mindcv.models.layers.precision import Mixed


class FlashAttention(Mixed):
    """softmax(q·kᵀ/√d) v in half precision, by Ascend's fused kernel.

    Args:
        width: d of a head.

    Raises:
        ValueError: the device lacks the kernel, or the kernel does not take the width; in a call: the model computes
            in float32.
    """

    def __init__(self, width: int):
        super().__init__()
        if device := without_flash_attention():
            raise ValueError(
                f"attn_impl is 'flash', which needs an Atlas A2 training device, and this is {device}: "
                "pass attn_impl 'separable'"
            )
        if width % 16 or width > 512:
            raise ValueError(
                f"attn_impl is 'flash', which takes heads of width 16, 32, … to 512, and embed_dim / num_heads is "
                f"{width}: pass attn_impl 'separable'"
            )
        self.scale = width**-0.5

    def construct(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Queries (B, h, M, d), keys and values (B, h, N, d) to (B, h, M, d)."""
        if self.operands is None or self.operands == ms.float32:
            raise ValueError(
                "attn_impl is 'flash', which computes in half precision, and these layers are in float32: pass "
                "amp_level O2 (in validation, val_amp_level O2), or attn_impl 'separable'"
            )
        q, k, v = self.cast(q, self.operands), self.cast(k, self.operands), self.cast(v, self.operands)
        gathered = ops.flash_attention_score(q, k, v, q.shape[1], scalar_value=self.scale, input_layout="BNSD")
        return self.cast(gathered, self.outcome)

"""Attention in one kernel that stores no attention map (Dao et al. 2022, arXiv 2205.14135)."""

import mindspore as ms
from mindspore import Tensor, ops

from mindcv.device import device_without_flash_attention
from mindcv.models.layers.precision import PolicyCell


class FlashAttention(PolicyCell):
    """Compute softmax(q·kᵀ/√d) v in half precision, by Ascend's fused kernel.

    Args:
        head_dim: d, channels of a head: a multiple of 16, at most 512.

    Raises:
        ValueError: The device has no such kernel, or the kernel does not support `head_dim`; when called: the dtype
            policy is float32.
    """

    def __init__(self, head_dim: int):
        super().__init__()
        if device := device_without_flash_attention():
            raise ValueError(
                f"attn_impl is 'flash', which needs an Atlas A2 training device, and this is {device}: "
                "pass attn_impl 'separable'"
            )
        if head_dim % 16 or head_dim > 512:
            raise ValueError(
                f"attn_impl is 'flash', which takes heads of width 16, 32, … to 512, and embed_dim / num_heads is "
                f"{head_dim}: pass attn_impl 'separable'"
            )
        self.scale = head_dim**-0.5

    def construct(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Return softmax(q·kᵀ/√d) v, (B, h, M, d), of queries (B, h, M, d), keys and values (B, h, N, d).

        Raises:
            ValueError: The dtype policy's compute type is None or float32.
        """
        compute = self.policy.compute
        if compute is None or compute == ms.float32:
            raise ValueError(
                "attn_impl is 'flash', which computes in half precision, and these layers are in float32: pass "
                "amp_level O2 (in validation, val_amp_level O2), or attn_impl 'separable'"
            )
        q, k, v = self.cast(q, compute), self.cast(k, compute), self.cast(v, compute)
        attended = ops.flash_attention_score(q, k, v, q.shape[1], scalar_value=self.scale, input_layout="BNSD")
        return self.cast(attended, self.policy.output)

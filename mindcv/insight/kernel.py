"""Where the heads of a GPSA layer look by position alone."""

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn

from mindcv.insight.probe import AttentionProbe
from mindcv.models import GPSA
from mindcv.models.finite import require_finite


def effective_kernel(model: nn.Cell, layer: int) -> np.ndarray:
    """The positional attention of a patch with room on all sides, as a convolution's kernel.

    Element [h, rows − 1 + Δy, cols − 1 + Δx] is how much head h looks at the patch Δy rows below and Δx columns to the
    right: softmax(w·r) over all these offsets (equation 7 of the paper). Content has no part in it; `gates` says how
    much of the head's attention it is.

    Args:
        layer: A GPSA block, from 0.

    Returns:
        (heads, 2·rows − 1, 2·cols − 1) float32; each head's sums to 1.

    Raises:
        TypeError: the model is no ConViT.
        ValueError: the layer is no GPSA layer of the model.
        FloatingPointError: the attention is not finite.
    """
    kernel = _Kernel(model, layer).look(*map(_offsets, model.grid_size)).asnumpy()
    require_finite(kernel, model, "the positional attention is")
    return kernel


class _Kernel(AttentionProbe):
    def __init__(self, model: nn.Cell, layer: int):
        super().__init__(model)
        if not 0 <= layer < len(model.blocks) or not isinstance(model.blocks[layer].attn, GPSA):
            last = model.local_up_to_layer - 1
            there = f"GPSA layers are 0 to {last}" if last >= 0 else "this model has no GPSA layers"
            raise ValueError(f"layer is {layer}; {there}")
        self.attn = model.blocks[layer].attn

    def construct(self, dy: Tensor, dx: Tensor) -> Tensor:
        along_y, along_x = self.attn.attention_at(dy, dx)
        return (along_y.swapaxes(1, 2) * along_x).astype(ms.float32)


def _offsets(side: int) -> np.ndarray:
    return np.arange(1.0 - side, side)[None]

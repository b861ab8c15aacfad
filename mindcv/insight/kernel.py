"""The positional attention of a layer as a convolution kernel."""

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn

from mindcv.insight.probe import AttentionProbe
from mindcv.models.finite import require_finite


def effective_kernel(model: nn.Cell, layer: int) -> np.ndarray:
    """Return the positional attention of a layer by offset, as the kernel of a convolution.

    Element [h, rows − 1 + Δy, cols − 1 + Δx] is the weight that head h gives to the patch Δy rows below and Δx columns
    to the right of the query: softmax(w·r) over all offsets (equation 7 of the paper), as for a query with a full
    grid of patches on all sides. It does not depend on the image; `gates` is its weight in the head's attention.
    The model computes in evaluation mode; its own mode is restored.

    Args:
        model: A model with a grid of (rows, cols) patches.
        layer: Index of a block with positional attention, as ConViT's GPSA blocks, from 0.

    Returns:
        (heads, 2·rows − 1, 2·cols − 1) float32; the elements of each head sum to 1.

    Raises:
        TypeError: the model has no attention.
        ValueError: the layer does not exist or has no positional attention.
        FloatingPointError: the attention is not finite.
    """
    kernel = _KernelProbe(model, layer).compute(*map(_offsets, model.grid_size)).asnumpy()
    require_finite(kernel, model, "the positional attention is")
    return kernel


class _KernelProbe(AttentionProbe):
    """Offsets dy (1, rows) and dx (1, cols), in patches, to the positional attention (heads, rows, cols)."""

    def __init__(self, model: nn.Cell, layer: int):
        super().__init__(model)
        if layer not in (layers := positional_layers(model)):
            raise ValueError(f"layer is {layer}; layers with positional attention are {layers or 'none'}")
        self.attn = model.blocks[layer].attn

    def construct(self, dy: Tensor, dx: Tensor) -> Tensor:
        along_y, along_x = self.attn.axis_softmax(dy, dx)
        return (along_y.swapaxes(1, 2) * along_x).astype(ms.float32)


def positional_layers(model: nn.Cell) -> list[int]:
    """Return the indices of the blocks whose attention depends on position apart from content."""
    return [i for i, block in enumerate(model.blocks) if hasattr(block.attn, "axis_softmax")]


def _offsets(side: int) -> np.ndarray:
    """Return the offsets 1 − side to side − 1, rising, as a row (1, 2·side − 1) of float64."""
    return np.arange(1.0 - side, side)[None]

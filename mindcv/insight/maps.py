"""Attention maps, computed explicitly as in the paper."""

from typing import NamedTuple

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn

from mindcv.insight.probe import AttentionProbe
from mindcv.models.finite import require_finite


class AttentionMaps(NamedTuple):
    """The attention maps of one layer, each (B, heads, N queries, N keys) float32; every row sums to 1.

    N is the number of patches, in row-major order, plus that of the prefix tokens before them: the class token, in the
    layers that have it. A layer without positional attention, as MHSA, has no `position`.

    Attributes:
        content: softmax(q·kᵀ/√d).
        position: softmax(w·r), the same for every image, a read-only view; None without positional attention.
        mixed: What the head attends by, (1 − σ(λ))·content + σ(λ)·position; equal to `content` without `position`.
    """

    content: np.ndarray
    position: np.ndarray | None
    mixed: np.ndarray


def attention_maps(model: nn.Cell, images: np.ndarray | Tensor) -> list[AttentionMaps]:
    """Return the attention maps of every layer, in order (equation 7 of the paper), up to 12·B·heads·N² bytes each.

    The model computes in evaluation mode; its own mode is restored.

    Args:
        model: A model with attention.
        images: (B, in_channels, H, W) float32, normalised; an array or a tensor.

    Raises:
        TypeError: the model has no attention.
        ValueError: the images are not of the model's size.
        FloatingPointError: the attention is not finite.
    """
    layers = []
    for content, position, mixed in _MapsProbe(model).compute(images):
        content, mixed = content.asnumpy(), mixed.asnumpy()
        require_finite(mixed, model, "the attention is")
        position = None if position is None else np.broadcast_to(position.asnumpy(), content.shape)
        layers.append(AttentionMaps(content, position, mixed))
    return layers


class _MapsProbe(AttentionProbe):
    """Images (B, in_channels, H, W) to (content, position, mixed) of each layer, as in `AttentionMaps`."""

    def construct(self, images: Tensor) -> tuple:
        """Return a tuple of (content, position, mixed) float32 tensors for each layer.

        content and mixed are (B, heads, N, N); position is (heads, N, N) or None.
        """
        maps: tuple[tuple[Tensor, Tensor | None, Tensor], ...] = ()
        for i, x in enumerate(self.model.attention_inputs(images)):
            content, position, mixed = self.model.blocks[i].attn.attention_maps(x)
            position = None if position is None else position.astype(ms.float32)
            maps += ((content.astype(ms.float32), position, mixed.astype(ms.float32)),)
        return maps

"""Attention maps, computed explicitly as in the paper."""

from typing import NamedTuple

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn

from mindcv.insight.probe import AttentionProbe
from mindcv.models import GPSA
from mindcv.models.finite import require_finite


class AttentionMaps(NamedTuple):
    """The attention maps of one layer, each (B, heads, N queries, N keys) float32; every row sums to 1.

    In GPSA layers N is the number of patches, in row-major order. In MHSA layers N is one more, because the class token
    comes first.

    Attributes:
        content: softmax(q·kᵀ/√d).
        position: softmax(w·r), the same for every image, a read-only view; None in MHSA layers.
        mixed: What the head attends by, (1 − σ(λ))·content + σ(λ)·position; equal to `content` in MHSA layers.
    """

    content: np.ndarray
    position: np.ndarray | None
    mixed: np.ndarray


def attention_maps(model: nn.Cell, images: np.ndarray | Tensor) -> list[AttentionMaps]:
    """Return the attention maps of every layer, in order (equation 7 of the paper), up to 12·B·heads·N² bytes each.

    The model computes in evaluation mode; its own mode is restored.

    Args:
        model: A ConViT.
        images: (B, in_channels, H, W) float32, normalised; an array or a tensor.

    Raises:
        TypeError: the model is not a ConViT.
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

        content and mixed are (B, heads, N, N); position is (heads, N, N), None in MHSA layers.
        """
        maps = ()
        for i, x in enumerate(self.attention_inputs(images)):
            attn = self.model.blocks[i].attn
            content = attn.content_attention(x, x).astype(ms.float32)
            if isinstance(attn, GPSA):
                position = attn.positional_attention().astype(ms.float32)
                maps += ((content, position, attn.mix(content, position)),)
            else:
                maps += ((content, None, content),)
        return maps

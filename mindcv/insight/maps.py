"""Attention maps, built as the paper writes them."""

from typing import NamedTuple

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn

from mindcv.insight.probe import AttentionProbe
from mindcv.models import GPSA
from mindcv.models.finite import require_finite


class AttentionMaps(NamedTuple):
    """One layer's maps, (B, heads, N, N) float32, from query to key; every row sums to 1.

    In GPSA layers N is the number of patches, row by row. In MHSA layers the class token comes before them, N is one
    more, `position` is None and `mixed` is `content`.
    """

    content: np.ndarray
    position: np.ndarray | None
    mixed: np.ndarray


def attention_maps(model: nn.Cell, images) -> list[AttentionMaps]:
    """The maps of every layer for `images` (B, in_channels, H, W), an array or a tensor, ready for the model.

    `content` is softmax(q·kᵀ/√d), `position` softmax(w·r), the same for every image, and `mixed` what the head attends
    by, (1 − σ(λ))·content + σ(λ)·position (equation 7 of the paper). They take 12·B·heads·N² bytes a layer.

    Raises:
        TypeError: the model is no ConViT.
        ValueError: the images are not of the model's size.
        FloatingPointError: the attention is not finite.
    """
    layers = []
    for content, position, mixed in _Maps(model).look(images):
        content, mixed = content.asnumpy(), mixed.asnumpy()
        require_finite(mixed, model, "the attention is")
        position = None if position is None else np.broadcast_to(position.asnumpy(), content.shape)
        layers.append(AttentionMaps(content, position, mixed))
    return layers


class _Maps(AttentionProbe):
    def construct(self, images: Tensor) -> tuple:
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

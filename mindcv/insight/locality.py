"""How far heads look."""

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops

from mindcv.insight.probe import AttentionProbe
from mindcv.models import GPSA, ConViT
from mindcv.models.finite import require_finite


def non_locality(model: nn.Cell, images) -> np.ndarray:
    """How far every head looks on average, in patches: (layers, heads) float32.

    It is the Euclidean distance from query to key, weighted by the mixed attention map and averaged over queries and
    images (section 4 of the paper). In MHSA layers, where the class token has no place, it is that of the patches'
    attention to patches, each row renormalised.

    Args:
        images: (B, in_channels, H, W), an array or a tensor, ready for the model.

    Raises:
        TypeError: the model is no ConViT.
        ValueError: the images are not of the model's size.
        FloatingPointError: the attention is not finite.
    """
    distances = NonLocality(model).look(images).asnumpy()
    require_finite(distances, model, "the attention is")
    return distances


class NonLocality(AttentionProbe):
    """Images (B, in_channels, H, W) to (layers, heads); see `non_locality`."""

    def __init__(self, model: ConViT):
        super().__init__(model)
        place = np.stack(np.divmod(np.arange(np.prod(model.grid_size)), model.grid_size[1]), -1)
        distance = np.linalg.norm(place[:, None] - place, axis=-1)
        self.share = Tensor(distance.reshape(-1, 1) / len(place), ms.float32)  # a column: the sum becomes a product

    def construct(self, images: Tensor) -> Tensor:
        layers = ()
        for i, x in enumerate(self.attention_inputs(images)):
            attn = self.model.blocks[i].attn
            if isinstance(attn, GPSA):
                maps = attn.mixed_attention(x).astype(ms.float32)
            else:
                maps = attn.content_attention(x, x).astype(ms.float32)[:, :, 1:, 1:]
                maps = maps / maps.sum(-1, keepdims=True)
            layers += (ops.matmul(maps.reshape(maps.shape[0], maps.shape[1], -1), self.share).mean((0, 2)),)
        return ops.stack(layers)

"""How far heads attend."""

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops

from mindcv.insight.probe import AttentionProbe
from mindcv.models import GPSA, ConViT
from mindcv.models.finite import require_finite


def non_locality(model: nn.Cell, images: np.ndarray | Tensor) -> np.ndarray:
    """Return the mean distance, in patches, at which every head attends.

    It is the Euclidean distance from query to key, weighted by the mixed attention map and averaged over queries and
    images (section 4 of the paper). In MHSA layers the class token, which has no position, is left out and the rows are
    renormalised. The model computes in evaluation mode; its own mode is restored.

    Args:
        model: A ConViT.
        images: (B, in_channels, H, W) float32, normalised; an array or a tensor.

    Returns:
        (layers, heads) float32, layers in the order of the blocks.

    Raises:
        TypeError: the model is not a ConViT.
        ValueError: the images are not of the model's size.
        FloatingPointError: the attention is not finite.
    """
    distances = NonLocalityProbe(model).compute(images).asnumpy()
    require_finite(distances, model, "the attention is")
    return distances


class NonLocalityProbe(AttentionProbe):
    """Images (B, in_channels, H, W) to the mean distances (layers, heads), in patches, at which heads attend."""

    def __init__(self, model: ConViT):
        super().__init__(model)
        position = np.stack(np.divmod(np.arange(np.prod(model.grid_size)), model.grid_size[1]), -1)
        distance = np.linalg.norm(position[:, None] - position, axis=-1)
        # a column, so that the mean over queries of the weighted sum over keys is one matrix product
        self.distance = Tensor(distance.reshape(-1, 1) / len(position), ms.float32)

    def construct(self, images: Tensor) -> Tensor:
        """Return the mean distances (layers, heads) float32, NaN where attention is; the images are normalised."""
        layers = ()
        for i, x in enumerate(self.attention_inputs(images)):
            attn = self.model.blocks[i].attn
            if isinstance(attn, GPSA):
                maps = attn.mixed_attention(x).astype(ms.float32)
            else:
                maps = attn.content_attention(x, x).astype(ms.float32)[:, :, 1:, 1:]
                maps = maps / maps.sum(-1, keepdims=True)
            layers += (ops.matmul(maps.reshape(maps.shape[0], maps.shape[1], -1), self.distance).mean((0, 2)),)
        return ops.stack(layers)

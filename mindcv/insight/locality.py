"""How far heads attend."""

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops

from mindcv.insight.probe import AttentionProbe
from mindcv.models.finite import require_finite


def non_locality(model: nn.Cell, images: np.ndarray | Tensor) -> np.ndarray:
    """Return the mean distance, in patches, at which every head attends.

    It is the Euclidean distance from query to key, weighted by the mixed attention map and averaged over queries and
    images (section 4 of the paper). A class token, which has no position, is left out and the rows are renormalised.
    The model computes in evaluation mode; its own mode is restored.

    Args:
        model: A model with attention.
        images: (B, in_channels, H, W) float32, normalised; an array or a tensor.

    Returns:
        (layers, heads) float32, layers in the order of the blocks.

    Raises:
        TypeError: the model has no attention.
        ValueError: the images are not of the model's size.
        FloatingPointError: the attention is not finite.
    """
    distances = NonLocalityProbe(model).compute(images).asnumpy()
    require_finite(distances, model, "the attention is")
    return distances


class NonLocalityProbe(AttentionProbe):
    """Images (B, in_channels, H, W) to the mean distances (layers, heads), in patches, at which heads attend."""

    def __init__(self, model: nn.Cell):
        super().__init__(model)
        position = np.stack(np.divmod(np.arange(np.prod(model.grid_size)), model.grid_size[1]), -1)
        distance = np.linalg.norm(position[:, None] - position, axis=-1)
        self.patches = len(position)
        # a column, so that the mean over queries of the weighted sum over keys is one matrix product
        self.distance = Tensor(distance.reshape(-1, 1) / len(position), ms.float32)

    def construct(self, images: Tensor) -> Tensor:
        """Return the mean distances (layers, heads) float32, NaN where attention is; the images are normalised."""
        layers: tuple[Tensor, ...] = ()
        for i, x in enumerate(self.model.attention_inputs(images)):
            _content, _position, maps = self.model.blocks[i].attn.attention_maps(x)
            maps = maps.astype(ms.float32)
            prefix = maps.shape[-1] - self.patches
            if prefix:
                maps = maps[:, :, prefix:, prefix:]
                maps = maps / maps.sum(-1, keepdims=True)
            layers += (ops.matmul(maps.reshape(maps.shape[0], maps.shape[1], -1), self.distance).mean((0, 2)),)
        return ops.stack(layers)

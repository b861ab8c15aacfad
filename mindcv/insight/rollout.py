"""Attention rollout (S. Abnar, W. Zuidema: "Quantifying Attention Flow in Transformers", ACL 2020)."""

import numpy as np
from mindspore import nn

from mindcv.insight.maps import attention_maps
from mindcv.models.family import require


def rollout(model: nn.Cell, image) -> np.ndarray:
    """Return how much each patch contributes to the class token's final state through attention.

    A layer is taken as (A + I) / 2, where A is the mean of its heads' mixed maps and I the residual connection; the
    product of all layers leads from the patches to the class token. In layers before the class token is added, as
    ConViT's GPSA layers, the class token attends to itself only. Its own contribution is left out of the result. The
    model computes in evaluation mode; its own mode is restored.

    Args:
        model: A model with attention and a class token.
        image: (in_channels, H, W) float32, normalised; an array or a tensor.

    Returns:
        (rows, cols) float64 of the grid of patches; the elements sum to 1.

    Raises:
        TypeError: the model has no attention, or no class token.
        ValueError: `image` is not one image of the model's size.
        FloatingPointError: the attention is not finite.
    """
    if len(image.shape) != 3:
        raise ValueError(f"got an image of shape {tuple(image.shape)}; give one, (channels, height, width)")
    prefix = require(model, "there is no class token to trace back", "num_prefix_tokens").num_prefix_tokens
    tokens = prefix + np.prod(model.grid_size)
    flow = np.eye(tokens)
    for maps in attention_maps(model, image[None]):
        mean, present = np.eye(tokens), maps.mixed.shape[-1]
        mean[-present:, -present:] = maps.mixed[0].mean(0, dtype=np.float64)
        flow = (mean + np.eye(tokens)) / 2 @ flow
    from_patches = flow[0, prefix:]
    return (from_patches / from_patches.sum()).reshape(model.grid_size)

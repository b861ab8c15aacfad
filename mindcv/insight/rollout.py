"""Attention rollout (S. Abnar, W. Zuidema: "Quantifying Attention Flow in Transformers", ACL 2020)."""

import numpy as np
from mindspore import nn

from mindcv.insight.maps import attention_maps


def rollout(model: nn.Cell, image) -> np.ndarray:
    """Return how much each patch contributes to the class token's final state through attention.

    A layer is taken as (A + I) / 2, where A is the mean of its heads' mixed maps and I the residual connection; the
    product of all layers leads from the patches to the class token. In GPSA layers, which come before the class token
    is added, the class token attends to itself only. Its own contribution is left out of the result. The model computes
    in evaluation mode; its own mode is restored.

    Args:
        model: A ConViT.
        image: (in_channels, H, W) float32, normalised; an array or a tensor.

    Returns:
        (rows, cols) float64 of the grid of patches; the elements sum to 1.

    Raises:
        TypeError: the model is not a ConViT.
        ValueError: `image` is not one image of the model's size.
        FloatingPointError: the attention is not finite.
    """
    if len(image.shape) != 3:
        raise ValueError(f"got an image of shape {tuple(image.shape)}; give one, (channels, height, width)")
    flow = None
    for maps in attention_maps(model, image[None]):
        mean = maps.mixed[0].mean(0, dtype=np.float64)
        if maps.position is not None:
            mean = np.pad(mean, ((1, 0), (1, 0)))
            mean[0, 0] = 1
        layer = (mean + np.eye(len(mean))) / 2
        flow = layer if flow is None else layer @ flow
    from_patches = flow[0, 1:]
    return (from_patches / from_patches.sum()).reshape(model.grid_size)

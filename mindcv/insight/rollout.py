"""Attention rollout (S. Abnar, W. Zuidema: "Quantifying Attention Flow in Transformers", ACL 2020)."""

import numpy as np
from mindspore import nn

from mindcv.insight.maps import attention_maps


def rollout(model: nn.Cell, image) -> np.ndarray:
    """How much of the class token's final state came from each patch, by attention alone: (rows, cols), sum 1.

    A layer is taken as (A + I) / 2, with A the mean of its heads' mixed maps and I for the residual connection; the
    product of all layers leads from the patches to the class token. In GPSA layers, where there is no class token
    yet, it attends to itself alone; what it brings along itself is left out of the result.

    Args:
        image: (in_channels, H, W), an array or a tensor, ready for the model.

    Raises:
        TypeError: the model is no ConViT.
        ValueError: it is not one image of the model's size.
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

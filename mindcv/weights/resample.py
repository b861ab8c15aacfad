"""Position embeddings for another grid of patches."""

import numpy as np


def resample(pos_embed: np.ndarray, old: tuple[int, int], new: tuple[int, int]) -> np.ndarray:
    """`pos_embed` (1, rows·cols, C), learned on a grid of `old` (rows, cols), for one of `new`: (1, rows·cols, C).

    Bicubic with antialias, as timm resamples it: PyTorch's `interpolate(mode="bicubic", antialias=True)`, which is
    Pillow's `BICUBIC`. One matrix for the rows and one for the columns, in float64.
    """
    grid = pos_embed.astype(np.float64).reshape(*old, -1)
    rows, cols = (cubic_weights(*sides) for sides in zip(old, new, strict=True))
    resampled = np.einsum("ij,jkc,lk->ilc", rows, grid, cols, optimize=True)
    return resampled.reshape(1, new[0] * new[1], -1).astype(pos_embed.dtype)


def cubic_weights(old: int, new: int) -> np.ndarray:
    """What each of `old` samples gives to each of `new` ones on the same length: (new, old), rows sum to 1.

    Keys' cubic convolution (1981) with a = -1/2, as wide as the coarser of the two grids, cut off at the ends.
    """
    step = old / new
    centres = (np.arange(new) + 0.5) * step
    distance = np.abs(np.arange(old) + 0.5 - centres[:, None]) / max(step, 1)
    near = 1.5 * distance**3 - 2.5 * distance**2 + 1
    far = -0.5 * distance**3 + 2.5 * distance**2 - 4 * distance + 2
    weights = np.where(distance < 1, near, np.where(distance < 2, far, 0))
    return weights / weights.sum(1, keepdims=True)

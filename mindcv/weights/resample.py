"""Resample position embeddings to another grid of patches."""

import numpy as np


def resample(pos_embed: np.ndarray, old: tuple[int, int], new: tuple[int, int]) -> np.ndarray:
    """Resample a position embedding from a grid of `old` (rows, cols) to one of `new` (rows, cols).

    Bicubic with antialiasing, as in timm: PyTorch's `interpolate(mode="bicubic", antialias=True)`, which equals
    Pillow's `BICUBIC`. Computed in float64 as one matrix product for the rows and one for the columns.

    Args:
        pos_embed: (1, rows·cols, C), row by row.
        old, new: The grids.

    Returns:
        (1, rows·cols, C) for the new grid, in the dtype of `pos_embed`.
    """
    grid = pos_embed.astype(np.float64).reshape(*old, -1)
    rows, cols = (cubic_weights(*sides) for sides in zip(old, new, strict=True))
    resampled = np.einsum("ij,jkc,lk->ilc", rows, grid, cols, optimize=True)
    return resampled.reshape(1, new[0] * new[1], -1).astype(pos_embed.dtype)


def cubic_weights(old: int, new: int) -> np.ndarray:
    """Return the matrix (new, old) that resamples `old` samples to `new` over the same length; its rows sum to 1.

    Keys' cubic convolution (1981) with a = -1/2, as wide as the coarser of the two grids, truncated at the ends.
    """
    step = old / new
    centres = (np.arange(new) + 0.5) * step
    distance = np.abs(np.arange(old) + 0.5 - centres[:, None]) / max(step, 1)
    inner = 1.5 * distance**3 - 2.5 * distance**2 + 1
    outer = -0.5 * distance**3 + 2.5 * distance**2 - 4 * distance + 2
    weights = np.where(distance < 1, inner, np.where(distance < 2, outer, 0))
    return weights / weights.sum(1, keepdims=True)

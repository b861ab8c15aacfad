"""Normalisation of a batch of images."""

import math
import weakref
from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np

from mindcv.errors import pixel_scale_mistake

_LUMA = np.array((0.299, 0.587, 0.114), np.float32)  # weights of RGB in grey (ITU-R BT.601), as in Pillow's "L"


def is_batch(images) -> bool:
    """Return whether `images` is a batch, a list or an array (B, H, W, C), not one image, an array or a PIL image."""
    return isinstance(images, list) or np.ndim(images) == 4


class Normalize:
    """Compute (image - mean) / std per channel, and put channels first.

    With one mean and std, RGB images become grey first.

    A batch is written into the memory of an earlier batch that is no longer referenced. In batches of 128 images of
    224×224 pixels (77 MB), this takes 0.13 ms per image, and 0.20 ms with newly allocated memory; a complete loader
    whose only operation is this one takes 0.35 and 0.44 ms. Batches of 32 MB or less gain nothing. (Medians of
    alternating passes in one process on 2 cores.) It matters because one thread per process finishes all batches.

    Args:
        mean: Mean of each channel, for pixel values 0 to 255.
        std: Standard deviation of each channel, for pixel values 0 to 255. A mean of 0 and a std of 1 leave pixels as
            they are, from 0 to 255; a mean of 0 and a std of 255 give 0 to 1.

    Attributes:
        scale, shift: (C, 1, 1) float32; the result is image * scale + shift.
        result: `SharedMemory` of `mindcv.data.processes` for the next batch; None for memory of this process.

    Raises:
        ValueError: `mean` and `std` are not two sequences of one length, a std is not above 0, or they are meant for
            pixels of 0 to 1.
    """

    batchwise = True

    def __init__(self, mean: Sequence[float], std: Sequence[float]):
        self.mean, self.std = np.asarray(mean, np.float64), np.asarray(std, np.float64)
        if self.mean.shape != self.std.shape or self.mean.ndim != 1 or not (self.std > 0).all():
            raise ValueError(f"mean is {mean} and std is {std}; both must have one number per channel, std above 0")
        if mistake := pixel_scale_mistake(mean, std):
            raise ValueError(mistake)
        self.scale = (1 / self.std).astype(np.float32)[:, None, None]
        self.shift = (-self.mean / self.std).astype(np.float32)[:, None, None]
        self.result: Any = None  # shared memory for the resulting array, see mindcv.data.processes
        self._free_memory: deque[bytes | bytearray] = deque(maxlen=2)

    def __call__(self, images: np.ndarray | list[np.ndarray], rng=None, views: int = 1) -> np.ndarray:
        """Normalise one image, or a batch.

        Args:
            images: (H, W, C) uint8 or a PIL image, or a batch of B of them of one size, as a list or an array.
            rng: Not used; every batchwise operation takes it.
            views: Not used; every batchwise operation takes it.

        Returns:
            (C, H, W), or (B, C, H, W), float32; C is 1 if RGB images become grey. The images are not changed.
        """
        if not is_batch(images):
            return self([np.asarray(images)])[0]
        height, width, channels = images[0].shape
        to_grey = channels == 3 and len(self.mean) == 1
        out = self._allocate(len(images), 1 if to_grey else channels, height, width)
        for image, result in zip(images, out, strict=True):
            np.copyto(result, image @ _LUMA if to_grey else image.transpose(2, 0, 1))
            result *= self.scale
            result += self.shift
        return out

    def _allocate(self, *shape: int) -> np.ndarray:
        """Return a float32 array of `shape` with any contents; its memory is reused once its last view is deleted.

        It is in `result`, once, if that is set.
        """
        if self.result is not None:
            result, self.result = self.result, None
            return result.array(shape, np.float32)
        size = math.prod(shape) * 4
        try:
            memory = self._free_memory.pop()
        except IndexError:
            memory = b""
        if len(memory) != size:
            memory = bytearray(size)  # views of an ndarray would refer to it, not to `out`, which is watched below
        out: np.ndarray = np.ndarray(shape, np.float32, memory)
        weakref.finalize(out, self._free_memory.append, memory).atexit = False
        return out

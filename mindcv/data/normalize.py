"""From the bytes of an image to the numbers that a model takes, for a whole batch."""

import math
import weakref
from collections import deque
from collections.abc import Sequence

import numpy as np

from mindcv.errors import pixel_scale_mistake

_LUMA = np.array((0.299, 0.587, 0.114), np.float32)  # of red, green and blue, by ITU-R BT.601, as in Pillow's "L"


class Normalize:
    """(x - mean) / std per channel, and channels first; of colour images with one mean and std, in grey.

    Written in NumPy and applied to a batch at a time, straight into the batch's memory, which is that of an earlier
    batch that nobody holds any longer: 0.10 ms an image of 224×224 pixels. MindSpore's `Normalize` and `HWC2CHW` take
    0.24, and getting the memory of a large batch from the system 0.2.

    Args:
        mean, std: per channel, in units of pixel values 0..255; a mean of 0 and a standard deviation of 1 leave pixels
            as they are, from 0 to 255, and 0 with 255 gives 0 to 1.

    Attributes:
        scale, shift: (C, 1, 1) float32; a pixel becomes pixel * scale + shift.
    """

    batchwise = True

    def __init__(self, mean: Sequence[float], std: Sequence[float]):
        self.mean, self.std = np.asarray(mean, np.float64), np.asarray(std, np.float64)
        if self.mean.shape != self.std.shape or self.mean.ndim != 1 or not (self.std > 0).all():
            raise ValueError(f"mean and std need one number a channel, std above 0; got {mean} and {std}")
        if mistake := pixel_scale_mistake(self.mean, self.std):
            raise ValueError(mistake)
        self.scale = (1 / self.std).astype(np.float32)[:, None, None]
        self.shift = (-self.mean / self.std).astype(np.float32)[:, None, None]
        self._given_back = deque(maxlen=2)

    def __call__(self, images: np.ndarray | list[np.ndarray], rng=None, views: int = 1) -> np.ndarray:
        """One (H, W, C) image, or a list of B, to float32 (C, H, W), or (B, C, H, W); C becomes 1 in grey."""
        if isinstance(images, np.ndarray):
            return self([images])[0]
        height, width, channels = images[0].shape
        grey = channels == 3 and len(self.mean) == 1
        out = self._memory(len(images), 1 if grey else channels, height, width)
        for image, result in zip(images, out, strict=True):
            np.copyto(result, image @ _LUMA if grey else image.transpose(2, 0, 1))
            result *= self.scale
            result += self.shift
        return out

    def _memory(self, *shape: int) -> np.ndarray:
        """An array of that shape, whose memory is given back when the last view of it goes."""
        size = math.prod(shape) * 4
        try:
            memory = self._given_back.pop()
        except IndexError:
            memory = b""
        if len(memory) != size:
            memory = bytearray(size)  # not an array, which NumPy would take for the owner of all views
        out = np.ndarray(shape, np.float32, memory)
        weakref.finalize(out, self._given_back.append, memory).atexit = False
        return out

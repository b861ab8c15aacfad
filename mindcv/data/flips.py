"""Random mirroring."""

import numpy as np


class RandomFlip:
    """Mirror an image left-right, top-bottom, both or not at all.

    A mirrored image is another look at the same memory, so this costs nothing where `Normalize` copies it anyway.

    Args:
        hflip, vflip: probability of mirroring left-right, top-bottom.
    """

    batchwise = True

    def __init__(self, hflip: float = 0.5, vflip: float = 0.0):
        for name, prob in (("hflip", hflip), ("vflip", vflip)):
            if not 0 <= prob <= 1:
                raise ValueError(f"{name} must be 0 to 1, got {prob}")
        self.hflip, self.vflip = hflip, vflip
        self._own_rng = np.random.default_rng()

    def __call__(
        self, images: np.ndarray | list[np.ndarray], rng: np.random.Generator | None = None, views: int = 1
    ) -> np.ndarray | list[np.ndarray]:
        """One (H, W, C) image, or a list of B; several `views`, one after the other in it, share their draws."""
        if isinstance(images, np.ndarray):
            return np.ascontiguousarray(self([images], rng)[0])
        draws = (rng or self._own_rng).random((len(images) // views, 2)) < (self.vflip, self.hflip)
        steps = np.tile(1 - 2 * draws, (views, 1)).tolist()
        return [image[::down, ::right] for image, (down, right) in zip(images, steps, strict=True)]

"""Random mirroring."""

import numpy as np

from mindcv.data.normalize import is_batch
from mindcv.errors import require_in_range


class RandomFlip:
    """Mirror images left-right, top-bottom, both, or not at all.

    The result is a view with negative strides; where `Normalize` follows, which copies anyway, mirroring costs nothing.

    Args:
        hflip: Probability of mirroring left-right.
        vflip: Probability of mirroring top-bottom.

    Raises:
        ValueError: A probability is not 0 to 1.
    """

    batchwise = True

    def __init__(self, hflip: float = 0.5, vflip: float = 0.0):
        self.hflip = require_in_range("hflip", hflip, at_least=0, at_most=1)
        self.vflip = require_in_range("vflip", vflip, at_least=0, at_most=1)
        self._default_rng = np.random.default_rng()

    def __call__(
        self, images: np.ndarray | list[np.ndarray], rng: np.random.Generator | None = None, views: int = 1
    ) -> np.ndarray | list[np.ndarray]:
        """Mirror one image, or each of a batch.

        Args:
            images: (H, W, C) or a PIL image, or a batch of them, as a list or an array.
            rng: Source of the random draws; by default an unseeded generator.
            views: Views per image in the batch, all first views before all second views; the views of an image are
                mirrored alike.

        Returns:
            A contiguous array, or a list of views into the images, which are not changed.
        """
        if not is_batch(images):
            return np.ascontiguousarray(self([np.asarray(images)], rng)[0])
        mirrored = (rng or self._default_rng).random((len(images) // views, 2)) < (self.vflip, self.hflip)
        steps = np.tile(1 - 2 * mirrored, (views, 1)).tolist()
        return [image[::vertical, ::horizontal] for image, (vertical, horizontal) in zip(images, steps, strict=True)]

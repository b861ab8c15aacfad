"""The base class of augmentation policies, and the steps that they are made of."""

from dataclasses import dataclass

import numpy as np

from mindcv.data.auto_augment.operations import MAX_MAGNITUDE, OPERATIONS, AugmentContext, Operation
from mindcv.data.normalize import is_batch
from mindcv.errors import require_in_range

_DEFAULT_RNG = np.random.default_rng()


@dataclass(frozen=True)
class Step:
    """An operation with a probability and a magnitude.

    Args:
        operation: An operation, or its name in `OPERATIONS`.
        prob: Probability that it is applied to an image.
        magnitude: Strength, 0 to 10.
        std: Standard deviation of the normal distribution around `magnitude` that each image's magnitude is drawn
            from; above 100 it is drawn uniformly from 0 to `magnitude`.
        max_magnitude: Drawn magnitudes are clipped to 0 … `max_magnitude`.
    """

    operation: str | Operation
    prob: float = 1.0
    magnitude: float = MAX_MAGNITUDE
    std: float = 0.0
    max_magnitude: float = MAX_MAGNITUDE

    def __call__(self, image: np.ndarray, rng: np.random.Generator, context: AugmentContext) -> np.ndarray:
        """Return `image`, (H, W, 3) uint8, augmented with probability `prob`; the input is not changed."""
        if rng.random() >= self.prob:
            return image
        function, amount = OPERATIONS[self.operation] if isinstance(self.operation, str) else self.operation
        return function(image, amount(self._draw_magnitude(rng) / MAX_MAGNITUDE, rng), context)

    def _draw_magnitude(self, rng: np.random.Generator) -> float:
        """Return a draw around `magnitude`, or below it if `std` is above 100, clipped to 0 … `max_magnitude`."""
        if self.std > 100:
            magnitude = rng.uniform(0, self.magnitude)
        else:
            magnitude = rng.normal(self.magnitude, self.std) if self.std else self.magnitude
        return min(max(magnitude, 0.0), self.max_magnitude)


class Policy:
    """Base class of policies, which augment every image with its own random draws. Subclasses define `augment`."""

    batchwise = True

    def __init__(self, context: AugmentContext):
        self.context = context

    def __call__(
        self, images: np.ndarray | list[np.ndarray], rng: np.random.Generator | None = None, views: int = 1
    ) -> np.ndarray | list[np.ndarray]:
        """Augment one image, or each of a list.

        Args:
            images: (H, W, 3) uint8 or a PIL image, or a batch of them, as a list or an array.
            rng: Source of all random draws; by default an unseeded generator.
            views: Not used; every batchwise operation takes it.

        Returns:
            An image of the same shape, or a list of them; the inputs are not changed, but may be returned.
        """
        rng = rng or _DEFAULT_RNG
        if not is_batch(images):
            return self.augment(np.asarray(images), rng)
        return [self.augment(image, rng) for image in images]

    def augment(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return one image, (H, W, 3) uint8, augmented by draws from `rng`; the input is not changed."""
        raise NotImplementedError


class AugmentedViews:
    """Add augmented copies of each image to a batch, for losses that compare them.

    Args:
        policy: Augments the copies.
        count: Views per image, at least 2: the unchanged image and its augmented copies.
    """

    batchwise = True

    def __init__(self, policy: Policy, count: int):
        self.policy, self.count = policy, int(require_in_range("aug_splits", count, at_least=2))

    def __call__(
        self, images: list[np.ndarray], rng: np.random.Generator | None = None, views: int = 1
    ) -> list[np.ndarray]:
        """Return count·B images for a list of B, (H, W, 3) uint8: all unchanged ones, then all second views, and so on.

        Args:
            images: The batch.
            rng: Source of all random draws; by default an unseeded generator.
            views: Not used; every batchwise operation takes it.
        """
        return [*images, *(view for _ in range(self.count - 1) for view in self.policy(images, rng))]

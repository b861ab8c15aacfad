"""What the policies share: steps with a probability and a magnitude, and draws of an image's own."""

from dataclasses import dataclass

import numpy as np

from mindcv.data.auto_augment.operations import OPERATIONS, TOP_MAGNITUDE, AugmentContext, Operation

_OWN_RNG = np.random.default_rng()  # for who brings none


@dataclass(frozen=True)
class Step:
    """An operation as a policy lists it.

    Args:
        operation: of `OPERATIONS`, by its name or itself.
        prob: share of the images that it is done to.
        magnitude: 0 to 10.
        std: of the normal distribution around `magnitude` that each image's is drawn from; above 100, it is drawn
            uniformly from 0 to `magnitude`.
        top: drawn magnitudes are cut off there, and at 0.
    """

    operation: str | Operation
    prob: float = 1.0
    magnitude: float = TOP_MAGNITUDE
    std: float = 0.0
    top: float = TOP_MAGNITUDE

    def __call__(self, image: np.ndarray, rng: np.random.Generator, context: AugmentContext) -> np.ndarray:
        if rng.random() >= self.prob:
            return image
        act, amount = OPERATIONS[self.operation] if isinstance(self.operation, str) else self.operation
        return act(image, amount(self._drawn(rng) / TOP_MAGNITUDE, rng), context)

    def _drawn(self, rng: np.random.Generator) -> float:
        if self.std > 100:
            drawn = rng.uniform(0, self.magnitude)
        else:
            drawn = rng.normal(self.magnitude, self.std) if self.std else self.magnitude
        return min(max(drawn, 0.0), self.top)


class Policy:
    """An augmentation of single images (H, W, 3) uint8, each with draws of its own."""

    batchwise = True

    def __init__(self, context: AugmentContext):
        self.context = context

    def __call__(
        self, images: np.ndarray | list[np.ndarray], rng: np.random.Generator | None = None, views: int = 1
    ) -> np.ndarray | list[np.ndarray]:
        """One image, or a list of B, augmented, of the same shape; random numbers come from `rng`."""
        rng = rng or _OWN_RNG
        if isinstance(images, np.ndarray):
            return self.augment(images, rng)
        return [self.augment(image, rng) for image in images]

    def augment(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        raise NotImplementedError


class AugmentedViews:
    """An image beside augmented copies of itself, for losses that want them to agree.

    Args:
        policy: makes the copies, each by its own draws.
        count: views of an image, the untouched one first.
    """

    batchwise = True

    def __init__(self, policy: Policy, count: int):
        if count < 2:
            raise ValueError(f"aug_splits must be 2 or more views of an image, got {count}")
        self.policy, self.count = policy, count

    def __call__(
        self, images: list[np.ndarray], rng: np.random.Generator | None = None, views: int = 1
    ) -> list[np.ndarray]:
        """B images (H, W, 3) to count·B: first all as they are, then all their second views, and so on."""
        return [*images, *(view for _ in range(self.count - 1) for view in self.policy(images, rng))]

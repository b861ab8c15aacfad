"""What the policies share: steps with a probability and a magnitude, and draws of an image's own."""

from dataclasses import dataclass

import numpy as np

from mindcv.data.auto_augment.operations import OPERATIONS, TOP_MAGNITUDE, Look, Operation

_UNPLACED = np.random.default_rng()  # for images whose place in the run is not known


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

    def __call__(self, image: np.ndarray, rng: np.random.Generator, look: Look) -> np.ndarray:
        if rng.random() >= self.prob:
            return image
        act, amount = OPERATIONS[self.operation] if isinstance(self.operation, str) else self.operation
        return act(image, amount(self._drawn(rng) / TOP_MAGNITUDE, rng), look)

    def _drawn(self, rng: np.random.Generator) -> float:
        if self.std > 100:
            drawn = rng.uniform(0, self.magnitude)
        else:
            drawn = rng.normal(self.magnitude, self.std) if self.std else self.magnitude
        return min(max(drawn, 0.0), self.top)


class Policy:
    """An augmentation of single images (H, W, 3) uint8, all of whose random numbers are an image's own."""

    per_image = True

    def __init__(self, look: Look):
        self.look = look

    def __call__(self, image: np.ndarray, rng: np.random.Generator | None = None) -> np.ndarray:
        """The augmented image, of the same shape; random numbers come from `rng`."""
        return self.augment(image, rng or _UNPLACED)

    def augment(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        raise NotImplementedError


class Views:
    """An image beside augmented copies of itself, for losses that want them to agree.

    Args:
        policy: makes the copies, each by its own draws.
        count: views of an image, the untouched one first.
    """

    per_image = True

    def __init__(self, policy: Policy, count: int):
        if count < 2:
            raise ValueError(f"aug_splits must be 2 or more views of an image, got {count}")
        self.policy, self.count = policy, count

    def __call__(self, image: np.ndarray, rng: np.random.Generator | None = None) -> np.ndarray:
        """(H, W, 3) to (count, H, W, 3)."""
        return np.stack([image, *(self.policy(image, rng) for _ in range(self.count - 1))])

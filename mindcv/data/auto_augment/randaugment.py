"""RandAugment (Cubuk et al. 2019, arXiv 1909.13719)."""

import numpy as np

from mindcv.data.auto_augment.operations import MAX_MAGNITUDE, OPERATIONS, AugmentContext
from mindcv.data.auto_augment.policy import Policy, Step

# The operations, and their probabilities in weighted sampling, which favours geometric operations.
WEIGHTS = {
    "AutoContrast": 0.025,
    "Equalize": 0.005,
    "Invert": 0.0,
    "Rotate": 0.3,
    "Posterize": 0.0,
    "Solarize": 0.005,
    "SolarizeAdd": 0.005,
    "Color": 0.025,
    "Contrast": 0.005,
    "Brightness": 0.005,
    "Sharpness": 0.025,
    "ShearX": 0.2,
    "ShearY": 0.2,
    "TranslateXRel": 0.1,
    "TranslateYRel": 0.1,
}


class RandAugment(Policy):
    """Apply a fixed number of randomly drawn operations at one magnitude.

    Args:
        context: Interpolation and fill colour of geometric operations.
        magnitude: Strength of the operations, 0 to 10.
        count: Operations drawn per image, independently of each other.
        prob: Probability that a drawn operation is applied.
        std: Standard deviation of the normal distribution around `magnitude` that magnitudes are drawn from; above
            100 they are drawn uniformly from 0 to `magnitude`.
        max_magnitude: Upper limit of the magnitudes, 0 to 10.
        increasing: Use the variants of the operations that grow stronger with the magnitude.
        weighted: Draw operations by `WEIGHTS` and without repetition, instead of uniformly.
    """

    def __init__(
        self,
        context: AugmentContext,
        magnitude: float = MAX_MAGNITUDE,
        count: int = 2,
        prob: float = 0.5,
        std: float = 0.0,
        max_magnitude: float = MAX_MAGNITUDE,
        increasing: bool = False,
        weighted: bool = False,
    ):
        super().__init__(context)
        self.count = count
        self.probabilities = np.array(list(WEIGHTS.values())) / sum(WEIGHTS.values()) if weighted else None
        names = [f"{n}Increasing" if increasing and f"{n}Increasing" in OPERATIONS else n for n in WEIGHTS]
        self.steps = [Step(name, prob, magnitude, std, max_magnitude) for name in names]

    def augment(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return `image`, (H, W, 3) uint8, after `count` operations drawn from `rng`, each applied with `prob`."""
        if self.probabilities is None:
            drawn = rng.integers(len(self.steps), size=self.count)
        else:
            drawn = rng.choice(len(self.steps), self.count, replace=False, p=self.probabilities)
        for i in drawn:
            image = self.steps[i](image, rng, self.context)
        return image

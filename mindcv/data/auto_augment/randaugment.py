"""RandAugment (Cubuk et al. 2019, arXiv 1909.13719)."""

import numpy as np

from mindcv.data.auto_augment.operations import OPERATIONS, TOP_MAGNITUDE, AugmentContext
from mindcv.data.auto_augment.policy import Policy, Step

# The operations, with the share of each when they are weighted: geometry before colour.
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
    """A few operations, drawn from all, at one magnitude.

    Args:
        magnitude: 0 to 10.
        count: operations an image; drawn independently, and each done with `prob`.
        std, top: spread and limit of the magnitude, see `Step`.
        increasing: take the forms of the operations that grow stronger with the magnitude.
        weighted: draw by `WEIGHTS`, and different ones.
    """

    def __init__(
        self,
        context: AugmentContext,
        magnitude: float = TOP_MAGNITUDE,
        count: int = 2,
        prob: float = 0.5,
        std: float = 0.0,
        top: float = TOP_MAGNITUDE,
        increasing: bool = False,
        weighted: bool = False,
    ):
        super().__init__(context)
        self.count = count
        self.shares = np.array(list(WEIGHTS.values())) / sum(WEIGHTS.values()) if weighted else None
        names = [f"{n}Increasing" if increasing and f"{n}Increasing" in OPERATIONS else n for n in WEIGHTS]
        self.steps = [Step(name, prob, magnitude, std, top) for name in names]

    def augment(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        if self.shares is None:
            chosen = rng.integers(len(self.steps), size=self.count)
        else:
            chosen = rng.choice(len(self.steps), self.count, replace=False, p=self.shares)
        for i in chosen:
            image = self.steps[i](image, rng, self.context)
        return image

"""AutoAugment (Cubuk et al. 2018, arXiv 1805.09501), and 3-Augment (Touvron et al. 2022, arXiv 2204.07118)."""

from collections.abc import Sequence

import numpy as np

from mindcv.data.auto_augment.operations import AugmentContext
from mindcv.data.auto_augment.policy import Policy, Step

# The paper's policy for ImageNet (table 9): sub-policies, each a pair of (operation, probability, magnitude).
ORIGINAL = (
    (("PosterizeOriginal", 0.4, 8), ("Rotate", 0.6, 9)),
    (("Solarize", 0.6, 5), ("AutoContrast", 0.6, 5)),
    (("Equalize", 0.8, 8), ("Equalize", 0.6, 3)),
    (("PosterizeOriginal", 0.6, 7), ("PosterizeOriginal", 0.6, 6)),
    (("Equalize", 0.4, 7), ("Solarize", 0.2, 4)),
    (("Equalize", 0.4, 4), ("Rotate", 0.8, 8)),
    (("Solarize", 0.6, 3), ("Equalize", 0.6, 7)),
    (("PosterizeOriginal", 0.8, 5), ("Equalize", 1.0, 2)),
    (("Rotate", 0.2, 3), ("Solarize", 0.6, 8)),
    (("Equalize", 0.6, 8), ("PosterizeOriginal", 0.4, 6)),
    (("Rotate", 0.8, 8), ("Color", 0.4, 0)),
    (("Rotate", 0.4, 9), ("Equalize", 0.6, 2)),
    (("Equalize", 0.0, 7), ("Equalize", 0.8, 8)),
    (("Invert", 0.6, 4), ("Equalize", 1.0, 8)),
    (("Color", 0.6, 4), ("Contrast", 1.0, 8)),
    (("Rotate", 0.8, 8), ("Color", 1.0, 2)),
    (("Color", 0.8, 8), ("Solarize", 0.8, 7)),
    (("Sharpness", 0.4, 7), ("Invert", 0.6, 8)),
    (("ShearX", 0.6, 5), ("Equalize", 1.0, 9)),
    (("Color", 0.4, 0), ("Equalize", 0.6, 3)),
    (("Equalize", 0.4, 7), ("Solarize", 0.2, 4)),
    (("Solarize", 0.6, 5), ("AutoContrast", 0.6, 5)),
    (("Invert", 0.6, 4), ("Equalize", 1.0, 8)),
    (("Color", 0.6, 4), ("Contrast", 1.0, 8)),
    (("Equalize", 0.8, 8), ("Equalize", 0.6, 3)),
)

# The policy of EfficientNet's public training code.
V0 = (
    (("Equalize", 0.8, 1), ("ShearY", 0.8, 4)),
    (("Color", 0.4, 9), ("Equalize", 0.6, 3)),
    (("Color", 0.4, 1), ("Rotate", 0.6, 8)),
    (("Solarize", 0.8, 3), ("Equalize", 0.4, 7)),
    (("Solarize", 0.4, 2), ("Solarize", 0.6, 2)),
    (("Color", 0.2, 0), ("Equalize", 0.8, 8)),
    (("Equalize", 0.4, 8), ("SolarizeAdd", 0.8, 3)),
    (("ShearX", 0.2, 9), ("Rotate", 0.6, 8)),
    (("Color", 0.6, 1), ("Equalize", 1.0, 2)),
    (("Invert", 0.4, 9), ("Rotate", 0.6, 0)),
    (("Equalize", 1.0, 9), ("ShearY", 0.6, 3)),
    (("Color", 0.4, 7), ("Equalize", 0.6, 0)),
    (("Posterize", 0.4, 6), ("AutoContrast", 0.4, 7)),
    (("Solarize", 0.6, 8), ("Color", 0.6, 9)),
    (("Solarize", 0.2, 4), ("Rotate", 0.8, 9)),
    (("Rotate", 1.0, 7), ("TranslateYRel", 0.8, 9)),
    (("ShearX", 0.0, 0), ("Solarize", 0.8, 4)),
    (("ShearY", 0.8, 0), ("Color", 0.6, 4)),
    (("Color", 1.0, 0), ("Rotate", 0.6, 2)),
    (("Equalize", 0.8, 4), ("Equalize", 0.0, 8)),
    (("Equalize", 1.0, 4), ("AutoContrast", 0.6, 2)),
    (("ShearY", 0.4, 7), ("SolarizeAdd", 0.6, 7)),
    (("Posterize", 0.8, 2), ("Solarize", 0.6, 10)),
    (("Solarize", 0.6, 8), ("Equalize", 0.6, 1)),
    (("Color", 0.8, 6), ("Rotate", 0.4, 5)),
)

THREE_AUGMENT = ((("Solarize", 1.0, 5),), (("Desaturate", 1.0, 10),), (("GaussianBlur", 1.0, 10),))

POLICIES = {"original": ORIGINAL, "v0": V0, "3a": THREE_AUGMENT}


class AutoAugment(Policy):
    """Apply a randomly drawn sub-policy of a fixed table, its operations one after the other.

    Args:
        policy: "original", "v0", or "3a" (a table of three: solarise, greyscale, blur).
        context: Interpolation and fill colour of geometric operations.
        increasing: Whether Posterize keeps fewer bits as its magnitude grows; by default it keeps more, as in the
            published tables.
        std: Standard deviation of the normal distribution around the table's magnitudes; above 100, magnitudes are
            drawn uniformly from 0 to the table's.
        final_steps: Steps applied to every image after the sub-policy.
    """

    def __init__(
        self,
        policy: str,
        context: AugmentContext,
        increasing: bool = False,
        std: float = 0.0,
        final_steps: Sequence[Step] = (),
    ):
        super().__init__(context)
        self.final_steps = tuple(final_steps)
        self.sub_policies = [
            [
                Step(
                    "PosterizeIncreasing" if increasing and name.startswith("Posterize") else name, prob, magnitude, std
                )
                for name, prob, magnitude in sub_policy
            ]
            for sub_policy in POLICIES[policy]
        ]

    def augment(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return `image`, (H, W, 3) uint8, after a sub-policy drawn from `rng` and the final steps; not in place."""
        sub_policy = self.sub_policies[rng.integers(len(self.sub_policies))]
        for step in (*sub_policy, *self.final_steps):
            image = step(image, rng, self.context)
        return image

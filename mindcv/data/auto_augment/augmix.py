"""AugMix (Hendrycks et al. 2020, arXiv 1912.02781)."""

import numpy as np

from mindcv.data.auto_augment.operations import AugmentContext, Operation, either_way, translate_x, translate_y
from mindcv.data.auto_augment.policy import Policy, Step

# The paper's nine, and the four of colour and sharpness that it leaves to those who do not test on ImageNet-C, which
# MindCV's and timm's users are used to.
CHAINED = (
    "AutoContrast", "Equalize", "Rotate", "PosterizeIncreasing", "SolarizeIncreasing", "ShearX", "ShearY",
    Operation(translate_x, either_way(0.3)), Operation(translate_y, either_way(0.3)),
    "ColorIncreasing", "ContrastIncreasing", "BrightnessIncreasing", "SharpnessIncreasing",
)  # fmt: skip


class AugMix(Policy):
    """An image mixed with the mean of several chains of operations, algorithm 1 of the paper.

    Args:
        magnitude: each operation's is drawn uniformly from 0 to this, of 10; with `std`, normally around it.
        width: chains, whose weights are drawn from Dirichlet(α, …, α).
        depth: operations in a chain; None: 1 to 3, drawn for each.
        alpha: α; the share of the mean is drawn from Beta(α, α).
        std: see `Step`.
    """

    def __init__(
        self,
        context: AugmentContext,
        magnitude: float = 3,
        width: int = 3,
        depth: int | None = None,
        alpha: float = 1.0,
        std: float = np.inf,
    ):
        super().__init__(context)
        self.width, self.depth, self.alpha = width, depth, alpha
        self.steps = [Step(operation, 1.0, magnitude, std) for operation in CHAINED]

    def augment(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        weights = rng.dirichlet([self.alpha] * self.width)
        share = rng.beta(self.alpha, self.alpha)
        mixed = image * np.float32(1 - share)
        for weight in weights:
            chain = image
            for i in rng.integers(len(self.steps), size=self.depth or rng.integers(1, 4)):
                chain = self.steps[i](chain, rng, self.context)
            mixed += chain * np.float32(share * weight)
        return np.rint(mixed, out=mixed).astype(np.uint8)

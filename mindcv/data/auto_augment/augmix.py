"""AugMix (Hendrycks et al. 2020, arXiv 1912.02781)."""

import numpy as np

from mindcv.data.auto_augment.operations import AugmentContext, Operation, symmetric, translate_x, translate_y
from mindcv.data.auto_augment.policy import Policy, Step

# The paper's nine operations, and the four of colour and sharpness that it leaves out because ImageNet-C tests them;
# MindCV and timm include them.
CHAINED = (
    "AutoContrast", "Equalize", "Rotate", "PosterizeIncreasing", "SolarizeIncreasing", "ShearX", "ShearY",
    Operation(translate_x, symmetric(0.3)), Operation(translate_y, symmetric(0.3)),
    "ColorIncreasing", "ContrastIncreasing", "BrightnessIncreasing", "SharpnessIncreasing",
)  # fmt: skip


class AugMix(Policy):
    """Mix an image with a weighted mean of several augmentation chains (algorithm 1 of the paper).

    Args:
        context: Interpolation and fill colour of geometric operations.
        magnitude: Maximum magnitude of an operation, 0 to 10.
        width: Number of chains; their weights are drawn from Dirichlet(α, …, α).
        depth: Operations per chain; None draws 1 to 3 for each chain.
        alpha: α; the weight of the mixed chains against the original image is drawn from Beta(α, α).
        std: Standard deviation of the normal distribution around `magnitude` that magnitudes are drawn from; above
            100 they are drawn uniformly from 0 to `magnitude`.
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
        """Return `image`, (H, W, 3) uint8, mixed with its augmented chains, as a new array; draws come from `rng`."""
        chain_weights = rng.dirichlet([self.alpha] * self.width)
        mixed_weight = rng.beta(self.alpha, self.alpha)
        mixed = image * np.float32(1 - mixed_weight)
        for chain_weight in chain_weights:
            augmented = image
            for i in rng.integers(len(self.steps), size=self.depth or rng.integers(1, 4)):
                augmented = self.steps[i](augmented, rng, self.context)
            mixed += augmented * np.float32(mixed_weight * chain_weight)
        return np.rint(mixed, out=mixed).astype(np.uint8)

"""TrivialAugment (Müller and Hutter 2021, arXiv 2103.10158) with its wide augmentation space (table 2)."""

import numpy as np

from mindcv.data.auto_augment import operations as op
from mindcv.data.auto_augment.operations import Operation
from mindcv.data.auto_augment.policy import Policy

LEVELS = 31

WIDE = {
    "Identity": Operation(op.identity, op.no_amount),
    "AutoContrast": Operation(op.auto_contrast, op.no_amount),
    "Equalize": Operation(op.equalize, op.no_amount),
    "Rotate": Operation(op.rotate, op.symmetric(135)),
    "Solarize": Operation(op.solarize, op.linear_int(256, 0)),
    "Color": Operation(op.color, op.linear(0.01, 2.0)),
    "Posterize": Operation(op.posterize, op.linear_int(8, 2)),
    "Contrast": Operation(op.contrast, op.linear(0.01, 2.0)),
    "Brightness": Operation(op.brightness, op.linear(0.01, 2.0)),
    "Sharpness": Operation(op.sharpness, op.linear(0.01, 2.0)),
    "ShearX": Operation(op.shear_x, op.symmetric(0.99)),
    "ShearY": Operation(op.shear_y, op.symmetric(0.99)),
    "TranslateX": Operation(op.translate_x_pixels, op.symmetric(32)),
    "TranslateY": Operation(op.translate_y_pixels, op.symmetric(32)),
}


class TrivialAugmentWide(Policy):
    """Apply one operation at one of 31 magnitudes, both drawn uniformly."""

    def augment(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return `image`, (H, W, 3) uint8, after one operation drawn from `rng`, with one of 31 magnitudes."""
        function, amount = list(WIDE.values())[rng.integers(len(WIDE))]
        return function(image, amount(rng.integers(LEVELS) / (LEVELS - 1), rng), self.context)

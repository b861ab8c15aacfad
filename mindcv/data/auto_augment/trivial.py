"""TrivialAugment, the wide space (Müller and Hutter 2021, arXiv 2103.10158, table 2)."""

import numpy as np

from mindcv.data.auto_augment import operations as op
from mindcv.data.auto_augment.operations import Operation
from mindcv.data.auto_augment.policy import Policy

LEVELS = 31

WIDE = {
    "Identity": Operation(op.identity, op.none),
    "AutoContrast": Operation(op.auto_contrast, op.none),
    "Equalize": Operation(op.equalize, op.none),
    "Rotate": Operation(op.rotate, op.either_way(135)),
    "Solarize": Operation(op.solarize, op.whole(256, 0)),
    "Color": Operation(op.color, op.between(0.01, 2.0)),
    "Posterize": Operation(op.posterize, op.whole(8, 2)),
    "Contrast": Operation(op.contrast, op.between(0.01, 2.0)),
    "Brightness": Operation(op.brightness, op.between(0.01, 2.0)),
    "Sharpness": Operation(op.sharpness, op.between(0.01, 2.0)),
    "ShearX": Operation(op.shear_x, op.either_way(0.99)),
    "ShearY": Operation(op.shear_y, op.either_way(0.99)),
    "TranslateX": Operation(op.translate_x_pixels, op.either_way(32)),
    "TranslateY": Operation(op.translate_y_pixels, op.either_way(32)),
}


class TrivialAugmentWide(Policy):
    """One operation at one of 31 magnitudes, both drawn uniformly. There is nothing to set."""

    def augment(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        act, amount = list(WIDE.values())[rng.integers(len(WIDE))]
        return act(image, amount(rng.integers(LEVELS) / (LEVELS - 1), rng), self.context)

"""The operations that augmentation policies are made of, each with what its magnitude means.

The ranges are those of AutoAugment (Cubuk et al. 2018, arXiv 1805.09501, table 6) as RandAugment's and timm's users
know them: magnitude 10 is the strongest. Whatever is random about an operation (its sign) is drawn here, so that
MindSpore's C++ operations do as they are told: their own random numbers come in step with each other's.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from mindspore.dataset import vision

TOP_MAGNITUDE = 10


class AugmentContext(NamedTuple):
    """How geometric operations resample, and the colour (0..255) that they fill empty corners with."""

    interpolation: vision.Inter = vision.Inter.BILINEAR
    fill: tuple[int, int, int] = (128, 128, 128)


class Operation(NamedTuple):
    """What is done to an image (H, W, 3) uint8, and by how much at a magnitude, given as a share of the strongest."""

    act: Callable[[np.ndarray, float, AugmentContext], np.ndarray]
    amount: Callable[[float, np.random.Generator], float]


def rotate(image: np.ndarray, degrees: float, context: AugmentContext) -> np.ndarray:
    """Anticlockwise, about the centre. (MindSpore's `Rotate` fills with the colour's channels reversed.)"""
    return _affine(image, context, degrees=-degrees)


def shear_x(image: np.ndarray, rate: float, context: AugmentContext) -> np.ndarray:
    """Each row moves sideways by `rate` pixels more than the one above it; the middle one stays."""
    return _affine(image, context, shear=(math.degrees(math.atan(rate)), 0.0))


def shear_y(image: np.ndarray, rate: float, context: AugmentContext) -> np.ndarray:
    """The same for columns."""
    return _affine(image, context, shear=(0.0, math.degrees(math.atan(rate))))


def translate_x(image: np.ndarray, share: float, context: AugmentContext) -> np.ndarray:
    """By a share of the width, in whole pixels."""
    return _moved(image, round(share * image.shape[1]), 1, context)


def translate_y(image: np.ndarray, share: float, context: AugmentContext) -> np.ndarray:
    """By a share of the height, in whole pixels."""
    return _moved(image, round(share * image.shape[0]), 0, context)


def translate_x_pixels(image: np.ndarray, pixels: float, context: AugmentContext) -> np.ndarray:
    return _moved(image, round(pixels), 1, context)


def translate_y_pixels(image: np.ndarray, pixels: float, context: AugmentContext) -> np.ndarray:
    return _moved(image, round(pixels), 0, context)


def auto_contrast(image: np.ndarray, _amount, _look) -> np.ndarray:
    return vision.AutoContrast()(image)


def equalize(image: np.ndarray, _amount, _look) -> np.ndarray:
    return vision.Equalize()(image)


def invert(image: np.ndarray, _amount, _look) -> np.ndarray:
    return vision.Invert()(image)


def identity(image: np.ndarray, _amount, _look) -> np.ndarray:
    return image


def posterize(image: np.ndarray, bits: float, _look) -> np.ndarray:
    """Keep the `bits` highest bits, 0 to 8."""
    return vision.Posterize(int(bits))(image)


def solarize(image: np.ndarray, threshold: float, _look) -> np.ndarray:
    """Invert values from `threshold` (0 to 256) on."""
    return image if threshold > 255 else vision.Solarize((int(threshold), 255))(image)


def solarize_add(image: np.ndarray, added: float, _look) -> np.ndarray:
    """Add to values below 128."""
    values = np.arange(256)
    table = np.where(values < 128, np.minimum(values + int(added), 255), values).astype(np.uint8)
    return np.take(table, image)


def color(image: np.ndarray, factor: float, _look) -> np.ndarray:
    """Saturation: 0 is grey, 1 the image."""
    return vision.AdjustSaturation(factor)(image)


def contrast(image: np.ndarray, factor: float, _look) -> np.ndarray:
    return vision.AdjustContrast(factor)(image)


def brightness(image: np.ndarray, factor: float, _look) -> np.ndarray:
    return vision.AdjustBrightness(factor)(image)


def sharpness(image: np.ndarray, factor: float, _look) -> np.ndarray:
    return vision.AdjustSharpness(factor)(image)


def hue(image: np.ndarray, turn: float, _look) -> np.ndarray:
    """Turn the colours by a share of the circle, -0.5 to 0.5."""
    return vision.AdjustHue(turn)(image)


def blur(image: np.ndarray, sigma: float, _look) -> np.ndarray:
    """A Gaussian, cut off at three sigma."""
    return vision.GaussianBlur(2 * math.ceil(3 * sigma) + 1, sigma)(image)


def _affine(
    image: np.ndarray, context: AugmentContext, degrees: float = 0.0, shear: tuple[float, float] = (0.0, 0.0)
) -> np.ndarray:
    return vision.Affine(degrees, (0.0, 0.0), 1.0, shear, context.interpolation, context.fill)(image)


def _moved(image: np.ndarray, pixels: int, axis: int, context: AugmentContext) -> np.ndarray:
    out = np.empty_like(image)
    out[...] = context.fill
    side = image.shape[axis]
    if abs(pixels) < side:
        there = slice(max(pixels, 0), side + min(pixels, 0))
        here = slice(max(-pixels, 0), side + min(-pixels, 0))
        lines = (slice(None),) * axis
        out[(*lines, there)] = image[(*lines, here)]
    return out


def none(_m: float, _rng: np.random.Generator) -> float:
    """For operations that know no more or less."""
    return 0.0


def between(start: float, end: float) -> Callable[[float, np.random.Generator], float]:
    """From `start` at magnitude 0 to `end` at the strongest."""
    return lambda m, rng: start + (end - start) * m


def whole(start: int, end: int) -> Callable[[float, np.random.Generator], float]:
    """The same in whole steps, counted from `start` and rounded down."""
    return lambda m, rng: start + int(abs(end - start) * m) * (1 if end > start else -1)


def either_way(end: float) -> Callable[[float, np.random.Generator], float]:
    """From 0 to ±`end`, with either sign as likely."""
    return lambda m, rng: end * m * _sign(rng)


def about_one(m: float, rng: np.random.Generator) -> float:
    """A factor that leaves 1, up or down, as the magnitude grows: 1 ± 0.9."""
    return max(0.1, 1 + 0.9 * m * _sign(rng))


def blur_radius(m: float, rng: np.random.Generator) -> float:
    """Sigma, uniform from 0.1 to 2 at the strongest."""
    return rng.uniform(0.1, max(0.1, 2 * m))


def _sign(rng: np.random.Generator) -> int:
    return 1 if rng.random() < 0.5 else -1


# Those named Increasing grow stronger with the magnitude; the plain ones are AutoAugment's, in which some grow weaker.
OPERATIONS = {
    "AutoContrast": Operation(auto_contrast, none),
    "Equalize": Operation(equalize, none),
    "Invert": Operation(invert, none),
    "Rotate": Operation(rotate, either_way(30)),
    "ShearX": Operation(shear_x, either_way(0.3)),
    "ShearY": Operation(shear_y, either_way(0.3)),
    "TranslateXRel": Operation(translate_x, either_way(0.45)),
    "TranslateYRel": Operation(translate_y, either_way(0.45)),
    "Posterize": Operation(posterize, whole(0, 4)),
    "PosterizeIncreasing": Operation(posterize, whole(4, 0)),
    "PosterizeOriginal": Operation(posterize, whole(4, 8)),
    "Solarize": Operation(solarize, whole(0, 256)),
    "SolarizeIncreasing": Operation(solarize, whole(256, 0)),
    "SolarizeAdd": Operation(solarize_add, whole(0, 110)),
    "Color": Operation(color, between(0.1, 1.9)),
    "Contrast": Operation(contrast, between(0.1, 1.9)),
    "Brightness": Operation(brightness, between(0.1, 1.9)),
    "Sharpness": Operation(sharpness, between(0.1, 1.9)),
    "ColorIncreasing": Operation(color, about_one),
    "ContrastIncreasing": Operation(contrast, about_one),
    "BrightnessIncreasing": Operation(brightness, about_one),
    "SharpnessIncreasing": Operation(sharpness, about_one),
    "Desaturate": Operation(color, between(0.5, 0.0)),
    "GaussianBlur": Operation(blur, blur_radius),
}

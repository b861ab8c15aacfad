"""The operations of augmentation policies, and what a magnitude means for each.

The ranges are those of AutoAugment (Cubuk et al. 2018, arXiv 1805.09501, table 6), with magnitude 10 as the strongest,
as in RandAugment and timm. All random draws, such as the sign of an angle, are made here in Python: MindSpore's C++
operations share one seed, so their own draws would be correlated. Inverting, posterising and solarising are NumPy's: 3
to 16 µs for an image of 224 px, where MindSpore's operations take 38 to 127.

Every operation takes an image, (H, W, 3) uint8, an amount (its unit stands in the operation's docstring) and an
`AugmentContext`, and returns an image of the same shape and type.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
from mindspore.dataset import vision

MAX_MAGNITUDE = 10


class AugmentContext(NamedTuple):
    """What geometric operations need besides the image.

    Attributes:
        interpolation: How they resample.
        fill: Colour of empty corners, RGB, 0 to 255.
    """

    interpolation: vision.Inter = vision.Inter.BILINEAR
    fill: tuple[int, int, int] = (128, 128, 128)


Amount = Callable[[float, np.random.Generator], float]


class Operation(NamedTuple):
    """An image operation, and how its amount follows from the magnitude.

    Attributes:
        function: Called as function(image, amount, context); returns the augmented image.
        amount: Called as amount(magnitude, rng) with the magnitude as a fraction of the strongest, 0 to 1.
    """

    function: Callable[[np.ndarray, float, AugmentContext], np.ndarray]
    amount: Amount


_auto_contrast = vision.AutoContrast()
_equalize = vision.Equalize()


def rotate(image: np.ndarray, degrees: float, context: AugmentContext) -> np.ndarray:
    """Return `image`, (H, W, 3) uint8, rotated anticlockwise about the centre; empty corners get `context.fill`."""
    return _affine(image, context, degrees=-degrees)  # MindSpore's Rotate would reverse the fill colour's channels


def shear_x(image: np.ndarray, rate: float, context: AugmentContext) -> np.ndarray:
    """Return `image`, (H, W, 3) uint8, with each row shifted left by `rate` pixels more than the row above it.

    The middle row stays; empty corners get `context.fill`.
    """
    return _affine(image, context, shear=(math.degrees(math.atan(rate)), 0.0))


def shear_y(image: np.ndarray, rate: float, context: AugmentContext) -> np.ndarray:
    """Return `image`, (H, W, 3) uint8, with each column shifted up by `rate` pixels more than the column left of it.

    The middle column stays; empty corners get `context.fill`.
    """
    return _affine(image, context, shear=(0.0, math.degrees(math.atan(rate))))


def translate_x(image: np.ndarray, fraction: float, context: AugmentContext) -> np.ndarray:
    """Return `image`, (H, W, 3) uint8, shifted to the right by a fraction of the width, rounded to pixels."""
    return _translate(image, round(fraction * image.shape[1]), 1, context)


def translate_y(image: np.ndarray, fraction: float, context: AugmentContext) -> np.ndarray:
    """Return `image`, (H, W, 3) uint8, shifted down by a fraction of the height, rounded to pixels."""
    return _translate(image, round(fraction * image.shape[0]), 0, context)


def translate_x_pixels(image: np.ndarray, pixels: float, context: AugmentContext) -> np.ndarray:
    """Return `image`, (H, W, 3) uint8, shifted to the right by a number of pixels, rounded."""
    return _translate(image, round(pixels), 1, context)


def translate_y_pixels(image: np.ndarray, pixels: float, context: AugmentContext) -> np.ndarray:
    """Return `image`, (H, W, 3) uint8, shifted down by a number of pixels, rounded."""
    return _translate(image, round(pixels), 0, context)


def auto_contrast(image: np.ndarray, _amount: float, _context: AugmentContext) -> np.ndarray:
    """Return `image`, (H, W, 3) uint8, with each channel stretched to the full range, 0 to 255."""
    return _auto_contrast(image)


def equalize(image: np.ndarray, _amount: float, _context: AugmentContext) -> np.ndarray:
    """Return `image`, (H, W, 3) uint8, with the histogram of each channel equalised."""
    return _equalize(image)


def invert(image: np.ndarray, _amount: float, _context: AugmentContext) -> np.ndarray:
    """Return `image`, (H, W, 3) uint8, with each value v replaced by 255 - v."""
    return ~image


def identity(image: np.ndarray, _amount: float, _context: AugmentContext) -> np.ndarray:
    """Return `image`, the same array."""
    return image


def posterize(image: np.ndarray, bits: float, _context: AugmentContext) -> np.ndarray:
    """Return `image`, (H, W, 3) uint8, with only the `bits` highest bits of each value, 0 to 8."""
    return image & np.uint8(256 - (1 << 8 - int(bits)))


def solarize(image: np.ndarray, threshold: float, _context: AugmentContext) -> np.ndarray:
    """Return `image`, (H, W, 3) uint8, with values of at least `threshold`, 0 to 256, inverted."""
    return image ^ _mask(image >= int(threshold))


def solarize_add(image: np.ndarray, added: float, _context: AugmentContext) -> np.ndarray:
    """Return `image`, (H, W, 3) uint8, with `added`, 0 to 128, added to values below 128."""
    return image + (np.uint8(added) & _mask(image < 128))


def _mask(condition: np.ndarray) -> np.ndarray:
    """Return 255 where the boolean `condition` holds, else 0, as uint8."""
    return -condition.view(np.uint8)


def color(image: np.ndarray, factor: float, _context: AugmentContext) -> np.ndarray:
    """Return `image`, (H, W, 3) uint8, with its saturation scaled; 0 gives grey, 1 the image itself."""
    return vision.AdjustSaturation(factor)(image)


def contrast(image: np.ndarray, factor: float, _context: AugmentContext) -> np.ndarray:
    """Return `image`, (H, W, 3) uint8, with its contrast scaled; 0 gives uniform grey, 1 the image itself."""
    return vision.AdjustContrast(factor)(image)


def brightness(image: np.ndarray, factor: float, _context: AugmentContext) -> np.ndarray:
    """Return `image`, (H, W, 3) uint8, with its brightness scaled; 0 gives black, 1 the image itself."""
    return vision.AdjustBrightness(factor)(image)


def sharpness(image: np.ndarray, factor: float, _context: AugmentContext) -> np.ndarray:
    """Return `image`, (H, W, 3) uint8, with its sharpness scaled; 0 gives a smoothed image, 1 the image itself."""
    return vision.AdjustSharpness(factor)(image)


def hue(image: np.ndarray, shift: float, _context: AugmentContext) -> np.ndarray:
    """Return `image`, (H, W, 3) uint8, with its hue shifted by a fraction of the colour circle, -0.5 to 0.5."""
    return vision.AdjustHue(shift)(image)


def blur(image: np.ndarray, sigma: float, _context: AugmentContext) -> np.ndarray:
    """Return `image`, (H, W, 3) uint8, blurred by a Gaussian of `sigma` > 0 pixels, truncated at three sigma."""
    return vision.GaussianBlur(2 * math.ceil(3 * sigma) + 1, sigma)(image)


def _affine(
    image: np.ndarray, context: AugmentContext, degrees: float = 0.0, shear: tuple[float, float] = (0.0, 0.0)
) -> np.ndarray:
    """Return `image` rotated clockwise and sheared by (x, y), all in degrees, about the centre."""
    return vision.Affine(degrees, (0.0, 0.0), 1.0, shear, context.interpolation, context.fill)(image)


def _translate(image: np.ndarray, pixels: int, axis: int, context: AugmentContext) -> np.ndarray:
    """Return `image` shifted along `axis` (0: down, 1: right; negative: back); the gap gets `context.fill`."""
    side, leading = image.shape[axis], (slice(None),) * axis
    shift = max(-side, min(pixels, side))
    gap = slice(0, shift) if shift > 0 else slice(side + shift, side)
    target, source = slice(max(shift, 0), side + min(shift, 0)), slice(max(-shift, 0), side - max(shift, 0))
    out = np.empty_like(image)
    out[(*leading, gap)] = context.fill
    out[(*leading, target)] = image[(*leading, source)]
    return out


def no_amount(_magnitude: float, _rng: np.random.Generator) -> float:
    """Return 0, for operations without an amount."""
    return 0.0


def linear(start: float, end: float) -> Amount:
    """Return a function of (magnitude, rng) that goes linearly from `start` at magnitude 0 to `end` at 1."""
    return partial(_linear, start, end)


def linear_int(start: int, end: int) -> Amount:
    """Return a function of (magnitude, rng) that goes from `start` at magnitude 0 to `end` at 1 in integers.

    The distance from `start` is rounded down.
    """
    return partial(_linear_int, start, end)


def symmetric(end: float) -> Amount:
    """Return a function of (magnitude, rng) that goes from 0 to `end` at magnitude 1, with a random sign."""
    return partial(_symmetric, end)


def _linear(start: float, end: float, magnitude: float, _rng: np.random.Generator) -> float:
    return start + (end - start) * magnitude


def _linear_int(start: int, end: int, magnitude: float, _rng: np.random.Generator) -> int:
    return start + int(abs(end - start) * magnitude) * (1 if end > start else -1)


def _symmetric(end: float, magnitude: float, rng: np.random.Generator) -> float:
    return end * magnitude * _random_sign(rng)


def factor_around_one(magnitude: float, rng: np.random.Generator) -> float:
    """Return 1 ± 0.9 · magnitude, with a random sign, for a magnitude of 0 to 1; at least 0.1."""
    return max(0.1, 1 + 0.9 * magnitude * _random_sign(rng))


def blur_sigma(magnitude: float, rng: np.random.Generator) -> float:
    """Return a sigma in pixels, drawn uniformly from 0.1 to 2 · magnitude (0 to 1); 0.1 if that is less."""
    return rng.uniform(0.1, max(0.1, 2 * magnitude))


def _random_sign(rng: np.random.Generator) -> int:
    return 1 if rng.random() < 0.5 else -1


# Variants named Increasing grow stronger with the magnitude; of AutoAugment's own, some grow weaker.
OPERATIONS = {
    "AutoContrast": Operation(auto_contrast, no_amount),
    "Equalize": Operation(equalize, no_amount),
    "Invert": Operation(invert, no_amount),
    "Rotate": Operation(rotate, symmetric(30)),
    "ShearX": Operation(shear_x, symmetric(0.3)),
    "ShearY": Operation(shear_y, symmetric(0.3)),
    "TranslateXRel": Operation(translate_x, symmetric(0.45)),
    "TranslateYRel": Operation(translate_y, symmetric(0.45)),
    "Posterize": Operation(posterize, linear_int(0, 4)),
    "PosterizeIncreasing": Operation(posterize, linear_int(4, 0)),
    "PosterizeOriginal": Operation(posterize, linear_int(4, 8)),
    "Solarize": Operation(solarize, linear_int(0, 256)),
    "SolarizeIncreasing": Operation(solarize, linear_int(256, 0)),
    "SolarizeAdd": Operation(solarize_add, linear_int(0, 110)),
    "Color": Operation(color, linear(0.1, 1.9)),
    "Contrast": Operation(contrast, linear(0.1, 1.9)),
    "Brightness": Operation(brightness, linear(0.1, 1.9)),
    "Sharpness": Operation(sharpness, linear(0.1, 1.9)),
    "ColorIncreasing": Operation(color, factor_around_one),
    "ContrastIncreasing": Operation(contrast, factor_around_one),
    "BrightnessIncreasing": Operation(brightness, factor_around_one),
    "SharpnessIncreasing": Operation(sharpness, factor_around_one),
    "Desaturate": Operation(color, linear(0.5, 0.0)),
    "GaussianBlur": Operation(blur, blur_sigma),
}

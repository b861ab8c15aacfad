"""Augmentation policies, created from strings such as `randaug-m9-mstd0.5-inc1`."""

import re
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from mindspore.dataset import vision

from mindcv.data.auto_augment import operations
from mindcv.data.auto_augment.augmix import AugMix
from mindcv.data.auto_augment.autoaugment import AutoAugment
from mindcv.data.auto_augment.operations import AugmentContext, Operation
from mindcv.data.auto_augment.policy import AugmentedViews, Policy, Step
from mindcv.data.auto_augment.randaugment import RandAugment
from mindcv.data.auto_augment.trivial import TrivialAugmentWide
from mindcv.errors import did_you_mean

__all__ = [
    "AugMix",
    "AugmentContext",
    "AugmentedViews",
    "AutoAugment",
    "ColorJitter",
    "Policy",
    "RandAugment",
    "TrivialAugmentWide",
    "create_policy",
]

# AutoAugment's names: which of its tables, and whether Posterize grows stronger with the magnitude.
_AUTOAUGMENT = {
    "autoaug": ("original", False),
    "autoaugr": ("original", True),
    "original": ("original", False),
    "originalr": ("original", True),
    "v0": ("v0", False),
    "v0r": ("v0", True),
    "3a": ("3a", False),
}

# The settings of each policy, by their letters: argument, minimum, maximum, and whether it is an integer.
_Setting = tuple[str, float, float, bool]
_STD: _Setting = ("std", 0, np.inf, False)
_RANDAUGMENT: dict[str, _Setting] = {
    "m": ("magnitude", 0, np.inf, False),
    "n": ("count", 1, 15, True),
    "p": ("prob", 0, 1, False),
    "w": ("weighted", 0, 0, True),
    "mstd": _STD,
    "mmax": ("max_magnitude", 0, 10, False),
    "inc": ("increasing", 0, 1, True),
}
_AUGMIX: dict[str, _Setting] = {
    "m": ("magnitude", 0, np.inf, False),
    "w": ("width", 1, 10, True),
    "d": ("depth", 1, 10, True),
    "a": ("alpha", 1e-3, np.inf, False),
    "mstd": _STD,
}
_SETTINGS: dict[str, dict[str, _Setting]] = {
    **{name: {"mstd": _STD} for name in _AUTOAUGMENT},
    "randaug": _RANDAUGMENT,
    "rand": _RANDAUGMENT,
    "trivialaugwide": {},
    "augmix": _AUGMIX,
}


def create_policy(
    text: str,
    mean: Sequence[float] = (128, 128, 128),
    interpolation: vision.Inter = vision.Inter.BILINEAR,
    color_jitter: Sequence[tuple[float, float]] = (),
) -> Policy:
    """Return the augmentation policy that `text` describes.

    The text is a policy's name and its settings, joined by dashes. In parentheses: the default of each setting.

    - `randaug` (or `rand`): m magnitude (10; larger values act as 10), n operations per image (2), p probability of
      each operation (0.5), mstd standard deviation of the magnitude (0; above 100: uniform from 0 to m), mmax maximum
      magnitude (10), inc1 variants of the operations that grow stronger with the magnitude, w0 weighted choice of the
      operations;
    - `autoaug` (`original`), `autoaugr` (`originalr`: Posterize grows stronger with the magnitude), `v0`, `v0r`, `3a`:
      mstd (0);
    - `trivialaugwide`: no settings;
    - `augmix`: m magnitude (3), w number of chains (3), d operations per chain (drawn, 1 to 3), a the α of the Beta
      and Dirichlet distributions (1), mstd (uniform).

    Args:
        text: The policy, as described above.
        mean: Mean of each channel, 0 to 255: the colour that geometric operations fill empty corners with.
        interpolation: Interpolation of geometric operations; PILCUBIC acts as BICUBIC.
        color_jitter: (minimum, maximum) of the factors of brightness, contrast and saturation and, optionally, of the
            hue shift (fraction of the colour circle, -0.5 to 0.5). Only `3a` uses it.

    Raises:
        ValueError: The name or a setting is unknown, or a value is out of range.
    """
    name, *settings = text.split("-")
    if name not in _SETTINGS:
        raise ValueError(f"auto_augment {text!r}: no policy {name!r}{did_you_mean(name, _SETTINGS)}")
    arguments: dict[str, Any] = dict(_parse_setting(text, setting, _SETTINGS[name]) for setting in settings)
    fill = [min(255, max(0, round(level))) for level in mean]
    if interpolation == vision.Inter.PILCUBIC:  # supported by resizing only
        interpolation = vision.Inter.BICUBIC
    red, green, blue = fill if len(fill) == 3 else [round(np.mean(fill))] * 3
    context = AugmentContext(interpolation, (red, green, blue))
    if name in _AUTOAUGMENT:
        table, increasing = _AUTOAUGMENT[name]
        final_steps = _color_jitter_steps(color_jitter) if name == "3a" else ()
        return AutoAugment(table, context, increasing, final_steps=final_steps, **arguments)
    if _SETTINGS[name] is _RANDAUGMENT:
        return RandAugment(context, **{key: True if key == "weighted" else value for key, value in arguments.items()})
    return AugMix(context, **arguments) if name == "augmix" else TrivialAugmentWide(context)


def _parse_setting(text: str, setting: str, known: dict[str, _Setting]) -> tuple[str, float]:
    """Return the argument and the value of one setting, such as ("magnitude", 9.0) for "m9".

    Args:
        text: The whole policy, for error messages.
        setting: Letters and a number.
        known: Argument, minimum, maximum, and whether it is an integer, by the letters.

    Raises:
        ValueError: The setting is unknown, or its value out of range.
    """
    found = re.fullmatch(r"([a-z]+)(\d+\.?\d*|\.\d+)", setting)
    if not found or found[1] not in known:
        listed = f"its settings are {', '.join(known)}, each followed by a number" if known else "it has no settings"
        raise ValueError(f"auto_augment {text!r}: cannot read {setting!r}; {listed}")
    argument, minimum, maximum, is_integer = known[found[1]]
    value = float(found[2])
    if not minimum <= value <= maximum or (is_integer and value != int(value)):
        kind = "an integer" if is_integer else "a number"
        raise ValueError(f"auto_augment {text!r}: {found[1]} must be {kind}, {minimum} to {maximum}, got {found[2]}")
    return argument, int(value) if is_integer else value


class ColorJitter(Policy):
    """Change brightness, contrast, saturation and hue of each image, by amounts drawn for it.

    Args:
        ranges: `color_jitter` of `create_policy`.
    """

    def __init__(self, ranges: Sequence[tuple[float, float]]):
        super().__init__(AugmentContext(vision.Inter.BILINEAR, (0, 0, 0)))
        self.steps = _color_jitter_steps(ranges)

    def augment(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        for step in self.steps:
            image = step(image, rng, self.context)
        return image


def _color_jitter_steps(ranges: Sequence[tuple[float, float]]) -> list[Step]:
    """Return a step, always applied, for each of brightness, contrast, saturation and hue that has a range.

    Args:
        ranges: (minimum, maximum) of each, in this order, to draw from uniformly; equal or missing ones give no step.
    """
    functions = (operations.brightness, operations.contrast, operations.color, operations.hue)
    return [
        Step(Operation(function, partial(_uniform, *limits)))
        for function, limits in zip(functions, ranges, strict=False)
        if limits[0] != limits[1]
    ]


def _uniform(low: float, high: float, _magnitude: float, rng: np.random.Generator) -> float:
    return rng.uniform(low, high)

"""Augmentation policies by the strings that people know, such as `randaug-m9-mstd0.5-inc1`."""

import re
from collections.abc import Sequence
from difflib import get_close_matches

import numpy as np
from mindspore.dataset import vision

from mindcv.data.auto_augment import operations
from mindcv.data.auto_augment.augmix import AugMix
from mindcv.data.auto_augment.autoaugment import AutoAugment
from mindcv.data.auto_augment.operations import AugmentContext, Operation
from mindcv.data.auto_augment.policy import AugmentedViews, Policy, Step
from mindcv.data.auto_augment.randaugment import RandAugment
from mindcv.data.auto_augment.trivial import TrivialAugmentWide

__all__ = [
    "AugMix",
    "AugmentContext",
    "AugmentedViews",
    "AutoAugment",
    "Policy",
    "RandAugment",
    "TrivialAugmentWide",
    "create_policy",
]

_AUTOAUGMENT = {
    "autoaug": ("original", False),
    "autoaugr": ("original", True),
    "original": ("original", False),
    "originalr": ("original", True),
    "v0": ("v0", False),
    "v0r": ("v0", True),
    "3a": ("3a", False),
}

# What a string may set: the argument, the least and the largest value, and whether it is a whole number.
_STD = ("std", 0, np.inf, False)
_RANDAUGMENT = {
    "m": ("magnitude", 0, np.inf, False),
    "n": ("count", 1, 15, True),
    "p": ("prob", 0, 1, False),
    "w": ("weighted", 0, 0, True),
    "mstd": _STD,
    "mmax": ("top", 0, 10, False),
    "inc": ("increasing", 0, 1, True),
}
_AUGMIX = {
    "m": ("magnitude", 0, np.inf, False),
    "w": ("width", 1, 10, True),
    "d": ("depth", 1, 10, True),
    "a": ("alpha", 1e-3, np.inf, False),
    "mstd": _STD,
}
_MAY_SET = {
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
    """The policy that a string names.

    A name, then what is set, joined by dashes:

    - `randaug` (`rand`): m magnitude (10; more acts as 10), n operations an image (2), p probability of each (0.5),
      mstd spread of the magnitude (0; above 100: uniform from 0), mmax its limit (10), inc1 forms that grow stronger
      with the magnitude, w0 weighted choice of the operations;
    - `autoaug` (`original`), `autoaugr` (`originalr`, with increasing posterise), `v0`, `v0r`, `3a`: mstd;
    - `trivialaugwide`: nothing;
    - `augmix`: m magnitude (3), w chains (3), d depth (1 to 3, drawn), a α (1), mstd.

    Args:
        text: as above.
        mean: of each channel, 0..255; the colour of corners that an operation leaves empty.
        interpolation: of geometric operations.
        color_jitter: ranges of the factors of brightness, contrast and saturation, and of hue; for `3a` alone.

    Raises:
        ValueError: one line that says what is wrong and what is known.
    """
    name, *settings = text.split("-")
    if name not in _MAY_SET:
        near = get_close_matches(name, _MAY_SET, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(_MAY_SET)}"
        raise ValueError(f"auto_augment {text!r}: no policy {name!r}; {hint}")
    given = dict(_read(text, setting, _MAY_SET[name]) for setting in settings)
    fill = [min(255, max(0, round(level))) for level in mean]
    if interpolation == vision.Inter.PILCUBIC:  # for resizing alone
        interpolation = vision.Inter.BICUBIC
    context = AugmentContext(interpolation, tuple(fill if len(fill) == 3 else [round(np.mean(fill))] * 3))
    if name in _AUTOAUGMENT:
        policy, increasing = _AUTOAUGMENT[name]
        afterwards = _jitter(color_jitter) if name == "3a" else ()
        return AutoAugment(policy, context, increasing, afterwards=afterwards, **given)
    if _MAY_SET[name] is _RANDAUGMENT:
        return RandAugment(context, **{key: True if key == "weighted" else value for key, value in given.items()})
    return AugMix(context, **given) if name == "augmix" else TrivialAugmentWide(context)


def _read(text: str, setting: str, known: dict) -> tuple[str, float]:
    found = re.fullmatch(r"([a-z]+)(\d+\.?\d*|\.\d+)", setting)
    if not found or found[1] not in known:
        listed = f"it may set {', '.join(known)}, each followed by a number" if known else "it has nothing to set"
        raise ValueError(f"auto_augment {text!r}: cannot read {setting!r}; {listed}")
    argument, least, largest, is_whole = known[found[1]]
    value = float(found[2])
    if not least <= value <= largest or (is_whole and value != int(value)):
        kind = "a whole number" if is_whole else "a number"
        raise ValueError(f"auto_augment {text!r}: {found[1]} must be {kind}, {least} to {largest}, got {found[2]}")
    return argument, int(value) if is_whole else value


def _jitter(ranges: Sequence[tuple[float, float]]) -> list[Step]:
    acts = (operations.brightness, operations.contrast, operations.color, operations.hue)
    return [
        Step(Operation(act, lambda _m, rng, ends=ends: rng.uniform(*ends)))
        for act, ends in zip(acts, ranges, strict=False)
        if ends[0] != ends[1]
    ]

"""`create_transforms`: the operations between an image file and the model."""

import functools
import inspect
from collections.abc import Sequence
from typing import Any

import numpy as np
from mindspore.dataset import vision

from mindcv.data.auto_augment import ColorJitter, create_policy
from mindcv.data.datasets import is_encoded
from mindcv.data.erasing import RandomErasing
from mindcv.data.flips import RandomFlip
from mindcv.data.normalize import Normalize
from mindcv.errors import require_in_range, unknown_argument

INTERPOLATIONS = {
    "nearest": vision.Inter.NEAREST,
    "bilinear": vision.Inter.BILINEAR,
    "bicubic": vision.Inter.BICUBIC,
    "area": vision.Inter.AREA,
    "pilcubic": vision.Inter.PILCUBIC,
}

# Options of `create_transforms` and of a recipe, with MindCV's names and defaults.
OPTIONS = {
    "scale": (0.08, 1.0),
    "ratio": (0.75, 1.333),
    "hflip": 0.5,
    "vflip": 0.0,
    "color_jitter": 0.4,
    "interpolation": "bilinear",
    "re_prob": 0.0,
    "re_scale": (0.02, 0.33),
    "re_ratio": (0.3, 3.3),
    "re_value": 0,
    "re_max_attempts": 10,
    "mean": (123.675, 116.28, 103.53),
    "std": (58.395, 57.12, 57.375),
    "crop_pct": 0.875,
}

_RENAMED = {
    "img_size": "image_resize",
    "image_size": "image_resize",
    "input_size": "image_resize",
    "aa": "auto_augment",
    "reprob": "re_prob",
    "remode": "re_value",
    "recount": "re_max_attempts",
    "aug_splits": "separate",
}


def create_transforms(
    dataset_name: str = "",
    image_resize: int | Sequence[int] = 224,
    is_training: bool = False,
    auto_augment: str | None = None,
    separate: bool = False,
    **kwargs,
) -> list | tuple[list, list, list]:
    """Return the operations that turn an image of `create_dataset` into a model's input, (3 or 1, H, W) float32.

    Training: random resized crop; colour jitter or an augmentation policy; flips; normalisation; random erasing.
    Evaluation: resize so that the image just covers the input size divided by `crop_pct`; centre crop; normalisation.
    Both modes accept all options, and each uses those that concern it.

    Args:
        dataset_name: Name of the data set, which tells whether its images must be decoded (folders, also named "", and
            MindRecord) or are pixels.
        image_resize: Input size in pixels, of a square or as (height, width).
        is_training: Whether to return the operations for training.
        auto_augment: Augmentation policy, such as "randaug-m9-mstd0.5-inc1"; `create_policy` lists them. It replaces
            colour jitter, except for "3a", which has both.
        separate: In training, return three lists: the operations before the policy, the policy (or the colour jitter,
            without one), and those after it, for `create_loader(separate=…)`.
        scale: (minimum, maximum) area of the crop, as a fraction of the image's (default (0.08, 1)).
        ratio: (minimum, maximum) width / height of the crop (default (0.75, 1.333)).
        hflip: Probability of mirroring left-right (default 0.5).
        vflip: Probability of mirroring top-bottom (default 0).
        color_jitter: Strength of brightness, contrast and saturation changes (0.4: factors from 0.6 to 1.4), one number
            or one each, with an optional fourth for hue (0 to 0.5); 0 or None for none (default 0.4).
        interpolation: "nearest", "bilinear", "bicubic", "area", or "pilcubic" (Pillow's antialiased
            bicubic) (default "bilinear").
        re_prob: Probability of random erasing (default 0).
        re_scale: (minimum, maximum) area of the erased rectangle, as a fraction of the image's (default (0.02, 0.33)).
        re_ratio: (minimum, maximum) height / width of the erased rectangle (default (0.3, 3.3)).
        re_value: Value of erased pixels after normalisation: a number, one per channel, or "random" for Gaussian noise
            ("const" means 0, and "pixel" means "random") (default 0).
        re_max_attempts: Draws of a rectangle after which an image is left unchanged (default 10).
        mean: Mean of each channel, for pixel values 0 to 255, a list of one number for grey images (default
            ImageNet's).
        std: Standard deviation of each channel, for pixel values 0 to 255, a list of one number for grey images
            (default ImageNet's). A mean of 0 and a std of 1 leave pixels as they are, from 0 to 255.
        crop_pct: Evaluation: side of the centre crop divided by the side resized to, 0.1 to 1 (default 0.875).

    Returns:
        A list of operations, or three lists if `separate` and `is_training`.

    Raises:
        ValueError: An option is out of range, or the data set, policy or interpolation is unknown.
        TypeError: An option is unknown.
    """
    for name in kwargs:
        if name not in OPTIONS:
            known = [*inspect.signature(create_transforms).parameters.keys() - {"kwargs"}, *OPTIONS]
            raise TypeError(unknown_argument("create_transforms", name, known, _RENAMED))
    option = {**OPTIONS, **kwargs}
    if option["interpolation"] not in INTERPOLATIONS:
        raise ValueError(f"interpolation is {option['interpolation']!r}; it must be one of {', '.join(INTERPOLATIONS)}")
    interpolation = INTERPOLATIONS[option["interpolation"]]
    sides: Any = image_resize
    height, width = sides if np.ndim(sides) else (sides, sides)
    size, encoded = (int(height), int(width)), is_encoded(dataset_name)
    policy, jitter = [], _jitter_ranges(option["color_jitter"])
    if not is_training:
        crop = _evaluation_crop(encoded, size, interpolation, option["crop_pct"])
    else:
        crop_type = vision.RandomCropDecodeResize if encoded else vision.RandomResizedCrop
        crop = [crop_type(size, tuple(option["scale"]), tuple(option["ratio"]), interpolation)]
        if auto_augment is not None:
            policy.append(create_policy(auto_augment, option["mean"], interpolation, jitter))
        elif any(low != high for low, high in jitter):
            policy.append(ColorJitter(jitter) if separate else vision.RandomColorAdjust(*jitter))
    finish: list = [Normalize(option["mean"], option["std"])]
    if is_training and (option["hflip"] or option["vflip"]):
        finish.insert(0, RandomFlip(option["hflip"], option["vflip"]))
    if is_training and option["re_prob"]:
        if np.ndim(option["re_value"]) and len(option["re_value"]) != len(option["mean"]):
            raise ValueError(
                f"re_value has {len(option['re_value'])} values, mean and std have {len(option['mean'])}: give one "
                "number, one of each channel, or random"
            )
        erasing = {name: option[f"re_{name}"] for name in ("prob", "scale", "ratio", "value", "max_attempts")}
        finish.append(RandomErasing(**erasing))
    return (crop, policy, finish) if separate and is_training else [*crop, *policy, *finish]


def _jitter_ranges(strength: float | Sequence[float] | None) -> list[tuple[float, float]]:
    """Return four pairs (minimum, maximum): the factors of brightness, contrast and saturation, and the hue shift.

    A strength s gives factors from max(0, 1 − s) to 1 + s, and a hue shift from −s to s, which is not limited further.
    What does not change has (1, 1) or, for the hue, (0, 0).

    Args:
        strength: `color_jitter` of `create_transforms`: one number, three, or four with hue; None for none.

    Raises:
        ValueError: There are other than one, three or four numbers, or one is negative or above 1e6.
    """
    given: Any = 0 if strength is None else strength
    strengths: list[float] = list(given) if np.ndim(given) else [given] * 3
    if not 3 <= len(strengths) <= 4:
        raise ValueError(
            "color_jitter must be one number, or one each for brightness, contrast, saturation (and hue), "
            f"got {strength}"
        )
    if not all(0 <= value <= 1e6 for value in strengths):
        raise ValueError(f"color_jitter must be 0 to 1e6, and its usual values are below 1, got {strength}")
    *factors, hue = strengths if len(strengths) == 4 else [*strengths, 0]
    return [*[(max(0.0, 1.0 - factor), 1.0 + factor) for factor in factors], (-float(hue), float(hue))]


def _evaluation_crop(encoded: bool, size: tuple[int, int], interpolation: vision.Inter, crop_pct: float) -> list:
    """Return the operations that decode (if `encoded`), resize and crop the centre to `size`, (height, width).

    The image is resized to the smallest size that covers `size` / `crop_pct`; for a square, by its shorter side.

    Raises:
        ValueError: `crop_pct` is not 0.1 to 1.
    """
    require_in_range("crop_pct", crop_pct, at_least=0.1, at_most=1)
    height, width = (int(side / crop_pct) for side in size)
    resize = vision.Resize(height, interpolation) if height == width else ResizeToCover(height, width, interpolation)
    return [*([vision.Decode()] if encoded else []), resize, vision.CenterCrop(size)]


class ResizeToCover:
    """Resize an image, keeping its aspect ratio, to the smallest size that covers `height` × `width` pixels.

    MindSpore's `Resize` can only set the shorter side, which is enough for a square.
    """

    def __init__(self, height: int, width: int, interpolation: vision.Inter):
        self.height, self.width = height, width
        self._resize = functools.lru_cache(maxsize=256)(lambda *size: vision.Resize(size, interpolation))

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Return an image (h, w, 3) uint8 as (H, W, 3), where H = `height` and W ≥ `width`, or the reverse.

        A PIL image becomes an array.
        """
        image = np.asarray(image)
        height, width = image.shape[:2]
        scale = max(self.height / height, self.width / width)
        return self._resize(max(self.height, int(height * scale)), max(self.width, int(width * scale)))(image)

"""`create_transforms`: what is done to an image between the file and the model."""

import functools
import inspect
from collections.abc import Sequence

import numpy as np
from mindspore.dataset import vision

from mindcv.data.auto_augment import create_policy
from mindcv.data.datasets import is_encoded
from mindcv.data.erasing import RandomErasing
from mindcv.data.flips import RandomFlip
from mindcv.data.normalize import Normalize
from mindcv.errors import unknown_argument

INTERPOLATIONS = {
    "nearest": vision.Inter.NEAREST,
    "bilinear": vision.Inter.BILINEAR,
    "bicubic": vision.Inter.BICUBIC,
    "area": vision.Inter.AREA,
    "pilcubic": vision.Inter.PILCUBIC,
}

# The options of a recipe, with MindCV's names and defaults.
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
    """Operations from an image of `create_dataset` to the model's input, (3, H, W) float32, or (1, H, W) in grey.

    Training: a random part of the image, resized; colour jitter or a policy; flips; normalised; random erasing.
    Evaluation: the image resized so that it just covers the input size divided by `crop_pct`; its centre;
    normalised. One set of options serves both, each mode taking what concerns it.

    Args:
        dataset_name: tells whether images come as files to be decoded (folders) or as pixels.
        image_resize: input size in pixels, of a square or as (height, width).
        auto_augment: an augmentation policy in place of the colour jitter (`3a` has both); see `create_policy`.
        separate: hand on three lists, before, of and after the policy, for `create_loader(separate=…)`.
        scale: range of the part's area, as a share of the image's.
        ratio: range of the part's width / height.
        hflip, vflip: probability of mirroring left-right, top-bottom.
        color_jitter: strength of brightness, contrast and saturation changes (0.4: factors 0.6 to 1.4), one
            number or one each, a fourth for hue (0 to 0.5); 0 or None for none.
        interpolation: nearest, bilinear, bicubic, area, or pilcubic (Pillow's antialiased bicubic).
        re_prob, re_scale, re_ratio, re_value, re_max_attempts: see `RandomErasing`.
        mean, std: per channel, in units of pixel values 0..255; one of each for images in grey. A mean of 0 and a
            standard deviation of 1 leave pixels as they are, from 0 to 255.
        crop_pct: input size divided by the size resized to, in evaluation; 0.1 to 1.

    Raises:
        ValueError: a value out of range.
        TypeError: an unknown option.
    """
    for name in kwargs:
        if name not in OPTIONS:
            known = [*inspect.signature(create_transforms).parameters.keys() - {"kwargs"}, *OPTIONS]
            raise TypeError(unknown_argument("create_transforms", name, known, _RENAMED))
    option = {**OPTIONS, **kwargs}
    if option["interpolation"] not in INTERPOLATIONS:
        raise ValueError(f"interpolation must be one of {', '.join(INTERPOLATIONS)}, got {option['interpolation']!r}")
    interpolation = INTERPOLATIONS[option["interpolation"]]
    height, width = (image_resize, image_resize) if np.isscalar(image_resize) else image_resize
    size, encoded = (int(height), int(width)), is_encoded(dataset_name)
    policy, jitter = [], _jitter_ranges(option["color_jitter"])
    if not is_training:
        view = _evaluation_view(encoded, size, interpolation, option)
    else:
        view = _training_view(encoded, size, interpolation, option)
        if auto_augment is not None:
            policy.append(create_policy(auto_augment, option["mean"], interpolation, jitter))
        elif any(low != high for low, high in jitter):
            view.append(vision.RandomColorAdjust(*jitter))
    finish = [Normalize(option["mean"], option["std"])]
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
    return (view, policy, finish) if separate else [*view, *policy, *finish]


def _training_view(encoded: bool, size: tuple[int, int], interpolation: vision.Inter, option: dict) -> list:
    crop = vision.RandomCropDecodeResize if encoded else vision.RandomResizedCrop
    return [crop(size, tuple(option["scale"]), tuple(option["ratio"]), interpolation)]


def _jitter_ranges(strength: float | Sequence[float] | None) -> list[tuple[float, float]]:
    """Of the factors of brightness, contrast and saturation, and of the turn of hue."""
    strengths = [strength or 0] * 3 if strength is None or np.isscalar(strength) else list(strength)
    if not 3 <= len(strengths) <= 4:
        raise ValueError(
            "color_jitter must be one number, or one each for brightness, contrast, saturation (and hue), "
            f"got {strength}"
        )
    if not all(0 <= value <= 1e6 for value in strengths):
        raise ValueError(f"color_jitter must be 0 to 1e6, and its usual values are below 1, got {strength}")
    *factors, hue = strengths if len(strengths) == 4 else [*strengths, 0]
    return [*((max(0.0, 1.0 - factor), 1.0 + factor) for factor in factors), (-float(hue), float(hue))]


def _evaluation_view(encoded: bool, size: tuple[int, int], interpolation: vision.Inter, option: dict) -> list:
    if not 0.1 <= option["crop_pct"] <= 1:
        raise ValueError(f"crop_pct must be 0.1 to 1, got {option['crop_pct']}")
    height, width = (int(side / option["crop_pct"]) for side in size)
    resize = vision.Resize(height, interpolation) if height == width else Cover(height, width, interpolation)
    return [*([vision.Decode()] if encoded else []), resize, vision.CenterCrop(size)]


class Cover:
    """Resize an image, keeping its proportions, to the smallest size that covers `height` × `width`.

    MindSpore's own `Resize` knows the shorter side alone, which serves a square.
    """

    def __init__(self, height: int, width: int, interpolation: vision.Inter):
        self.height, self.width = height, width
        self._resize = functools.lru_cache(maxsize=256)(lambda *size: vision.Resize(size, interpolation))

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """(h, w, 3) uint8 to (H, W, 3) uint8, H >= `height`, W >= `width`, one of them equal."""
        height, width = image.shape[:2]
        scale = max(self.height / height, self.width / width)
        return self._resize(max(self.height, int(height * scale)), max(self.width, int(width * scale)))(image)

"""Preprocess images for prediction with the operations of validation."""

import os
from collections.abc import Callable, Sequence

import numpy as np
from mindspore import nn
from PIL import Image

from mindcv.data import Normalize, UnreadableImage, create_transforms, read_encoded, upright_rgb
from mindcv.errors import printable

OPTIONS = ("mean", "std", "crop_pct", "interpolation")  # arguments of `create_transforms` that matter in validation


class Preprocessor:
    """Resizes, crops and normalises images as validation does.

    Args:
        image_size: Height and width of the model's images, in pixels.
        **options: Any of `mean` and `std` (for each channel, in units of pixel values 0 to 255), `crop_pct` (side of
            the centre crop divided by the side of the resized image) and `interpolation` ("nearest", "bilinear" or
            "bicubic"); by default ImageNet's, as in `create_transforms`.
    """

    def __init__(self, image_size: tuple[int, int], **options):
        # "imagenet" takes encoded files and "digits" pixels; apart from decoding their transforms are the same.
        file_transforms = list(create_transforms("imagenet", image_size, **options))
        self.normalize: Normalize = file_transforms.pop()
        self.file_transforms: list[Callable] = file_transforms
        self.pixel_transforms: list[Callable] = list(create_transforms("digits", image_size, **options))[:-1]

    def crop(self, image: str | os.PathLike | Image.Image | np.ndarray) -> np.ndarray:
        """Return the resized centre crop of one image that the model sees, (H, W, 3) uint8; grey is repeated to RGB.

        Args:
            image: A file's path, a Pillow image, or uint8 pixels (h, w, 3) or grey (h, w, 1) or (h, w), of any size.

        Raises:
            UnreadableImage: the file is damaged or not an image.
            FileNotFoundError, OSError: the file does not exist or cannot be opened.
            TypeError, ValueError: `image` is none of these.
        """
        if isinstance(image, (str, os.PathLike)):
            return self._crop_file(image)
        pixels = np.asarray(upright_rgb(image)) if isinstance(image, Image.Image) else _as_rgb(image)
        for transform in self.pixel_transforms:
            pixels = transform(pixels)
        return pixels

    def _crop_file(self, path: str | os.PathLike) -> np.ndarray:
        """Return the resized centre crop of an image file, (H, W, 3) uint8, decoded by MindSpore as in validation.

        Raises FileNotFoundError if there is no such file, and UnreadableImage (a ValueError) if it cannot be decoded.
        """
        if not os.path.isfile(path):
            raise FileNotFoundError(f"no image {printable(os.fspath(path))}: check the path")
        pixels = read_encoded(path, verify=True)
        try:
            for transform in self.file_transforms:
                pixels = transform(pixels)
        except RuntimeError as error:  # MindSpore's decoder
            raise UnreadableImage(f"cannot read image {printable(os.fspath(path))}: it is damaged") from error
        return pixels

    def batch(self, crops: Sequence[np.ndarray]) -> np.ndarray:
        """Normalise results of `crop` and stack them to (B, C, H, W) float32; C is the number of means, 3 or 1."""
        return self.normalize(list(crops))


def published_preprocessor(model: nn.Cell, **options) -> Preprocessor:
    """Return the preprocessing of a model's published weights (`model.pretrained_cfg`), else ImageNet's.

    Args:
        model: Has `image_size`.
        **options: As for `Preprocessor`; those that are not None take the place of the published ones.
    """
    published = getattr(model, "pretrained_cfg", {})
    chosen = {name: published[name] for name in OPTIONS if name in published}
    chosen |= {name: value for name, value in options.items() if value is not None}
    return Preprocessor(model.image_size, **chosen)


def require_matching_channels(model: nn.Cell, normalize: Normalize) -> None:
    """Raise a ValueError unless `normalize` has a mean for each channel of the images that `model` takes."""
    channels = model.in_channels
    if len(normalize.mean) != channels:
        raise ValueError(
            f"the model takes images of {channels} channels, but mean and std have {len(normalize.mean)} values: "
            "give one of each per channel"
        )


def _as_rgb(pixels) -> np.ndarray:
    """Return uint8 pixels (h, w), (h, w, 1) or (h, w, 3) as (h, w, 3); anything else is a TypeError or ValueError."""
    if not isinstance(pixels, np.ndarray):
        raise TypeError(f"got an image of type {type(pixels).__name__}; give a path, a PIL image or an array")
    if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3) or 0 in pixels.shape:
        raise ValueError(f"got pixels {pixels.dtype} {pixels.shape}; give uint8, (height, width, channels) or grey")
    if pixels.ndim == 2 or pixels.shape[2] == 1:
        pixels = np.repeat(pixels.reshape(*pixels.shape[:2], 1), 3, 2)
    if pixels.shape[2] != 3:
        raise ValueError(f"got pixels of {pixels.shape[2]} channels; give 3 (RGB), or 1 (grey)")
    return np.ascontiguousarray(pixels)

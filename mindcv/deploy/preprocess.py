"""From an image, wherever it comes from, to what the model takes: the same operations as in validation."""

import os
from collections.abc import Sequence

import numpy as np
from mindspore import nn
from PIL import Image

from mindcv.data import Normalize, UnreadableImage, as_viewed, create_transforms, upright_rgb

# What validation does to an image, as options of `create_transforms`.
OPTIONS = ("mean", "std", "crop_pct", "interpolation")


class Preprocessor:
    """Images as the model of `image_size` wants them: resized, cropped and, a batch at a time, normalised.

    Args:
        image_size: Height and width of the model's images.
        **options: Any of `OPTIONS`, as `create_transforms` takes them.
    """

    def __init__(self, image_size: tuple[int, int], **options):
        # One data set's images come as files, the other's as pixels; beyond decoding nothing differs.
        *self.of_file, self.normalize = create_transforms("imagenet", image_size, **options)
        self.of_pixels = create_transforms("digits", image_size, **options)[:-1]

    def view(self, image: str | os.PathLike | Image.Image | np.ndarray) -> np.ndarray:
        """The part of one image that the model sees, (H, W, C) uint8.

        Args:
            image: A file's path, an image of Pillow's, or pixels in uint8: (h, w, C) or grey (h, w).

        Raises:
            UnreadableImage: the file is no image, or broken.
            FileNotFoundError, OSError: there is no such file, or it cannot be read.
            TypeError, ValueError: it is none of these.
        """
        if isinstance(image, (str, os.PathLike)):
            return self._view_of_file(image)
        pixels = np.asarray(upright_rgb(image)) if isinstance(image, Image.Image) else _checked(image)
        for operation in self.of_pixels:
            pixels = operation(pixels)
        return pixels

    def _view_of_file(self, path: str | os.PathLike) -> np.ndarray:
        if not os.path.isfile(path):
            raise FileNotFoundError(f"no image {os.fspath(path)}: check the path")
        pixels = as_viewed(path)
        try:
            for operation in self.of_file:
                pixels = operation(pixels)
        except RuntimeError as error:  # of MindSpore's decoder
            raise UnreadableImage(f"cannot read image {os.fspath(path)}: it is damaged") from error
        return pixels

    def batch(self, views: Sequence[np.ndarray]) -> np.ndarray:
        """Views, normalised: (B, C, H, W) float32."""
        return self.normalize(list(views))


def require_fitting(model: nn.Cell, normalize: Normalize) -> None:
    """Raise a ValueError unless `normalize` is for images of as many channels as those of `model`."""
    channels = model.patch_embed.proj.weight.shape[1]
    if len(normalize.mean) != channels:
        raise ValueError(
            f"the model takes images of {channels} channels, but mean and std have {len(normalize.mean)} values: "
            "give one of each a channel to have images normalised"
        )


def _checked(pixels) -> np.ndarray:
    if not isinstance(pixels, np.ndarray):
        raise TypeError(f"got an image of type {type(pixels).__name__}; give a path, a PIL image or an array")
    if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3) or 0 in pixels.shape:
        raise ValueError(f"got pixels {pixels.dtype} {pixels.shape}; give uint8, (height, width, channels) or grey")
    if pixels.ndim == 2 or pixels.shape[2] == 1:
        pixels = np.repeat(pixels.reshape(*pixels.shape[:2], 1), 3, 2)
    if pixels.shape[2] != 3:
        raise ValueError(f"got pixels of {pixels.shape[2]} channels; give 3 (RGB), or 1 (grey)")
    return np.ascontiguousarray(pixels)

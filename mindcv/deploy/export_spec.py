"""In which form a model is exported, and images of that form."""

from typing import NamedTuple

import numpy as np
from mindspore import nn

from mindcv.data import Normalize
from mindcv.deploy.preprocess import require_fitting


class ExportSpec(NamedTuple):
    """What an exported model takes, and in which precision it computes.

    Without `normalize` its input is (B, C, H, W) float32, normalised. With it, (B, H, W, C) uint8: RGB images that are
    resized and cropped already. `dynamic_batch` leaves B open; it is 1 otherwise. With `fp16` the weights of the linear
    layers and the products with them are in half precision, all else in float32; so are input and output.
    """

    channels: int
    image_size: tuple[int, int]
    dynamic_batch: bool = False
    fp16: bool = False
    normalize: Normalize | None = None

    @property
    def shape(self) -> tuple[int | None, ...]:
        """The input's shape; None stands for any number."""
        batch = None if self.dynamic_batch else 1
        return (batch, *self.image_size, self.channels) if self.normalize else (batch, self.channels, *self.image_size)

    @property
    def dtype(self) -> np.dtype:
        """The input's type."""
        return np.dtype(np.uint8 if self.normalize else np.float32)

    def random_images(self, batch: int) -> np.ndarray:
        """`batch` random images to feed the exported model with."""
        rng = np.random.default_rng(batch)
        shape = (batch, *self.shape[1:])
        return rng.integers(0, 256, shape, np.uint8) if self.normalize else rng.standard_normal(shape, np.float32)

    def as_model_takes(self, images: np.ndarray) -> np.ndarray:
        """The same images for the model that was exported, (B, C, H, W) float32."""
        return self.normalize(list(images)) if self.normalize else images


def form_of(model: nn.Cell, dynamic_batch: bool, fp16: bool, normalize: Normalize | None) -> ExportSpec:
    """The form with the image size of `model`.

    Raises:
        ValueError: `normalize` is for another number of channels.
    """
    if normalize:
        require_fitting(model, normalize)
    channels = model.patch_embed.proj.weight.shape[1]
    return ExportSpec(channels, model.image_size, dynamic_batch, fp16, normalize)

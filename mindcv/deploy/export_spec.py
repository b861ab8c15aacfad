"""The input and the precision of an exported model."""

from typing import NamedTuple

import numpy as np
from mindspore import nn

from mindcv.data import Normalize
from mindcv.deploy.preprocess import require_matching_channels


class ExportSpec(NamedTuple):
    """The input of an exported model, and the precision that it computes in.

    Attributes:
        channels: Channels of the images, 3 (RGB) or 1 (grey).
        image_size: Height and width of the images, in pixels.
        dynamic_batch: Accept batches of any size B; otherwise B is 1.
        fp16: Multiply by the linear layers' weights in float16, and store those weights in float16. Everything else,
            input and output included, is float32.
        normalize: Normalise inside the exported model. The input is then (B, H, W, C) uint8, resized and cropped but
            not normalised; with None it is (B, C, H, W) float32, normalised.
    """

    channels: int
    image_size: tuple[int, int]
    dynamic_batch: bool = False
    fp16: bool = False
    normalize: Normalize | None = None

    @classmethod
    def of_model(cls, model: nn.Cell, dynamic_batch: bool, fp16: bool, normalize: Normalize | None) -> "ExportSpec":
        """Return a spec with the channels and image size of `model`; the other arguments are the spec's fields.

        Raises:
            ValueError: `normalize` is for another number of channels.
        """
        if normalize:
            require_matching_channels(model, normalize)
        return cls(model.in_channels, model.image_size, dynamic_batch, fp16, normalize)

    @property
    def shape(self) -> tuple[int | None, ...]:
        """The input's shape, (B, C, H, W) or (B, H, W, C); B is None if it is dynamic."""
        return None if self.dynamic_batch else 1, *self.image_shape

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """The shape of one image, (C, H, W), or (H, W, C) with `normalize`."""
        return (*self.image_size, self.channels) if self.normalize else (self.channels, *self.image_size)

    @property
    def dtype(self) -> np.dtype:
        """The input's dtype, uint8 or float32."""
        return np.dtype(np.uint8 if self.normalize else np.float32)

    def random_images(self, batch_size: int) -> np.ndarray:
        """Return `batch_size` random images with the exported model's input shape and dtype, the same at each call."""
        rng = np.random.default_rng(batch_size)
        shape = (batch_size, *self.image_shape)
        return rng.integers(0, 256, shape, np.uint8) if self.normalize else rng.standard_normal(shape, np.float32)

    def to_model_input(self, images: np.ndarray) -> np.ndarray:
        """Convert input of the exported model to input of the original model, (B, C, H, W) float32."""
        return self.normalize(list(images)) if self.normalize else images

"""Image to patch tokens."""

import math

import mindspore as ms
from mindspore import Parameter, Tensor
from mindspore.common.initializer import Uniform, initializer

from mindcv.models.layers.dense import Linear
from mindcv.models.layers.precision import Mixed


class PatchEmbed(Mixed):
    """Images (B, in_channels, H, W) to tokens (B, rows·cols, dim), row by row, one linear map for every patch.

    It is a product of matrices: MindSpore's convolution of this stride took 600 ms where the product takes 5, on a CPU
    whose oneDNN has no fast kernel for it, and not every device has a convolution of bfloat16.

    Weight and bias start uniform within ±1/√fan_in.

    Raises:
        ValueError: the image's sides are no multiples of the patch's, or an image of another size or depth comes in.
        TypeError: the images are not in float32, float16 or bfloat16.
    """

    def __init__(self, image_size: tuple[int, int], patch_size: tuple[int, int], in_channels: int, dim: int):
        super().__init__()
        if any(side < 1 or side % patch for side, patch in zip(image_size, patch_size, strict=True)):
            raise ValueError(
                f"image_size {image_size} does not divide into patches of {patch_size}: "
                "make each side of the image a multiple of the patch's"
            )
        self.image_size = image_size
        self.grid_size = (image_size[0] // patch_size[0], image_size[1] // patch_size[1])
        fan_in = in_channels * math.prod(patch_size)
        start = Uniform(1 / math.sqrt(fan_in))
        self.proj = Linear(fan_in, dim)
        self.proj.weight = Parameter(initializer(start, (dim, in_channels, *patch_size)), name="weight")
        self.proj.bias = Parameter(initializer(start, (dim,)), name="bias")

    def construct(self, images: Tensor) -> Tensor:
        channels, height, width = self.proj.weight.shape[1:]
        if images.dtype not in (ms.float32, ms.float16, ms.bfloat16):
            raise TypeError(
                f"got images of type {images.dtype}, wanted a mindspore.Tensor of float32: "
                "normalise them, (pixels - mean) / std, and convert them with .astype(mindspore.float32)"
            )
        if images.ndim != 4:
            raise ValueError(
                f"got images of shape {images.shape}, wanted (B, {channels}, height, width): "
                "give a batch, as images[None] is one of a single image"
            )
        if images.shape[2:] != self.image_size:
            raise ValueError(
                f"got images of size {images.shape[2:]}, but the model was made for {self.image_size}: "
                "resize them, or create the model with image_size=…"
            )
        if images.shape[1] != channels:
            raise ValueError(
                f"got images of {images.shape[1]} channels, but the model was made for {channels}: "
                f"create it with in_channels={images.shape[1]}"
            )
        rows, cols = self.grid_size
        patches = images.astype(ms.float32).reshape(-1, channels, rows, height, cols, width).transpose(0, 2, 4, 1, 3, 5)
        return self.proj(patches.reshape(-1, rows * cols, channels * height * width))

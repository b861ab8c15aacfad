"""Image to patch tokens."""

import math

from mindspore import Tensor, nn, ops
from mindspore.common.initializer import Uniform

from mindcv.models.layers.precision import Mixed


class PatchEmbed(Mixed):
    """Images (B, in_channels, H, W) to tokens (B, rows·cols, dim), row by row, one linear map for every patch.

    Under mixed precision it is a matrix product, for not every device has a convolution of bfloat16.

    Weight and bias start uniform within ±1/√fan_in.

    Raises:
        ValueError: the image's sides are no multiples of the patch's, or an image of another size or depth comes in.
    """

    def __init__(self, image_size: tuple[int, int], patch_size: tuple[int, int], in_channels: int, dim: int):
        super().__init__()
        if any(side < 1 or side % patch for side, patch in zip(image_size, patch_size, strict=True)):
            raise ValueError(
                f"image_size {image_size} does not divide into patches of {patch_size}: "
                "make each side of the image a multiple of the patch's"
            )
        self.image_size = image_size
        self.grid = (image_size[0] // patch_size[0], image_size[1] // patch_size[1])
        bound = 1 / math.sqrt(in_channels * patch_size[0] * patch_size[1])
        self.proj = nn.Conv2d(
            in_channels, dim, patch_size, patch_size, pad_mode="valid", has_bias=True,
            weight_init=Uniform(bound), bias_init=Uniform(bound),
        )  # fmt: skip

    def construct(self, images: Tensor) -> Tensor:
        if images.shape[2:] != self.image_size:
            raise ValueError(
                f"got images of size {images.shape[2:]}, but the model was made for {self.image_size}: "
                "resize them, or create the model with image_size=…"
            )
        if images.shape[1] != self.proj.weight.shape[1]:
            raise ValueError(
                f"got images of {images.shape[1]} channels, but the model was made for {self.proj.weight.shape[1]}: "
                f"create it with in_channels={images.shape[1]}"
            )
        if self.operands is not None:
            return self.product(images)
        tokens = self.proj(images)
        return tokens.reshape(tokens.shape[0], tokens.shape[1], -1).swapaxes(1, 2)

    def product(self, images: Tensor) -> Tensor:
        """The same from matrix products of flattened patches."""
        dim, channels, height, width = self.proj.weight.shape
        rows, cols = self.grid
        patches = images.reshape(-1, channels, rows, height, cols, width).transpose(0, 2, 4, 1, 3, 5)
        patches = self.cast(patches.reshape(-1, channels * height * width), self.operands)
        weight = self.cast(self.proj.weight.reshape(dim, -1), self.operands)
        tokens = self.cast(ops.matmul(patches, weight.swapaxes(0, 1)), self.operands)
        tokens = ops.bias_add(tokens, self.cast(self.proj.bias, self.operands))
        return self.cast(tokens, self.outcome).reshape(-1, rows * cols, dim)

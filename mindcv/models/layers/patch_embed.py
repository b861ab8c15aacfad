"""Image to patch tokens."""

import math
from collections.abc import Sequence

import mindspore as ms
from mindspore import Parameter, Tensor
from mindspore.common.initializer import Uniform, initializer

from mindcv.models.layers.dense import Linear
from mindcv.models.layers.precision import PolicyCell


class PatchEmbed(PolicyCell):
    """Embed images (B, in_channels, H, W) as patch tokens (B, rows·cols, dim), row by row, by one linear map per patch.

    The map is a matrix product: on a CPU, MindSpore's convolution of this stride took 600 ms where the product takes
    5 ms, and not every device has a convolution in bfloat16. Weight and bias start uniform within ±1/√fan_in.

    Args:
        image_size: Side of the images in pixels, or (height, width).
        patch_size: Side of a patch in pixels, or (height, width).
        in_channels: Channels of the images.
        dim: C, channels of the tokens.

    Attributes:
        image_size: Height and width of the images.
        grid_size: Rows and columns of patches.

    Raises:
        ValueError: A size is neither a positive int nor two of them, or the image's sides are not multiples of the
            patch's; when called: the images have no batch axis, another size or another number of channels.
        TypeError: When called: the images are not float32, float16 or bfloat16.
    """

    def __init__(self, image_size: int | Sequence[int], patch_size: int | Sequence[int], in_channels: int, dim: int):
        super().__init__()
        image_size, patch_size = _pair(image_size), _pair(patch_size)
        if any(side < 1 or side % patch for side, patch in zip(image_size, patch_size, strict=True)):
            raise ValueError(
                f"image_size {image_size} does not divide into patches of {patch_size}: "
                "make each side of the image a multiple of the patch's"
            )
        self.image_size = image_size
        self.grid_size = (image_size[0] // patch_size[0], image_size[1] // patch_size[1])
        fan_in = in_channels * math.prod(patch_size)
        init = Uniform(1 / math.sqrt(fan_in))
        self.proj = Linear(fan_in, dim)
        self.proj.weight = Parameter(initializer(init, (dim, in_channels, *patch_size)), name="weight")
        self.proj.bias = Parameter(initializer(init, (dim,)), name="bias")

    def construct(self, images: Tensor) -> Tensor:
        channels, patch_height, patch_width = self.proj.weight.shape[1:]
        if images.dtype not in (ms.float32, ms.float16, ms.bfloat16):
            raise TypeError(
                f"got images of type {images.dtype}, wanted a mindspore.Tensor of float32: "
                "normalise them, (pixels - mean) / std, and convert them with .astype(mindspore.float32)"
            )
        if images.ndim != 4:
            raise ValueError(
                f"got images of shape {images.shape}, wanted (B, {channels}, height, width): "
                "give a batch; images[None] is a batch of one image"
            )
        if images.shape[2:] != self.image_size:
            raise ValueError(
                f"got images of size {images.shape[2:]}, but the model was created for {self.image_size}: "
                "resize them, or create the model with image_size=…"
            )
        if images.shape[1] != channels:
            raise ValueError(
                f"got images of {images.shape[1]} channels, but the model was created for {channels}: "
                f"create it with in_channels={images.shape[1]}"
            )
        rows, cols = self.grid_size
        pixels = images.astype(ms.float32).reshape(-1, channels, rows, patch_height, cols, patch_width)
        patches = pixels.transpose(0, 2, 4, 1, 3, 5).reshape(-1, rows * cols, channels * patch_height * patch_width)
        return self.proj(patches)


def _pair(size: int | Sequence[int]) -> tuple[int, int]:
    """Return a side as (side, side), or (height, width) as a tuple.

    Raises:
        ValueError: `size` is neither a positive int nor two of them.
    """
    sides = (size, size) if isinstance(size, int) else tuple(size)
    if len(sides) != 2 or not all(isinstance(side, int) and side > 0 for side in sides):
        raise ValueError(f"got the size {size!r}; give a positive int, or (height, width)")
    return sides

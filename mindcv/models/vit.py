"""ViT as DeiT trains it: a vision transformer of plain self-attention, the baseline that ConViT is compared with.

A. Dosovitskiy et al.: "An Image is Worth 16x16 Words: Transformers for Image Recognition at Scale", ICLR 2021, arXiv
2010.11929. H. Touvron et al.: "Training Data-efficient Image Transformers & Distillation through Attention", ICML 2021,
arXiv 2012.12877: DeiT is this model without the distillation token.

A ConViT with `local_up_to_layer=0` is not this model. Its class token joins before the first block too, but after the
position embedding and the dropout of it, which are for the N patches alone, where ViT has 1 + N positions. Its queries,
keys and values have no bias by default, and the heads of its variants are narrower. With `qkv_bias=True` and the same
heads it computes the same functions in evaluation, since the class token's position only adds to the class token, but
it has C parameters fewer, other shapes, and learns in another way.

Shapes: B images, N = rows·cols patches, h heads of d channels each, C = h·d channels.
"""

import math

from mindspore import Parameter, Tensor, nn
from mindspore.common.initializer import initializer

from mindcv.errors import require_in_range
from mindcv.models.convit import MHSA, Block
from mindcv.models.factory import build_pretrained
from mindcv.models.layers import Dropout, Mlp, PatchEmbed, RandomState, RandomWeights, TokenNorm, join_class_token
from mindcv.models.registry import register_model
from mindcv.models.transformer import Transformer
from mindcv.models.vit_family import WIDTHS, default_cfgs, family

__all__ = ["VisionTransformer", "deit_base", "deit_small", "deit_tiny"]


class VisionTransformer(Transformer):
    """ViT: a class token and the patches, each with a learned position, MHSA blocks, then a linear classifier.

    A new model has random weights and is in evaluation mode.

    Args:
        in_channels: Channels of the images.
        num_classes: Classes; 0 for a model without a classifier.
        image_size: Side of the images in pixels, or (height, width).
        patch_size: Side of a patch in pixels, or (height, width); must divide the image's.
        embed_dim: C, channels of the tokens.
        num_heads: h, heads of every block; must divide `embed_dim`.
        drop_rate: Dropout after the position embedding, projections and perceptron layers, in training, in [0, 1).
        drop_path_rate: Stochastic depth of the last block, in [0, 1); it grows linearly from 0 in the first block.
        depth: Blocks.
        mlp_ratio: Hidden width of the perceptrons over C.
        qkv_bias: Whether queries, keys and values have a bias.
        attn_drop_rate: Dropout of the attention maps, in training, in [0, 1).
        norm_eps: Epsilon of the LayerNorms.
        act: "gelu", or "gelu_tanh" for its approximation.
        attn_impl: "flash" for Ascend's fused attention in half precision; "separable" and "plain" are the same here.

    Attributes:
        num_features: C, channels of the features that the classifier reads.
        grid_size: Rows and columns of patches.
        num_prefix_tokens: 1, for the class token.

    Raises:
        ValueError: An argument is out of range, images do not divide into patches, or the device lacks this attention;
            when called: as `PatchEmbed`.
        TypeError: When called: the images are not of a floating type.
    """

    family = family

    def __init__(
        self,
        in_channels: int = 3,
        num_classes: int = 1000,
        image_size: int | tuple[int, int] = 224,
        patch_size: int | tuple[int, int] = 16,
        embed_dim: int = 768,
        num_heads: int = 12,
        drop_rate: float = 0.0,
        drop_path_rate: float = 0.1,
        depth: int = 12,
        mlp_ratio: float = 4.0,
        qkv_bias: bool = True,
        attn_drop_rate: float = 0.0,
        norm_eps: float = 1e-6,
        act: str = "gelu",
        attn_impl: str = "plain",
    ):
        super().__init__()
        counts = {"in_channels": in_channels, "embed_dim": embed_dim, "num_heads": num_heads, "depth": depth}
        for name, count in counts.items():
            require_in_range(name, count, at_least=1)
        require_in_range("mlp_ratio", mlp_ratio, at_least=1 / embed_dim, below=math.inf)
        if embed_dim % num_heads:
            raise ValueError(
                f"embed_dim {embed_dim} does not divide into num_heads {num_heads}: pass a multiple of {num_heads}"
            )
        dim = embed_dim
        self.in_channels, self.num_features = in_channels, dim
        self.patch_embed = PatchEmbed(image_size, patch_size, in_channels, dim)
        self.image_size, self.grid_size = self.patch_embed.image_size, self.patch_embed.grid_size
        num_tokens = 1 + self.grid_size[0] * self.grid_size[1]
        self.cls_token = Parameter(initializer(RandomWeights(), (1, 1, dim)), name="cls_token")
        self.pos_embed = Parameter(initializer(RandomWeights(), (1, num_tokens, dim)), name="pos_embed")
        self.pos_drop = Dropout(drop_rate)

        blocks = []
        for i in range(depth):
            attn = MHSA(dim, num_heads, qkv_bias, attn_drop_rate, drop_rate, attn_impl)
            mlp = Mlp(dim, int(dim * mlp_ratio), act, drop_rate)
            blocks.append(Block(dim, attn, mlp, norm_eps, drop_path_rate * i / max(depth - 1, 1)))
        self.blocks = nn.CellList(blocks)
        self.norm = TokenNorm(dim, norm_eps)

        self.random_state = RandomState(self)
        self.reset_classifier(num_classes)
        self.set_train(False)  # a new cell has the phase "train", under which this mode's graph would be cached

    def embed(self, images: Tensor) -> Tensor:
        """Return class token and patches, each plus its position, (B, 1 + N, C), before dropout.

        Args:
            images: (B, in_channels, H, W), normalised.

        Raises:
            ValueError: The images are not of the model's size or channels, or have no batch axis.
            TypeError: The images are not float32, float16 or bfloat16.
        """
        return self.add_position(join_class_token(self.cls_token, self.patch_embed(images)))

    def hidden_states(self, images: Tensor, cls_token_only: bool = False) -> tuple[Tensor, ...]:
        """Return the tokens after each block, without the last LayerNorm.

        In training, `rng_state` advances by one step if a dropout or stochastic-depth rate is above 0.

        Args:
            images: (B, in_channels, H, W), normalised.
            cls_token_only: Whether the last block computes only its class token, which is all the classifier reads.

        Returns:
            One tensor (B, 1 + N, C) per block, class token first; (B, 1, C) for the last one with `cls_token_only`.

        Raises:
            ValueError, TypeError: As in `embed`.
        """
        factors = self.random_state(images.shape[0])
        x = self.pos_drop(self.embed(images))
        states: tuple[Tensor, ...] = ()
        for block in self.blocks:
            is_last = len(states) == len(self.blocks) - 1
            x = block(x, factors, cls_token_only and is_last)
            states += (x,)
        return states

    def repeated_blocks(self) -> list[list[Block]]:
        """Return lists of blocks whose inputs have the same shapes: one, of all but the last."""
        return [list(self.blocks)[:-1]]

    def attention_inputs(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return the normalised input of each block's attention, (B, 1 + N, C), for `mindcv.insight`; without dropout.

        Images are as for `hidden_states`.
        """
        x = self.embed(images)
        inputs: tuple[Tensor, ...] = ()
        for block in self.blocks:
            inputs += (block.norm1(x),)
            x = block(x)
        return inputs

    def forward_features(self, images: Tensor) -> Tensor:
        """Return the normalised class token (B, C), which the classifier reads, for images (B, in_channels, H, W).

        Images are as for `hidden_states`, and so is what happens to `rng_state` in training.
        """
        states = self.hidden_states(images, cls_token_only=True)
        return self.norm(states[-1][:, 0])

    def forward_head(self, features: Tensor) -> Tensor:
        """Return logits (B, num_classes) for features (B, C), or the features if the model has no classifier."""
        return self.classifier(features)

    def construct(self, images: Tensor) -> Tensor:
        """Return logits (B, num_classes), or features (B, C) without a classifier, for images (B, in_channels, H, W).

        Args:
            images: Normalised, float32, float16 or bfloat16, and of the model's size.

        Raises:
            ValueError: The images are not of the model's size or channels, or have no batch axis.
            TypeError: The images are of another type.
        """
        return self.forward_head(self.forward_features(images))

    def __repr__(self) -> str:
        """Return the model's shape in one line; `mindcv.models.summary` lists its layers."""
        heads, depth = self.blocks[0].attn.num_heads, len(self.blocks)
        size = sum(parameter.size for parameter in self.get_parameters())
        (height, width), (rows, cols) = self.image_size, self.grid_size
        return (
            f"VisionTransformer({depth} MHSA blocks, {heads} heads of width {self.num_features // heads}, "
            f"{height}x{width} images in {rows}x{cols} patches, {self.num_classes} classes, {size:,} parameters)"
        )


def _deit(name: str, pretrained: bool | str, num_classes: int, in_channels: int, kwargs: dict) -> VisionTransformer:
    """Build the variant `name`, a key of `WIDTHS`, in evaluation mode, with the weights that `pretrained` selects.

    `kwargs` are further arguments of VisionTransformer; they may override the variant's `num_heads` and `embed_dim`.
    Errors are as in `build_pretrained`.
    """
    num_heads, embed_dim = WIDTHS[name]
    arguments = {"num_heads": num_heads, "embed_dim": embed_dim, "num_classes": num_classes, "in_channels": in_channels}
    return build_pretrained(VisionTransformer, default_cfgs[name], pretrained, **{**arguments, **kwargs})


@register_model
def deit_tiny(
    pretrained: bool | str = False, num_classes: int = 1000, in_channels: int = 3, **kwargs
) -> VisionTransformer:
    """Build DeiT-Ti: 3 heads of width 64, 5.7 million parameters.

    `pretrained` is False for random weights, True for timm's copy of the authors', "timm" or "fb".
    `num_classes` 0 leaves out the classifier; `kwargs` are other arguments of VisionTransformer; errors are as in
    `create_model`.
    """
    return _deit("deit_tiny", pretrained, num_classes, in_channels, kwargs)


@register_model
def deit_small(
    pretrained: bool | str = False, num_classes: int = 1000, in_channels: int = 3, **kwargs
) -> VisionTransformer:
    """Build DeiT-S: 6 heads of width 64, 22.1 million parameters.

    `pretrained` is False for random weights, True for timm's copy of the authors', "timm" or "fb".
    `num_classes` 0 leaves out the classifier; `kwargs` are other arguments of VisionTransformer; errors are as in
    `create_model`.
    """
    return _deit("deit_small", pretrained, num_classes, in_channels, kwargs)


@register_model
def deit_base(
    pretrained: bool | str = False, num_classes: int = 1000, in_channels: int = 3, **kwargs
) -> VisionTransformer:
    """Build DeiT-B: 12 heads of width 64, 86.6 million parameters.

    `pretrained` is False for random weights, True for timm's copy of the authors', "timm" or "fb".
    `num_classes` 0 leaves out the classifier; `kwargs` are other arguments of VisionTransformer; errors are as in
    `create_model`.
    """
    return _deit("deit_base", pretrained, num_classes, in_channels, kwargs)

"""ViT as DeiT trains it: a vision transformer of self-attention alone, the baseline that ConViT is compared with.

A. Dosovitskiy et al.: "An Image is Worth 16x16 Words", ICLR 2021, arXiv 2010.11929. H. Touvron et al.: "Training
Data-efficient Image Transformers & Distillation through Attention", ICML 2021, arXiv 2012.12877. The model is DeiT's
without the distillation token.

A ConViT with `local_up_to_layer=0` is not this model, although its blocks are the same. There the position embedding
has one vector for each patch and the class token joins the embedded patches without one; here it has 1 + N vectors, and
the class token's is added before the first block. ConViT's queries, keys and values also have no bias by default.

Shapes: B images, N = rows·cols patches, h heads of d channels each, C = h·d channels.
"""

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor, nn, ops
from mindspore.common.initializer import TruncatedNormal, initializer

from mindcv.errors import require_in_range
from mindcv.mindspore_hooks import clear_compile_cache
from mindcv.models.convit import MHSA, Block, _pair
from mindcv.models.layers import Dropout, Linear, Mlp, PatchEmbed, PolicyCell, StochasticDepth, TokenNorm, expand_as

__all__ = ["VisionTransformer"]


class VisionTransformer(PolicyCell):
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
        rng_state: Random state of dropout and stochastic depth, see below.

    Raises:
        ValueError: An argument is out of range, images do not divide into patches, or the device lacks this attention;
            when called: as `PatchEmbed`.
        TypeError: When called: the images are not of a floating type.
    """

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
        if embed_dim % num_heads:
            raise ValueError(
                f"embed_dim {embed_dim} does not divide into num_heads {num_heads}: pass a multiple of {num_heads}"
            )
        dim = embed_dim
        self.num_features = dim
        self.patch_embed = PatchEmbed(_pair(image_size), _pair(patch_size), in_channels, dim)
        self.image_size, self.grid_size = self.patch_embed.image_size, self.patch_embed.grid_size
        num_tokens = 1 + self.grid_size[0] * self.grid_size[1]
        self.cls_token = Parameter(initializer(TruncatedNormal(0.02), (1, 1, dim)), name="cls_token")
        self.pos_embed = Parameter(initializer(TruncatedNormal(0.02), (1, num_tokens, dim)), name="pos_embed")
        self.pos_drop = Dropout(drop_rate, stream=0)

        blocks = []
        for i in range(depth):
            streams = range(4 * i + 1, 4 * i + 5)
            attn = MHSA(dim, num_heads, qkv_bias, attn_drop_rate, drop_rate, attn_impl, streams[:2])
            mlp = Mlp(dim, int(dim * mlp_ratio), act, drop_rate, streams[2:])
            blocks.append(Block(dim, attn, mlp, norm_eps))
        self.blocks = nn.CellList(blocks)
        self.norm = TokenNorm(dim, norm_eps)

        rates = [drop_path_rate * i / max(depth - 1, 1) for i in range(depth) for _branch in range(2)]
        self.stochastic_depth = StochasticDepth(rates, stream=4 * depth + 1) if drop_path_rate else None
        self.is_random = max(drop_rate, attn_drop_rate, drop_path_rate) > 0
        # In a tuple it is hidden from MindSpore, so that the model's parameters are those of published checkpoints.
        seed_and_step = Tensor([np.random.randint(2**31), 0], ms.int32)
        self._rng_state = (Parameter(seed_and_step, name="randomness", requires_grad=False),)
        self.one_step = Tensor([0, 1], ms.int32)
        self.reset_classifier(num_classes)
        self.set_train(False)  # a new cell has the phase "train", under which this mode's graph would be cached

    def reset_classifier(self, num_classes: int) -> None:
        """Replace the classifier by a newly initialised one; call it before `set_precision` and the optimizer.

        The new parameters are other objects than the old ones, with the same names and no dtype policy yet.

        Args:
            num_classes: Classes; 0 removes the classifier, and the model then returns features (B, C).

        Raises:
            ValueError: `num_classes` is negative.
        """
        self.num_classes = require_in_range("num_classes", num_classes, at_least=0)
        self.classifier = Linear(self.num_features, num_classes) if num_classes else nn.Identity()
        self.classifier.update_parameters_name("classifier.")
        clear_compile_cache(self)

    @property
    def rng_state(self) -> Parameter:
        """Random state of dropout and stochastic depth: int32 (seed, step). A checkpoint of a run must include it.

        It is not among `get_parameters()`. The seed is drawn by numpy; each training step adds 1 to the step.
        """
        return self._rng_state[0]

    def no_weight_decay(self) -> set[str]:
        """Return {"pos_embed", "cls_token"}: the parameters, besides the 1-D ones, to exempt from weight decay."""
        return {"pos_embed", "cls_token"}

    def group_matcher(self, coarse: bool = False) -> dict:
        """Return regular expressions that sort parameter names into groups, as timm's models do.

        Args:
            coarse: Ignored; the stem and each block are one group either way.

        Returns:
            "stem": a pattern for the embeddings and the class token. "blocks": a list of two pairs, a pattern whose
            first group is the block's number, with None, and one of the last LayerNorm, with (99999,), which puts it
            into the last block's layer. The classifier matches no pattern.
        """
        del coarse
        return {
            "stem": r"^cls_token|pos_embed|patch_embed",
            "blocks": [(r"^blocks\.(\d+)", None), (r"^norm", (99999,))],
        }

    def embed(self, images: Tensor) -> Tensor:
        """Return class token and patches, each plus its position, (B, 1 + N, C), before dropout.

        Args:
            images: (B, in_channels, H, W), normalised.

        Raises:
            ValueError: The images are not of the model's size or channels, or have no batch axis.
            TypeError: The images are not float32, float16 or bfloat16.
        """
        patches = self.patch_embed(images)
        class_token = ops.broadcast_to(self.cls_token.astype(patches.dtype), (patches.shape[0], 1, -1))
        x = ops.cat((class_token, patches), 1)
        return x + expand_as(self.cast(self.pos_embed, self.policy.residual), x)

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
        rng_state = self.one_step  # unused in evaluation, so that exported graphs contain weights only
        if self.training and self.is_random:
            rng_state = ops.assign(self._rng_state[0], self._rng_state[0] + self.one_step)
        drop_path = ()
        if self.training and self.stochastic_depth is not None:
            drop_path = self.stochastic_depth(rng_state, images.shape[0])

        x = self.pos_drop(self.embed(images), rng_state)
        states = ()
        for block in self.blocks:
            i = len(states)
            is_last = i == len(self.blocks) - 1
            x = block(x, drop_path[2 * i : 2 * i + 2], rng_state, cls_token_only and is_last)
            states += (x,)
        return states

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

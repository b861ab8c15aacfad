"""ConViT: a vision transformer whose attention heads start as convolutions and learn how far to depart from them.

S. d'Ascoli, H. Touvron, M. Leavitt, A. Morcos, G. Biroli, L. Sagun: "ConViT: Improving Vision Transformers with
Soft Convolutional Inductive Biases", ICML 2021, arXiv 2103.10697. Equations, sections and figures cited are theirs.

Shapes: B images, N = rows·cols patches (+ 1 with the class token), h heads of d channels each, C = h·d channels.
"""

import math
import warnings
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor, nn, ops
from mindspore.common.initializer import Constant, initializer

from mindcv.errors import require_in_range
from mindcv.models.convit_family import family
from mindcv.models.convit_weights import WIDTHS, default_cfgs
from mindcv.models.factory import build_pretrained
from mindcv.models.layers import (
    Dropout,
    FlashAttention,
    Linear,
    MatMul,
    Mlp,
    PatchEmbed,
    PolicyCell,
    RandomState,
    RandomWeights,
    Softmax,
    StochasticDepth,
    TokenNorm,
    cast_like,
    expand_as,
    join_class_token,
    join_heads,
    scale,
    split_heads,
)
from mindcv.models.registry import register_model
from mindcv.models.transformer import Transformer

__all__ = [
    "GPSA",
    "MHSA",
    "Block",
    "ConViT",
    "convit_base",
    "convit_base_plus",
    "convit_small",
    "convit_small_plus",
    "convit_tiny",
    "convit_tiny_plus",
]

ATTN_IMPLS = ("separable", "plain", "flash")


class ContentMap(PolicyCell):
    """Compute the attention map softmax(q·kᵀ/√d), (B, h, M, N), of queries (B, h, M, d) and keys (B, h, N, d)."""

    def __init__(self, head_dim: int):
        super().__init__()
        self.scale = head_dim**-0.5
        self.matmul = MatMul(transpose_b=True)
        self.softmax = Softmax()

    def construct(self, q: Tensor, k: Tensor) -> Tensor:
        scores = self.matmul(q * self.scale, k)
        return self.softmax(scores)


class ContentAttention(PolicyCell):
    """Compute softmax(q·kᵀ/√d) v, (B, h, M, d), of queries (B, h, M, d), keys and values (B, h, N, d).

    Args:
        content_map: Computes the softmax.
        drop: Dropout of the map. While it is active, the fused kernel is not used.
        head_dim: d, channels of a head.
        flash: Whether to use Ascend's fused kernel, which stores no map.
    """

    def __init__(self, content_map: ContentMap, drop: Dropout, head_dim: int, flash: bool):
        super().__init__()
        self.content_map = content_map
        self.drop = drop
        self.flash = FlashAttention(head_dim) if flash else None
        self.matmul = MatMul()

    def construct(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Return (B, h, M, d)."""
        if self.flash is not None and not self.drop.is_active():
            return self.flash(q, k, v)
        return self.matmul(self.drop(self.content_map(q, k)), v)


class SelfAttention(PolicyCell):
    """Base class of MHSA and GPSA: projections to queries, keys and values of h heads, and of the heads' output.

    Args:
        dim: C, channels of the tokens.
        num_heads: h, a divisor of C.
        qkv_bias: Whether queries, keys and values have a bias.
        attn_drop_rate: Dropout of the attention maps, in training: a probability in [0, 1).
        drop_rate: Dropout of the output, in training: a probability in [0, 1).
        attn_impl: "separable", "plain" or "flash"; see `GPSA`.
    """

    def __init__(
        self,
        dim: int,
        num_heads: int,
        qkv_bias: bool,
        attn_drop_rate: float,
        drop_rate: float,
        attn_impl: str,
    ):
        super().__init__()
        if attn_impl not in ATTN_IMPLS:
            raise ValueError(f"attn_impl is {attn_impl!r}; it can be {', '.join(map(repr, ATTN_IMPLS))}")
        self.num_heads = num_heads
        self.q = Linear(dim, dim, has_bias=qkv_bias)
        self.k = Linear(dim, dim, has_bias=qkv_bias)
        self.v = Linear(dim, dim, has_bias=qkv_bias)
        head_dim = dim // num_heads
        self.content_map = ContentMap(head_dim)
        self.attn_drop = Dropout(attn_drop_rate)
        self.attend = ContentAttention(self.content_map, self.attn_drop, head_dim, attn_impl == "flash")
        self.proj = Linear(dim, dim)
        self.proj_drop = Dropout(drop_rate)

    def content_attention(self, queries: Tensor, x: Tensor) -> Tensor:
        """Return the map softmax(q·kᵀ/√d), (B, h, M, N), without dropout, whose rows sum to 1.

        q is projected from tokens `queries` (B, M, C), k from tokens `x` (B, N, C).
        """
        return self.content_map(split_heads(self.q(queries), self.num_heads), split_heads(self.k(x), self.num_heads))


class MHSA(SelfAttention):
    """Multi-head self-attention (equations 1 and 2).

    Args:
        dim: C, channels of the tokens.
        num_heads: h, a divisor of C.
        qkv_bias: Whether queries, keys and values have a bias.
        attn_drop_rate: Dropout of the attention maps, in training: a probability in [0, 1).
        drop_rate: Dropout of the output, in training: a probability in [0, 1).
        attn_impl: "flash" for Ascend's fused attention in half precision; "separable" and "plain" are the same here.

    Raises:
        ValueError: `attn_impl` is unknown or not available on this device, or a rate is out of range.
    """

    def attention_maps(self, x: Tensor) -> tuple[Tensor, None, Tensor]:
        """Return the map of content (B, h, N, N) for tokens `x` (B, N, C), None for position, and the content again."""
        content = self.content_attention(x, x)
        return content, None, content

    def construct(self, queries: Tensor, x: Tensor) -> Tensor:
        """Return (B, M, C): what tokens `queries` (B, M, C) attend to among tokens `x` (B, N, C)."""
        q = split_heads(self.q(queries), self.num_heads)
        k = split_heads(self.k(x), self.num_heads)
        v = split_heads(self.v(x), self.num_heads)

        attended = self.attend(q, k, v)  # softmax(q·kᵀ/√d) v
        return self.proj_drop(self.proj(join_heads(attended)))


class GPSA(SelfAttention):
    """Gated positional self-attention (equation 7): each head mixes attention to content with attention to an offset.

    The map of a head is (1 − σ(λ))·softmax(q·kᵀ/√d) + σ(λ)·softmax(w·r), with r = (Δx, Δy, Δx² + Δy²) from query
    to key, in patches. Two exact identities make it cheap:

    - the positional score is the sum of a part in Δx and a part in Δy, so its softmax over the grid is the Kronecker
      product of two small softmaxes, A_y ⊗ A_x, which act on the grid's rows and columns in turn;
    - the rows of both maps sum to 1, so the mixture needs no renormalisation and the gate can move behind the values:

          out = (1 − σ(λ)) · softmax(q·kᵀ/√d) v  +  σ(λ) · (A_y ⊗ A_x) v

    `attn_impl="separable"` computes this formula and never stores a positional or a mixed N × N map. "flash" does too,
    and leaves the content term to Ascend's fused kernel, which stores no map at all. "plain" builds the maps as the
    paper writes them. Attention dropout acts on the mixed map, so while it is active the plain path is taken.

    `pos_proj.bias` exists only to match published checkpoints: it adds a constant to all scores of a row, so the
    softmax does not depend on it, and it is not used.

    Args:
        dim: C, channels of the tokens.
        num_heads: h, a divisor of C.
        grid_size: Rows and columns of patches.
        qkv_bias: Whether queries, keys and values have a bias.
        attn_drop_rate: Dropout of the attention maps, in training: a probability in [0, 1).
        drop_rate: Dropout of the output, in training: a probability in [0, 1).
        locality_strength: α of equation 8: the larger, the more sharply a head attends to its offset at the start.
            None leaves out the convolutional initialisation.
        gate_init: Initial λ of every head; its gate is σ(λ).
        attn_impl: "separable", "plain" or "flash".

    Raises:
        ValueError: `attn_impl` is unknown or not available on this device, or a rate is out of range.
    """

    uncalled_layers = ("pos_proj",)  # whose weights are read

    def __init__(
        self,
        dim: int,
        num_heads: int,
        grid_size: tuple[int, int],
        qkv_bias: bool,
        attn_drop_rate: float,
        drop_rate: float,
        locality_strength: float | None,
        gate_init: float,
        attn_impl: str,
    ):
        super().__init__(dim, num_heads, qkv_bias, attn_drop_rate, drop_rate, attn_impl)
        self.grid_size = grid_size
        self.separable = attn_impl != "plain"
        self.softmax = Softmax()
        self.matmul = MatMul()
        self.gating_param = Parameter(initializer(Constant(gate_init), (num_heads,)), name="gating_param")
        self.pos_proj = Linear(3, num_heads)
        self.row_offsets, self.col_offsets = (
            Tensor(np.subtract.outer(np.arange(side), np.arange(side)).T, ms.float32) for side in grid_size
        )
        if locality_strength is not None:
            self.init_locality(locality_strength)

    def init_locality(self, locality_strength: float) -> None:
        """Initialise as a convolution (section 3): values are passed on unchanged, head i attends to one offset.

        It overwrites `v.weight` and `pos_proj.weight`. The offsets are those of a k × k kernel, k = ⌊√h⌋: head i < k²
        attends to (Δx, Δy) = (i // k, i mod k) − (k − 1) / 2. Heads beyond the first k² keep their small random
        positional weights, so they attend almost uniformly.

        Args:
            locality_strength: α of equation 8.
        """
        dim = self.v.weight.shape[0]
        self.v.weight.set_data(Tensor(np.eye(dim), ms.float32))
        side = math.isqrt(self.num_heads)
        centre = (side - 1) / 2
        weight = self.pos_proj.weight.asnumpy().copy()
        for head in range(side * side):
            dx, dy = head // side - centre, head % side - centre
            weight[head] = locality_strength * np.array([2 * dx, 2 * dy, -1])
        self.pos_proj.weight.set_data(Tensor(weight))

    def gate(self) -> Tensor:
        """Return σ(λ), float32 (h, 1, 1): the weight of position in each head's attention, between 0 and 1."""
        return ops.sigmoid(self.gating_param).reshape(-1, 1, 1)

    def mix(self, content: Tensor, position: Tensor) -> Tensor:
        """Return (1 − σ(λ)) · content + σ(λ) · position, (…, h, N, N), for maps (…, h, N, N) and (h, N, N)."""
        gate = expand_as(cast_like(self.gate(), content), content)
        return (1 - gate) * content + gate * position

    def axis_attention(self) -> tuple[Tensor, Tensor]:
        """Return A_y (h, rows, rows) and A_x (h, cols, cols): each head's positional attention along both axes.

        Axes are head, query, key; rows sum to 1. The positional map of the whole grid is A_y ⊗ A_x.
        """
        return self.axis_softmax(self.row_offsets, self.col_offsets)

    def axis_softmax(self, dy: Tensor, dx: Tensor) -> tuple[Tensor, Tensor]:
        """Return the softmaxes of each head's positional scores along y and along x.

        Args:
            dy: Offsets (m, n) along y, key minus query, in patches; the softmax is over the last axis.
            dx: The same along x, of any (m, n).

        Returns:
            (h, m, n) for `dy`, and (h, m, n) for `dx`.
        """
        w_dx, w_dy, w_dist2 = ops.unstack(self.pos_proj.weight.reshape(-1, 3, 1, 1), 1)
        scores_y = w_dy * dy + w_dist2 * dy**2
        scores_x = w_dx * dx + w_dist2 * dx**2
        return self.softmax(scores_y), self.softmax(scores_x)

    def positional_attention(self) -> Tensor:
        """Return the positional map softmax(w·r), (h, N, N), computed over all keys at once as the paper writes it.

        Axes are head, query, key, with patches in row-major order; every row sums to 1. No image enters.
        """
        w_dx, w_dy, w_dist2 = ops.unstack(self.pos_proj.weight.reshape(-1, 3, 1, 1, 1, 1), 1)
        rows, cols = self.grid_size
        dy = self.row_offsets.reshape(rows, 1, rows, 1)
        dx = self.col_offsets.reshape(1, cols, 1, cols)
        scores = w_dx * dx + w_dy * dy + w_dist2 * (dx**2 + dy**2)
        scores = scores.reshape(self.num_heads, rows * cols, rows * cols)
        return self.softmax(scores)

    def attention_maps(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the maps of content (B, h, N, N), of position (h, N, N) and mixed (B, h, N, N), without dropout.

        They are those of the patches' tokens `x` (B, N, C).
        """
        content, position = self.content_attention(x, x), self.positional_attention()
        return content, position, self.mix(content, position)

    def mixed_attention(self, x: Tensor) -> Tensor:
        """Return the maps (1 − σ(λ)) · content + σ(λ) · position (equation 7), (B, h, N, N), for tokens `x` (B, N, C).

        Dropout is not applied.
        """
        return self.attention_maps(x)[2]

    def positional_attend(self, v: Tensor, gate: Tensor) -> Tensor:
        """Return gate · (A_y ⊗ A_x) v, (B, h, N, d), in N·(rows + cols)·d products per head instead of N²·d.

        Args:
            v: Values (B, h, N, d).
            gate: A factor for each head, (h, 1, 1).
        """
        a_y, a_x = self.axis_attention()
        a_y = a_y * cast_like(gate, a_y)
        rows, cols = self.grid_size
        a_y = ops.broadcast_to(a_y, v.shape[:2] + (rows, rows))
        a_x = ops.broadcast_to(a_x.expand_dims(1), v.shape[:2] + (rows, cols, cols))
        over_rows = self.matmul(a_y, v.reshape(v.shape[:2] + (rows, -1)))
        over_cols = self.matmul(a_x, over_rows.reshape(v.shape[:2] + (rows, cols, -1)))
        return over_cols.reshape(v.shape)

    def construct(self, queries: Tensor, x: Tensor) -> Tensor:
        """Return (B, N, C) for the patches' tokens `x` (B, N, C), N = rows·cols. All of them ask: `queries` is `x`."""
        q = split_heads(self.q(queries), self.num_heads)
        k = split_heads(self.k(x), self.num_heads)
        v = split_heads(self.v(x), self.num_heads)

        if self.separable and not self.attn_drop.is_active():
            gate = self.gate()  # σ(λ)
            content = self.attend(q, k, v)  # softmax(q·kᵀ/√d) v
            position = self.positional_attend(v, gate)  # σ(λ)·(A_y ⊗ A_x) v
            attended = scale(content, 1 - gate) + position
        else:
            attention = self.mix(self.content_map(q, k), self.positional_attention())  # equation 7
            attended = self.matmul(self.attn_drop(attention), v)
        return self.proj_drop(self.proj(join_heads(attended)))


class Block(PolicyCell):
    """Transformer block (figure 1): x + attn(norm1(x)), then x + mlp(norm2(x)).

    Args:
        dim: C, channels of the tokens.
        attn: MHSA or GPSA.
        mlp: The perceptron.
        norm_eps: Epsilon of the LayerNorms.
        drop_path_rate: Stochastic depth of both branches, in training: a probability in [0, 1).
    """

    def __init__(self, dim: int, attn: SelfAttention, mlp: Mlp, norm_eps: float, drop_path_rate: float):
        super().__init__()
        self.norm1 = TokenNorm(dim, norm_eps)
        self.attn = attn
        self.drop_path1 = StochasticDepth(drop_path_rate)
        self.norm2 = TokenNorm(dim, norm_eps)
        self.mlp = mlp
        self.drop_path2 = StochasticDepth(drop_path_rate)

    def construct(self, x: Tensor, factors: tuple[Tensor, ...] = (), cls_token_only: bool = False) -> Tensor:
        """Return (B, N, C) for tokens `x` (B, N, C), or with `cls_token_only` the class token's output (B, 1, C).

        `factors` is what the model's `RandomState` returned for this forward pass; only training needs it. The class
        token is the first of `x`; `cls_token_only` is for MHSA blocks.
        """
        tokens = self.norm1(x)
        queries = tokens
        if cls_token_only:
            x, queries = x[:, :1], tokens[:, :1]
        x = x + self.drop_path1(self.attn(queries, tokens), factors)
        return x + self.drop_path2(self.mlp(self.norm2(x)), factors)


class ConViT(Transformer):
    """ConViT: GPSA blocks on the patches, then MHSA blocks on class token and patches, then a linear classifier.

    A new model has random weights and is in evaluation mode. Heads narrower than 16 channels give a warning.

    Args:
        in_channels: Channels of the images.
        num_classes: Classes; 0 for a model without a classifier.
        image_size: Side of the images in pixels, or (height, width).
        patch_size: Side of a patch in pixels, or (height, width); must divide the image's.
        embed_dim: C, channels of the tokens, as in MindCV; in timm the argument is the width of one head, C / h.
        num_heads: h, heads of every block; must divide `embed_dim`. The first ⌊√h⌋² start as a convolution kernel.
        drop_rate: Dropout after the position embedding, projections and perceptron layers, in training, in [0, 1).
        drop_path_rate: Stochastic depth of the last block, in [0, 1); it grows linearly from 0 in the first block.
        depth: Blocks.
        mlp_ratio: Hidden width of the perceptrons over C.
        qkv_bias: Whether queries, keys and values have a bias.
        attn_drop_rate: Dropout of the attention maps, in training, in [0, 1).
        local_up_to_layer: Number of GPSA blocks, 0 to depth − 1; the class token joins after them.
        use_pos_embed: Whether a learned embedding (1, N, C) is added to the patches.
        locality_strength: α of equation 8: the larger, the more sharply a head attends to its offset at the start.
        conv_init: Whether GPSA blocks start as convolutions; else their values and positional weights are random.
        gate_init: Initial λ of GPSA's gates σ(λ); the paper's ablation without gating freezes them at 0.
        norm_eps: Epsilon of the LayerNorms; 1e-7 for MindCV's released weights.
        act: "gelu", or "gelu_tanh" for weights trained with that approximation (MindCV's).
        attn_impl: "separable"; "plain" for GPSA as the paper writes it; or "flash" for the separable form in half
            precision with Ascend's fused attention.

    Attributes:
        num_features: C, channels of the features that the classifier reads.
        grid_size: Rows and columns of patches.
        num_prefix_tokens: 1, for the class token, which joins after the GPSA blocks.
        rng_state: Random state of dropout and stochastic depth, see below.

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
        embed_dim: int = 576,
        num_heads: int = 12,
        drop_rate: float = 0.0,
        drop_path_rate: float = 0.1,
        depth: int = 12,
        mlp_ratio: float = 4.0,
        qkv_bias: bool = False,
        attn_drop_rate: float = 0.0,
        local_up_to_layer: int = 10,
        use_pos_embed: bool = True,
        locality_strength: float = 1.0,
        conv_init: bool = True,
        gate_init: float = 1.0,
        norm_eps: float = 1e-6,
        act: str = "gelu",
        attn_impl: str = "separable",
    ):
        super().__init__()
        for name, count in [("in_channels", in_channels), ("embed_dim", embed_dim), ("num_heads", num_heads)]:
            require_in_range(name, count, at_least=1)
        if not 0 <= local_up_to_layer < depth:
            raise ValueError(
                f"local_up_to_layer is {local_up_to_layer} of {depth} blocks; it can be 0 to {depth - 1}, "
                "because the class token needs at least one MHSA block"
            )
        require_in_range("mlp_ratio", mlp_ratio, at_least=1 / embed_dim, below=math.inf)
        for name, number in [("locality_strength", locality_strength), ("gate_init", gate_init)]:
            require_in_range(name, number, above=-math.inf, below=math.inf)
        if embed_dim % num_heads:
            raise ValueError(
                f"embed_dim {embed_dim} does not divide into num_heads {num_heads}: it is the width of all heads "
                f"together, as in MindCV; pass a multiple of {num_heads}"
            )
        if embed_dim // num_heads < 16:
            warnings.warn(
                f"embed_dim {embed_dim} with num_heads {num_heads} makes heads of width {embed_dim // num_heads}: "
                f"embed_dim is the width of all heads together, as in MindCV; for timm's width of one head pass "
                f"embed_dim={embed_dim * num_heads}",
                stacklevel=2,
            )
        dim = embed_dim
        self.in_channels, self.num_features = in_channels, dim
        self.local_up_to_layer = local_up_to_layer
        self.patch_embed = PatchEmbed(image_size, patch_size, in_channels, dim)
        self.image_size, self.grid_size = self.patch_embed.image_size, self.patch_embed.grid_size
        self.cls_token = Parameter(initializer(RandomWeights(), (1, 1, dim)), name="cls_token")
        self.use_pos_embed = use_pos_embed
        if use_pos_embed:
            shape = (1, self.grid_size[0] * self.grid_size[1], dim)
            self.pos_embed = Parameter(initializer(RandomWeights(), shape), name="pos_embed")
        self.pos_drop = Dropout(drop_rate)

        common: dict[str, Any] = {
            "dim": dim, "num_heads": num_heads, "qkv_bias": qkv_bias,
            "attn_drop_rate": attn_drop_rate, "drop_rate": drop_rate, "attn_impl": attn_impl,
        }  # fmt: skip
        positional: dict[str, Any] = {
            "grid_size": self.grid_size,
            "locality_strength": locality_strength if conv_init else None,
            "gate_init": gate_init,
        }
        blocks = []
        for i in range(depth):
            attn = GPSA(**common, **positional) if i < local_up_to_layer else MHSA(**common)
            mlp = Mlp(dim, int(dim * mlp_ratio), act, drop_rate)
            blocks.append(Block(dim, attn, mlp, norm_eps, drop_path_rate * i / max(depth - 1, 1)))
        self.blocks = nn.CellList(blocks)
        self.norm = TokenNorm(dim, norm_eps)

        self.random_state = RandomState(self)
        self.reset_classifier(num_classes)
        self.set_train(False)  # a new cell has the phase "train", under which this mode's graph would be cached

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of patches: a deprecated name of `grid_size`, which warns."""
        warnings.warn("ConViT.grid is deprecated: use grid_size", DeprecationWarning, stacklevel=2)
        return self.grid_size

    def freezable_parts(self) -> dict[str, str]:
        """Return regular expressions that find, in parameter names, the parts that only this family can freeze.

        "gates": the gating parameters λ. "gpsa": all parameters of GPSA layers, so that of the first blocks only norms
        and perceptrons are trained.
        """
        gpsa = "|".join(map(str, range(self.local_up_to_layer))) or "(?!)"
        return {"gates": r"\.gating_param$", "gpsa": rf"^blocks\.({gpsa})\.attn\."}

    def embed(self, images: Tensor) -> Tensor:
        """Return patch plus position embedding, (B, N, C), before dropout, for images (B, in_channels, H, W).

        Raises:
            ValueError: The images are not of the model's size or channels, or have no batch axis.
            TypeError: The images are not float32, float16 or bfloat16.
        """
        x = self.patch_embed(images)
        return self.add_position(x) if self.use_pos_embed else x

    def hidden_states(self, images: Tensor, cls_token_only: bool = False) -> tuple[Tensor, ...]:
        """Return the tokens after each block, without the last LayerNorm.

        In training, `rng_state` advances by one step if a dropout or stochastic-depth rate is above 0.

        Args:
            images: (B, in_channels, H, W), normalised.
            cls_token_only: Whether the last block computes only its class token, which is all the classifier reads.

        Returns:
            One tensor per block: (B, N, C) for GPSA blocks; (B, 1 + N, C), class token first, for MHSA blocks; and
            (B, 1, C) for the last block with `cls_token_only`.

        Raises:
            ValueError: The images are not of the model's size or channels, or have no batch axis.
            TypeError: The images are not float32, float16 or bfloat16.
        """
        factors = self.random_state(images.shape[0])
        x = self.pos_drop(self.embed(images))
        states: tuple[Tensor, ...] = ()
        for block in self.blocks:
            if len(states) == self.local_up_to_layer:
                x = join_class_token(self.cls_token, x)
            is_last = len(states) == len(self.blocks) - 1
            x = block(x, factors, cls_token_only and is_last)
            states += (x,)
        return states

    def repeated_blocks(self) -> list[list[Block]]:
        """Return lists of blocks whose inputs have the same shapes: GPSA blocks, and MHSA blocks but for the last."""
        blocks, gpsa = list(self.blocks), self.local_up_to_layer
        return [blocks[:gpsa], blocks[gpsa:-1]]

    def attention_inputs(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return the normalised input of each block's attention, for `mindcv.insight`; without dropout.

        Images are as for `hidden_states`; the inputs have the shapes of its tokens.
        """
        x = self.embed(images)
        inputs: tuple[Tensor, ...] = ()
        for block in self.blocks:
            if len(inputs) == self.local_up_to_layer:
                x = join_class_token(self.cls_token, x)
            inputs += (block.norm1(x),)
            x = block(x)
        return inputs

    def forward_features(self, images: Tensor) -> Tensor:
        """Return the normalised class token (B, C), which the classifier reads, for images (B, in_channels, H, W).

        Images are normalised. In training, `rng_state` advances by one step if a dropout or stochastic-depth rate is
        above 0. Images of another shape are a ValueError, those of another type than a float a TypeError.
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
        gpsa, heads = self.local_up_to_layer, self.blocks[0].attn.num_heads
        size = sum(parameter.size for parameter in self.get_parameters())
        (height, width), (rows, cols) = self.image_size, self.grid_size
        return (
            f"ConViT({gpsa} GPSA and {len(self.blocks) - gpsa} MHSA blocks, {heads} heads of width "
            f"{self.num_features // heads}, {height}x{width} images in {rows}x{cols} patches, "
            f"{self.num_classes} classes, {size:,} parameters)"
        )


def _convit(name: str, pretrained: bool | str, num_classes: int, in_channels: int, kwargs: dict) -> ConViT:
    """Build the variant `name`, in evaluation mode, with the published weights that `pretrained` selects.

    Args:
        name: Key of `WIDTHS` and `default_cfgs`.
        pretrained: False for random weights, True for MindCV's, or the name of a source, such as "fb".
        num_classes: Classes; 0 for no classifier.
        in_channels: Channels of the images.
        kwargs: Further arguments of ConViT; they may override the variant's `num_heads` and `embed_dim`.

    Raises:
        TypeError: ConViT has no such argument, or one is not of its type.
        ValueError: An argument is out of range, or there are no such published weights.
        OSError: The weights cannot be downloaded.
    """
    num_heads, embed_dim = WIDTHS[name]
    arguments = {"num_heads": num_heads, "embed_dim": embed_dim, "num_classes": num_classes, "in_channels": in_channels}
    return build_pretrained(ConViT, default_cfgs[name], pretrained, **{**arguments, **kwargs})


@register_model
def convit_tiny(pretrained: bool | str = False, num_classes: int = 1000, in_channels: int = 3, **kwargs) -> ConViT:
    """Build ConViT-Ti: 4 heads of width 48, 5.7 million parameters.

    `pretrained` is False for random weights, True for MindCV's, "mindcv-910v2", "fb" or "timm".
    `num_classes` 0 leaves out the classifier; `kwargs` are other arguments of ConViT, an unknown one is a TypeError.
    A wrong value, or weights that do not exist, are a ValueError; a failed download is an OSError.
    """
    return _convit("convit_tiny", pretrained, num_classes, in_channels, kwargs)


@register_model
def convit_tiny_plus(pretrained: bool | str = False, num_classes: int = 1000, in_channels: int = 3, **kwargs) -> ConViT:
    """Build ConViT-Ti+: 4 heads of width 64, 10.0 million parameters.

    `pretrained` is False for random weights, or True for MindCV's, the only ones published.
    `num_classes` 0 leaves out the classifier; `kwargs` are other arguments of ConViT, an unknown one is a TypeError.
    A wrong value, or weights that do not exist, are a ValueError; a failed download is an OSError.
    """
    return _convit("convit_tiny_plus", pretrained, num_classes, in_channels, kwargs)


@register_model
def convit_small(pretrained: bool | str = False, num_classes: int = 1000, in_channels: int = 3, **kwargs) -> ConViT:
    """Build ConViT-S: 9 heads of width 48, 27.8 million parameters.

    `pretrained` is False for random weights, True for MindCV's, "fb" or "timm".
    `num_classes` 0 leaves out the classifier; `kwargs` are other arguments of ConViT, an unknown one is a TypeError.
    A wrong value, or weights that do not exist, are a ValueError; a failed download is an OSError.
    """
    return _convit("convit_small", pretrained, num_classes, in_channels, kwargs)


@register_model
def convit_small_plus(
    pretrained: bool | str = False, num_classes: int = 1000, in_channels: int = 3, **kwargs
) -> ConViT:
    """Build ConViT-S+: 9 heads of width 64, 49.0 million parameters.

    `pretrained` is False for random weights, or True for MindCV's, the only ones published.
    `num_classes` 0 leaves out the classifier; `kwargs` are other arguments of ConViT, an unknown one is a TypeError.
    A wrong value, or weights that do not exist, are a ValueError; a failed download is an OSError.
    """
    return _convit("convit_small_plus", pretrained, num_classes, in_channels, kwargs)


@register_model
def convit_base(pretrained: bool | str = False, num_classes: int = 1000, in_channels: int = 3, **kwargs) -> ConViT:
    """Build ConViT-B: 16 heads of width 48, 86.5 million parameters.

    `pretrained` is False for random weights, True for MindCV's, "fb" or "timm".
    `num_classes` 0 leaves out the classifier; `kwargs` are other arguments of ConViT, an unknown one is a TypeError.
    A wrong value, or weights that do not exist, are a ValueError; a failed download is an OSError.
    """
    return _convit("convit_base", pretrained, num_classes, in_channels, kwargs)


@register_model
def convit_base_plus(pretrained: bool | str = False, num_classes: int = 1000, in_channels: int = 3, **kwargs) -> ConViT:
    """Build ConViT-B+: 16 heads of width 64, 153.1 million parameters.

    `pretrained` is False for random weights, or True for MindCV's, the only ones published.
    `num_classes` 0 leaves out the classifier; `kwargs` are other arguments of ConViT, an unknown one is a TypeError.
    A wrong value, or weights that do not exist, are a ValueError; a failed download is an OSError.
    """
    return _convit("convit_base_plus", pretrained, num_classes, in_channels, kwargs)

"""ConViT: a vision transformer whose heads start as convolutions and choose how far to leave.

S. d'Ascoli, H. Touvron, M. Leavitt, A. Morcos, G. Biroli, L. Sagun: "ConViT: Improving Vision Transformers with
Soft Convolutional Inductive Biases", ICML 2021, arXiv 2103.10697. Equations and figures cited below are its.

Shapes: B images, N = rows·cols patches (+ 1 with the class token), h heads of width d, C = h·d channels.
"""

import math
import warnings
from difflib import get_close_matches
from inspect import signature

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor, nn, ops
from mindspore.common.initializer import TruncatedNormal, initializer

from mindcv.models.factory import build_pretrained
from mindcv.models.layers import (
    Dropout,
    FlashAttention,
    Linear,
    MatMul,
    Mixed,
    Mlp,
    PatchEmbed,
    Softmax,
    StochasticDepth,
    TokenNorm,
    join_heads,
    split_heads,
    spread,
)
from mindcv.models.registry import register_model

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

ATTENTION = ("separable", "plain", "flash")


class ContentMaps(Mixed):
    """softmax(q·kᵀ/√d) of queries (B, h, M, d) and keys (B, h, N, d): maps (B, h, M, N) (equation 2)."""

    def __init__(self, width: int):
        super().__init__()
        self.scale = width**-0.5
        self.multiply = MatMul(transpose_b=True)
        self.softmax = Softmax()

    def construct(self, q: Tensor, k: Tensor) -> Tensor:
        scores = self.multiply(q * self.scale, k)
        return self.softmax(self.cast(scores, self.exact))


class ContentAttention(Mixed):
    """softmax(q·kᵀ/√d) v of queries (B, h, M, d), keys and values (B, h, N, d): (B, h, M, d).

    Args:
        maps: Computes the softmax.
        drop: Dropout of the maps; where it is active, `flash` is not used.
        width: d of a head.
        flash: Whether Ascend's fused kernel computes it, without maps.
    """

    def __init__(self, maps: ContentMaps, drop: Dropout, width: int, flash: bool):
        super().__init__()
        self.maps = maps
        self.drop = drop
        self.flash = FlashAttention(width) if flash else None
        self.multiply = MatMul()

    def construct(self, q: Tensor, k: Tensor, v: Tensor, rng_state: Tensor) -> Tensor:
        if self.flash is not None and not self.drop.is_active():
            return self.flash(q, k, v)
        maps = self.drop(self.maps(q, k), rng_state)
        return self.multiply(maps, v)


class SelfAttention(Mixed):
    """What both kinds of attention have: queries, keys and values of h heads, and the projection of their output.

    Args:
        dim: C, channels of the tokens.
        num_heads: h, a divisor of C.
        qkv_bias: Whether queries, keys and values have a bias.
        attn_drop_rate: Dropout of the attention maps, in training.
        drop_rate: Dropout of the output, in training.
        attn_impl: "separable", "plain" or "flash".
        streams: Names of the two dropouts' random streams.
    """

    def __init__(self, dim, num_heads, qkv_bias, attn_drop_rate, drop_rate, attn_impl, streams):
        super().__init__()
        if attn_impl not in ATTENTION:
            raise ValueError(f"attn_impl is {attn_impl!r}; it can be {', '.join(map(repr, ATTENTION))}")
        self.num_heads = num_heads
        self.q = Linear(dim, dim, has_bias=qkv_bias)
        self.k = Linear(dim, dim, has_bias=qkv_bias)
        self.v = Linear(dim, dim, has_bias=qkv_bias)
        self.content_maps = ContentMaps(dim // num_heads)
        self.attn_drop = Dropout(attn_drop_rate, streams[0])
        self.attend = ContentAttention(self.content_maps, self.attn_drop, dim // num_heads, attn_impl == "flash")
        self.proj = Linear(dim, dim)
        self.proj_drop = Dropout(drop_rate, streams[1])

    def content_attention(self, queries: Tensor, x: Tensor) -> Tensor:
        """softmax(q·kᵀ/√d) from `queries` (B, M, C) to all tokens `x` (B, N, C): (B, h, M, N)."""
        return self.content_maps(split_heads(self.q(queries), self.num_heads), split_heads(self.k(x), self.num_heads))


class MHSA(SelfAttention):
    """Multi-head self-attention (equations 1 and 2)."""

    def construct(self, x: Tensor, rng_state: Tensor, cls_token_only: bool = False) -> Tensor:
        """Tokens (B, N, C) to (B, N, C), or with `cls_token_only` to the first token's output, (B, 1, C)."""
        queries = x[:, :1] if cls_token_only else x
        q = split_heads(self.q(queries), self.num_heads)
        k = split_heads(self.k(x), self.num_heads)
        v = split_heads(self.v(x), self.num_heads)
        attended = self.attend(q, k, v, rng_state)
        return self.proj_drop(self.proj(join_heads(attended)), rng_state)


class GPSA(SelfAttention):
    """Gated positional self-attention (equation 7): each head mixes looking at content with looking at an offset.

    The map of a head is (1 − σ(λ))·softmax(q·kᵀ/√d) + σ(λ)·softmax(w·r), with r = (Δx, Δy, Δx² + Δy²) from query
    to key, in patches. Two exact identities make it cheap:

    - the positional score is a sum of a part in Δx and a part in Δy, so its softmax over the grid is the Kronecker
      product of two small softmaxes, A_y ⊗ A_x, which act on the grid's rows and columns in turn;
    - both maps' rows sum to 1, so the mixture needs no renormalising and the gate can move behind the values.

    So `attn_impl="separable"` never stores a positional or a mixed N × N map, and `attn_impl="flash"`, which
    leaves the content half to Ascend's fused kernel, stores none at all. `attn_impl="plain"` builds the maps as the
    paper writes them; attention dropout, which acts on the mixed map, always takes that path in training.

    `pos_proj.bias` is there for the checkpoints' sake: softmax is blind to it, so it enters no path.

    Args:
        grid: Rows and columns of patches.
        locality_strength: α of equation 8, how narrowly heads start to look.
    """

    def __init__(
        self, dim, num_heads, grid, qkv_bias, attn_drop_rate, drop_rate, locality_strength, attn_impl, streams
    ):
        super().__init__(dim, num_heads, qkv_bias, attn_drop_rate, drop_rate, attn_impl, streams)
        self.grid_size = grid
        self.separable = attn_impl != "plain"
        self.softmax = Softmax()
        self.multiply = MatMul()
        self.gating_param = Parameter(initializer("ones", (num_heads,)), name="gating_param")
        self.pos_proj = Linear(3, num_heads)
        self.row_offsets, self.col_offsets = (
            Tensor(np.subtract.outer(np.arange(side), np.arange(side)).T, ms.float32) for side in grid
        )
        self.init_locality(locality_strength)

    def init_locality(self, locality_strength: float):
        """Set the paper's start (section 3): values passed on unchanged, head i looking at offset i of a k × k kernel.

        k = ⌊√h⌋. When h is no square, the heads past k² keep their small random scores and look nearly everywhere
        alike.
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
        """σ(λ), (h, 1, 1): the share of position in each head's attention."""
        return ops.sigmoid(self.gating_param).reshape(-1, 1, 1)

    def mix(self, content: Tensor, position: Tensor) -> Tensor:
        """(1 − σ(λ)) · content + σ(λ) · position, of maps (…, h, N, N)."""
        gate = spread(self.gate().astype(content.dtype), content)
        return (1 - gate) * content + gate * position

    def axis_attention(self) -> tuple[Tensor, Tensor]:
        """A_y (h, rows, rows) and A_x (h, cols, cols): where each head looks along either side of the grid."""
        return self.attention_at(self.row_offsets, self.col_offsets)

    def attention_at(self, dy: Tensor, dx: Tensor) -> tuple[Tensor, Tensor]:
        """Each head's attention among the offsets in a row of `dy` (m, n), and of `dx`: (h, m, n) both."""
        to_x, to_y, to_far = ops.unstack(self.pos_proj.weight.reshape(-1, 3, 1, 1), 1)
        along_y, along_x = to_y * dy + to_far * dy**2, to_x * dx + to_far * dx**2
        return self.softmax(self.cast(along_y, self.exact)), self.softmax(self.cast(along_x, self.exact))

    def positional_attention(self) -> Tensor:
        """softmax(w·r), (h, N, N), as the paper writes it: over all keys at once."""
        to_x, to_y, to_far = ops.unstack(self.pos_proj.weight.reshape(-1, 3, 1, 1, 1, 1), 1)
        rows, cols = self.grid_size
        dy = self.row_offsets.reshape(rows, 1, rows, 1)
        dx = self.col_offsets.reshape(1, cols, 1, cols)
        scores = to_x * dx + to_y * dy + to_far * (dx**2 + dy**2)
        scores = scores.reshape(self.num_heads, rows * cols, rows * cols)
        return self.softmax(self.cast(scores, self.exact))

    def mixed_attention(self, x: Tensor) -> Tensor:
        """The maps of equation 7, (B, h, N, N)."""
        return self.mix(self.content_attention(x, x), self.positional_attention())

    def apply_position(self, v: Tensor, share: Tensor) -> Tensor:
        """share · (A_y ⊗ A_x) v for values (B, h, N, d), in N·(rows + cols)·d products a head instead of N²·d."""
        along_y, along_x = self.axis_attention()
        along_y = along_y * share.astype(along_y.dtype)
        rows, cols = self.grid_size
        along_y = ops.broadcast_to(along_y, v.shape[:2] + (rows, rows))
        along_x = ops.broadcast_to(along_x.expand_dims(1), v.shape[:2] + (rows, cols, cols))
        over_rows = self.multiply(along_y, v.reshape(v.shape[:2] + (rows, -1)))
        over_cols = self.multiply(along_x, over_rows.reshape(v.shape[:2] + (rows, cols, -1)))
        return over_cols.reshape(v.shape)

    def construct(self, x: Tensor, rng_state: Tensor, cls_token_only: bool = False) -> Tensor:
        """Patches' tokens (B, N, C) to (B, N, C); `cls_token_only` is MHSA's, and False here."""
        q = split_heads(self.q(x), self.num_heads)
        k = split_heads(self.k(x), self.num_heads)
        v = split_heads(self.v(x), self.num_heads)
        if self.separable and not self.attn_drop.is_active():
            gate = self.gate()
            content = self.attend(q, k, v, rng_state)
            mixed = spread((1 - gate).astype(content.dtype), content) * content + self.apply_position(v, gate)
        else:
            maps = self.mix(self.content_maps(q, k), self.positional_attention())
            mixed = self.multiply(self.attn_drop(maps, rng_state), v)
        return self.proj_drop(self.proj(join_heads(mixed)), rng_state)


class Block(Mixed):
    """Attention and perceptron, each behind a LayerNorm and beside a residual connection (figure 1)."""

    def __init__(self, dim: int, attn: SelfAttention, mlp: Mlp, norm_eps: float):
        super().__init__()
        self.norm1 = TokenNorm(dim, norm_eps)
        self.attn = attn
        self.norm2 = TokenNorm(dim, norm_eps)
        self.mlp = mlp

    def construct(self, x: Tensor, scales: tuple, rng_state: Tensor, cls_token_only: bool = False) -> Tensor:
        """Tokens (B, N, C) to (B, N, C); of an MHSA block, with `cls_token_only`, to the class token's (B, 1, C).

        `scales` are the two branches' stochastic-depth factors (B, 1, 1), or empty.
        """
        branch = self.attn(self.norm1(x), rng_state, cls_token_only)
        if cls_token_only:
            x = x[:, :1]
        x = x + (branch * spread(self.cast(scales[0], self.other), branch) if scales else branch)
        branch = self.mlp(self.norm2(x), rng_state)
        return x + (branch * spread(self.cast(scales[1], self.other), branch) if scales else branch)


class ConViT(Mixed):
    """GPSA blocks on the patches, then MHSA blocks on patches and class token, then a linear classifier.

    Args:
        in_channels: Channels of the images.
        num_classes: Classes; 0 for a model without a classifier.
        image_size: Side of the images in pixels, or (height, width).
        patch_size: Side of a patch in pixels, or (height, width); must divide the image's.
        embed_dim: C, channels of the tokens, as in MindCV; in timm the argument is the width of one head, C / h.
        num_heads: h, heads of every block; must divide `embed_dim`. The largest k² of them start on a k × k kernel.
        drop_rate: Dropout after the position embedding, projections and perceptron layers, in training.
        drop_path_rate: Stochastic depth of the last block; it grows linearly from 0 at the first.
        depth: Blocks.
        mlp_ratio: Hidden width of the perceptrons over C.
        qkv_bias: Whether queries, keys and values have a bias.
        attn_drop_rate: Dropout of the attention maps, in training.
        local_up_to_layer: GPSA blocks, 0 to depth − 1; the class token joins after them.
        use_pos_embed: Whether a learned embedding (1, N, C) is added to the patches.
        locality_strength: α of equation 8, how narrowly heads start to look.
        norm_eps: Epsilon of the LayerNorms; 1e-7 for MindCV's released weights.
        act: "gelu", or "gelu_tanh" for weights trained with the approximation (MindCV's).
        attn_impl: "separable", "plain" for the paper's own order of operations, or "flash" for the separable one in
            half precision with Ascend's fused attention.

    Raises:
        ValueError: an argument is out of range, images do not divide into patches, or the device has no such attention.
    """

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
        norm_eps: float = 1e-6,
        act: str = "gelu",
        attn_impl: str = "separable",
    ):
        super().__init__()
        for name, count in [("in_channels", in_channels), ("embed_dim", embed_dim), ("num_heads", num_heads)]:
            if count < 1:
                raise ValueError(f"{name} is {count}; it must be at least 1")
        if not 0 <= local_up_to_layer < depth:
            raise ValueError(
                f"local_up_to_layer is {local_up_to_layer} of {depth} blocks; it can be 0 to {depth - 1}, "
                "for the class token needs an MHSA block to gather the patches in"
            )
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
        self.num_features = dim
        self.local_up_to_layer = local_up_to_layer
        self.patch_embed = PatchEmbed(_pair(image_size), _pair(patch_size), in_channels, dim)
        self.image_size, self.grid_size = self.patch_embed.image_size, self.patch_embed.grid_size
        self.cls_token = Parameter(initializer(TruncatedNormal(0.02), (1, 1, dim)), name="cls_token")
        self.use_pos_embed = use_pos_embed
        if use_pos_embed:
            shape = (1, self.grid_size[0] * self.grid_size[1], dim)
            self.pos_embed = Parameter(initializer(TruncatedNormal(0.02), shape), name="pos_embed")
        self.pos_drop = Dropout(drop_rate, stream=0)

        attention = {
            "dim": dim, "num_heads": num_heads, "qkv_bias": qkv_bias,
            "attn_drop_rate": attn_drop_rate, "drop_rate": drop_rate, "attn_impl": attn_impl,
        }  # fmt: skip
        local = {"grid": self.grid_size, "locality_strength": locality_strength}
        blocks = []
        for i in range(depth):
            streams = range(4 * i + 1, 4 * i + 5)
            if i < local_up_to_layer:
                attn = GPSA(**attention, **local, streams=streams[:2])
            else:
                attn = MHSA(**attention, streams=streams[:2])
            mlp = Mlp(dim, int(dim * mlp_ratio), act, drop_rate, streams=streams[2:])
            blocks.append(Block(dim, attn, mlp, norm_eps))
        self.blocks = nn.CellList(blocks)
        self.norm = TokenNorm(dim, norm_eps)

        rates = [drop_path_rate * i / max(depth - 1, 1) for i in range(depth) for _branch in range(2)]
        self.stochastic_depth = StochasticDepth(rates, stream=4 * depth + 1) if drop_path_rate else None
        self.is_random = max(drop_rate, attn_drop_rate, drop_path_rate) > 0
        # Held in a tuple, out of the parameters' sight: their names are those of the published checkpoints.
        seed_and_step = Tensor([np.random.randint(2**31), 0], ms.int32)
        self._rng_state = (Parameter(seed_and_step, name="randomness", requires_grad=False),)
        self.one_step = Tensor([0, 1], ms.int32)
        self.reset_classifier(num_classes)
        self.set_train(False)  # MindSpore starts a cell in the phase "train" and would cache this mode's graph under it

    def reset_classifier(self, num_classes: int):
        """Put a fresh classifier of `num_classes` in place, or none for 0: the model then gives its features."""
        if num_classes < 0:
            raise ValueError(f"num_classes is {num_classes}; it must be at least 1, or 0 for no classifier")
        self.num_classes = num_classes
        self.classifier = Linear(self.num_features, num_classes) if num_classes else nn.Identity()
        self.classifier.update_parameters_name("classifier.")
        self.compile_cache.clear()

    @property
    def rng_state(self) -> Parameter:
        """What dropout and stochastic depth are drawn from: int32 (seed, step), for a checkpoint to keep."""
        return self._rng_state[0]

    def no_weight_decay(self) -> set[str]:
        """Parameters that no recipe decays, besides the one-dimensional ones."""
        return {"pos_embed", "cls_token"}

    def group_matcher(self, coarse: bool = False) -> dict:
        """Patterns that sort parameter names into stem, blocks and the rest; `coarse` changes nothing here."""
        del coarse
        return {
            "stem": r"^cls_token|pos_embed|patch_embed",
            "blocks": [(r"^blocks\.(\d+)", None), (r"^norm", (99999,))],
        }

    def embed(self, images: Tensor) -> Tensor:
        """Images (B, in_channels, H, W) to the patches' tokens (B, N, C) as the first block gets them."""
        x = self.patch_embed(images)
        return x + spread(self.cast(self.pos_embed, self.other), x) if self.use_pos_embed else x

    def join_class_token(self, x: Tensor) -> Tensor:
        """(B, N, C) to (B, 1 + N, C), the class token first."""
        class_token = ops.broadcast_to(self.cls_token.astype(x.dtype), (x.shape[0], 1, -1))
        return ops.cat((class_token, x), 1)

    def hidden_states(self, images: Tensor, cls_token_only: bool = False) -> tuple[Tensor, ...]:
        """Tokens after each block: (B, N, C) after GPSA blocks, (B, 1 + N, C), class token first, after MHSA blocks.

        With `cls_token_only` the last block computes its class token alone, (B, 1, C), all that a classifier reads.
        """
        rng_state = self.one_step  # nothing is drawn from it; a graph to export holds no parameter that is no weight
        if self.training and self.is_random:
            rng_state = ops.assign(self._rng_state[0], self._rng_state[0] + self.one_step)
        scales = ()
        if self.training and self.stochastic_depth is not None:
            scales = self.stochastic_depth(rng_state, images.shape[0])

        x = self.pos_drop(self.embed(images), rng_state)
        states = ()
        for block in self.blocks:
            i = len(states)
            if i == self.local_up_to_layer:
                x = self.join_class_token(x)
            is_last = i == len(self.blocks) - 1
            x = block(x, scales[2 * i : 2 * i + 2], rng_state, cls_token_only and is_last)
            states += (x,)
        return states

    def forward_features(self, images: Tensor) -> Tensor:
        """Images (B, in_channels, H, W) to the class token's features (B, C) that the classifier reads."""
        states = self.hidden_states(images, cls_token_only=True)
        return self.norm(states[-1][:, 0])

    def forward_head(self, features: Tensor) -> Tensor:
        """Features (B, C) to logits (B, num_classes), or the features themselves when there is no classifier."""
        return self.classifier(features)

    def construct(self, images: Tensor) -> Tensor:
        return self.forward_head(self.forward_features(images))

    def __repr__(self) -> str:
        """What sets this model apart, in one line; `mindcv.models.summary` goes layer by layer."""
        gpsa, heads = self.local_up_to_layer, self.blocks[0].attn.num_heads
        size = sum(parameter.size for parameter in self.get_parameters())
        (height, width), (rows, cols) = self.image_size, self.grid_size
        return (
            f"ConViT({gpsa} GPSA and {len(self.blocks) - gpsa} MHSA blocks, {heads} heads of width "
            f"{self.num_features // heads}, {height}x{width} images in {rows}x{cols} patches, "
            f"{self.num_classes} classes, {size:,} parameters)"
        )


def _pair(size) -> tuple[int, int]:
    """An int as (int, int); two ints as they are."""
    sides = (size, size) if isinstance(size, int) else tuple(size)
    if len(sides) != 2 or not all(isinstance(side, int) and side > 0 for side in sides):
        raise ValueError(f"got the size {size!r}; give a positive int, or (height, width)")
    return sides


def _published(publisher: str, licence: str, file: str, act: str, norm_eps: float, **more) -> dict:
    """What is known of one file of ImageNet-1K weights: where it is, how it was trained, how it wants its images."""
    return {
        "publisher": publisher,
        "licence": licence,
        "file": file,
        "act": act,
        "norm_eps": norm_eps,
        "num_classes": 1000,
        "input_size": (3, 224, 224),
        "grid": (14, 14),
        "crop_pct": 0.875,
        "interpolation": "bicubic",
        "mean": (123.675, 116.28, 103.53),
        "std": (58.395, 57.12, 57.375),
        "first_conv": "patch_embed.proj",
        "classifier": "classifier",
        **more,
    }


def _mindcv(name: str, sha256: str, crop_pct: float, top_1: float, top_5: float, device: str = "") -> dict:
    """MindCV's weights and their figures, from its model card; `sha256` begins the file's digest and is in its name."""
    file = f"{name}-{sha256}{device}.ckpt"
    host = "download-mindspore.osinfra.cn" if device else "download.mindspore.cn"
    return _published(
        "MindCV", "Apache-2.0", file, "gelu_tanh", 1e-7, sha256=sha256, crop_pct=crop_pct, top_1=top_1, top_5=top_5,
        url=f"https://{host}/toolkits/mindcv/convit/{file}",
    )  # fmt: skip


def _authors(name: str, top_1: float) -> dict[str, dict]:
    """The paper's own weights (its table 1), from the authors and as timm keeps them on the Hugging Face hub."""
    own = "Apache-2.0 (since May 2021; CC BY-NC 4.0, non-commercial, before)"
    file, repository = f"{name}.pth", f"{name}.fb_in1k"
    url, hub = f"https://dl.fbaipublicfiles.com/convit/{file}", f"timm/{repository}/model.safetensors"
    return {
        "fb": _published("the ConViT authors", own, file, "gelu", 1e-6, top_1=top_1, url=url),
        "timm": _published("timm", "Apache-2.0", f"{repository}.safetensors", "gelu", 1e-6, top_1=top_1, hub=hub),
    }


# Every variant's published weights; the first are what `pretrained=True` means.
_sources = {
    "convit_tiny": {
        "mindcv": _mindcv("convit_tiny", "e31023f2", 0.875, 73.66, 91.72),
        "mindcv-910v2": _mindcv("convit_tiny", "1961717e", 0.875, 73.79, 91.70, device="-910v2"),
        **_authors("convit_tiny", 73.1),
    },
    "convit_tiny_plus": {"mindcv": _mindcv("convit_tiny_plus", "e9d7fb92", 0.87, 77.00, 93.60)},
    "convit_small": {
        "mindcv": _mindcv("convit_small", "ba858604", 0.915, 81.63, 95.59),
        **_authors("convit_small", 81.3),
    },
    "convit_small_plus": {"mindcv": _mindcv("convit_small_plus", "2352b9f7", 0.93, 81.80, 95.42)},
    "convit_base": {
        "mindcv": _mindcv("convit_base", "c61b808c", 0.93, 82.10, 95.52),
        **_authors("convit_base", 82.4),
    },
    "convit_base_plus": {"mindcv": _mindcv("convit_base_plus", "5c61c9ce", 0.925, 81.96, 95.04)},
}
default_cfgs = {name: {**sources["mindcv"], "sources": sources} for name, sources in _sources.items()}


def _convit(name: str, pretrained: bool | str, **arguments) -> ConViT:
    """The variant `name`, with an error for an argument that ConViT does not take."""
    known = list(signature(ConViT).parameters)
    for argument in arguments:
        if argument not in known:
            nearest = get_close_matches(argument, known, n=1)
            hint = f"; did you mean {nearest[0]!r}?" if nearest else f"; it takes {', '.join(known)}"
            raise TypeError(f"{name} takes no argument {argument!r}{hint}")
    return build_pretrained(ConViT, default_cfgs[name], pretrained, **arguments)


@register_model
def convit_tiny(pretrained: bool | str = False, num_classes: int = 1000, in_channels: int = 3, **kwargs) -> ConViT:
    """ConViT-Ti: 4 heads of width 48, 5.7 million parameters; `kwargs` as ConViT takes them."""
    shape = {"num_heads": 4, "embed_dim": 192, "num_classes": num_classes, "in_channels": in_channels}
    return _convit("convit_tiny", pretrained, **{**shape, **kwargs})


@register_model
def convit_tiny_plus(pretrained: bool | str = False, num_classes: int = 1000, in_channels: int = 3, **kwargs) -> ConViT:
    """ConViT-Ti+: 4 heads of width 64, 10.0 million parameters; `kwargs` as ConViT takes them."""
    shape = {"num_heads": 4, "embed_dim": 256, "num_classes": num_classes, "in_channels": in_channels}
    return _convit("convit_tiny_plus", pretrained, **{**shape, **kwargs})


@register_model
def convit_small(pretrained: bool | str = False, num_classes: int = 1000, in_channels: int = 3, **kwargs) -> ConViT:
    """ConViT-S: 9 heads of width 48, 27.8 million parameters; `kwargs` as ConViT takes them."""
    shape = {"num_heads": 9, "embed_dim": 432, "num_classes": num_classes, "in_channels": in_channels}
    return _convit("convit_small", pretrained, **{**shape, **kwargs})


@register_model
def convit_small_plus(
    pretrained: bool | str = False, num_classes: int = 1000, in_channels: int = 3, **kwargs
) -> ConViT:
    """ConViT-S+: 9 heads of width 64, 49.0 million parameters; `kwargs` as ConViT takes them."""
    shape = {"num_heads": 9, "embed_dim": 576, "num_classes": num_classes, "in_channels": in_channels}
    return _convit("convit_small_plus", pretrained, **{**shape, **kwargs})


@register_model
def convit_base(pretrained: bool | str = False, num_classes: int = 1000, in_channels: int = 3, **kwargs) -> ConViT:
    """ConViT-B: 16 heads of width 48, 86.5 million parameters; `kwargs` as ConViT takes them."""
    shape = {"num_heads": 16, "embed_dim": 768, "num_classes": num_classes, "in_channels": in_channels}
    return _convit("convit_base", pretrained, **{**shape, **kwargs})


@register_model
def convit_base_plus(pretrained: bool | str = False, num_classes: int = 1000, in_channels: int = 3, **kwargs) -> ConViT:
    """ConViT-B+: 16 heads of width 64, 153.1 million parameters; `kwargs` as ConViT takes them."""
    shape = {"num_heads": 16, "embed_dim": 1024, "num_classes": num_classes, "in_channels": in_channels}
    return _convit("convit_base_plus", pretrained, **{**shape, **kwargs})

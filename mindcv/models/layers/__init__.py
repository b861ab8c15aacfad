"""The layers that models are built from, one per file."""

from mindcv.models.layers.broadcasting import cast_like, expand_as, scale
from mindcv.models.layers.class_token import join_class_token
from mindcv.models.layers.dense import Linear
from mindcv.models.layers.dropout import Dropout, RandomState, StochasticDepth
from mindcv.models.layers.flash_attention import FlashAttention
from mindcv.models.layers.heads import join_heads, split_heads
from mindcv.models.layers.layer_norm import TokenNorm
from mindcv.models.layers.matmul import MatMul
from mindcv.models.layers.mlp import Mlp
from mindcv.models.layers.patch_embed import PatchEmbed
from mindcv.models.layers.precision import DtypePolicy, PolicyCell
from mindcv.models.layers.random_weights import RandomWeights, undrawn_weights
from mindcv.models.layers.softmax import Softmax

__all__ = [
    "Dropout",
    "DtypePolicy",
    "FlashAttention",
    "Linear",
    "MatMul",
    "Mlp",
    "PatchEmbed",
    "PolicyCell",
    "RandomState",
    "RandomWeights",
    "Softmax",
    "StochasticDepth",
    "TokenNorm",
    "cast_like",
    "expand_as",
    "join_class_token",
    "join_heads",
    "scale",
    "split_heads",
    "undrawn_weights",
]

"""How much of each head's attention is position."""

import numpy as np
from mindspore import nn

from mindcv.insight.probe import require_convit
from mindcv.models import GPSA
from mindcv.models.finite import require_finite


def gates(model: nn.Cell) -> np.ndarray:
    """σ(λ) of every GPSA layer and head, (layers, heads) float32 in 0..1: the share of the positional map.

    At the start it is σ(1) = 0.73 everywhere (section 3 of the paper). A model without GPSA layers gives (0, heads).

    Raises:
        TypeError: the model is no ConViT.
        FloatingPointError: a gate is not finite.
    """
    attentions = [block.attn for block in require_convit(model).blocks]
    shares = [attn.gate().asnumpy().ravel() for attn in attentions if isinstance(attn, GPSA)]
    require_finite(shares, model, "the gates are")
    return np.array(shares, np.float32).reshape(len(shares), attentions[0].num_heads)

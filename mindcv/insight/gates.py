"""How much of each head's attention is positional."""

import numpy as np
from mindspore import nn

from mindcv.insight.probe import ATTENTION
from mindcv.models.family import require
from mindcv.models.finite import require_finite


def gates(model: nn.Cell) -> np.ndarray:
    """Return the gate σ(λ) of every gated layer and head: the weight, 0 to 1, of the positional attention map.

    In ConViT these are the GPSA layers, and every gate is initialised to σ(1) = 0.73 (section 3 of the paper).

    Returns:
        (gated layers, heads) float32; (0, heads) for a model without gated layers.

    Raises:
        TypeError: the model has no blocks of attention.
        FloatingPointError: a gate is not finite.
    """
    attentions = [block.attn for block in require(model, ATTENTION, "attention_inputs", "blocks").blocks]
    values = [attn.gate().asnumpy().ravel() for attn in attentions if hasattr(attn, "gate")]
    require_finite(values, model, "the gates are")
    return np.array(values, np.float32).reshape(len(values), attentions[0].num_heads)

"""How much of each head's attention is positional."""

import numpy as np
from mindspore import nn

from mindcv.insight.probe import require_convit
from mindcv.models import GPSA
from mindcv.models.finite import require_finite


def gates(model: nn.Cell) -> np.ndarray:
    """Return the gate σ(λ) of every GPSA layer and head: the weight, 0 to 1, of the positional attention map.

    Every gate is initialised to σ(1) = 0.73 (section 3 of the paper).

    Returns:
        (GPSA layers, heads) float32; (0, heads) for a model without GPSA layers.

    Raises:
        TypeError: the model is not a ConViT.
        FloatingPointError: a gate is not finite.
    """
    attentions = [block.attn for block in require_convit(model).blocks]
    values = [attn.gate().asnumpy().ravel() for attn in attentions if isinstance(attn, GPSA)]
    require_finite(values, model, "the gates are")
    return np.array(values, np.float32).reshape(len(values), attentions[0].num_heads)

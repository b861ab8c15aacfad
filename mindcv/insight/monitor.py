"""Gates and non-locality, measured repeatedly during training."""

import numpy as np
from mindspore import Tensor, nn

from mindcv.insight.gates import gates
from mindcv.insight.locality import NonLocalityProbe


class AttentionMonitor:
    """Measures a model's gates and non-locality on the same images at each call; compiles its graph once.

    Args:
        model: A model with attention, which may change between calls.
        images: (B, in_channels, H, W) float32, normalised.
    """

    def __init__(self, model: nn.Cell, images: np.ndarray):
        self.non_locality = NonLocalityProbe(model)
        self.images = Tensor(images)

    def __call__(self) -> dict[str, list[list[float]]]:
        """Return the present values, rounded to 5 decimals: a list of layers, each a list of heads, under each key.

        "gates" holds σ(λ), 0 to 1, of every gated layer, and is left out if there is none; "non_locality" has the mean
        attention distance of every layer, in patches. The model computes in evaluation mode; its own mode is restored.

        Raises:
            FloatingPointError: A gate is not finite; distances are returned even if they are NaN.
        """
        measured = {
            "gates": gates(self.non_locality.model),
            "non_locality": self.non_locality.compute(self.images).asnumpy(),
        }
        return {
            name: [[round(head, 5) for head in layer.tolist()] for layer in values]
            for name, values in measured.items()
            if len(values)
        }

"""Gates and non-locality as a run logs them."""

import numpy as np
from mindspore import Tensor

from mindcv.insight.gates import gates
from mindcv.insight.locality import NonLocality
from mindcv.models import ConViT


class AttentionMonitor:
    """Looks at a model through the same images again and again; the graph is compiled once.

    Args:
        model: A ConViT.
        images: (B, in_channels, H, W) float32, ready for the model.
    """

    def __init__(self, model: ConViT, images: np.ndarray):
        self.non_locality = NonLocality(model)
        self.images = Tensor(images)

    def __call__(self) -> dict[str, list[list[float]]]:
        """Now: "gates", for every GPSA layer a list of its heads', and "non_locality", for every layer, in patches."""
        seen = {
            "gates": gates(self.non_locality.model),
            "non_locality": self.non_locality.look(self.images).asnumpy(),
        }
        return {
            name: [[round(head, 5) for head in layer.tolist()] for layer in values] for name, values in seen.items()
        }

"""What all that looks inside shares: a walk through the blocks, and a model that is left as it was."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from mindspore import Tensor, nn

from mindcv.models import ConViT


class AttentionProbe(nn.Cell):
    """A cell around a model, with a graph of its own, that looks at its blocks.

    Args:
        model: A ConViT.

    Raises:
        TypeError: it is none.
    """

    def __init__(self, model: ConViT):
        super().__init__(auto_prefix=False)
        self.model = require_convit(model)

    def attention_inputs(self, images: Tensor) -> tuple[Tensor, ...]:
        """Images (B, in_channels, H, W) to what each block's attention gets: (B, N, C), later (B, 1 + N, C)."""
        x = self.model.embed(images)
        inputs = ()
        for i, state in enumerate(self.model.hidden_states(images)):
            if i == self.model.local_up_to_layer:
                x = self.model.join_class_token(x)
            inputs += (self.model.blocks[i].norm1(x),)
            x = state
        return inputs

    def look(self, *inputs):
        """What `construct` gives for arrays or tensors, the model's phase as in validation meanwhile."""
        tensors = [x if isinstance(x, Tensor) else Tensor(np.asarray(x, np.float32)) for x in inputs]
        with _resting(self.model):
            return self(*tensors)


def require_convit(model: nn.Cell) -> ConViT:
    """`model`, or a TypeError if it is no ConViT."""
    if not isinstance(model, ConViT):
        raise TypeError(f"got a {type(model).__name__}; only a ConViT has such heads to look at")
    return model


@contextmanager
def _resting(model: nn.Cell) -> Iterator[None]:
    """The model's cells out of training, each back as it was afterwards."""
    phase, flags = model.phase, [(cell, cell.training) for _name, cell in model.cells_and_names()]
    model.set_train(False)
    try:
        yield
    finally:
        for cell, training in flags:
            cell.add_flags(training=training)
        model.phase = phase

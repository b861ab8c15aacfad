"""The base of everything that inspects a model: access to its blocks, leaving the model unchanged."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from mindspore import Tensor, nn

from mindcv.models import ConViT


class AttentionProbe(nn.Cell):
    """Base class of cells that compute something from a model's blocks, in a graph of their own.

    Args:
        model: A ConViT. Its parameters keep their names.

    Raises:
        TypeError: the model is not a ConViT.
    """

    def __init__(self, model: ConViT):
        super().__init__(auto_prefix=False)
        self.model = require_convit(model)

    def attention_inputs(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return the input of each block's attention for images (B, in_channels, H, W).

        Each is (B, N, C), or (B, 1 + N, C) once the class token is added. It is the output of the block's first
        LayerNorm. The model must be in evaluation mode, as in `compute`.
        """
        x = self.model.embed(images)
        inputs = ()
        for i, state in enumerate(self.model.hidden_states(images)):
            if i == self.model.local_up_to_layer:
                x = self.model.join_class_token(x)
            inputs += (self.model.blocks[i].norm1(x),)
            x = state
        return inputs

    def compute(self, *inputs: np.ndarray | Tensor):
        """Return the result of `construct`, with the model in evaluation mode; arrays are converted to float32.

        The mode of each cell of the model is restored, even after an error.
        """
        tensors = [x if isinstance(x, Tensor) else Tensor(np.asarray(x, np.float32)) for x in inputs]
        with _evaluating(self.model):
            return self(*tensors)


def require_convit(model: nn.Cell) -> ConViT:
    """Return `model`, or raise a TypeError if it is not a ConViT."""
    if not isinstance(model, ConViT):
        raise TypeError(f"got a {type(model).__name__}; wanted a ConViT")
    return model


@contextmanager
def _evaluating(model: nn.Cell) -> Iterator[None]:
    """Put all cells of `model` in evaluation mode; restore each cell's own mode afterwards, even after an error."""
    phase, flags = model.phase, [(cell, cell.training) for _name, cell in model.cells_and_names()]
    model.set_train(False)
    try:
        yield
    finally:
        for cell, training in flags:
            cell.add_flags(training=training)
        model.phase = phase

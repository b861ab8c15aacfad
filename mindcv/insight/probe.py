"""The base of everything that inspects a model: access to its blocks, leaving the model unchanged."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from mindspore import Tensor, nn

from mindcv.models.family import require

ATTENTION = "there is no attention to look into"


class AttentionProbe(nn.Cell):
    """Base class of cells that compute something from a model's blocks, in a graph of their own.

    Args:
        model: A model with `attention_inputs`, `blocks` and `grid_size`. Its parameters keep their names.

    Raises:
        TypeError: the model has no such attributes.
    """

    def __init__(self, model: nn.Cell):
        super().__init__(auto_prefix=False)
        self.model = require(model, ATTENTION, "attention_inputs", "blocks", "grid_size")

    def compute(self, *inputs: np.ndarray | Tensor):
        """Return the result of `construct`, with the model in evaluation mode; arrays are converted to float32.

        The mode of each cell of the model is restored, even after an error.
        """
        tensors = [x if isinstance(x, Tensor) else Tensor(np.asarray(x, np.float32)) for x in inputs]
        with _evaluating(self.model):
            return self(*tensors)


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

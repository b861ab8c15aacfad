"""Exponential moving averages of the weights."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import mindspore as ms
import numpy as np
from mindspore import Parameter, ParameterTuple, Tensor, nn, ops

from mindcv.weights.state_dict import EMA


class ModelEMA(nn.Cell):
    """Exponential moving averages of a model's weights: average ← average + (1 − d)·(weight − average).

    The averages begin as the weights. In update n, from 1, d is min(decay, (1 + n) / (10 + n)), so that the first
    weights soon lose their influence.

    Args:
        parameters: The weights. An average has its weight's name with "ema." before it, as in a checkpoint.
        decay: Decay d, at least 0 and below 1.
    """

    def __init__(self, parameters: Iterable[Parameter], decay: float):
        super().__init__(auto_prefix=False)
        self.weights = ParameterTuple(parameters)
        self.averages = ParameterTuple(
            Parameter(Tensor(weight.asnumpy().copy()), name=EMA + weight.name, requires_grad=False)
            for weight in self.weights
        )
        self.decay = decay
        self.updates = Parameter(Tensor(0, ms.int32), name="ema_updates", requires_grad=False)
        self.hyper_map = ops.HyperMap()
        self._swapped_out: list[np.ndarray] = []

    @ms.jit
    def construct(self) -> Tensor:
        """Update the averages with the present weights and return the number of updates so far, a scalar int32."""
        updates = ops.assign_add(self.updates, 1)
        n = updates.astype(ms.float32)
        step_size = 1 - ops.minimum((1 + n) / (10 + n), self.decay)
        self.hyper_map(ops.partial(_move, step_size), self.averages, self.weights)
        return updates

    @contextmanager
    def swap_weights(self) -> Iterator[None]:
        """Inside the context, set the model's weights to their averages; afterwards restore them bit for bit.

        They are restored after an error too. The context cannot be nested.
        """
        self._swapped_out = [weight.asnumpy().copy() for weight in self.weights]
        try:
            for weight, average in zip(self.weights, self.averages, strict=True):
                ops.assign(weight, average)
            yield
        finally:
            self.restore_weights()

    def restore_weights(self) -> None:
        """Restore the weights that `swap_weights` replaced; does nothing if it is not active."""
        for weight, value in zip(self.weights, self._swapped_out, strict=False):
            ops.assign(weight, Tensor(value))
        self._swapped_out = []

    def relative_distance(self) -> float:
        """Return the L2 distance between weights and averages, divided by the L2 norm of the weights."""
        pairs = [(weight.asnumpy(), mean.asnumpy()) for weight, mean in zip(self.weights, self.averages, strict=True)]
        distance = sum(float(np.square(weight - mean, dtype=np.float64).sum()) for weight, mean in pairs)
        return (distance / sum(float(np.square(weight, dtype=np.float64).sum()) for weight, _ in pairs)) ** 0.5


def _move(step_size: Tensor, average: Parameter, weight: Parameter) -> Tensor:
    return ops.assign_add(average, step_size * (weight - average))

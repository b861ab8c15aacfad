"""Exponential moving averages of the weights."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import mindspore as ms
import numpy as np
from mindspore import Parameter, ParameterTuple, Tensor, nn, ops

from mindcv.weights.state_dict import EMA


class ModelEMA(nn.Cell):
    """average ← average + (1 − d)·(weight − average) after each update, from the weights that the run starts with.

    In update n, counted from 1, d is min(decay, (1 + n) / (10 + n)), so that the start is soon forgotten.

    Args:
        parameters: The weights; the averages bear their names behind `ema.`, as in a checkpoint.
        decay: At least 0 and below 1.
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
        self._raw: list[np.ndarray] = []

    @ms.jit
    def construct(self) -> Tensor:
        """Take the weights as they are now into the averages; how many updates there were."""
        updates = ops.assign_add(self.updates, 1)
        n = updates.astype(ms.float32)
        share = 1 - ops.minimum((1 + n) / (10 + n), self.decay)
        self.hyper_map(ops.partial(_move, share), self.averages, self.weights)
        return updates

    @contextmanager
    def swap_weights(self) -> Iterator[None]:
        """The model has the averages in place of its weights inside, and has these back, to the bit, behind it."""
        self._raw = [weight.asnumpy().copy() for weight in self.weights]
        try:
            for weight, average in zip(self.weights, self.averages, strict=True):
                ops.assign(weight, average)
            yield
        finally:
            self.restore_weights()

    def restore_weights(self) -> None:
        """End what `swap_weights` began, before its time; nothing otherwise."""
        for weight, raw in zip(self.weights, self._raw, strict=False):
            ops.assign(weight, Tensor(raw))
        self._raw = []

    def relative_distance(self) -> float:
        """The distance between weights and averages, over the weights' norm."""
        pairs = [(weight.asnumpy(), mean.asnumpy()) for weight, mean in zip(self.weights, self.averages, strict=True)]
        distance = sum(float(np.square(weight - mean, dtype=np.float64).sum()) for weight, mean in pairs)
        return (distance / sum(float(np.square(weight, dtype=np.float64).sum()) for weight, _ in pairs)) ** 0.5


def _move(share: Tensor, average: Parameter, weight: Parameter) -> Tensor:
    return ops.assign_add(average, share * (weight - average))

"""Randomness that belongs to the model: drawn from a state that is saved and restored like any weight.

MindSpore's own dropout keeps its state inside the kernel, out of a checkpoint's reach. Here every number is a
hash of (seed, step, stream, index): the model holds the first two, each layer has a stream of its own.
"""

import math

import mindspore as ms
from mindspore import Tensor, ops

from mindcv.models.layers.precision import Mixed

_GOLDEN_RATIO = 0x9E3779B1


def _signed(x: int) -> int:
    """`x` modulo 2³², as the int32 of the same bits."""
    return (x + 2**31) % 2**32 - 2**31


def _shift_right(x: Tensor, bits: int) -> Tensor:
    """Logical shift: zeros come in from the left."""
    return ops.bitwise_and(ops.bitwise_right_shift(x, bits), (1 << (32 - bits)) - 1)


def _mix(x: Tensor) -> Tensor:
    """Murmur3's 32-bit finaliser (A. Appleby 2011), on int32 that wrap."""
    x = ops.bitwise_xor(x, _shift_right(x, 16)) * _signed(0x85EBCA6B)
    x = ops.bitwise_xor(x, _shift_right(x, 13)) * _signed(0xC2B2AE35)
    return ops.bitwise_xor(x, _shift_right(x, 16))


def uniform(rng_state: Tensor, stream: int, shape: tuple[int, ...]) -> Tensor:
    """Independent numbers in [0, 1), float32 of `shape`: one array for each state, stream and shape.

    Args:
        randomness: The state, int32 (2,): a seed and a step.
        stream: Tells the layers of a model apart.
    """
    index = ops.arange(0, math.prod(shape)).astype(ms.int32) + _signed(stream * _GOLDEN_RATIO)
    bits = _mix(ops.bitwise_xor(rng_state[0], _mix(ops.bitwise_xor(rng_state[1], _mix(index)))))
    return (_shift_right(bits, 8).astype(ms.float32) * 2.0**-24).reshape(shape)


class Random(Mixed):
    """A layer that draws numbers from the model's state, in a stream of its own.

    It calls `uniform` for the layers below, because MindSpore's "O1" copies functions that they call themselves,
    without the constants of this module.
    """

    def draw(self, rng_state: Tensor, shape: tuple[int, ...]) -> Tensor:
        """Independent numbers in [0, 1), float32 of `shape`."""
        return uniform(rng_state, self.stream, shape)


class Dropout(Random):
    """In training, sets each element to 0 with probability `rate` and divides the others by 1 − rate.

    Raises:
        ValueError: `rate` is not in [0, 1).
    """

    def __init__(self, rate: float, stream: int):
        super().__init__()
        self.rate = check_rate("drop rate", rate)
        self.stream = stream

    def is_active(self) -> bool:
        """Whether the cell is in training and drops anything."""
        return self.training and self.rate > 0

    def construct(self, x: Tensor, rng_state: Tensor) -> Tensor:
        if not self.is_active():
            return x
        keep = self.draw(rng_state, x.shape) >= self.rate
        return x * keep.astype(x.dtype) / (1 - self.rate)


class StochasticDepth(Random):
    """Which residual branches each image takes (Huang et al. 2016), for all branches of a model at once.

    In training, branch i of an image is skipped with probability `rates[i]` and otherwise scaled by 1 / (1 − rate).
    """

    def __init__(self, rates: list[float], stream: int):
        super().__init__()
        self.rates = Tensor([check_rate("drop path rate", rate) for rate in rates], ms.float32).reshape(-1, 1, 1, 1)
        self.branches = len(rates)
        self.stream = stream

    def construct(self, rng_state: Tensor, batch: int) -> tuple[Tensor, ...]:
        """One scale (batch, 1, 1) for each branch, in order."""
        keep = self.draw(rng_state, (self.branches, batch, 1, 1)) >= self.rates
        return ops.unstack(keep.astype(ms.float32) / (1 - self.rates))


def check_rate(name: str, rate: float) -> float:
    """`rate`, or a ValueError when it is not in [0, 1)."""
    if not 0 <= rate < 1:
        raise ValueError(f"{name} is {rate}; it must be at least 0 and below 1")
    return rate

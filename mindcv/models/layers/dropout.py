"""Dropout and stochastic depth from a random state that checkpoints can save and restore.

MindSpore's own dropout keeps its random state inside the kernel, where no checkpoint can save it. Here every random
number is a hash of (seed, step, stream, index): the model holds seed and step, and each layer has a stream of its own.
"""

import math

import mindspore as ms
from mindspore import Tensor, ops

from mindcv.errors import require_in_range
from mindcv.models.layers.precision import PolicyCell

_GOLDEN_RATIO = 0x9E3779B1


def _signed(x: int) -> int:
    """Return the int32 that has the same bits as `x` modulo 2³²."""
    return (x + 2**31) % 2**32 - 2**31


def _shift_right(x: Tensor, bits: int) -> Tensor:
    """Return int32 `x` shifted to the right by `bits`, 1 to 31, with zeros from the left (a logical shift)."""
    return ops.bitwise_and(ops.bitwise_right_shift(x, bits), (1 << (32 - bits)) - 1)


def _hash(x: Tensor) -> Tensor:
    """Return the int32 hash of each element of `x` by Murmur3's 32-bit finaliser (A. Appleby 2011).

    Products wrap modulo 2³².
    """
    x = ops.bitwise_xor(x, _shift_right(x, 16)) * _signed(0x85EBCA6B)
    x = ops.bitwise_xor(x, _shift_right(x, 13)) * _signed(0xC2B2AE35)
    return ops.bitwise_xor(x, _shift_right(x, 16))


def uniform(rng_state: Tensor, stream: int, shape: tuple[int, ...]) -> Tensor:
    """Return pseudo-random numbers, uniform in [0, 1): float32 of `shape`, a pure function of the arguments.

    Args:
        rng_state: The model's random state, int32 (2,): a seed and a step.
        stream: A number that differs between the layers of a model, so that their draws are independent.
        shape: Shape of the result.
    """
    index = ops.arange(0, math.prod(shape)).astype(ms.int32) + _signed(stream * _GOLDEN_RATIO)
    bits = _hash(ops.bitwise_xor(rng_state[0], _hash(ops.bitwise_xor(rng_state[1], _hash(index)))))
    return (_shift_right(bits, 8).astype(ms.float32) * 2.0**-24).reshape(shape)


class RandomCell(PolicyCell):
    """A layer that draws random numbers from the model's state, in a stream of its own.

    Subclasses draw through this method, because MindSpore's "O1" copies the functions that a layer's `construct` calls,
    without the constants of this module.
    """

    def draw(self, rng_state: Tensor, shape: tuple[int, ...]) -> Tensor:
        """Return independent uniform numbers in [0, 1), float32 of `shape`: the same for the same arguments.

        `rng_state` is the model's random state, int32 (2,): a seed and a step. It does not change here.
        """
        return uniform(rng_state, self.stream, shape)


class Dropout(RandomCell):
    """Set each element to 0 with probability `rate` and divide the others by 1 − rate, in training only.

    Args:
        rate: A probability in [0, 1).
        stream: The layer's random stream, a number that no other layer of the model has.

    Raises:
        ValueError: `rate` is not in [0, 1).
    """

    def __init__(self, rate: float, stream: int):
        super().__init__()
        self.rate = require_in_range("drop rate", rate, at_least=0, below=1)
        self.stream = stream

    def is_active(self) -> bool:
        """Return whether the cell is in training and its rate is above 0."""
        return self.training and self.rate > 0

    def construct(self, x: Tensor, rng_state: Tensor) -> Tensor:
        """Return `x` with dropout applied, or `x` itself if the cell is not active.

        `rng_state` is the model's random state, int32 (2,); it does not change here.
        """
        if not self.is_active():
            return x
        keep = self.draw(rng_state, x.shape) >= self.rate
        return x * keep.astype(x.dtype) / (1 - self.rate)


class StochasticDepth(RandomCell):
    """Draw which residual branches each image takes, for all branches of a model (Huang et al. 2016, there drop path).

    In training, branch i of an image is skipped with probability `rates[i]` and otherwise scaled by 1 / (1 − rate).

    Args:
        rates: A probability in [0, 1) for each branch.
        stream: The layer's random stream, a number that no other layer of the model has.

    Raises:
        ValueError: A rate is not in [0, 1).
    """

    def __init__(self, rates: list[float], stream: int):
        super().__init__()
        rates = [require_in_range("drop path rate", rate, at_least=0, below=1) for rate in rates]
        self.rates = Tensor(rates, ms.float32).reshape(-1, 1, 1, 1)
        self.num_branches = len(rates)
        self.stream = stream

    def construct(self, rng_state: Tensor, batch_size: int) -> tuple[Tensor, ...]:
        """Return each branch's factors, float32 (batch_size, 1, 1): 0 for a skipped image, else 1 / (1 − rate).

        They are drawn in evaluation too. `rng_state` is the model's random state, int32 (2,); it does not change here.
        """
        keep = self.draw(rng_state, (self.num_branches, batch_size, 1, 1)) >= self.rates
        return ops.unstack(keep.astype(ms.float32) / (1 - self.rates))

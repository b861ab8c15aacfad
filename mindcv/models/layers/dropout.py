"""Dropout and stochastic depth from a random state that checkpoints can save and restore.

MindSpore's own dropout keeps its random state inside the kernel, where no checkpoint can save it. Here every random
number is a hash of (seed, step, stream, index): the model's `RandomState` holds seed and step, and each layer has a
stream of its own.
"""

import math

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor, nn, ops

from mindcv.device import has_fast_broadcast
from mindcv.errors import require_in_range
from mindcv.models.layers.broadcasting import expand_as
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


def _indices(shape: tuple[int, ...]) -> Tensor:
    """Return 0, 1, 2, …, one number per element of `shape`, int32 of any shape with so many elements.

    A graph holds `ops.arange` as a constant. Where broadcasting is fast, it is a sum of two short ones.
    """
    if not has_fast_broadcast():
        return ops.arange(0, math.prod(shape)).astype(ms.int32)
    rows, cols = math.prod(shape[:-1]), shape[-1]
    return ops.arange(0, rows * cols, cols).astype(ms.int32).expand_dims(1) + ops.arange(0, cols).astype(ms.int32)


def uniform(rng_state: Tensor, stream: int, shape: tuple[int, ...]) -> Tensor:
    """Return pseudo-random numbers, uniform in [0, 1): float32 of `shape`, a pure function of the arguments.

    Args:
        rng_state: The model's random state, int32 (2,): a seed and a step.
        stream: A number that differs between the layers of a model, so that their draws are independent.
        shape: Shape of the result.
    """
    index = _indices(shape) + _signed(stream * _GOLDEN_RATIO)
    bits = _hash(ops.bitwise_xor(rng_state[0], _hash(ops.bitwise_xor(rng_state[1], _hash(index)))))
    return (_shift_right(bits, 8).astype(ms.float32) * 2.0**-24).reshape(shape)


class RandomCell(PolicyCell):
    """Base class of cells that draw random numbers.

    `draw` is a method of a base class because MindSpore's "O1" copies the functions that a cell's own methods call,
    without the constants of this module.

    Attributes:
        rng_state: A tuple of the random state, see `RandomState`; () before there is one.
        stream: Random stream of the cell, see `uniform`.
    """

    def __init__(self):
        super().__init__()
        self.rng_state: tuple[Parameter, ...] = ()
        self.stream = 0

    def draw(self, shape: tuple[int, ...]) -> Tensor:
        """Return independent numbers in [0, 1), float32 of `shape`: the same for the same state, see `uniform`."""
        if not self.rng_state:
            raise ValueError("no random state: create a RandomState of the model at the end of its __init__")
        return uniform(self.rng_state[0], self.stream, shape)


class Dropout(RandomCell):
    """Set each element to 0 with probability `rate` and divide the others by 1 − rate, in training only.

    The model creates a `RandomState` after its layers; without one, a call in training with a rate above 0 is a
    ValueError.

    Args:
        rate: A probability in [0, 1).

    Raises:
        ValueError: `rate` is not in [0, 1).
    """

    def __init__(self, rate: float):
        super().__init__()
        self.rate = require_in_range("drop rate", rate, at_least=0, below=1)

    def is_active(self) -> bool:
        """Return whether the cell is in training and its rate is above 0."""
        return self.training and self.rate > 0

    def unused_attributes(self) -> tuple[str, ...]:
        """Return the names of the attributes that the graph does not depend on, see `mindcv.graph.fingerprint`."""
        return () if self.is_active() else ("rng_state", "stream")

    def construct(self, x: Tensor) -> Tensor:
        if not self.is_active():
            return x
        keep = self.draw(x.shape) >= self.rate
        return x * keep.astype(x.dtype) / (1 - self.rate)


class StochasticDepth(PolicyCell):
    """Skip a residual branch (B, N, C) of each image with probability `rate` (Huang et al. 2016, there drop path).

    In training only; the branches that are not skipped are divided by 1 − rate. The model draws for all of its branches
    at once, see `RandomState`.

    Args:
        rate: A probability in [0, 1).

    Attributes:
        branch: Number of the branch in the model, set by its `RandomState`.

    Raises:
        ValueError: `rate` is not in [0, 1).
    """

    def __init__(self, rate: float):
        super().__init__()
        self.rate = require_in_range("drop path rate", rate, at_least=0, below=1)
        self.branch = 0

    def unused_attributes(self) -> tuple[str, ...]:
        """Return the names of the attributes that the graph does not depend on, see `mindcv.graph.fingerprint`."""
        return () if self.training and self.rate > 0 else ("rate", "branch")

    def construct(self, x: Tensor, factors: tuple[Tensor, ...]) -> Tensor:
        """Return `x` multiplied by this branch's factors, or in evaluation mode unchanged.

        Args:
            x: The branch's output, (B, N, C).
            factors: What the model's `RandomState` returned for this forward pass.

        Raises:
            ValueError: `factors` is (), in training with a rate above 0.
        """
        if not self.training or self.rate == 0:
            return x
        if not factors:
            raise ValueError("no factors of stochastic depth: pass what the model's RandomState returned")
        return x * expand_as(self.cast(factors[self.branch], self.policy.residual), x)


class RandomState(RandomCell):
    """The random state of a model, int32 (seed, step), which all its random layers share. A run's checkpoint holds it.

    Call it at the start of the model's forward pass: in training it adds 1 to the step, if a layer draws, and draws the
    stochastic depth of all branches. (A graph in which each branch draws for itself takes 25 % longer to compile.) Each
    dropout gets a random stream by its place in the model, and stochastic depth the next. The seed is drawn by numpy.

    Args:
        model: The model, with all its random layers.

    Attributes:
        rng_state: A tuple of the one parameter: in a tuple it is hidden from MindSpore, so that the model's parameters
            are those of published checkpoints.
    """

    def __init__(self, model: nn.Cell):
        super().__init__()
        seed_and_step = Tensor([np.random.randint(2**31), 0], ms.int32)
        self.rng_state = (Parameter(seed_and_step, name="randomness", requires_grad=False),)
        self.one_step = Tensor([0, 1], ms.int32)
        layers = [layer for _name, layer in model.cells_and_names()]
        dropouts = [layer for layer in layers if isinstance(layer, Dropout)]
        branches = [layer for layer in layers if isinstance(layer, StochasticDepth)]
        for stream, layer in enumerate(dropouts):
            layer.stream, layer.rng_state = stream, self.rng_state
        for branch, layer in enumerate(branches):
            layer.branch = branch
        self.stream = len(dropouts)
        rates = np.array([[layer.rate] for layer in branches], np.float32)
        self.rates, self.keep_rates = Tensor(rates), Tensor(1 - rates)  # (branches, 1)
        self.skips_branches = bool(rates.any())
        self.is_random = self.skips_branches or any(layer.rate > 0 for layer in dropouts)

    def unused_attributes(self) -> tuple[str, ...]:
        """Return the names of the attributes that the graph does not depend on, see `mindcv.graph.fingerprint`."""
        return () if self.training and self.is_random else ("rng_state", "stream", "rates", "keep_rates")

    def construct(self, batch: int) -> tuple[Tensor, ...]:
        """Begin a forward pass of `batch` images.

        Returns:
            A float32 tensor (batch, 1, 1) for each `StochasticDepth` of the model, in the order of their `branch`: the
            factor of each image, 0 or 1 / (1 − rate). () in evaluation mode, and if all rates are 0.
        """
        if self.training and self.is_random:
            ops.assign(self.rng_state[0], self.rng_state[0] + self.one_step)
        if not self.training or not self.skips_branches:
            return ()
        drawn = self.draw((self.rates.shape[0], batch))
        kept = (drawn >= expand_as(self.rates, drawn)).astype(ms.float32)
        factors = kept / expand_as(self.keep_rates, drawn)
        return ops.unstack(ops.stop_gradient(factors.reshape(-1, batch, 1, 1)))

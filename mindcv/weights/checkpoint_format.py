"""What a model family's checkpoints look like: the facts about it that this folder asks for."""

import math
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

import numpy as np

from mindcv.weights.adapt import POS_EMBED, SHARED, Change
from mindcv.weights.state_dict import to_mindcv, to_pytorch

Arrays = dict[str, np.ndarray]


_BLOCK = re.compile(r"blocks\.(\d+)\.")


def num_blocks(names: Collection[str]) -> int:
    """Return the number of blocks among parameters' names, such as "blocks.3.norm1.gamma"."""
    return len({match[1] for match in map(_BLOCK.match, names) if match})


def has_class_position(weights: Arrays, grid: tuple[int, int] | None) -> bool:
    """Return whether the position embedding has a position for a class token besides those of the patches.

    Args:
        weights: Arrays under MindCV's names.
        grid: Rows and columns of patches; None if unknown, which is taken for a square.
    """
    if POS_EMBED not in weights:
        return False
    patches = weights[POS_EMBED].shape[1] - 1
    return patches == (math.prod(grid) if grid else math.isqrt(patches) ** 2)


@dataclass(frozen=True)
class CheckpointFormat:
    """The names and shapes in a family's checkpoints.

    Attributes:
        identify: Maps weights under MindCV's names, and rows and columns of patches if they are known, to the name of
            the model that they are of, such as "convit_tiny"; "" for another family's.
        prefix_tokens: Positions of the position embedding before those of the patches, such as a class token's.
        differences: By the argument of the model that causes it, a function of weights and the model's shapes that
            returns the adaptation to a difference, or None; besides those that all families share, `SHARED`.
        to_mindcv, to_pytorch: State-dict adapters: return weights under the names of the model, and of PyTorch's files.
    """

    identify: Callable[[Arrays, tuple[int, int] | None], str] = lambda weights, grid: ""
    prefix_tokens: int = 0
    differences: Mapping[str, Callable[..., Change | None]] = field(default_factory=dict)
    to_mindcv: Callable[[Arrays], Arrays] = to_mindcv
    to_pytorch: Callable[[Arrays], Arrays] = to_pytorch

    @property
    def all_differences(self) -> dict[str, Callable[..., Change | None]]:
        """The differences that weights can be adapted to, shared and own, by the model's argument."""
        return {**SHARED, **self.differences}

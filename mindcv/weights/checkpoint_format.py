"""What a model family's checkpoints look like: the facts about it that this folder asks for."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from mindcv.weights.adapt import SHARED, Change
from mindcv.weights.state_dict import to_mindcv, to_pytorch

Arrays = dict[str, np.ndarray]


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

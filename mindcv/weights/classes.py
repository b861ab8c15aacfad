"""The classes of a checkpoint's model."""

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mindcv.weights import state_dict
from mindcv.weights.adapt import CLASSIFIER
from mindcv.weights.parts import weights_of
from mindcv.weights.read import naming, read

CLASS_NAMES = state_dict.RUN + "class_names"  # a JSON list, in the order of the classifier's outputs


class Classes(NamedTuple):
    """The number of classes of a checkpoint's classifier (0 without one), and their names (None if not stored).

    If no parameter has a classifier's name, there are as many classes as names.
    """

    count: int  # type: ignore[assignment]  # it hides tuple.count
    names: list[str] | None


def classes_in(path: str | Path) -> Classes:
    """Return the number and the names of the classes that the checkpoint `path` was trained on.

    Raises:
        FileNotFoundError: the file does not exist.
        ValueError: it is damaged, not a checkpoint, or without weights, or their prefix is ambiguous.
    """
    contents = read(path)
    with naming(path):
        count = count_classes(state_dict.to_mindcv(weights_of(contents)))
    names = names_in(contents)
    return Classes(count or len(names or ()), names)


def names_in(contents: dict[str, np.ndarray]) -> list[str] | None:
    """Return the class names stored in a checkpoint's `contents`, in the order of the outputs; None if not stored."""
    names = contents.get(CLASS_NAMES)
    return None if names is None else json.loads(str(names))


def count_classes(weights: dict[str, np.ndarray]) -> int:
    """Return the number of outputs of the classifier in `weights`, under MindCV's names; 0 without a classifier."""
    return next((len(array) for name, array in weights.items() if name.startswith(CLASSIFIER) and array.ndim), 0)

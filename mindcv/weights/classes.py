"""The classes that a checkpoint's model tells apart."""

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
    """How many classes a checkpoint's classifier has, 0 where it holds none, and their names, where it tells."""

    count: int
    names: list[str] | None


def classes_in(path: str | Path) -> Classes:
    """The classes that the checkpoint `path` was trained on.

    Raises:
        FileNotFoundError, ValueError: as `read`.
    """
    contents = read(path)
    with naming(path):
        count = class_count(state_dict.to_mindcv(weights_of(contents)))
    return Classes(count, names_in(contents))


def names_in(contents: dict[str, np.ndarray]) -> list[str] | None:
    """Return the names of the classes in a checkpoint's `contents`, in the order of the outputs; None without names."""
    names = contents.get(CLASS_NAMES)
    return None if names is None else json.loads(str(names))


def class_count(weights: dict[str, np.ndarray]) -> int:
    """How many classes the classifier in `weights`, under MindCV's names, has; 0 where there is none."""
    return next((len(array) for name, array in weights.items() if name.startswith(CLASSIFIER) and array.ndim), 0)

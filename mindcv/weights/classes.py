"""The classes that a checkpoint's model tells apart."""

import json
from pathlib import Path

import numpy as np

from mindcv.weights import layouts
from mindcv.weights.adapt import CLASSIFIER
from mindcv.weights.read import read

CLASS_NAMES = layouts.RUN + "class_names"  # a JSON list, in the order of the classifier's outputs


def class_names_in(path: str | Path) -> list[str] | None:
    """The names of the classes that the checkpoint `path` was trained on, None where it does not tell."""
    saved = read(path).get(CLASS_NAMES)
    return None if saved is None else json.loads(str(saved))


def class_count_in(path: str | Path) -> int:
    """How many classes the classifier in the checkpoint `path` has; 0 where it holds none."""
    return class_count(layouts.to_mindcv(layouts.weights_of(read(path))))


def class_count(weights: dict[str, np.ndarray]) -> int:
    """How many classes the classifier in `weights`, under MindCV's names, has; 0 where there is none."""
    return next((len(array) for name, array in weights.items() if name.startswith(CLASSIFIER) and array.ndim), 0)

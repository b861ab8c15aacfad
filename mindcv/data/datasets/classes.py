"""What sources in folders share: splits, classes and their numbers."""

import os
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np


def folders_in(folder: str | Path) -> list[str]:
    """The names of its folders, in order, without the hidden. Raises FileNotFoundError if it is none itself."""
    if not Path(folder).is_dir():
        raise FileNotFoundError(f"no folder {folder}: name the one that holds train, val or other splits")
    with os.scandir(folder) as entries:
        return sorted(e.name for e in entries if e.is_dir() and not e.name.startswith("."))


def split_folder(root: str | Path, split: str, splits: Sequence[str]) -> Path:
    """The folder of `split` in `root`. Raises FileNotFoundError, naming the splits there are, if there is none."""
    folder = Path(root) / split
    if not folder.is_dir():
        raise FileNotFoundError(f"no split {split!r} in {root}; it has {some(splits) or 'no folders at all'}")
    return folder


def labels_by(class_names: Sequence[str], found: Sequence[str], where: str | Path) -> list[int]:
    """The number of each class of `found`, counted by `class_names`.

    Raises:
        ValueError: a class is not in the list, or a name is in it twice; `where` says whose classes they are.
    """
    check_names(class_names, where)
    index = {name: i for i, name in enumerate(class_names)}
    if strange := [name for name in found if name not in index]:
        raise ValueError(f"{where}: {some(strange)} not among the {len(index)} known classes")
    return [index[name] for name in found]


def check_names(class_names: Sequence[str], where: str | Path) -> None:
    """Raise ValueError if two classes have one name."""
    if twice := [name for name, times in Counter(class_names).items() if times > 1]:
        raise ValueError(f"{where}: several classes are called {some(twice)}: give each a name of its own")


def check_labels(labels: np.ndarray, num_classes: int, name: Callable[[int], object], remedy: str) -> None:
    """Raise ValueError if a label is not a class index.

    Args:
        labels: (N,) integers.
        num_classes: labels must be 0 to `num_classes` - 1.
        name: gives the name of image `i` for the message.
        remedy: what the user can do, the end of the message.
    """
    wrong = np.flatnonzero((labels < 0) | (labels >= num_classes))
    if wrong.size:
        i = int(wrong[0])
        more = f" (and {wrong.size - 1:,} more such labels)" if wrong.size > 1 else ""
        raise ValueError(f"{name(i)}: got label {labels[i]}{more}, wanted 0 to {num_classes - 1}: {remedy}")


def some(names: Sequence[str]) -> str:
    """The first five of `names`, and how many more there are."""
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")

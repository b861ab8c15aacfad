"""Splits, class names and labels of data sets in folders."""

import os
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from mindcv.data.datasets.files import DEAD_LINK, is_hidden, list_folder, skipped_kind
from mindcv.errors import printable


def list_folders(folder: str | Path) -> list[str]:
    """Return the sorted names of the folders in `folder`, without hidden ones and those of operating systems.

    Raises:
        FileNotFoundError: `folder` is not a folder.
    """
    if not Path(folder).is_dir():
        raise FileNotFoundError(f"no folder {folder}: name the one that holds train, val or other splits")
    return [os.fsdecode(name) for name in list_folder(folder).folders]


def list_class_folders(folder: str | Path) -> list[str]:
    """Return the sorted names of the class folders in `folder`, the folder of a split.

    Raises:
        FileNotFoundError: `folder` is not a folder, or a link in it that may be a class folder's is dead.
    """
    classes = list_folders(folder)
    with os.scandir(folder) as entries:
        dead = sorted(e.name for e in entries if skipped_kind(e) == DEAD_LINK and not is_hidden(e.name))
    if dead:
        raise FileNotFoundError(
            f"{printable(folder)}/{printable(dead[0])} is a dead link, perhaps in place of a class folder: restore "
            "what it points to, or remove it"
        )
    return classes


def split_folder(root: str | Path, split: str, splits: Sequence[str]) -> Path:
    """Return the folder of `split` in `root`.

    Args:
        root: Folder of the data set.
        split: Name of the split; "" for `root` itself.
        splits: All splits in `root`, for the error message.

    Raises:
        FileNotFoundError: The folder does not exist.
    """
    folder = Path(root) / split
    if not folder.is_dir():
        raise FileNotFoundError(
            f"no split {split!r} in {root}; it has {summarize_names(splits) or 'no folders at all'}"
        )
    return folder


def class_indices(class_names: Sequence[str], found: Sequence[str], origin: str | Path) -> list[int]:
    """Return the index in `class_names` of each name in `found`.

    Args:
        class_names: All class names, in the order of their indices.
        found: Class names of a data set, in any order and with repetitions.
        origin: Where `found` comes from, for error messages.

    Raises:
        ValueError: A name in `found` is not in `class_names`, or `class_names` has duplicates.
    """
    check_unique_names(class_names, origin)
    index = {name: i for i, name in enumerate(class_names)}
    if unknown := [name for name in found if name not in index]:
        raise ValueError(f"{origin}: {summarize_names(unknown)} not among the {len(index)} known classes")
    return [index[name] for name in found]


def check_unique_names(class_names: Sequence[str], origin: str | Path) -> None:
    """Raise ValueError if two classes have the same name; `origin` begins the message."""
    if duplicates := [name for name, count in Counter(class_names).items() if count > 1]:
        raise ValueError(
            f"{origin}: several classes are called {summarize_names(duplicates)}: give each a name of its own"
        )


def check_labels(labels: np.ndarray, num_classes: int, name: Callable[[int], object], remedy: str) -> None:
    """Raise ValueError if a label is not a class index.

    Args:
        labels: (N,) integers.
        num_classes: Labels must be 0 to `num_classes` - 1.
        name: Returns the name of image `i` for the message.
        remedy: What the user can do, the end of the message.
    """
    wrong = np.flatnonzero((labels < 0) | (labels >= num_classes))
    if wrong.size:
        i = int(wrong[0])
        more = f" (and {wrong.size - 1:,} more such labels)" if wrong.size > 1 else ""
        raise ValueError(f"{name(i)}: got label {labels[i]}{more}, wanted 0 to {num_classes - 1}: {remedy}")


def summarize_names(names: Sequence[str]) -> str:
    """Join the first five of `names` by commas, and say how many more follow: "a, b, c, d, e and 3 more"."""
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")

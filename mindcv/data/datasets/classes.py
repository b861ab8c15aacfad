"""What sources in folders share: splits, classes and their numbers."""

import os
from collections.abc import Sequence
from pathlib import Path


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
    """The number of each class of `found`, counted by `class_names`. Raises ValueError, naming those not in it."""
    index = {name: i for i, name in enumerate(class_names)}
    if strange := [name for name in found if name not in index]:
        raise ValueError(f"{where}: {some(strange)} not among the {len(index)} known classes")
    return [index[name] for name in found]


def some(names: Sequence[str]) -> str:
    """The first five of `names`, and how many more there are."""
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")

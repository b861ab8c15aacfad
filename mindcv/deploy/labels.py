"""Names of classes."""

import functools
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from mindcv.io.files import read_utf8


@functools.cache
def imagenet_names() -> dict[str, str]:
    """Return the English names of ImageNet-1K's 1,000 classes by WordNet id, in the order of the models' outputs.

    Every call returns the same dictionary, so do not change it.
    """
    lines = files("mindcv.deploy").joinpath("imagenet_classes.txt").read_text(encoding="utf-8").splitlines()
    return dict(line.split(" ", 1) for line in lines)


def class_label(index: int, num_classes: int, class_names: Sequence[str] | None) -> str:
    """Return the name of class `index` (from 0), "class INDEX" if it has none.

    Args:
        index: Position in the model's outputs.
        num_classes: How many outputs the model has.
        class_names: Names in the order of the outputs, possibly fewer than `num_classes`; ImageNet's WordNet ids among
            them are translated to English. None: ImageNet's names if there are 1,000 classes, else no names.
    """
    if class_names is None and num_classes == len(imagenet_names()):
        class_names = list(imagenet_names())
    if class_names is None or index >= len(class_names):
        return f"class {index}"
    return imagenet_names().get(class_names[index], class_names[index])


def read_class_names(path: str | Path, option: str = "class_names") -> list[str]:
    """Return the class names in a UTF-8 text file, one per line, in the order of the model's outputs.

    Space around a name and empty lines at the end are left out. `option` names the file in messages.

    Raises:
        FileNotFoundError: the file does not exist.
        ValueError: the file is not text, is empty, or has an empty line between names.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"{option}: no file {path}")
    names = [line.strip() for line in read_utf8(path, "one name a line").rstrip().split("\n")]
    if "" in names:
        raise ValueError(f"{option}: {path} has no name in line {names.index('') + 1}; wanted one name a line")
    return names

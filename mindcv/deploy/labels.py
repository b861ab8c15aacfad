"""What classes are called."""

import functools
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path


@functools.cache
def imagenet_names() -> dict[str, str]:
    """The 1,000 classes of ImageNet-1K by WordNet id, in the order of the ids, which is that of models' outputs."""
    lines = files("mindcv.deploy").joinpath("imagenet_classes.txt").read_text(encoding="utf-8").splitlines()
    return dict(line.split(" ", 1) for line in lines)


def label(number: int, num_classes: int, class_names: Sequence[str] | None) -> str:
    """The name of class `number` of `num_classes`.

    `class_names` may be fewer than the classes; a WordNet id of ImageNet's among them is given in English. Without them
    1,000 classes are ImageNet's.
    """
    if class_names is None and num_classes == len(imagenet_names()):
        class_names = list(imagenet_names())
    if class_names is None or number >= len(class_names):
        return f"class {number}"
    return imagenet_names().get(class_names[number], class_names[number])


def read_names(path: str | Path) -> list[str]:
    """The class names in a text file, one a line, in the order of the model's outputs.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no text, or empty, or has an empty line between names.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"class_names: no file {path}")
    try:
        names = [line.strip() for line in Path(path).read_text(encoding="utf-8-sig").rstrip().split("\n")]
    except UnicodeDecodeError:
        raise ValueError(f"class_names: {path} is no text in UTF-8; wanted one name a line") from None
    if "" in names:
        raise ValueError(f"class_names: {path} has no name in line {names.index('') + 1}; wanted one name a line")
    return names

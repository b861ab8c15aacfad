"""Scoring some of a model's classes only, as for ImageNet-A, ImageNet-R and ImageNetV2."""

from collections.abc import Sequence
from typing import NamedTuple

import mindspore as ms
from mindspore import Tensor, nn

from mindcv.deploy.labels import imagenet_names, read_class_names
from mindcv.errors import did_you_mean


class ClassSubset(NamedTuple):
    """The classes that are scored.

    Attributes:
        names: As in the file, which are the names of the images' folders.
        outputs: The model's output for each of them, from 0.
    """

    names: list[str]
    outputs: list[int]


class Subset(nn.Cell):
    """A model's logits for some of its classes: images (B, C, H, W) to (B, classes).

    Args:
        model: Images to the logits of all classes. Its parameters keep their names.
        outputs: The classes to keep, by their numbers from 0, in the order of the result.
    """

    def __init__(self, model: nn.Cell, outputs: Sequence[int]):
        super().__init__(auto_prefix=False)
        self.model = model
        self.outputs = Tensor(outputs, ms.int32)

    def construct(self, images: Tensor) -> Tensor:
        return self.model(images).gather(self.outputs, 1)


def read_subset(path: str, num_classes: int, class_names: Sequence[str] | None) -> ClassSubset:
    """Return the classes that a file lists, one a line: by the name of a class, or else by its number from 0.

    Args:
        path: The file.
        num_classes: How many outputs the model has.
        class_names: Names in the order of the outputs, possibly fewer; None for the WordNet ids of ImageNet's 1,000
            classes, or for no names if the model has another number of them.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a line is neither a name nor a number of a class, or names the class of an earlier line.
    """
    if class_names is None:
        class_names = list(imagenet_names()) if num_classes == len(imagenet_names()) else []
    by_name = {name: i for i, name in enumerate(class_names)}
    by_number = {str(i): i for i in range(num_classes)}
    names = read_class_names(path, "class_subset")
    outputs: dict[int, str] = {}
    for number, name in enumerate(names, 1):
        output = by_name.get(name, by_number.get(name))
        if output is None:
            hint = did_you_mean(name, by_name)
            raise ValueError(f"class_subset: {path} line {number}: the model has no class {name!r}{hint}")
        if output in outputs:
            raise ValueError(f"class_subset: {path} line {number}: {name} is the class {outputs[output]} once more")
        outputs[output] = name
    return ClassSubset(names, list(outputs))

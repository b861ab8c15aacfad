"""Images in one folder, with a list that says which class each is of, as ImageNet's validation images come."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mindcv.data.datasets.classes import folders_in, labels_by, some, split_folder
from mindcv.data.datasets.files import FileSource, images_in


class ListedSource(FileSource):
    """The image files that lie in `root/split` itself, labelled by the file `listing`.

    A line of the list is one of

    - a file's name and its class, by name or by number: `ILSVRC2012_val_00000001.JPEG 65` (Caffe's val.txt),
      `ILSVRC2012_val_00000001,n01751748 …` (Kaggle's LOC_val_solution.csv, whose first line is a heading);
    - a class's name alone (TensorFlow's imagenet_2012_validation_synset_labels.txt): they belong to the files in
      the order of their names.

    Numbers count from 0 in the order of `class_names`, those of the training images; without them, the names in the
    list are the classes, in alphabetical order. `numbered` says whether the list has numbers.

    Raises:
        FileNotFoundError: there is no such folder or list, or no image.
        ValueError: the list and the files do not agree, or a class is not known.
    """

    def __init__(self, root: str, split: str, listing: str, class_names: Sequence[str] | None = None):
        self.splits = folders_in(root)
        self.folder = split_folder(root, split, self.splits)
        names = images_in(self.folder)
        if not names:
            raise FileNotFoundError(f"no images in {self.folder} itself, which val_list {listing} is a list of")
        self._files = np.array(names)
        classes = _classes_of(names, listing)
        self.numbered = all(name.isdecimal() for name in classes)
        if self.numbered:
            self.labels = np.array(classes, np.int32)
            if class_names is None:
                class_names = [str(i) for i in range(self.labels.max() + 1)]
            if self.labels.max() >= len(class_names):
                raise ValueError(f"{listing}: class {self.labels.max()}, but there are {len(class_names)}, from 0 on")
        else:
            class_names = list(class_names) if class_names else sorted(set(classes))
            self.labels = np.array(labels_by(class_names, classes, listing), np.int32)
        self.class_names = list(class_names)

    def relative(self, i: int) -> bytes:
        return self._files[i]


def _classes_of(names: list[bytes], listing: str) -> list[str]:
    """The class of each of the files `names`, by name or number, as the list says."""
    lines = [line for line in Path(listing).read_text(encoding="utf-8").splitlines() if line.strip()]
    rows = [re.split(r"[,\s]+", line.strip()) for line in lines]
    if rows and rows[0][0] == "ImageId":
        del rows[0]
    if all(len(row) == 1 for row in rows):
        if len(rows) != len(names):
            raise ValueError(f"{listing} has {len(rows)} lines for {len(names)} images: one for each is wanted")
        if all(row[0].isdecimal() for row in rows):
            raise ValueError(
                f"{listing} has numbers alone, and the ImageNet devkit counts classes in an order of its own: "
                "use a list with the names of the classes (n01440764 …) or of the files"
            )
        return [row[0] for row in rows]
    stem = {os.path.splitext(row[0])[0]: row[1] for row in rows if len(row) > 1}
    if missing := [name for name in map(os.fsdecode, names) if os.path.splitext(name)[0] not in stem]:
        raise ValueError(f"{listing} does not list {some(missing)}")
    return [stem[os.path.splitext(os.fsdecode(name))[0]] for name in names]

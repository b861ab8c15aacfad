"""Images in one folder, with a list that says which class each is of, as ImageNet's validation images come."""

import os
import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mindcv.data.datasets.classes import check_labels, folders_in, labels_by, some, split_folder
from mindcv.data.datasets.files import EXTENSIONS, FileSource, images_in

MOST_CLASSES = 1_000_000  # where nothing says how many there are, larger numbers are taken for mistakes
_NUMBER = re.compile(r"[+-]?\d+")


class ListedSource(FileSource):
    """The image files that lie in `root/split` itself, labelled by the file `listing`.

    A line of the list is one of

    - a file's name and its class, by name or by number: `ILSVRC2012_val_00000001.JPEG 65` (Caffe's val.txt),
      `ILSVRC2012_val_00000001,n01751748 …` (Kaggle's LOC_val_solution.csv, whose first line is a heading);
    - a class's name alone (TensorFlow's imagenet_2012_validation_synset_labels.txt): they belong to the files in
      the order of their names.

    A file's name may stand without its extension, or with another, where only one file can be meant. Every file is
    listed once, and every file that is listed is there.

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
        classes = _classes_of([os.fsdecode(name) for name in names], listing)
        numbers = [name for name in classes if _NUMBER.fullmatch(name)]
        self.numbered = len(numbers) == len(classes)
        if self.numbered:
            self.labels, class_names = self._by_number(classes, listing, class_names)
        elif numbers and not class_names:
            name = next(name for name in classes if name not in numbers)
            raise ValueError(f"{listing} has classes by number ({numbers[0]}) and by name ({name}): write all one way")
        else:
            class_names = class_names or sorted(set(classes))
            self.labels = np.array(labels_by(class_names, classes, listing), np.int32)
        self.class_names = list(class_names)

    def _by_number(
        self, classes: list[str], listing: str, class_names: Sequence[str] | None
    ) -> tuple[np.ndarray, Sequence[str]]:
        """The labels (N,) int32 that numbers stand for, and the names of the classes."""
        labels = np.array(list(map(int, classes)), object)  # of any size

        def name(i: int) -> str:
            return f"{listing}, {os.fsdecode(self._files[i])}"

        check_labels(labels, len(class_names or range(MOST_CLASSES)), name, "classes count from 0; correct the list")
        if class_names is None:
            class_names = [str(i) for i in range(labels.max() + 1)]
        index = {name: i for i, name in enumerate(class_names)}
        if unclear := [number for number in set(classes) if index.get(number, int(number)) != int(number)]:
            number = min(unclear)
            raise ValueError(
                f"{listing}: class {number} may be the one of that name or number {number}, which is called "
                f"{class_names[int(number)]}: give classes names that are not numbers"
            )
        return labels.astype(np.int32), class_names

    def relative(self, i: int) -> bytes:
        return self._files[i]


def _classes_of(files: list[str], listing: str) -> list[str]:
    """The class of each of `files`, by name or number, as the list says."""
    try:
        lines = Path(listing).read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise ValueError(f"{listing} is not a text in UTF-8; wanted lines such as 'image.jpg 65'") from None
    rows = [row for row in ([word for word in re.split(r"[,\s]+", line) if word] for line in lines) if row]
    if rows and rows[0][0] == "ImageId":
        del rows[0]
    if all(len(row) == 1 for row in rows):
        if len(rows) != len(files):
            raise ValueError(f"{listing} has {len(rows)} lines for {len(files)} images: one for each is wanted")
        if all(row[0].isdecimal() for row in rows):
            raise ValueError(
                f"{listing} has numbers alone, and the ImageNet devkit counts classes in an order of its own: "
                "use a list with the names of the classes (n01440764 …) or of the files"
            )
        return [row[0] for row in rows]
    if bare := [row[0] for row in rows if len(row) == 1]:
        raise ValueError(f"{listing} gives no class for {some(bare)}")
    class_of = _by_file([(row[0], row[1]) for row in rows], files, listing)
    return [class_of[file] for file in files]


def _by_file(entries: list[tuple[str, str]], files: list[str], listing: str) -> dict[str, str]:
    """The class of every file, from pairs of a name, perhaps without its extension, and a class."""
    listed, by_stem = {name for name, _ in entries}, defaultdict(list)
    for file in files:
        by_stem[file if file in listed else _stem(file)].append(file)
    class_of, absent = {}, []
    for name, class_name in entries:
        meant = by_stem.get(name) or by_stem.get(_stem(name), [])
        if not meant:
            absent.append(name)
        elif len(meant) > 1:
            raise ValueError(f"{listing}: {name} may be {some(meant)}: write the extension")
        elif meant[0] in class_of:
            raise ValueError(f"{listing} lists {meant[0]} twice: leave one line")
        else:
            class_of[meant[0]] = class_name
    if unlisted := [file for file in files if file not in class_of]:
        raise ValueError(f"{listing} does not list {some(unlisted)}")
    if absent:
        raise ValueError(f"{listing} lists {some(absent)}, and there is no such image: remove the lines")
    return class_of


def _stem(name: str) -> str:
    """`name` without an image's extension."""
    stem, extension = os.path.splitext(name)
    return stem if extension.lower() in EXTENSIONS else name

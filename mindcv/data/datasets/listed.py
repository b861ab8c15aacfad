"""Images in one folder with a list of their classes, as ImageNet's validation images are distributed."""

import os
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mindcv.data.datasets.classes import check_labels, class_indices, list_folders, split_folder, summarize_names
from mindcv.data.datasets.files import EXTENSIONS, FileSource, list_folder
from mindcv.io.files import read_utf8

MAX_CLASSES = 1_000_000  # larger class numbers are taken for mistakes if the number of classes is unknown
_NUMBER = re.compile(r"[+-]?\d+")
_MAX_DIGITS = 20
# A class name and its boxes in LOC_val_solution.csv: "n01751748 111 108 365 219 n01751748 20 30 40 50".
_CLASS_WITH_BOXES = re.compile(r"(\D\S*)(?:\s+\d+){4}(?:\s+\1(?:\s+\d+){4})*")


class ListedSource(FileSource):
    """The image files directly in `root/split`, labelled by the file `listing`.

    Each line of the list has one of these forms:

    - a file's name and its class, by name or by number: `ILSVRC2012_val_00000001.JPEG 65` (Caffe's val.txt), or with
      a comma if one of them contains spaces: `my image.jpg,tiger cat`;
    - `ILSVRC2012_val_00000001,n01751748 111 108 365 219` (Kaggle's LOC_val_solution.csv): the boxes are ignored;
    - a class name alone (TensorFlow's imagenet_2012_validation_synset_labels.txt): line k labels the k-th file in
      alphabetical order.

    A file may be listed without its extension, or with another, if only one file matches. The list must name every
    file in the folder exactly once, and no other file.

    Args:
        root: Folder of the data set.
        split: Name of the split, the folder with the images; "" for `root` itself.
        listing: Path of the list.
        class_names: Class names in the order of their indices; numbers in the list count from 0 in this order. By
            default, the names in the list in alphabetical order, or "0", "1", … for a list of numbers.

    Attributes:
        has_numeric_labels: Whether the list gives classes by number.

    Raises:
        FileNotFoundError: The folder or the list does not exist, or the folder has no image.
        ValueError: The list and the files do not match, a line has another form, or a class is unknown.
    """

    def __init__(self, root: str, split: str, listing: str, class_names: Sequence[str] | None = None):
        self.splits = list_folders(root)
        self.folder = split_folder(root, split, self.splits)
        names, folders, self.skipped = list_folder(self.folder)
        if folders:
            self.skipped["folder"] = len(folders)
        if Path(listing).parent.resolve() == self.folder.resolve() and Path(listing).is_file():
            self.skipped -= Counter([os.path.splitext(listing)[1].lower()])
        if not names:
            raise FileNotFoundError(f"no images in {self.folder} itself, which val_list {listing} is a list of")
        self._files = np.array(names)
        classes = _read_classes([os.fsdecode(name) for name in names], listing)
        numbers = [name for name in classes if _NUMBER.fullmatch(name)]
        self.has_numeric_labels = len(numbers) == len(classes)
        if self.has_numeric_labels:
            self.labels, class_names = self._labels_from_numbers(classes, listing, class_names or None)
        elif numbers and not class_names:
            name = next(name for name in classes if name not in numbers)
            raise ValueError(f"{listing} has classes by number ({numbers[0]}) and by name ({name}): write all one way")
        else:
            class_names = class_names or sorted(set(classes))
            self.labels = np.array(class_indices(class_names, classes, listing), np.int32)
        self.class_names = list(class_names)

    def _labels_from_numbers(
        self, classes: list[str], listing: str, class_names: Sequence[str] | None
    ) -> tuple[np.ndarray, Sequence[str]]:
        """Return the labels, (N,) int32, for class numbers written as text, and the class names.

        Args:
            classes: The class number of each image.
            listing: Path of the list, for error messages.
            class_names: Returned as they are; None gives "0", "1", … up to the largest number.

        Raises:
            ValueError: A number is out of range, or is also the name of another class.
        """

        def name(i: int) -> str:
            return f"{listing}, {os.fsdecode(self._files[i])}"

        for i, number in enumerate(classes):
            if len(number) > _MAX_DIGITS:  # Python's int refuses some thousand digits
                raise ValueError(f"{name(i)}: got a label of {len(number)} digits: correct the list")
        labels = np.array(list(map(int, classes)), object)  # integers of any size
        check_labels(labels, len(class_names or range(MAX_CLASSES)), name, "classes count from 0; correct the list")
        if class_names is None:
            class_names = [str(i) for i in range(labels.max() + 1)]
        index = {name: i for i, name in enumerate(class_names)}
        if ambiguous := [number for number in set(classes) if index.get(number, int(number)) != int(number)]:
            number = min(ambiguous)
            raise ValueError(
                f"{listing}: class {number} may be the one of that name or number {number}, which is called "
                f"{class_names[int(number)]}: give classes names that are not numbers"
            )
        return labels.astype(np.int32), class_names

    def relative_path(self, i: int) -> bytes:
        """Return the name of image `i` in `folder`."""
        return self._files[i]


def _read_classes(files: list[str], listing: str) -> list[str]:
    """Return the class of each of `files`, in their order, as the list writes it, by name or by number.

    Args:
        files: Names of all images in the folder, sorted.
        listing: Path of the list: lines `FILE CLASS` or `FILE,CLASS`, or the class alone, in the order of `files`.

    Raises:
        FileNotFoundError: The list does not exist.
        ValueError: It is not text in UTF-8, does not name each file once, has class numbers alone, or a line lacks a
            class or has another form.
    """
    lines = read_utf8(listing, "lines such as 'image.jpg 65'").splitlines()
    rows = [_split_line(line, f"{listing} line {n}") for n, line in enumerate(lines, 1) if line.strip()]
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
    if without_class := [row[0] for row in rows if len(row) == 1]:
        raise ValueError(f"{listing} gives no class for {summarize_names(without_class)}")
    class_of = _match_files(rows, files, listing)
    return [class_of[file] for file in files]


def _split_line(line: str, where: str) -> list[str]:
    """Return [file name, class] of a line, or [its only word] if it has no class.

    Args:
        line: A line that is not blank: `a.jpg 65`, `my a.jpg,tiger cat`, `a,n01751748 1 2 30 40` (a class and boxes,
            which are ignored), or a class alone.
        where: The list and the line's number, for error messages.

    Raises:
        ValueError: There are more than two words without a comma, or several numbers for a class.
    """
    if "," in line:
        name, label = (part.strip() for part in line.split(",", 1))
        if boxes := _CLASS_WITH_BOXES.fullmatch(label):
            label = boxes[1]
        row = [name, label] if label else [name]
    else:
        row, label = line.split(), ""
    numbers = re.split(r"[,\s]+", label)
    if len(row) > 2 or (len(numbers) > 1 and all(map(_NUMBER.fullmatch, numbers))):
        raise ValueError(
            f"{where}: got {line.strip()[:60]!r}, wanted a file's name and one class, with a comma between them if a "
            "name contains spaces: 'my image.jpg,tiger cat'"
        )
    return row


def _match_files(entries: list[list[str]], files: list[str], listing: str) -> dict[str, str]:
    """Return the class of every file, by the file's name in the folder.

    Args:
        entries: [file name, class]; the name may lack its extension or have another.
        files: Names of the files in the folder.
        listing: Path of the list, for error messages.

    Raises:
        ValueError: A name matches several files or none, or a file is listed twice or not at all.
    """
    listed, by_stem = {name for name, _ in entries}, defaultdict(list)
    for file in files:
        by_stem[file if file in listed else _stem(file)].append(file)
    class_of, missing = {}, []
    for name, class_name in entries:
        matches = by_stem.get(name) or by_stem.get(_stem(name), [])
        if not matches:
            missing.append(name)
        elif len(matches) > 1:
            raise ValueError(f"{listing}: {name} may be {summarize_names(matches)}: write the extension")
        elif matches[0] in class_of:
            raise ValueError(f"{listing} lists {matches[0]} twice: leave one line")
        else:
            class_of[matches[0]] = class_name
    if unlisted := [file for file in files if file not in class_of]:
        raise ValueError(f"{listing} does not list {summarize_names(unlisted)}")
    if missing:
        raise ValueError(f"{listing} lists {summarize_names(missing)}, and there is no such image: remove the lines")
    return class_of


def _stem(name: str) -> str:
    """Return `name` without an image's extension."""
    stem, extension = os.path.splitext(name)
    return stem if extension.lower() in EXTENSIONS else name

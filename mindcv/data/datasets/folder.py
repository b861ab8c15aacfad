"""Images in folders named after their classes, `root/split/class/*.jpg`, as in ImageNet."""

import os
from collections import Counter
from collections.abc import Sequence

import numpy as np

from mindcv.data.datasets.classes import class_indices, list_class_folders, list_folders, split_folder
from mindcv.data.datasets.files import FileSource, list_folder
from mindcv.data.datasets.index import list_class_images


class FolderSource(FileSource):
    """The image files in the class folders of `root/split`.

    The folders below a class folder belong to the class, as in torchvision's ImageFolder.

    Args:
        root: Folder of the data set.
        split: Name of the split; "" if the class folders lie in `root` itself.
        class_names: Class names in the order of their indices, such as those of the training split. By default, the
            class folders in alphabetical order, so that indices are the same on every machine.

    Raises:
        FileNotFoundError: The folder does not exist, has no class folders, a class has no image, or a link in
            place of one is dead.
        ValueError: A class folder is not among `class_names`.
    """

    def __init__(self, root: str, split: str, class_names: Sequence[str] | None = None):
        self.splits = list_folders(root)
        self.folder = split_folder(root, split, self.splits)
        folders = list_class_folders(self.folder)
        if not folders:
            raise FileNotFoundError(f"no class folders in {self.folder}: images belong in {self.folder}/CLASS/*.jpg")
        self.class_names = list(class_names) if class_names else folders
        indices = class_indices(self.class_names, folders, self.folder)
        # Names as one array of bytes take 30 MB for a million files, as many str over 100 MB.
        files, self.skipped = list_class_images(self.folder, folders)
        beside = list_folder(self.folder)
        self.skipped += beside.skipped + Counter({"image beside class folders": len(beside.images)})
        for folder, names in zip(folders, files, strict=True):
            if not len(names):
                raise FileNotFoundError(f"no images in class folder {self.folder / folder}")
        self._files = np.concatenate(files)
        self.labels = np.repeat(np.array(indices, np.int32), [len(names) for names in files])

    def relative_path(self, i: int) -> bytes:
        """Return the path of image `i` relative to `folder`, class/name or class/subfolder/name."""
        return os.fsencode(self.class_names[self.labels[i]]) + b"/" + self._files[i]

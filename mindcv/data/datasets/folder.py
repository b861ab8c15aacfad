"""Images in folders named after their classes: `root/split/class/*.jpg`, which is ImageNet's layout too."""

import os
from collections.abc import Sequence

import numpy as np

from mindcv.data.datasets.classes import folders_in, labels_by, split_folder
from mindcv.data.datasets.files import FileSource
from mindcv.data.datasets.index import images_of


class FolderSource(FileSource):
    """The image files of `root/split` (`root` itself if `split` is "").

    The classes are the sub-folders in the order of their names, so a class has the same index on every
    machine; give `class_names` (those of the training split, say) to have indices by that list instead.
    Hidden files and files without an image's extension are left out.

    Raises:
        FileNotFoundError: there is no such folder, it has no class folders, or a class has no image.
        ValueError: a folder is not among `class_names`.
    """

    def __init__(self, root: str, split: str, class_names: Sequence[str] | None = None):
        self.splits = folders_in(root)
        self.folder = split_folder(root, split, self.splits)
        folders = folders_in(self.folder)
        if not folders:
            raise FileNotFoundError(f"no class folders in {self.folder}: images belong in {self.folder}/CLASS/*.jpg")
        self.class_names = list(class_names) if class_names else folders
        # File names as one array of bytes: 30 MB for a million, where as many str take over 100.
        numbers, files = labels_by(self.class_names, folders, self.folder), images_of(self.folder, folders)
        for name, found in zip(folders, files, strict=True):
            if not len(found):
                raise FileNotFoundError(f"no images in class folder {self.folder / name}")
        self._files = np.concatenate(files)
        self.labels = np.repeat(np.array(numbers, np.int32), [len(found) for found in files])

    def relative(self, i: int) -> bytes:
        return os.fsencode(self.class_names[self.labels[i]]) + b"/" + self._files[i]

"""Images in folders named after their classes: `root/split/class/*.jpg`, which is ImageNet's layout too."""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from mindcv.data.odd_images import as_viewed

EXTENSIONS = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".avif")


class FolderSource:
    """The image files of `root/split` (`root` itself if `split` is ""), read when asked for.

    The classes are the sub-folders in the order of their names, so a class has the same index on every
    machine; give `class_names` (those of the training split, say) to have indices by that list instead.
    Hidden files and files without an image's extension are left out.

    Raises:
        FileNotFoundError: there is no such folder, it has no class folders, or a class has no image.
        ValueError: a folder is not among `class_names`.
    """

    encoded = True

    def __init__(self, root: str, split: str, class_names: Sequence[str] | None = None):
        self.folder = Path(root) / split
        if not Path(root).is_dir():
            raise FileNotFoundError(f"no folder {root}: name the one that holds train, val or other splits")
        self.splits = _folders(Path(root))
        if not self.folder.is_dir():
            raise FileNotFoundError(f"no split {split!r} in {root}; it has {_some(self.splits) or 'no folders at all'}")
        folders = _folders(self.folder)
        if not folders:
            raise FileNotFoundError(f"no class folders in {self.folder}: images belong in {self.folder}/CLASS/*.jpg")
        self.class_names = list(class_names) if class_names else folders
        index = {name: i for i, name in enumerate(self.class_names)}
        if strange := [name for name in folders if name not in index]:
            raise ValueError(f"{self.folder}: {_some(strange)} not among the {len(index)} known classes")
        # File names as one array of bytes: 30 MB for a million, where as many str take over 100.
        files, labels = [], []
        for name in folders:
            found = _images(self.folder / name)
            if not found:
                raise FileNotFoundError(f"no images in class folder {self.folder / name}")
            files.append(np.array(found))
            labels.append(np.full(len(found), index[name], np.int32))
        self._files = np.concatenate(files)
        self.labels = np.concatenate(labels)

    def __len__(self) -> int:
        return len(self.labels)

    def path(self, i: int) -> Path:
        """Where image `i` is."""
        return self.folder / self.class_names[self.labels[i]] / os.fsdecode(self._files[i])

    def fingerprint(self) -> bytes:
        """Changes when an image is added, taken away, renamed or written again: names, sizes and times of all."""
        folder, names = os.fsencode(self.folder.absolute()), [os.fsencode(name) for name in self.class_names]
        facts = np.zeros((len(self), 2), np.int64)
        for i in range(len(self)):
            with suppress(OSError):
                file = os.stat(b"%s/%s/%s" % (folder, names[self.labels[i]], self._files[i]))
                facts[i] = file.st_size, file.st_mtime_ns
        return b"".join([folder, *names, self._files.tobytes(), facts.tobytes()])

    def __getitem__(self, i: int) -> tuple[np.ndarray, np.int32]:
        """The bytes of image `i`, encoded, as (n,) uint8, and its label. Raises UnreadableImage."""
        return as_viewed(self.path(i)), self.labels[i]


def _folders(folder: Path) -> list[str]:
    with os.scandir(folder) as entries:
        return sorted(e.name for e in entries if e.is_dir() and not e.name.startswith("."))


def _images(folder: Path) -> list[bytes]:
    with os.scandir(os.fsencode(folder)) as entries:
        # A link to nowhere is listed too: reading it tells what is wrong with it.
        names = (e.name for e in entries if not e.name.startswith(b".") and not e.is_dir())
        return sorted(n for n in names if os.fsdecode(n).lower().endswith(EXTENSIONS))


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")

"""What sources of image files share."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np

from mindcv.data.image_decode import as_viewed

EXTENSIONS = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".avif")


class FileSource:
    """Image files in `folder`, read when asked for, with `labels` and `class_names`."""

    encoded = True
    folder: Path
    labels: np.ndarray
    class_names: list[str]
    splits: list[str]

    def relative(self, i: int) -> bytes:
        """The path of image `i` in the folder."""
        raise NotImplementedError

    def __len__(self) -> int:
        return len(self.labels)

    def names(self) -> Iterator[bytes]:
        """The path of every image in the folder, in the order of `labels`."""
        return map(self.relative, range(len(self)))

    def path(self, i: int) -> Path:
        """Where image `i` is."""
        return self.folder / os.fsdecode(self.relative(i))

    def packed(self, i: int) -> bytes:
        """The file's bytes."""
        return self.path(i).read_bytes()

    def fingerprint(self, *more: str) -> bytes:
        """Changes when an image is added, taken away, renamed or written again: names, sizes and times of all.

        And when one of `more` changes, attributes of `os.stat`, such as "st_mode".
        """
        facts = ("st_size", "st_mtime_ns", *more)
        folder = os.fsencode(self.folder.absolute())
        names = [self.relative(i) for i in range(len(self))]
        table = np.zeros((len(self), len(facts)), np.int64)
        for name, row in zip(names, table, strict=True):
            with suppress(OSError):
                file = os.stat(b"%s/%s" % (folder, name))
                row[:] = [getattr(file, fact) for fact in facts]
        return b"\0".join([folder, *names, self.labels.tobytes(), table.tobytes()])

    def __getitem__(self, i: int) -> tuple[np.ndarray, np.int32]:
        """The bytes of image `i`, encoded, as (n,) uint8, and its label. Raises UnreadableImage."""
        return as_viewed(self.path(i)), self.labels[i]


def images_in(folder: str | Path) -> list[bytes]:
    """The names of the image files in a folder, in order, without the hidden and those without an image's extension.

    A link to nowhere is listed too: reading it tells what is wrong with it.
    """
    with os.scandir(os.fsencode(folder)) as entries:
        names = (e.name for e in entries if not e.name.startswith(b".") and not e.is_dir())
        return sorted(n for n in names if os.fsdecode(n).lower().endswith(EXTENSIONS))

"""The base class of data sets that read image files from a folder."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np

from mindcv.data.image_decode import read_encoded

EXTENSIONS = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".avif")


class FileSource:
    """Image files in a folder, each read when it is indexed. Subclasses define `relative_path` and the attributes.

    Attributes:
        folder: Folder of the split.
        labels: (N,) int32 class indices.
        class_names: Name of each class index.
        splits: Splits that the data set has.
    """

    encoded = True
    folder: Path
    labels: np.ndarray
    class_names: list[str]
    splits: list[str]

    def relative_path(self, i: int) -> bytes:
        """Return the path of image `i` relative to `folder`."""
        raise NotImplementedError

    def __len__(self) -> int:
        return len(self.labels)

    def names(self) -> Iterator[bytes]:
        """Iterate over the images' paths relative to `folder`, in the order of `labels`."""
        return map(self.relative_path, range(len(self)))

    def path(self, i: int) -> Path:
        """Return the path of image `i`."""
        return self.folder / os.fsdecode(self.relative_path(i))

    def read_bytes(self, i: int) -> bytes:
        """Return the file of image `i` byte by byte, without checking it. Raises OSError."""
        return self.path(i).read_bytes()

    def fingerprint(self, *stat_fields: str) -> bytes:
        """Return bytes that change when an image is added, removed, renamed or modified.

        They hold the folder's absolute path, labels, and each file's name, size and modification time. Files are not
        read; a missing file counts with zeros.

        Args:
            stat_fields: Further attributes of `os.stat_result` to include, such as "st_mode".
        """
        fields = ("st_size", "st_mtime_ns", *stat_fields)
        folder = os.fsencode(self.folder.absolute())
        names = [self.relative_path(i) for i in range(len(self))]
        table = np.zeros((len(self), len(fields)), np.int64)
        for name, row in zip(names, table, strict=True):
            with suppress(OSError):
                status = os.stat(b"%s/%s" % (folder, name))
                row[:] = [getattr(status, field) for field in fields]
        return b"\0".join([folder, *names, self.labels.tobytes(), table.tobytes()])

    def __getitem__(self, i: int) -> tuple[np.ndarray, np.int32]:
        """Return image `i` as encoded bytes, (n,) uint8, and its label. Raises UnreadableImage."""
        return read_encoded(self.path(i)), self.labels[i]


def list_images(folder: str | Path) -> list[bytes]:
    """Return the sorted names of the image files in `folder`, without hidden files.

    An image file has one of `EXTENSIONS` (".jpg", ".png", …), in upper or lower case. A broken link is included, so
    that reading it reports the error. An OSError is raised if `folder` cannot be listed.
    """
    with os.scandir(os.fsencode(folder)) as entries:
        names = (e.name for e in entries if not e.name.startswith(b".") and not e.is_dir())
        return sorted(n for n in names if os.fsdecode(n).lower().endswith(EXTENSIONS))

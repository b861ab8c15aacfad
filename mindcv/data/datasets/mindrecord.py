"""Images packed into MindRecord files by `mindcv data pack`.

MindSpore's readers cannot serve a new order each epoch: `MindDataset` takes a fixed list of rows, and `FileReader`
reads sequentially. Here one `pread` fetches image i, at the position given by the SQLite index that MindSpore writes
with each file.

A MindRecord file is a header (8 bytes with the length of its JSON, then the JSON) and pages of one size. A row of the
index gives page and byte range of an image; the range begins with 8 bytes that hold the image's length.
"""

import json
import os
import re
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from mindcv.data.datasets.classes import check_labels, check_unique_names, class_indices, list_folders, split_folder
from mindcv.data.image_decode import UnreadableImage, make_decodable
from mindcv.errors import printable
from mindcv.io.files import read_at

MANIFEST = "pack.json"
_NO_INDEX = "{} is not a MindRecord file with its index {}.db: pack it again"
ESCAPED = re.compile(rb"\\(x(5c|[89a-f][0-9a-f]))")  # a byte of a name in the index, as "\xe9"
LENGTH_BYTES = 8  # before an image's bytes, little-endian


class MindRecordSource:
    """The packed images of `root/split`, in the order of the folder that they were packed from.

    Args:
        root: Folder of the packed splits.
        split: Name of the split.
        class_names: Class names in the order of their indices; by default, as they were when packed.

    Attributes:
        folder: Folder of the split.
        labels: (N,) int32 class indices.
        class_names: Name of each class index.
        splits: Splits in `root`.

    Raises:
        FileNotFoundError: The folder does not exist, or packing was not completed.
        ValueError: A class is not among `class_names`, the files hold more or fewer images than were packed, a label
            is not a class index, or a file does not match its index.
    """

    encoded = True

    def __init__(self, root: str, split: str, class_names: Sequence[str] | None = None):
        self.splits = list_folders(root)
        self.folder = split_folder(root, split, self.splits)
        images, shards, packed_classes = _read_manifest(self.folder)
        self.class_names = list(class_names) if class_names else packed_classes
        present = set(os.listdir(self.folder))
        names = [shard_name(k) for k in range(min(shards, len(present)))]  # a damaged manifest may give any number
        if missing := shards - sum(name in present for name in names):
            raise FileNotFoundError(
                f"{missing} of {shards} files are missing in {self.folder}: run pack again, it goes on"
            )
        self._files = [self.folder / name for name in names]
        rows = [read_index(file) for file in self._files]
        self._shard_starts = shard_bounds(images, shards)
        for file, found, wanted in zip(self._files, map(len, rows), np.diff(self._shard_starts), strict=True):
            if found != wanted:
                raise ValueError(
                    f"{file} holds {found} of {wanted} images: remove it and {file.name}.db and run pack again"
                )
        self._offsets, self._lengths, labels = np.concatenate(rows).T
        check_labels(labels, len(packed_classes), self.path, "remove the file and its .db and run pack again")
        indices = class_indices(self.class_names, packed_classes, self.folder)
        self.labels = np.array(indices, np.int32)[labels]
        self._open_files = [open(file, "rb", buffering=0) for file in self._files]  # noqa: SIM115 open until deleted

    def __len__(self) -> int:
        return len(self.labels)

    def names(self) -> Iterator[bytes]:
        """Iterate over the paths that the images had relative to the packed folder, in the order of `labels`.

        What `pack` escapes, such as bytes that are not UTF-8 ("\\xe9"), is turned back.
        """
        for file in self._files:
            with _Index(file) as index:
                for (name,) in index.execute("SELECT file_name_0 FROM INDEXES ORDER BY ROW_ID"):
                    yield ESCAPED.sub(lambda byte: bytes.fromhex(byte[2].decode()), name.encode())

    def path(self, i: int) -> str:
        """Return "FILE (NAME)": the MindRecord file of image `i`, and the image's path before packing."""
        shard, row = self._locate(i)
        with _Index(self._files[shard]) as index:
            found = index.execute("SELECT file_name_0 FROM INDEXES WHERE ROW_ID = ?", (row,)).fetchone()
        return f"{self._files[shard]} ({printable(found[0]) if found else f'image {row}'})"

    def fingerprint(self, *stat_fields: str) -> bytes:
        """Return bytes that change when a MindRecord file is written again.

        They hold the class names, and each file's absolute path, size and modification time.

        Args:
            stat_fields: Further attributes of `os.stat_result` to include, such as "st_mode".
        """
        fields = ("st_size", "st_mtime_ns", *stat_fields)
        table = [
            (str(file.absolute()), *(getattr(status, field) for field in fields))
            for file, status in ((file, file.stat()) for file in self._files)
        ]
        return json.dumps([table, self.class_names]).encode()

    def __getitem__(self, i: int) -> tuple[np.ndarray, np.int32]:
        """Return image `i` as encoded bytes, (n,) uint8, and its label. Raises UnreadableImage."""
        try:
            return make_decodable(self.read_bytes(i), lambda: self.path(i)), self.labels[i]
        except Exception as error:  # Pillow's decoders raise many types of error
            raise UnreadableImage.of(self.path(i), error) from error

    def read_bytes(self, i: int) -> bytes:
        """Return the file of image `i` byte by byte, as packed. Raises ValueError if the index does not match."""
        shard, _ = self._locate(i)
        data = read_at(self._open_files[shard], int(self._lengths[i]), int(self._offsets[i]))
        if int.from_bytes(data[:LENGTH_BYTES], "little") != len(data) - LENGTH_BYTES:
            raise ValueError("the file does not fit its index: pack it again")
        return data[LENGTH_BYTES:]

    def _locate(self, i: int) -> tuple[int, int]:
        """Return the file number of image `i` and its row in that file, both from 0."""
        shard = int(np.searchsorted(self._shard_starts, i, side="right")) - 1
        return shard, int(i - self._shard_starts[shard])


def shard_name(k: int) -> str:
    """Return the name of MindRecord file number `k`, from 0, of a split: "00000.mindrecord"."""
    return f"{k:05}.mindrecord"


def shard_bounds(images: int, shards: int) -> np.ndarray:
    """Return, (shards + 1,) int, the index of the first image in each file, and the number of images at the end."""
    return np.linspace(0, images, shards + 1).astype(int)


def _read_manifest(folder: Path) -> tuple[int, int, list[str]]:
    """Return a packed split's number of images, number of files, and class names.

    Raises:
        FileNotFoundError: The manifest does not exist.
        ValueError: `pack` did not write it, or it is damaged.
    """
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        images, shards, class_names = (manifest[key] for key in ("images", "shards", "class_names"))
        is_valid = 0 < shards <= images and [type(value) for value in (images, shards, class_names)] == [int, int, list]
        is_valid = is_valid and class_names and all(isinstance(name, str) for name in class_names)
    except FileNotFoundError:
        raise FileNotFoundError(
            f"no {MANIFEST} in {folder}: python -m mindcv.data pack writes MindRecord files there"
        ) from None
    except (ValueError, KeyError, TypeError, RecursionError):
        is_valid = False
    if not is_valid:
        raise ValueError(f"{path} is damaged: remove the folder and run pack again")
    check_unique_names(class_names, path)
    return images, shards, class_names


def read_index(file: Path) -> np.ndarray:
    """Return offset in bytes, length in bytes and label of each image in a MindRecord file, (n, 3) int64.

    Raises:
        ValueError: It is not a MindRecord file, or its index is missing.
        FileNotFoundError: The file does not exist.
    """
    try:
        with open(file, "rb") as opened:
            header = json.loads(opened.read(int.from_bytes(opened.read(8), "little")))
        with _Index(file) as index:
            rows = index.execute(
                "SELECT PAGE_ID_BLOB, PAGE_OFFSET_BLOB, PAGE_OFFSET_BLOB_END, label_0 FROM INDEXES ORDER BY ROW_ID"
            ).fetchall()
        page, start, end, label = np.array(rows, np.int64).T
        return np.stack([header["header_size"] + page * header["page_size"] + start, end - start, label], axis=1)
    except (sqlite3.Error, ValueError, TypeError, KeyError, OverflowError, MemoryError, RecursionError) as error:
        raise ValueError(_NO_INDEX.format(file, file.name)) from error


class _Index:
    """A read-only connection to the index of a MindRecord file, closed at the end of its `with` block.

    An SQLite error in the block becomes a ValueError that names the file.

    (SQLite's own `with connection:` commits, but does not close.)
    """

    def __init__(self, file: Path):
        self.file = file
        self.uri = f"{file.absolute().as_uri()}.db?mode=ro&immutable=1"

    def __enter__(self) -> sqlite3.Connection:
        self.connection = sqlite3.connect(self.uri, uri=True)
        return self.connection

    def __exit__(self, _, error: BaseException | None, __) -> None:
        self.connection.close()
        if isinstance(error, sqlite3.Error):
            raise ValueError(_NO_INDEX.format(self.file, self.file.name)) from error

"""Images packed into MindRecord files by `python -m mindcv.data pack`.

MindSpore's own readers know no place to start from: `MindDataset` takes a list of rows once and for all, `FileReader`
goes from the first to the last. A run wants image i now, in an order of its own each epoch. The index that MindSpore
writes beside each file (SQLite) says where every row's bytes are, so one `pread` fetches an image.

A file is a header (8 bytes: the length of its JSON; the JSON), then pages of one size; a row of the index names page
and range of an image's bytes, which begin with 8 bytes that count the others.
"""

import json
import os
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from mindcv.data.datasets.classes import check_labels, check_names, folders_in, labels_by, split_folder
from mindcv.data.image_decode import UnreadableImage, viewed

MANIFEST = "pack.json"
_COUNT = 8  # bytes before an image that say how many it has


class MindRecordSource:
    """The images of `root/split`, in the order of the folder that they were packed from.

    Raises:
        FileNotFoundError: they are not there, or the packing was not finished.
        ValueError: a class is not among `class_names`, the files hold more or fewer images than were packed, a label
            is not the index of a class, or a file does not fit its index.
    """

    encoded = True

    def __init__(self, root: str, split: str, class_names: Sequence[str] | None = None):
        self.splits = folders_in(root)
        self.folder = split_folder(root, split, self.splits)
        images, shards, packed = _read_manifest(self.folder)
        self.class_names = list(class_names) if class_names else packed
        self._files = [self.folder / shard_name(k) for k in range(shards)]
        if missing := [file for file in self._files if not file.exists()]:
            raise FileNotFoundError(
                f"{len(missing)} of {len(self._files)} files are missing in {self.folder}: run pack again, it goes on"
            )
        rows = [read_index(file) for file in self._files]
        for file, found, wanted in zip(self._files, map(len, rows), np.diff(shard_bounds(images, shards)), strict=True):
            if found != wanted:
                raise ValueError(
                    f"{file} holds {found} of {wanted} images: remove it and {file.name}.db and run pack again"
                )
        self._begins = shard_bounds(images, shards)
        self._starts, self._lengths, labels = np.concatenate(rows).T
        check_labels(labels, len(packed), self.path, "remove the file and its .db and run pack again")
        self.labels = np.array(labels_by(self.class_names, packed, self.folder), np.int32)[labels]
        self._open = [open(file, "rb", buffering=0) for file in self._files]  # noqa: SIM115 read as long as this lives

    def __len__(self) -> int:
        return len(self.labels)

    def names(self) -> Iterator[bytes]:
        """The path that every image had in the folder it was packed from, in the order of `labels`."""
        for file in self._files:
            with _index(file) as index:
                for (name,) in index.execute("SELECT file_name_0 FROM INDEXES ORDER BY ROW_ID"):
                    yield os.fsencode(name)

    def path(self, i: int) -> str:
        """Which file image `i` is in, and the file's name that it had."""
        shard, row = self._where(i)
        with _index(self._files[shard]) as index:
            (name,) = index.execute("SELECT file_name_0 FROM INDEXES WHERE ROW_ID = ?", (row,)).fetchone()
        return f"{self._files[shard]} ({name})"

    def fingerprint(self, *more: str) -> bytes:
        """Changes when the images are packed anew: names, sizes and times of the files. `more` is as in a folder's."""
        facts = ("st_size", "st_mtime_ns", *more)
        table = [
            (str(file.absolute()), *(getattr(found, fact) for fact in facts))
            for file, found in ((file, file.stat()) for file in self._files)
        ]
        return json.dumps([table, self.class_names]).encode()

    def __getitem__(self, i: int) -> tuple[np.ndarray, np.int32]:
        """The bytes of image `i`, encoded, as (n,) uint8, and its label. Raises UnreadableImage."""
        try:
            return viewed(self.packed(i)), self.labels[i]
        except Exception as error:  # Pillow's decoders raise whatever they run into
            raise UnreadableImage.of(self.path(i), error) from error

    def packed(self, i: int) -> bytes:
        """The file's bytes, as they were packed."""
        shard, _ = self._where(i)
        data = os.pread(self._open[shard].fileno(), int(self._lengths[i]), int(self._starts[i]))
        if int.from_bytes(data[:_COUNT], "little") != len(data) - _COUNT:
            raise ValueError("the file does not fit its index: pack it again")
        return data[_COUNT:]

    def _where(self, i: int) -> tuple[int, int]:
        shard = int(np.searchsorted(self._begins, i, side="right")) - 1
        return shard, int(i - self._begins[shard])


def shard_name(k: int) -> str:
    """The name of the `k`-th file of a packed split."""
    return f"{k:05}.mindrecord"


def shard_bounds(images: int, shards: int) -> np.ndarray:
    """(shards + 1,) where each file's images begin among all, and the end of the last."""
    return np.linspace(0, images, shards + 1).astype(int)


def _read_manifest(folder: Path) -> tuple[int, int, list[str]]:
    """How many images and files a packed split has, and the names of its classes.

    Raises:
        FileNotFoundError: there is no manifest.
        ValueError: the manifest is not what `pack` writes.
    """
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        images, shards, class_names = (manifest[key] for key in ("images", "shards", "class_names"))
        sound = 0 < shards <= images and all(isinstance(name, str) for name in class_names)
    except FileNotFoundError:
        raise FileNotFoundError(
            f"no {MANIFEST} in {folder}: python -m mindcv.data pack writes MindRecord files there"
        ) from None
    except (ValueError, KeyError, TypeError):
        sound = False
    if not sound:
        raise ValueError(f"{path} is damaged: remove the folder and run pack again")
    check_names(class_names, path)
    return images, shards, class_names


def read_index(file: Path) -> np.ndarray:
    """Start, length and label of each image in a MindRecord file: (n, 3) int64.

    Raises:
        ValueError: it is none, or its index is missing.
    """
    try:
        with open(file, "rb") as opened:
            header = json.loads(opened.read(int.from_bytes(opened.read(8), "little")))
        with _index(file) as index:
            rows = index.execute(
                "SELECT PAGE_ID_BLOB, PAGE_OFFSET_BLOB, PAGE_OFFSET_BLOB_END, label_0 FROM INDEXES ORDER BY ROW_ID"
            ).fetchall()
        page, start, end, label = np.array(rows, np.int64).T
        return np.stack([header["header_size"] + page * header["page_size"] + start, end - start, label], axis=1)
    except (sqlite3.Error, ValueError, TypeError, KeyError, OverflowError, MemoryError) as error:
        raise ValueError(f"{file}: no MindRecord file with its index, {file.name}.db: pack it again") from error


class _index:
    """The index beside a MindRecord file, open for reading (a connection's own `with` would not close it)."""

    def __init__(self, file: Path):
        self.uri = f"{file.absolute().as_uri()}.db?mode=ro&immutable=1"

    def __enter__(self) -> sqlite3.Connection:
        self.connection = sqlite3.connect(self.uri, uri=True)
        return self.connection

    def __exit__(self, *_):
        self.connection.close()

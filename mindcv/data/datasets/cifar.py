"""CIFAR-10 and CIFAR-100 in their binary format (Krizhevsky 2009, https://www.cs.toronto.edu/~kriz/cifar.html).

A record is one label byte (CIFAR-100: a coarse and a fine label; the fine one is used), then 3,072 pixel bytes:
the red, the green and the blue plane of a 32×32 image, row by row.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mindcv.data.datasets.arrays import ArraySource, check_split
from mindcv.io.download import extract, fetch
from mindcv.io.files import read_utf8


@dataclass(frozen=True)
class _Archive:
    """A published archive: its address and checksum, its folder, the files of each split, and their layout."""

    url: str
    md5: str
    folder: str
    files: dict[str, tuple[str, ...]]
    names_file: str
    label_bytes: int


_CIFAR10 = _Archive(
    url="https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
    md5="c32a1d4ab5d03f1284b67883e8d87530",
    folder="cifar-10-batches-bin",
    files={"train": tuple(f"data_batch_{i}.bin" for i in range(1, 6)), "test": ("test_batch.bin",)},
    names_file="batches.meta.txt",
    label_bytes=1,
)
_CIFAR100 = _Archive(
    url="https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
    md5="03b5dce01913d631647c71ecec9e9cb8",
    folder="cifar-100-binary",
    files={"train": ("train.bin",), "test": ("test.bin",)},
    names_file="fine_label_names.txt",
    label_bytes=2,
)


def open_cifar10(root: str, split: str, download: bool) -> ArraySource:
    """Return the 50,000 `train` or 10,000 `test` images of CIFAR-10, 32×32 RGB.

    Args:
        root: The published folder or its parent.
        split: "train" or "test".
        download: Download and unpack the archive, verified by checksum, if the files are not there.

    Raises:
        ValueError: The split is unknown, or a file is damaged.
        FileNotFoundError: A file is missing, and `download` is False.
        OSError: The download failed.
    """
    return _open(_CIFAR10, root, split, download)


def open_cifar100(root: str, split: str, download: bool) -> ArraySource:
    """Return the 50,000 `train` or 10,000 `test` images of CIFAR-100 with their 100 fine labels, 32×32 RGB.

    Args:
        root: The published folder or its parent.
        split: "train" or "test".
        download: Download and unpack the archive, verified by checksum, if the files are not there.

    Raises:
        ValueError: The split is unknown, or a file is damaged.
        FileNotFoundError: A file is missing, and `download` is False.
        OSError: The download failed.
    """
    return _open(_CIFAR100, root, split, download)


def _open(archive: _Archive, root: str, split: str, download: bool) -> ArraySource:
    """Return one split of an archive, after downloading and unpacking it if it is missing and `download` allows it.

    Args:
        archive: Which archive.
        root: Folder that holds the archive's files, or its folder with them; a download is unpacked here.
        split: "train" or "test".
        download: Whether to download files that are missing.

    Raises:
        ValueError: There is no such split, or a file is damaged.
        FileNotFoundError: Files are missing and `download` is False.
        OSError: The download failed, or `root` cannot be written to.
    """
    check_split(split, list(archive.files), archive.folder)
    wanted = [*archive.files[split], archive.names_file]
    folder = _find_folder(archive, Path(root), wanted)
    if folder is None and download:
        target = Path(root) / archive.url.rsplit("/", 1)[1]
        extract(fetch(archive.url, target, md5=archive.md5), root)
        folder = _find_folder(archive, Path(root), wanted)
    if folder is None:
        raise FileNotFoundError(
            f"no {' and '.join(wanted)} in {root} or {Path(root) / archive.folder}: "
            f"pass download=True, or unpack {archive.url} there"
        )
    class_names = read_utf8(folder / archive.names_file, "one name a line: fetch it again").split()
    records = np.concatenate([_read_records(folder / name, archive.label_bytes) for name in archive.files[split]])
    labels = records[:, archive.label_bytes - 1]
    images = records[:, archive.label_bytes :].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return ArraySource(images, labels, class_names, list(archive.files), f"the {split} split in {folder}")


def _find_folder(archive: _Archive, root: Path, wanted: list[str]) -> Path | None:
    """Return `root` or the archive's folder in it, whichever has all `wanted` files; None if neither has."""
    for folder in (root, root / archive.folder):
        if all((folder / name).is_file() for name in wanted):
            return folder
    return None


def _read_records(path: Path, label_bytes: int) -> np.ndarray:
    """Return the records of one file, (n, label_bytes + 3072) uint8; raise ValueError if its size does not fit."""
    data = np.fromfile(path, np.uint8)
    record = label_bytes + 3 * 32 * 32
    if len(data) == 0 or len(data) % record:
        raise ValueError(f"{path}: {len(data)} bytes are not a multiple of the {record}-byte records; fetch it again")
    return data.reshape(-1, record)

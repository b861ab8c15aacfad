"""CIFAR-10 and CIFAR-100 in their binary format (Krizhevsky 2009, https://www.cs.toronto.edu/~kriz/cifar.html).

A record is one label byte (CIFAR-100: a coarse and a fine one; the fine one is used), then 3,072 pixel bytes:
the red, the green and the blue plane of a 32×32 image, row by row.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mindcv.data.datasets.arrays import ArraySource, check_split
from mindcv.io.download import extract, fetch


@dataclass(frozen=True)
class _Published:
    url: str
    md5: str
    folder: str
    files: dict[str, tuple[str, ...]]
    names_file: str
    label_bytes: int


_CIFAR10 = _Published(
    url="https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
    md5="c32a1d4ab5d03f1284b67883e8d87530",
    folder="cifar-10-batches-bin",
    files={"train": tuple(f"data_batch_{i}.bin" for i in range(1, 6)), "test": ("test_batch.bin",)},
    names_file="batches.meta.txt",
    label_bytes=1,
)
_CIFAR100 = _Published(
    url="https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
    md5="03b5dce01913d631647c71ecec9e9cb8",
    folder="cifar-100-binary",
    files={"train": ("train.bin",), "test": ("test.bin",)},
    names_file="fine_label_names.txt",
    label_bytes=2,
)


def open_cifar10(root: str, split: str, download: bool) -> ArraySource:
    """The `train` (50,000) or `test` (10,000) images; `root` is the published folder or its parent."""
    return _open(_CIFAR10, root, split, download)


def open_cifar100(root: str, split: str, download: bool) -> ArraySource:
    """The same for CIFAR-100, with its 100 fine labels."""
    return _open(_CIFAR100, root, split, download)


def _open(published: _Published, root: str, split: str, download: bool) -> ArraySource:
    check_split(split, list(published.files), published.folder)
    wanted = [*published.files[split], published.names_file]
    folder = _find(published, Path(root), wanted)
    if folder is None and download:
        archive = Path(root) / published.url.rsplit("/", 1)[1]
        extract(fetch(published.url, archive, md5=published.md5), root)
        folder = _find(published, Path(root), wanted)
    if folder is None:
        raise FileNotFoundError(
            f"no {' and '.join(wanted)} in {root} or {Path(root) / published.folder}: "
            f"pass download=True, or unpack {published.url} there"
        )
    class_names = (folder / published.names_file).read_text().split()
    records = np.concatenate([_read(folder / name, published.label_bytes) for name in published.files[split]])
    labels = records[:, published.label_bytes - 1]
    images = records[:, published.label_bytes :].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return ArraySource(images, labels, class_names, list(published.files), f"the {split} split in {folder}")


def _find(published: _Published, root: Path, wanted: list[str]) -> Path | None:
    for folder in (root, root / published.folder):
        if all((folder / name).is_file() for name in wanted):
            return folder
    return None


def _read(path: Path, label_bytes: int) -> np.ndarray:
    data = np.fromfile(path, np.uint8)
    record = label_bytes + 3 * 32 * 32
    if len(data) == 0 or len(data) % record:
        raise ValueError(f"{path}: {len(data)} bytes are no whole number of {record}-byte records; fetch it again")
    return data.reshape(-1, record)

"""MNIST (LeCun, Cortes, Burges 1998) in its IDX format, gzipped as published or unpacked.

An IDX file is a big-endian header (two zero bytes, a type code, which is 8 for unsigned bytes, the number of
dimensions, and each dimension as four bytes), then the values.
"""

import gzip
import struct
import zlib
from pathlib import Path

import numpy as np

from mindcv.data.datasets.arrays import ArraySource, check_split
from mindcv.io.download import fetch

MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
_PREFIX = {"train": "train", "test": "t10k"}
_MD5 = {
    "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
    "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
    "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
    "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
}


def open_mnist(root: str, split: str, download: bool) -> ArraySource:
    """Return the 60,000 `train` or 10,000 `test` images of 28×28 pixels, white on black, in 10 classes.

    Args:
        root: Folder of the four IDX files.
        split: "train" or "test".
        download: Download the split's two files, verified by checksum, if they are not in `root`.

    Raises:
        ValueError: The split is unknown, or a file is damaged.
        FileNotFoundError: A file is missing, and `download` is False.
        OSError: The download failed.
    """
    check_split(split, list(_PREFIX), "MNIST")
    images = read_idx(_find_or_fetch(Path(root), f"{_PREFIX[split]}-images-idx3-ubyte", download), dims=3)
    labels = read_idx(_find_or_fetch(Path(root), f"{_PREFIX[split]}-labels-idx1-ubyte", download), dims=1)
    digits = [str(digit) for digit in range(10)]
    return ArraySource(images, labels, digits, list(_PREFIX), f"MNIST's {split} split in {root}")


def _find_or_fetch(root: Path, name: str, download: bool) -> Path:
    """Return the path of the IDX file `name` in `root`, unpacked or else gzipped (`name`.gz).

    A missing file is downloaded to `root`, gzipped, if `download` (an OSError if that fails); otherwise it is a
    FileNotFoundError.
    """
    for path in (root / name, root / f"{name}.gz"):
        if path.is_file():
            return path
    if not download:
        raise FileNotFoundError(f"no {name}[.gz] in {root}: pass download=True, or put MNIST's four files there")
    urls = [f"{mirror}{name}.gz" for mirror in MIRRORS]
    return fetch(urls, root / f"{name}.gz", md5=_MD5[f"{name}.gz"])


def read_idx(path: Path, dims: int) -> np.ndarray:
    """Return the values of an IDX file, gzipped if its name ends in .gz: read-only, uint8, of the shape in its header.

    Raises:
        ValueError: The file is damaged, or does not hold unsigned bytes in `dims` dimensions.
    """
    data = path.read_bytes()
    if path.suffix == ".gz":
        try:
            data = gzip.decompress(data)
        except (OSError, zlib.error, EOFError, struct.error) as error:
            raise ValueError(f"{path} is damaged: {error}; fetch it again") from error
    header = 4 + 4 * dims
    if len(data) < header or data[:4] != bytes([0, 0, 8, dims]):
        raise ValueError(f"{path}: not an IDX file of unsigned bytes in {dims} dimensions; fetch it again")
    shape = struct.unpack(f">{dims}I", data[4:header])
    if len(data) - header != np.prod(shape):
        raise ValueError(f"{path}: {len(data) - header} values where its header says {shape}; fetch it again")
    return np.frombuffer(data, np.uint8, offset=header).reshape(shape)

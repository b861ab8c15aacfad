"""Write checkpoints atomically."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import safetensors.numpy

from mindcv.io.files import atomic_write, first_bytes
from mindcv.weights import ckpt
from mindcv.weights.digest import digest

FORMATS = (".ckpt", ".safetensors")


def write(path: str | Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write `arrays` by name to `path`, as MindSpore's .ckpt or as .safetensors, by its suffix.

    The bytes are written to a temporary file, flushed to the disk, and renamed to `path`; whatever happens, `path` is
    the complete old or the complete new file. The file contains a digest of its contents, which `read` verifies.

    Raises:
        ValueError: another suffix, or an array of a dtype that the format cannot hold (text only in .ckpt).
        OSError: the folder does not exist or cannot be written to, or the disk is full.
    """
    path = Path(path)
    arrays = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    if path.suffix == ".ckpt":
        pieces: Iterable[bytes | memoryview] = ckpt.serialise(arrays, digest(arrays))
    elif path.suffix == ".safetensors":
        if texts := [name for name, array in arrays.items() if array.dtype.kind == "U"]:
            raise ValueError(f"{texts[0]} is text, which a .safetensors cannot hold: write a .ckpt")
        pieces = [safetensors.numpy.save(arrays, {"sha256": digest(arrays)})]
    else:
        raise ValueError(f"{path} ends in {path.suffix!r}; weights are written to {' or '.join(FORMATS)}")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {path.parent} to write {path.name} to: make it first")
    with atomic_write(path) as temporary, open(temporary, "wb") as file:
        file.writelines(pieces)
        file.flush()
        os.fsync(file.fileno())
    _sync_folder(path.parent)


def is_ours(path: Path) -> bool:
    """Return whether this project wrote the .ckpt file `path`, judged by its first bytes; False if unreadable."""
    return ckpt.is_ours(first_bytes(path))


def _sync_folder(folder: Path) -> None:
    """Flush `folder` to the disk, so that a renaming in it survives a loss of power. Does nothing on Windows."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

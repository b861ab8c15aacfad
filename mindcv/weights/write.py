"""Writing checkpoints that are whole or not there."""

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import safetensors.numpy

from mindcv.io.files import atomic_write, first_bytes
from mindcv.weights import ckpt
from mindcv.weights.digest import digest

FORMATS = (".ckpt", ".safetensors")


def write(path: str | Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write `arrays` to `path`, as MindSpore's .ckpt or as .safetensors by its suffix.

    The bytes go to a file aside, are flushed to the disk, and then take the name `path` in one step; whatever
    happens, `path` is the old file or the whole new one. The file carries a digest of its contents.

    Raises:
        ValueError: another suffix, or an array of a type that the format cannot hold.
        OSError: the folder is not there or cannot be written to, or the disk is full.
    """
    path = Path(path)
    arrays = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    if path.suffix == ".ckpt":
        pieces = ckpt.serialise(arrays, digest(arrays))
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
    _flush(path.parent)


def is_ours(path: Path) -> bool:
    """Return whether this project wrote the .ckpt file `path`. Only its first bytes are read."""
    return ckpt.is_ours(first_bytes(path))


def _flush(folder: Path) -> None:
    """Make a renaming in `folder` outlive a loss of power, where the system lets a folder be opened."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

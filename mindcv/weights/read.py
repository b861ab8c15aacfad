"""Checkpoint files as names and arrays, by what is in them and not by what they are called."""

import errno
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import safetensors

from mindcv.weights import ckpt, pytorch
from mindcv.weights.digest import digest

_LARGEST_HEADER = 100_000_000  # bytes, as safetensors defines it
_SAFETENSORS_TYPES = {
    "F16": np.float16, "F32": np.float32, "F64": np.float64, "BOOL": np.bool_,
    "I8": np.int8, "I16": np.int16, "I32": np.int32, "I64": np.int64,
    "U8": np.uint8, "U16": np.uint16, "U32": np.uint32, "U64": np.uint64,
}  # fmt: skip


class DamagedCheckpoint(ValueError):
    """A file that is empty, torn, altered, or no checkpoint."""


class Contents(NamedTuple):
    """What a file holds: its format, its arrays by name, and the digest it carries ("" if none)."""

    format: str
    arrays: dict[str, np.ndarray]
    digest: str


@contextmanager
def naming(path: str | Path) -> Iterator[None]:
    """Put the file's name before the message of a ValueError that is raised inside."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"checkpoint {path}: {error}") from error


def read(path: str | Path) -> dict[str, np.ndarray]:
    """All arrays of the checkpoint `path`, by name: weights and, where it has them, averages and training state.

    MindSpore's .ckpt and .safetensors, PyTorch's .safetensors, and its .pth where PyTorch is installed. Nested
    dictionaries become dotted names; bfloat16 becomes float32. The digest that this project's files carry is verified,
    and so are the CRCs of MindSpore's .ckpt and of PyTorch's archives. The arrays are aligned; some are views into the
    file's bytes, which cannot be written to.

    Raises:
        FileNotFoundError: there is no such file.
        DamagedCheckpoint: it is empty, damaged, or no checkpoint.
    """
    return contents_of(path).arrays


def contents_of(path: str | Path) -> Contents:
    """As `read`, with the file's format and the digest it carries."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no checkpoint {path}: check the path")
    try:
        data = path.read_bytes()
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        raise DamagedCheckpoint(f"checkpoint {path} cannot be read: {error.strerror}: use another one") from error
    if not data:
        raise DamagedCheckpoint(f"checkpoint {path} is empty: use another one")
    try:
        contents = _parse(data)
        if contents.digest and contents.digest != digest(contents.arrays):
            raise ValueError("its contents do not have the digest that it carries")
    except (ValueError, OverflowError, safetensors.SafetensorError) as error:
        raise DamagedCheckpoint(f"cannot read the checkpoint {path}: {error}") from error
    if not contents.arrays:
        raise DamagedCheckpoint(f"the checkpoint {path} holds no tensors: use another one")
    # MindSpore 2.7.0 makes no tensor of a view that begins in the middle of a number's place in memory
    return contents._replace(arrays={name: np.require(a, requirements="A") for name, a in contents.arrays.items()})


def _parse(data: bytes) -> Contents:
    if data[8:9] == b"{" and int.from_bytes(data[:8], "little") <= _LARGEST_HEADER:
        return Contents("safetensors", *_safetensors(data))
    if data[:4] == b"PK\x03\x04" or data[:1] == b"\x80":
        return Contents("PyTorch", pytorch.parse(data), "")
    try:
        return Contents("MindSpore", *ckpt.parse(data))
    except (ValueError, OverflowError) as error:
        raise ValueError(f"it is damaged, or no MindSpore, PyTorch or safetensors file ({error})") from error


def _safetensors(data: bytes) -> tuple[dict[str, np.ndarray], str]:
    arrays = {name: _array(tensor) for name, tensor in safetensors.deserialize(data)}
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    return arrays, header.get("__metadata__", {}).get("sha256", "")


def _array(tensor: dict) -> np.ndarray:
    kind = tensor["dtype"]
    if kind == "BF16":
        return ckpt.widen(np.frombuffer(tensor["data"], np.uint16)).reshape(tensor["shape"])
    if kind not in _SAFETENSORS_TYPES:
        raise ValueError(f"it holds numbers of the type {kind}")
    return np.frombuffer(tensor["data"], _SAFETENSORS_TYPES[kind]).reshape(tensor["shape"])

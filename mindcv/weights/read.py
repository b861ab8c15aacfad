"""Read checkpoint files of every supported format as arrays by name; the format is recognised by the contents."""

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
_SAFETENSORS_DTYPES = {
    "F16": np.float16, "F32": np.float32, "F64": np.float64, "BOOL": np.bool_,
    "I8": np.int8, "I16": np.int16, "I32": np.int32, "I64": np.int64,
    "U8": np.uint8, "U16": np.uint16, "U32": np.uint32, "U64": np.uint64,
}  # fmt: skip


class DamagedCheckpoint(ValueError):
    """A checkpoint file is empty, truncated, altered, or not a checkpoint."""


class Contents(NamedTuple):
    """The contents of a checkpoint file.

    Attributes:
        format: "MindSpore", "PyTorch" or "safetensors".
        arrays: All arrays by name.
        digest: The digest stored in the file, in hexadecimal; "" without one.
    """

    format: str
    arrays: dict[str, np.ndarray]
    digest: str


@contextmanager
def naming(path: str | Path) -> Iterator[None]:
    """Prefix the message of a ValueError raised in the `with` block with "checkpoint `path`: ".

    The new error is a ValueError, whatever the subclass; other errors pass unchanged.
    """
    try:
        yield
    except ValueError as error:
        raise ValueError(f"checkpoint {path}: {error}") from error


def read(path: str | Path) -> dict[str, np.ndarray]:
    """Return all arrays of the checkpoint `path` by name: weights and, if present, moving averages and training state.

    Reads MindSpore's .ckpt and .safetensors, PyTorch's .safetensors and, if PyTorch is installed, .pth, whatever the
    file's suffix. Nested dictionaries become dotted names; bfloat16 becomes float32. Verifies the digest of files that
    this project wrote, and the CRCs of MindSpore's .ckpt and of PyTorch's archives. The arrays are aligned; some are
    read-only views of the file's bytes.

    Raises:
        FileNotFoundError: the file does not exist.
        DamagedCheckpoint: (a ValueError) it is empty, damaged, not a checkpoint, or a .pth without PyTorch installed.
        OSError: the file cannot be opened.
    """
    return read_contents(path).arrays


def read_contents(path: str | Path) -> Contents:
    """Return the format, the arrays by name and the stored digest of the checkpoint `path`.

    Its digest and its CRCs are verified, where it has them. bfloat16 becomes float32.

    Raises:
        FileNotFoundError: the file does not exist.
        DamagedCheckpoint: (a ValueError) it is empty, damaged, not a checkpoint, or a .pth without PyTorch installed.
        OSError: the file cannot be opened.
    """
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
            raise ValueError("its contents do not match its digest")
    except Exception as error:  # the parsers of damaged bytes raise many types of error
        raise DamagedCheckpoint(f"cannot read the checkpoint {path}: {str(error) or type(error).__name__}") from error
    if not contents.arrays:
        raise DamagedCheckpoint(f"the checkpoint {path} holds no tensors: use another one")
    # MindSpore 2.7.0 cannot create a tensor from an array that is not aligned
    return contents._replace(arrays={name: np.require(a, requirements="A") for name, a in contents.arrays.items()})


def _parse(data: bytes) -> Contents:
    """Parse a checkpoint's bytes as safetensors, PyTorch's .pth or MindSpore's .ckpt, whichever their beginning shows.

    Returns the format's name, the arrays by name, and the stored digest ("" if there is none), which is not verified.

    Raises:
        ValueError, OverflowError, SafetensorError: the bytes are damaged or of another format, or PyTorch is missing.
    """
    if data[8:9] == b"{" and int.from_bytes(data[:8], "little") <= _LARGEST_HEADER:
        return Contents("safetensors", *_safetensors(data))
    if data[:4] == b"PK\x03\x04" or data[:1] == b"\x80":
        return Contents("PyTorch", pytorch.parse(data), "")
    try:
        return Contents("MindSpore", *ckpt.parse(data))
    except (ValueError, OverflowError) as error:
        raise ValueError(f"it is damaged, or not a MindSpore, PyTorch or safetensors file ({error})") from error


def _safetensors(data: bytes) -> tuple[dict[str, np.ndarray], str]:
    """Return the arrays of a .safetensors file and the digest in its metadata, "" without one; not verified.

    Raises SafetensorError for damaged bytes, and ValueError for a type that NumPy lacks.
    """
    arrays = {name: _array(tensor) for name, tensor in safetensors.deserialize(data)}
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    return arrays, (header.get("__metadata__") or {}).get("sha256", "")


def _array(tensor: dict) -> np.ndarray:
    """Return the array of a tensor of `safetensors.deserialize`, its "dtype", "shape" and "data"; bfloat16 as float32.

    Raises ValueError for types that NumPy lacks, such as float8.
    """
    dtype = tensor["dtype"]
    if dtype == "BF16":
        return ckpt.bfloat16_to_float32(np.frombuffer(tensor["data"], np.uint16)).reshape(tensor["shape"])
    if dtype not in _SAFETENSORS_DTYPES:
        raise ValueError(f"it holds numbers of the type {dtype}")
    return np.frombuffer(tensor["data"], _SAFETENSORS_DTYPES[dtype]).reshape(tensor["shape"])

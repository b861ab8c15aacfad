"""MindSpore's checkpoint format, read and written without MindSpore.

A file is the protocol-buffers message

    Checkpoint:  repeated Value value = 1
    Value:       string tag = 1, TensorProto tensor = 2
    TensorProto: repeated int64 dims = 1, string tensor_type = 2, bytes tensor_content = 3

with large tensors in several values of one tag, and perhaps a CRC-32 behind it all. What this project writes opens
with one field more, the digest of the contents; MindSpore passes over it, as protocol buffers do with any field
they do not know. Written and read tensor by tensor, files may be larger than the 2 GiB of one message.
"""

from collections.abc import Iterator, Mapping
from zlib import crc32

import numpy as np

_DIGEST = 1000
_TYPES = {
    "Float16": np.float16, "Float32": np.float32, "Float64": np.float64, "Bool": np.bool_,
    "Int8": np.int8, "Int16": np.int16, "Int32": np.int32, "Int64": np.int64,
    "UInt8": np.uint8, "UInt16": np.uint16, "UInt32": np.uint32, "UInt64": np.uint64,
}  # fmt: skip
_NAMES = {np.dtype(kind): name for name, kind in _TYPES.items()}
_VARINT, _BYTES = 0, 2


def parse(data: bytes) -> tuple[dict[str, np.ndarray], str]:
    """The arrays in a checkpoint, by name, and the digest it carries, "" if none.

    Raises:
        ValueError: the bytes are no such message, or are cut off, or their CRC is wrong.
    """
    content = memoryview(data)
    if data[-17:-10] == b"crc_num":
        content = content[:-17]
        if crc32(content) != int.from_bytes(data[-10:], "big"):
            raise ValueError("its CRC is wrong")
    tensors: dict[str, tuple[str, list[int], list[memoryview]]] = {}
    digest = ""
    for number, value in _fields(content):
        if number == _DIGEST:
            digest = _message(value).hex()
        elif number == 1:
            name, kind, dims, piece = _tensor(_message(value))
            tensors.setdefault(name, (kind, dims, []))[2].append(piece)
        else:
            raise ValueError(f"field {number} belongs to no checkpoint")
    return {name: _array(*parts) for name, parts in tensors.items()}, digest


def _tensor(value: memoryview) -> tuple[str, str, list[int], memoryview]:
    """Name, type, shape and bytes of a Value message."""
    parts = dict(_fields(value))
    if not {1, 2} <= parts.keys():
        raise ValueError("a value in it is no tensor")
    dims, kind, content = [], "", memoryview(b"")
    for number, part in _fields(_message(parts[2])):
        if number == 1:
            dims += [part] if isinstance(part, int) else _varints(part)
        elif number == 2:
            kind = bytes(_message(part)).decode()
        elif number == 3:
            content = _message(part)
    return bytes(_message(parts[1])).decode(), kind, dims, content


def _message(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise ValueError("it has a number where bytes belong")
    return value


def _array(kind: str, dims: list[int], pieces: list[memoryview]) -> np.ndarray:
    data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
    if kind == "str":
        return np.array(bytes(data).decode("utf-32-le"))
    shape = () if dims == [0] and len(data) else tuple(dims)  # MindSpore writes a scalar's shape as [0]
    if kind == "BFloat16":
        return widen(np.frombuffer(data, np.uint16)).reshape(shape)
    if kind not in _TYPES:
        raise ValueError(f"it holds numbers of the type {kind!r}")
    return np.frombuffer(data, _TYPES[kind]).reshape(shape)


def widen(bfloat16: np.ndarray) -> np.ndarray:
    """The float32 values of bfloat16 numbers, given as uint16: exact, for they are a float32's upper half."""
    return (bfloat16.astype(np.uint32) << 16).view(np.float32)


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Number and value of each field."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        value, at = _varint(message, at)
        if key & 7 == _BYTES:
            length, start = value, at
            value, at = message[start : start + length], start + length
            if at > len(message):
                raise ValueError("it is cut off")
        elif key & 7 != _VARINT:
            raise ValueError("it is no protocol-buffers message of this kind")
        yield key >> 3, value


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """The integer that begins at byte `at`, seven bits to a byte, and where it ends."""
    result = shift = 0
    while True:
        if at >= len(message):
            raise ValueError("it is cut off")
        byte = message[at]
        result |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return result, at
        if shift > 63:
            raise ValueError("it is no protocol-buffers message")


def _varints(packed: memoryview) -> list[int]:
    numbers, at = [], 0
    while at < len(packed):
        number, at = _varint(packed, at)
        numbers.append(number)
    return numbers


def serialise(arrays: Mapping[str, np.ndarray], digest: str) -> Iterator[bytes | memoryview]:
    """The bytes of a checkpoint, piece by piece; those of the arrays, which are contiguous, are not copied.

    Raises:
        ValueError: an array's type has no name in this format.
    """
    yield _field(_DIGEST, bytes.fromhex(digest))
    for name, array in arrays.items():
        if array.dtype.kind == "U":
            kind, content = "str", str(array).encode("utf-32-le")
        elif array.dtype in _NAMES:
            kind, content = _NAMES[array.dtype], array.reshape(-1).view(np.uint8).data
        else:
            raise ValueError(f"{name} has the type {array.dtype}, which a .ckpt cannot hold")
        dims = b"".join(_encoded(1 << 3 | _VARINT) + _encoded(side) for side in array.shape or (0,))
        head = dims + _field(2, kind.encode()) + _opening(3, len(content))
        head = _field(1, name.encode()) + _opening(2, len(head) + len(content)) + head
        yield _opening(1, len(head) + len(content)) + head
        yield content


def _field(number: int, content: bytes) -> bytes:
    return _opening(number, len(content)) + content


def _opening(number: int, length: int) -> bytes:
    """What comes before the `length` bytes of a field."""
    return _encoded(number << 3 | _BYTES) + _encoded(length)


def is_ours(head: bytes) -> bool:
    """Return whether `head`, a file's first bytes, is of a checkpoint that this project wrote: it has a digest."""
    return head.startswith(_opening(_DIGEST, 32))


def _encoded(number: int) -> bytes:
    """`number` as a varint."""
    result = bytearray()
    while number > 0x7F:
        result.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes(result) + bytes([number])

"""Read and write MindSpore's checkpoint format without MindSpore.

A file is the protocol-buffers message

    Checkpoint:  repeated Value value = 1
    Value:       string tag = 1, TensorProto tensor = 2
    TensorProto: repeated int64 dims = 1, string tensor_type = 2, bytes tensor_content = 3

in which a large tensor is split into several values with the same tag, and which a CRC-32 may follow. Files written by
this project begin with one more field, the digest of the contents; MindSpore ignores it, as protocol buffers ignore
unknown fields. Because tensors are read and written one by one, files may exceed protocol buffers' limit of 2 GiB.
"""

from collections.abc import Iterator, Mapping
from zlib import crc32

import numpy as np

_DIGEST = 1000  # field number
_DTYPES = {
    "Float16": np.float16, "Float32": np.float32, "Float64": np.float64, "Bool": np.bool_,
    "Int8": np.int8, "Int16": np.int16, "Int32": np.int32, "Int64": np.int64,
    "UInt8": np.uint8, "UInt16": np.uint16, "UInt32": np.uint32, "UInt64": np.uint64,
}  # fmt: skip
_TYPE_NAMES = {np.dtype(dtype): name for name, dtype in _DTYPES.items()}
_VARINT, _BYTES = 0, 2  # wire types of protocol buffers


def parse(data: bytes) -> tuple[dict[str, np.ndarray], str]:
    """Return the arrays in a checkpoint's bytes by name, and its digest in hexadecimal, "" without one.

    The arrays are read-only, views of `data` where they are in one piece; bfloat16 becomes new float32, and text an
    array of dtype "U" without dimensions. The digest is not verified; the CRC is, if there is one.

    Raises:
        ValueError, OverflowError: the bytes are not a checkpoint, are cut off, or have a wrong CRC.
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
            digest = _as_bytes(value).hex()
        elif number == 1:
            name, type_name, dims, content = _tensor(_as_bytes(value))
            tensors.setdefault(name, (type_name, dims, []))[2].append(content)
        else:
            raise ValueError(f"field {number} belongs to no checkpoint")
    return {name: _array(*parts) for name, parts in tensors.items()}, digest


def _tensor(value: memoryview) -> tuple[str, str, list[int], memoryview]:
    """Return name, MindSpore's type, shape and bytes of the tensor, or piece of one, in a Value message.

    A missing type is "", a missing shape []. Raises ValueError if the message is damaged.
    """
    parts = dict(_fields(value))
    if not {1, 2} <= parts.keys():
        raise ValueError("a value in it is not a tensor")
    dims, type_name, content = [], "", memoryview(b"")
    for number, part in _fields(_as_bytes(parts[2])):
        if number == 1:
            dims += [part] if isinstance(part, int) else _varints(part)
        elif number == 2:
            type_name = bytes(_as_bytes(part)).decode()
        elif number == 3:
            content = _as_bytes(part)
    return bytes(_as_bytes(parts[1])).decode(), type_name, dims, content


def _as_bytes(value: int | memoryview) -> memoryview:
    """Return the bytes of a field, or raise a ValueError if it is a number."""
    if isinstance(value, int):
        raise ValueError("it has a number where bytes belong")
    return value


def _array(type_name: str, dims: list[int], pieces: list[memoryview]) -> np.ndarray:
    """Return the array of a tensor from its type in MindSpore, its shape, and its bytes in one or more pieces.

    It is read-only, except from bfloat16 or text. Raises ValueError for an unknown type or a wrong number of bytes.
    """
    data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
    if type_name == "str":
        return np.array(bytes(data).decode("utf-32-le"))
    shape = () if dims == [0] and len(data) else tuple(dims)  # MindSpore writes a scalar's shape as [0]
    if type_name == "BFloat16":
        return bfloat16_to_float32(np.frombuffer(data, np.uint16)).reshape(shape)
    if type_name not in _DTYPES:
        raise ValueError(f"it holds numbers of the type {type_name!r}")
    return np.frombuffer(data, _DTYPES[type_name]).reshape(shape)


def bfloat16_to_float32(bits: np.ndarray) -> np.ndarray:
    """Convert bfloat16 numbers, given as uint16, to float32; exact, because bfloat16 is the upper half of float32."""
    return (bits.astype(np.uint32) << 16).view(np.float32)


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Yield the number and the value of each field of a message: an int for a varint, a view of the bytes otherwise.

    Raises ValueError where the message is cut off or has a field of another kind.
    """
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, at = _varint(message, at)
        if key & 7 == _BYTES:
            start, at = at, at + number
            if at > len(message):
                raise ValueError("it is cut off")
            yield key >> 3, message[start:at]
        elif key & 7 == _VARINT:
            yield key >> 3, number
        else:
            raise ValueError("it is not a checkpoint's protocol-buffers message")


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """Return the integer at position `at`, which has seven bits in each byte, and the position after it.

    Raises ValueError if it is cut off or longer than ten bytes.
    """
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
            raise ValueError("it is not a protocol-buffers message")


def _varints(packed: memoryview) -> list[int]:
    """Return the integers of a packed field, one varint after the other; a ValueError if it is cut off."""
    numbers, at = [], 0
    while at < len(packed):
        number, at = _varint(packed, at)
        numbers.append(number)
    return numbers


def serialise(arrays: Mapping[str, np.ndarray], digest: str) -> Iterator[bytes | memoryview]:
    """Yield the bytes of a checkpoint, piece by piece; the bytes of the arrays are not copied.

    Args:
        arrays: C-contiguous arrays by name; text as arrays of dtype "U" without dimensions.
        digest: SHA-256 of the contents in hexadecimal; stored as it is.

    Raises:
        ValueError: an array has a dtype that the format does not have; raised when its turn comes.
    """
    yield _field(_DIGEST, bytes.fromhex(digest))
    content: bytes | memoryview
    for name, array in arrays.items():
        if array.dtype.kind == "U":
            type_name, content = "str", str(array).encode("utf-32-le")
        elif array.dtype in _TYPE_NAMES:
            type_name, content = _TYPE_NAMES[array.dtype], array.reshape(-1).view(np.uint8).data
        else:
            raise ValueError(f"{name} has the type {array.dtype}, which a .ckpt cannot hold")
        dims = b"".join(_encode_varint(1 << 3 | _VARINT) + _encode_varint(side) for side in array.shape or (0,))
        head = dims + _field(2, type_name.encode()) + _field_header(3, len(content))
        head = _field(1, name.encode()) + _field_header(2, len(head) + len(content)) + head
        yield _field_header(1, len(head) + len(content)) + head
        yield content


def _field(number: int, content: bytes) -> bytes:
    """Return the bytes of a field with its header."""
    return _field_header(number, len(content)) + content


def _field_header(number: int, length: int) -> bytes:
    """Return the bytes that precede the `length` bytes of a field."""
    return _encode_varint(number << 3 | _BYTES) + _encode_varint(length)


def is_ours(head: bytes) -> bool:
    """Return whether `head`, the first bytes of a file, begin a checkpoint with this project's digest."""
    return head.startswith(_field_header(_DIGEST, 32))


def _encode_varint(number: int) -> bytes:
    """Return `number`, at least 0, as a varint."""
    result = bytearray()
    while number > 0x7F:
        result.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes(result) + bytes([number])

"""A digest of a checkpoint's contents that does not depend on the file format."""

from collections.abc import Mapping
from hashlib import sha256

import numpy as np


def digest(arrays: Mapping[str, np.ndarray]) -> str:
    """Return the SHA-256, in hexadecimal, of all names, dtypes, shapes and values, sorted by name.

    A `.ckpt` and a `.safetensors` with equal contents have equal digests.
    """
    state = sha256()
    for name in sorted(arrays):
        array = arrays[name]
        state.update(f"{name}\0{array.dtype.str}\0{array.shape}\0".encode())
        state.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return state.hexdigest()

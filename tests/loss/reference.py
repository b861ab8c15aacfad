"""Helpers of the loss tests: tensors from arrays, and gradients of float64 references."""

import mindspore as ms
import numpy as np


def to_tensor(array: np.ndarray) -> ms.Tensor:
    """Return integers as they are and all other numbers as float32."""
    return ms.Tensor(array if array.dtype.kind == "i" else array.astype(np.float32))


def numeric_gradient(function, x: np.ndarray, step: float = 1e-5) -> np.ndarray:
    """Return the central differences of the scalar `function` at the float64 array `x`."""
    gradient = np.zeros_like(x)
    for index in np.ndindex(*x.shape):
        change = np.zeros_like(x)
        change[index] = step
        gradient[index] = (function(x + change) - function(x - change)) / (2 * step)
    return gradient


def assert_gradient_close(gradient: ms.Tensor, expected: np.ndarray, tolerance: float = 1e-5) -> None:
    """Compare by the norm of the difference, relative to the norm of `expected`."""
    assert np.linalg.norm(gradient.asnumpy() - expected) <= tolerance * np.linalg.norm(expected)

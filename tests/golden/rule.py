"""Golden weights, inputs and gradient probes, drawn from each parameter's name, so that their order does not matter.

The reference figures in this folder were computed in float64 by the ConViT authors' PyTorch code on exactly these
numbers. Names are those of the authors' code.
"""

from zlib import crc32

import numpy as np

from mindcv.cli.doctor.golden import inputs, weight

__all__ = ["gradient_probe", "inputs", "mindcv_weights", "to_mindcv", "weight"]


def to_mindcv(name: str, array: np.ndarray) -> dict[str, np.ndarray]:
    """Return the PyTorch parameter `name` under MindCV's names: q, k and v are separate, norms have gamma and beta."""
    name = name.replace("head.", "classifier.")
    if "norm" in name:
        name = name.replace(".weight", ".gamma").replace(".bias", ".beta")
    for stacked in ("qkv", "qk"):
        if f".{stacked}." in name:
            parts = np.split(array, len(stacked))
            return {name.replace(stacked, letter): part for letter, part in zip(stacked, parts, strict=True)}
    return {name: array}


def mindcv_weights(case: dict) -> dict[str, np.ndarray]:
    """Return all weights of a model, by MindCV's names; `case` is its entry in `manifest.json`."""
    weights = {}
    for name, shape in case["shapes"].items():
        weights |= to_mindcv(name, weight(name, tuple(shape), case["salt"]))
    return weights


def gradient_probe(name: str, size: int) -> np.ndarray:
    """Return the direction (size,), float64, on which a golden `grad_probe` projects the flattened gradient."""
    return np.random.default_rng([crc32(name.encode()), 99]).standard_normal(size)

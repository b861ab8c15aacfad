"""Golden weights, inputs and gradient probes, drawn from each parameter's name, so that their order does not matter.

The reference figures in this folder were computed in float64 by the ConViT authors' PyTorch code on exactly these
numbers. Names are those of the authors' code.
"""

from zlib import crc32

import numpy as np

_CENTRE_OF_POSITION = np.array([0.0, 0.0, -1.0])


def weight(name: str, shape: tuple[int, ...], salt: int) -> np.ndarray:
    """Return the weight of the PyTorch parameter `name`, float32 of `shape`; `salt` is another seed for each model."""
    draw = np.random.default_rng([crc32(name.encode()), salt]).standard_normal(shape)
    if name.endswith("gating_param"):
        value = 0.5 + draw
    elif name.endswith("pos_proj.weight"):
        value = 0.7 * draw + _CENTRE_OF_POSITION
    elif ".norm" in name or name.startswith("norm"):
        value = 0.1 * draw + float(name.endswith("weight"))
    elif name.endswith("bias") or name in ("cls_token", "pos_embed"):
        value = 0.1 * draw
    else:
        value = draw / np.sqrt(np.prod(shape[1:]))
    return value.astype(np.float32)


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


def inputs(salt: int, batch: int = 2, image: int = 224, classes: int = 1000) -> tuple[np.ndarray, np.ndarray]:
    """Return images (batch, 3, image, image) float32 and labels (batch,) int64, below `classes`."""
    rng = np.random.default_rng([7, salt])
    images = rng.standard_normal((batch, 3, image, image)).astype(np.float32)
    return images, rng.integers(0, classes, batch)


def gradient_probe(name: str, size: int) -> np.ndarray:
    """Return the direction (size,), float64, on which a golden `grad_probe` projects the flattened gradient."""
    return np.random.default_rng([crc32(name.encode()), 99]).standard_normal(size)

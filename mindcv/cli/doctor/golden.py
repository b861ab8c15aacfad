"""Golden logits of convit_tiny: weights and images from a rule, and the logits that they give in float64.

Every weight is drawn from a generator that is seeded by the parameter's name, so that a few numbers stand for the
weights and the images. The logits were computed by the ConViT authors' PyTorch code.
"""

from collections.abc import Mapping
from zlib import crc32

import numpy as np

from mindcv.weights.state_dict import to_mindcv, to_pytorch

MODEL, SALT = "convit_tiny", 1
_EVERY = 100  # of a thousand classes' logits
_LOGITS = np.array([
    [0.386066600, 0.530578304, 0.978660522, -0.236090790, 2.146485210,
     0.407206619, 1.133334873, 0.692323803, -0.485726761, 1.657709833],
    [0.406212999, 0.285526785, 0.703114689, -0.334919382, 2.531449867,
     0.339323042, 1.020012045, 0.600843427, -0.036603978, 1.610184770],
])  # fmt: skip
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


def inputs(salt: int, batch: int = 2, image: int = 224, classes: int = 1000) -> tuple[np.ndarray, np.ndarray]:
    """Return images (batch, 3, image, image) float32 and labels (batch,) int64, below `classes`."""
    rng = np.random.default_rng([7, salt])
    images = rng.standard_normal((batch, 3, image, image)).astype(np.float32)
    return images, rng.integers(0, classes, batch)


def golden_weights(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """Return the golden weights of `MODEL` by MindCV's names, float32.

    Args:
        shapes: The shapes of the model's parameters, by MindCV's names.
    """
    arrays = to_pytorch({name: np.empty(shape, np.float32) for name, shape in shapes.items()})
    return to_mindcv({name: weight(name, array.shape, SALT) for name, array in arrays.items()})


def logits_error(logits: np.ndarray) -> float:
    """Return the relative error, by norm, of the logits of every hundredth class; NaN if one of them is.

    Args:
        logits: The model's logits (2, 1000) of the images `inputs(SALT)`.
    """
    difference = logits[:, ::_EVERY].astype(np.float64) - _LOGITS
    return float(np.linalg.norm(difference) / np.linalg.norm(_LOGITS))

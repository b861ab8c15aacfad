"""Putting arrays into a model, all of them or none."""

import logging
from pathlib import Path

import numpy as np
from mindspore import Tensor, nn

from mindcv.weights.read import read, weights_of

_log = logging.getLogger("mindcv")
_NAMES_SHOWN = 3


def load(model: nn.Cell, path: str | Path, ema: bool = False, strict: bool = True):
    """Load the checkpoint `path` into `model`.

    Args:
        model: Any cell whose parameters bear the names in the checkpoint.
        path: A MindSpore checkpoint, with or without training state.
        ema: Take the moving averages in place of the weights.
        strict: Refuse a checkpoint that misses parameters, has unexpected ones, or others' shapes. Otherwise load
            what fits and warn about the rest.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is no checkpoint, or does not fit. The model is then left as it was.
    """
    arrays = weights_of(read(path), ema)
    parameters = {parameter.name: parameter for parameter in model.get_parameters()}
    mismatch = describe_mismatch({name: p.shape for name, p in parameters.items()}, arrays)
    if mismatch and strict:
        raise ValueError(f"checkpoint {path} does not fit the model: {mismatch}")
    if mismatch:
        _log.warning("checkpoint %s fits the model in part: %s", path, mismatch)
    for name, parameter in parameters.items():
        if name in arrays and arrays[name].shape == parameter.shape:
            parameter.set_data(Tensor(arrays[name], parameter.dtype))


def describe_mismatch(shapes: dict[str, tuple[int, ...]], arrays: dict[str, np.ndarray]) -> str:
    """What `arrays` lack, have too many, or have in another shape than the model's `shapes`; "" where all fits."""
    missing = [name for name in shapes if name not in arrays]
    unexpected = [name for name in arrays if name not in shapes]
    reshaped = [
        f"{name} {arrays[name].shape}, the model's is {shape}"
        for name, shape in shapes.items()
        if name in arrays and arrays[name].shape != shape
    ]
    groups = {"missing": missing, "unexpected": unexpected, "of another shape": reshaped}
    return "; ".join(f"{len(names)} {kind} ({_some(names)})" for kind, names in groups.items() if names)


def _some(names: list[str]) -> str:
    return ", ".join(names[:_NAMES_SHOWN]) + (", …" if len(names) > _NAMES_SHOWN else "")

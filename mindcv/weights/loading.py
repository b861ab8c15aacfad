"""Putting arrays into a model, all of them or none."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mindcv.weights import state_dict
from mindcv.weights.adapt import ARGUMENTS, CLASSIFIER, adapted, some
from mindcv.weights.classes import names_in
from mindcv.weights.parts import parts_of
from mindcv.weights.read import naming, read

if TYPE_CHECKING:
    from mindspore import nn

_log = logging.getLogger("mindcv")


def load(
    model: nn.Cell,
    path: str | Path,
    ema: bool = False,
    strict: bool = True,
    adapt: Collection[str] = (),
    grid: tuple[int, int] | None = None,
    class_names: Sequence[str] | None = None,
) -> None:
    """Load the checkpoint `path` into `model`.

    Args:
        model: Any cell whose parameters bear the names in the checkpoint, or MindCV's for those of PyTorch.
        path: A checkpoint of any format and layout that `read` and `layouts` know.
        ema: Take the moving averages in place of the weights.
        strict: Refuse a checkpoint that misses parameters, has unexpected ones, or others' shapes. Otherwise load
            what fits and warn about the rest.
        adapt: Arguments in which the model may differ from the one in the file: any of "num_classes" (a fresh
            classifier), "in_channels" (kernels summed or repeated), "image_size" (position embedding resampled),
            "local_up_to_layer" (queries, keys and values stay, positional attention goes or starts afresh). What is
            done is said as a warning.
        grid: Rows and columns of patches that the file's position embedding was learned on, where the file does not
            tell. By default the model's, if the number of positions agrees, and else a square.
        class_names: The model's classes, in the order of its outputs. Where the file names its classes too, the
            classifier's rows go by name, and with "num_classes" in `adapt` other classes get a fresh classifier. By
            default rows go by their number.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is no checkpoint, or does not fit. The model is then left as it was.
    """
    from mindspore import Tensor  # here, so that reading and converting files does not wait for MindSpore

    for argument in adapt:
        if argument not in ARGUMENTS:
            nearest = get_close_matches(argument, ARGUMENTS, n=1) or ARGUMENTS
            raise ValueError(f"weights cannot be adapted in {argument!r}, but in {', '.join(nearest)}")
    contents = read(path)
    parameters = {parameter.name: parameter for parameter in model.get_parameters()}
    with naming(path):
        parts = parts_of(contents, parameters)
        weights = state_dict.to_mindcv(parts.chosen(ema))
    if state_dict.GRID in contents:
        grid = tuple(int(side) for side in contents[state_dict.GRID])
    shapes = {name: parameter.shape for name, parameter in parameters.items()}
    names = names_in(contents)
    known = {"image_size": (grid, getattr(model, "grid_size", None)), "num_classes": (names, class_names)}
    weights, fresh, done, refused = adapted(weights, shapes, adapt, known)

    mismatch = describe_mismatch({name: shape for name, shape in shapes.items() if name not in fresh}, weights)
    differences = "; ".join(filter(None, [mismatch, *refused]))
    if differences and strict:
        remedy = ". Create the model as in the file, or name what to adapt" if refused else ""
        raise ValueError(f"checkpoint {path} does not fit the model: {differences}{remedy}")
    if differences:
        _log.warning("checkpoint %s fits the model in part: %s", path, differences)
    if foreign := parts.foreign():
        _log.info("checkpoint %s: %s tensors of an optimizer's and a run's state are left out", path, foreign)
    if class_names and not names and any(name.startswith(CLASSIFIER) for name in weights):
        _log.info("checkpoint %s does not name its classes: the classifier's rows are taken in their order", path)
    for change in done:
        _log.warning("checkpoint %s: %s", path, change)
    for name, parameter in parameters.items():
        if name in weights and weights[name].shape == parameter.shape:
            parameter.set_data(Tensor(weights[name], parameter.dtype))


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
    return "; ".join(f"{len(names)} {kind} ({some(names)})" for kind, names in groups.items() if names)

"""Load a checkpoint into a model, completely or not at all."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mindcv.errors import did_you_mean
from mindcv.weights import state_dict
from mindcv.weights.adapt import CLASSIFIER, adapt_weights, shorten
from mindcv.weights.checkpoint_format import CheckpointFormat
from mindcv.weights.classes import names_in
from mindcv.weights.parts import split_parts
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
    """Load the checkpoint `path` into `model`, adapting the weights where `adapt` allows it.

    Args:
        model: Any cell whose parameters have the names in the checkpoint, or MindCV's names for those of PyTorch. Their
            values are replaced in place and converted to the parameters' types.
        path: A MindSpore .ckpt or .safetensors, or a PyTorch .safetensors or (with PyTorch installed) .pth.
        ema: Take the moving averages instead of the weights.
        strict: Refuse a checkpoint with missing, unexpected or differently shaped parameters. Otherwise load what fits
            and log a warning about the rest.
        adapt: Arguments in which the model may differ from the checkpoint's, each logged as a warning: "num_classes"
            (the classifier is initialised anew), "in_channels" (kernels are summed or repeated), "image_size" (the
            position embedding is resampled), and those of `model.family`, as ConViT's "local_up_to_layer" (queries,
            keys and values stay; positional attention is dropped or initialised).
        grid: Rows and columns of patches of the checkpoint's position embedding, used if the file does not say. By
            default the model's if the number of positions agrees, else a square.
        class_names: The model's classes, in the order of its outputs. If the file names its classes as well, the
            classifier's rows are matched by name, and with "num_classes" in `adapt` a model with other classes gets a
            new classifier. By default rows are matched by position.

    Raises:
        FileNotFoundError: the file does not exist.
        ValueError: the file is damaged, not a checkpoint, lacks the weights or averages, or (if `strict`) does not fit,
            or `adapt` names another argument. The model is then unchanged.
    """
    from mindspore import Tensor  # here, so that reading and converting files does not import MindSpore

    from mindcv.mindspore_hooks import aligned

    family = getattr(model, "family", None)
    format = family.checkpoints if family else CheckpointFormat()
    for argument in adapt:
        if argument not in format.all_differences:
            hint = did_you_mean(argument, format.all_differences)
            raise ValueError(f"weights cannot be adapted in {argument!r}{hint}")
    contents = read(path)
    parameters = {parameter.name: parameter for parameter in model.get_parameters()}
    with naming(path):
        parts = split_parts(contents, parameters)
        weights = parts.select(ema)
        weights = weights if weights.keys() == parameters.keys() else format.to_mindcv(weights)
    if state_dict.GRID in contents:
        rows, columns = contents[state_dict.GRID]
        grid = (int(rows), int(columns))
    shapes = {name: parameter.shape for name, parameter in parameters.items()}
    names = names_in(contents)
    known = {"image_size": (grid, getattr(model, "grid_size", None)), "num_classes": (names, class_names)}
    weights, fresh, done, refused = adapt_weights(weights, shapes, adapt, known, format.all_differences)

    mismatch = describe_mismatch({name: shape for name, shape in shapes.items() if name not in fresh}, weights)
    differences = "; ".join(filter(None, [mismatch, *refused]))
    if differences and strict:
        remedy = ". Create the model as in the file, or name what to adapt" if refused else ""
        raise ValueError(f"checkpoint {path} does not fit the model: {differences}{remedy}")
    if differences:
        _log.warning("checkpoint %s fits the model in part: %s", path, differences)
    if count := parts.num_foreign():
        _log.info("checkpoint %s: %s tensors of an optimizer's and a run's state are left out", path, count)
    if class_names and not names and any(name.startswith(CLASSIFIER) for name in weights):
        _log.info("checkpoint %s does not name its classes: the classifier's rows are taken in their order", path)
    for line in done:
        _log.warning("checkpoint %s: %s", path, line)
    for name, parameter in parameters.items():
        if name in weights and weights[name].shape == parameter.shape:
            parameter.set_data(Tensor(aligned(weights[name]), parameter.dtype))


def describe_mismatch(shapes: dict[str, tuple[int, ...]], arrays: dict[str, np.ndarray]) -> str:
    """Return how many `arrays` are missing, unexpected or not of the model's `shapes`, with examples; "" if none."""
    missing = [name for name in shapes if name not in arrays]
    unexpected = [name for name in arrays if name not in shapes]
    reshaped = [
        f"{name} {arrays[name].shape}, the model's is {shape}"
        for name, shape in shapes.items()
        if name in arrays and arrays[name].shape != shape
    ]
    groups = {"missing": missing, "unexpected": unexpected, "of another shape": reshaped}
    return "; ".join(f"{len(names)} {kind} ({shorten(names)})" for kind, names in groups.items() if names)

"""Adapt weights to a model with other classes, channels or image size, or with a difference of the family's own.

Works on arrays under MindCV's names and on shapes. Each kind of difference is named after the model's argument that
causes it.
"""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from mindcv.weights.resample import resample

CLASSIFIER = "classifier."
FIRST_CONV = "patch_embed.proj.weight"
POS_EMBED = "pos_embed"
_NAMES_SHOWN = 3

Arrays = dict[str, np.ndarray]
Shapes = dict[str, tuple[int, ...]]
Grid = tuple[int, int] | None  # rows and columns of patches; None: unknown
Names = Sequence[str] | None  # class names in the order of the outputs; None: unknown


class Change(NamedTuple):
    """One difference between a checkpoint and a model, and the adaptation to it.

    Attributes:
        checkpoint, model: The value that differs, as messages show it.
        effect: What the adaptation does, for the log.
        weights: All weights after the adaptation.
        fresh: The model's parameters that keep their initial values.
    """

    checkpoint: object
    model: object
    effect: str
    weights: Arrays
    fresh: frozenset[str] = frozenset()


class Adapted(NamedTuple):
    """The result of `adapt_weights`.

    Attributes:
        weights: The weights to load.
        fresh: The model's parameters that keep their initial values.
        done: A line for each adaptation.
        refused: A line for each difference that was not allowed to be adapted.
    """

    weights: Arrays
    fresh: frozenset[str]
    done: list[str]
    refused: list[str]


def adapt_weights(
    weights: Arrays,
    shapes: Shapes,
    allowed: Collection[str],
    known: Mapping[str, tuple[object, object]] | None = None,
    differences: Mapping[str, Callable[..., Change | None]] | None = None,
) -> Adapted:
    """Adapt a checkpoint's weights to a model's shapes.

    A difference that is not in `allowed` is no error: its weights stay as they are, and `refused` has a line about it.

    Args:
        weights: The checkpoint's weights, under MindCV's names. Neither the dictionary nor the arrays are changed.
        shapes: The shapes of the model's parameters, by name.
        allowed: The differences to adapt to, any of `differences`.
        known: Pairs of (the checkpoint's, the model's) values that names and shapes do not tell: under "image_size"
            rows and columns of patches, under "num_classes" the names of the classes; None for an unknown value.
        differences: Functions that find a difference, by argument, as in `CheckpointFormat`; None for `SHARED`.

    Returns:
        The weights to load, the names of the model's parameters that keep their initial values, and a line of text for
        each difference that was adapted (`done`) or not allowed (`refused`).
    """
    fresh: frozenset[str] = frozenset()
    done: list[str] = []
    refused: list[str] = []
    for argument, find_change in (SHARED if differences is None else differences).items():
        change = find_change(weights, shapes, *(known or {}).get(argument, ()))
        if change is None:
            continue
        line = f"{argument} is {change.checkpoint} in the file and {change.model} in the model"
        if argument in allowed:
            weights, fresh = change.weights, fresh | change.fresh
            done.append(f"{line}: {change.effect}")
        else:
            refused.append(line)
    return Adapted(weights, fresh, done, refused)


def _num_classes(
    weights: Arrays, shapes: Shapes, checkpoint_names: Names = None, model_names: Names = None
) -> Change | None:
    """Return how to adapt the classifier: left out for other classes, rows permuted for the same in another order.

    A classifier that is left out starts afresh in the model, if that has one. `weights` are the checkpoint's arrays and
    `shapes` those of the model's parameters, by name; neither is changed. Class names are in the order of the outputs,
    None if unknown. Returns None if the numbers of classes agree and the names do too or are unknown on one side.
    """
    head = {name: array for name, array in weights.items() if name.startswith(CLASSIFIER)}
    fresh = {name: shape for name, shape in shapes.items() if name.startswith(CLASSIFIER)}
    rows: list[object] = [_num_rows({name: array.shape for name, array in head.items()}), _num_rows(fresh)]
    if rows[0] == rows[1]:
        if not (head and checkpoint_names and model_names) or list(checkpoint_names) == list(model_names):
            return None
        moved = (_moved(checkpoint_names, model_names), _moved(model_names, checkpoint_names))
        named = (len(checkpoint_names), len(model_names))
        rows = [f"{rows[0]} ({shorten(names) or f'only {n} named'})" for names, n in zip(moved, named, strict=True)]
        if sorted(checkpoint_names) == sorted(model_names):
            order = [checkpoint_names.index(name) for name in model_names]
            head = {name: np.concatenate([array[order], array[len(order) :]]) for name, array in head.items()}
            return Change(rows[0], rows[1], "the classifier's rows follow the names", {**weights, **head})
    effect = "the classifier starts afresh" if fresh else "its classifier is left out"
    kept = {name: array for name, array in weights.items() if name not in head}
    return Change(rows[0], rows[1], effect, kept, frozenset(fresh))


def _moved(names: Sequence[str], others: Sequence[str]) -> list[str]:
    """Return the `names` that `others` does not have at the same position."""
    return [name for i, name in enumerate(names) if name not in others[i : i + 1]]


def shorten(names: Sequence[str]) -> str:
    """Return the first three of `names`, separated by commas, and an ellipsis if there are more."""
    return ", ".join(names[:_NAMES_SHOWN]) + (", …" if len(names) > _NAMES_SHOWN else "")


def _num_rows(shapes: Shapes) -> int:
    """Return the number of outputs of a classifier with these shapes, 0 without one."""
    return next((shape[0] for shape in shapes.values() if shape), 0)


def _in_channels(weights: Arrays, shapes: Shapes) -> Change | None:
    """Return how to adapt the patch embedding to other channels, as timm does.

    For one channel the kernels of all channels are summed. For n channels they are repeated in order and scaled by
    old / n, so that their sum stays about the same. `weights` are the checkpoint's arrays and `shapes` those of the
    model's parameters, by name; neither is changed. Returns None if the channels agree or one side has no patch
    embedding.
    """
    kernel, shape = weights.get(FIRST_CONV), shapes.get(FIRST_CONV, ())
    if kernel is None or kernel.ndim != 4 or len(shape) != 4 or kernel.shape[1] == shape[1]:
        return None
    old, new = kernel.shape[1], shape[1]
    wide = kernel.astype(np.float64)
    if new == 1:
        adapted, effect = wide.sum(1, keepdims=True), "the channels' weights are summed"
    else:
        adapted = wide[:, np.arange(new) % old] * (old / new)
        effect = f"the channels' weights are repeated and scaled by {old}/{new}"
    return Change(old, new, effect, {**weights, FIRST_CONV: adapted.astype(kernel.dtype)})


def _image_size(
    weights: Arrays, shapes: Shapes, checkpoint_grid: Grid = None, model_grid: Grid = None
) -> Change | None:
    """Return how to resample the position embedding to another grid (rows, cols) of patches.

    Positions that the model has beyond its patches come first, such as a class token's, and stay as they are. `weights`
    are the checkpoint's arrays and `shapes` those of the model's parameters, by name; neither is changed. An unknown
    (None) `checkpoint_grid` is taken to be `model_grid` if the number of positions agrees, else a square. Returns None
    if the grids are the same, `model_grid` is unknown, the checkpoint's grid does not have as many patches as the
    embedding has positions, or one side has no position embedding.
    """
    embedding, shape = weights.get(POS_EMBED), shapes.get(POS_EMBED, ())
    if embedding is None or embedding.ndim != 3 or len(shape) != 3 or model_grid is None:
        return None
    prefix = shape[1] - math.prod(model_grid)
    positions = embedding.shape[1] - prefix
    if checkpoint_grid is None:
        side = math.isqrt(max(positions, 0))
        checkpoint_grid = model_grid if embedding.shape[1] == shape[1] else (side, side)
    if checkpoint_grid == model_grid or math.prod(checkpoint_grid) != positions:
        return None
    patches = resample(embedding[:, prefix:], checkpoint_grid, model_grid)
    adapted = np.concatenate([embedding[:, :prefix], patches], 1)
    before, after = (f"{rows}x{cols} patches" for rows, cols in (checkpoint_grid, model_grid))
    return Change(before, after, "the position embedding is resampled", {**weights, POS_EMBED: adapted})


# Functions (weights, shapes, the checkpoint's value, the model's value) to a Change, or None if there is no difference.
SHARED = {"num_classes": _num_classes, "in_channels": _in_channels, "image_size": _image_size}
ARGUMENTS = tuple(SHARED)

"""Weights of a model made otherwise: for other classes, channels, image sizes, or another number of GPSA blocks.

Works on MindCV's names and on shapes alone. Each difference is called after the argument of the model that it is about.
"""

import math
import re
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from mindcv.weights.resample import resample

CLASSIFIER = "classifier."
FIRST_CONV = "patch_embed.proj.weight"
POS_EMBED = "pos_embed"
_BLOCK = re.compile(r"blocks\.(\d+)\.attn\.q\.weight$")
_POSITIONAL = ("gating_param", "pos_proj.weight", "pos_proj.bias")

Shapes = dict[str, tuple[int, ...]]
Grid = tuple[int, int] | None
Names = Sequence[str] | None
_NAMES_SHOWN = 3


class Change(NamedTuple):
    """What to do about one difference between a file and a model."""

    theirs: object
    ours: object
    effect: str
    weights: dict[str, np.ndarray]  # as they are to be loaded
    fresh: frozenset[str] = frozenset()  # names that keep the model's own start


class Adapted(NamedTuple):
    """Weights to load, the model's names that start afresh, what was done, and what was not allowed to be done."""

    weights: dict[str, np.ndarray]
    fresh: frozenset[str]
    done: list[str]
    refused: list[str]


def adapted(
    weights: dict[str, np.ndarray],
    shapes: Shapes,
    allowed: Collection[str],
    known: Mapping[str, tuple[object, object]] | None = None,
) -> Adapted:
    """Make `weights`, under MindCV's names, fit a model's `shapes`, as far as the arguments in `allowed` differ.

    Args:
        weights: What the file holds.
        shapes: The model's parameters, by name.
        allowed: Any of `ARGUMENTS`.
        known: What names and shapes do not tell, of the file and of the model: under "image_size" the rows and columns
            of patches, under "num_classes" the names of the classes; None for what is unknown.
    """
    fresh, done, refused = frozenset(), [], []
    for argument, difference in _DIFFERENCES.items():
        change = difference(weights, shapes, *(known or {}).get(argument, ()))
        if change is None:
            continue
        said = f"{argument} is {change.theirs} in the file and {change.ours} in the model"
        if argument in allowed:
            weights, fresh = change.weights, fresh | change.fresh
            done.append(f"{said}: {change.effect}")
        else:
            refused.append(said)
    return Adapted(weights, fresh, done, refused)


def _num_classes(
    weights: dict[str, np.ndarray], shapes: Shapes, theirs: Names = None, ours: Names = None
) -> Change | None:
    """Other classes: the classifier starts afresh. The same classes in another order: its rows change places."""
    head = {name: array for name, array in weights.items() if name.startswith(CLASSIFIER)}
    fresh = {name: shape for name, shape in shapes.items() if name.startswith(CLASSIFIER)}
    rows = [_rows({name: array.shape for name, array in head.items()}), _rows(fresh)]
    if rows[0] == rows[1]:
        if not (head and theirs and ours) or list(theirs) == list(ours):
            return None
        moved = (_elsewhere(theirs, ours), _elsewhere(ours, theirs))
        rows = [f"{count} ({some(names)})" for count, names in zip(rows, moved, strict=True)]
        if sorted(theirs) == sorted(ours):
            order = [theirs.index(name) for name in ours]
            head = {name: np.concatenate([array[order], array[len(order) :]]) for name, array in head.items()}
            return Change(*rows, "the classifier's rows follow the names", {**weights, **head})
    effect = "the classifier starts afresh" if fresh else "its classifier is left out"
    kept = {name: array for name, array in weights.items() if name not in head}
    return Change(*rows, effect, kept, frozenset(fresh))


def _elsewhere(names: Sequence[str], others: Sequence[str]) -> list[str]:
    """The `names` that do not stand at the same place in `others`."""
    return [name for i, name in enumerate(names) if name not in others[i : i + 1]]


def some(names: Sequence[str]) -> str:
    """Return the first of `names`, with a sign that there are more."""
    return ", ".join(names[:_NAMES_SHOWN]) + (", …" if len(names) > _NAMES_SHOWN else "")


def _rows(shapes: Shapes) -> int:
    return next((shape[0] for shape in shapes.values() if shape), 0)


def _in_channels(weights: dict[str, np.ndarray], shapes: Shapes) -> Change | None:
    """Other channels, as timm adapts them: one gets the sum of the file's; n repeat them, scaled to the same sum."""
    kernel, shape = weights.get(FIRST_CONV), shapes.get(FIRST_CONV, ())
    if kernel is None or kernel.ndim != 4 or len(shape) != 4 or kernel.shape[1] == shape[1]:
        return None
    theirs, ours = kernel.shape[1], shape[1]
    wide = kernel.astype(np.float64)
    if ours == 1:
        adapted, effect = wide.sum(1, keepdims=True), "the channels' weights are summed"
    else:
        adapted = wide[:, np.arange(ours) % theirs] * (theirs / ours)
        effect = f"the channels' weights are repeated and scaled by {theirs}/{ours}"
    return Change(theirs, ours, effect, {**weights, FIRST_CONV: adapted.astype(kernel.dtype)})


def _image_size(
    weights: dict[str, np.ndarray], shapes: Shapes, theirs: Grid = None, ours: Grid = None
) -> Change | None:
    """Another grid of patches: the position embedding is resampled; positional attention is relative and needs nothing.

    `theirs` is the file's grid, if known; else `ours`, if the number of positions agrees, or a square, if it is one.
    """
    embedding, shape = weights.get(POS_EMBED), shapes.get(POS_EMBED, ())
    if embedding is None or embedding.ndim != 3 or len(shape) != 3 or ours is None:
        return None
    positions = embedding.shape[1]
    if theirs is None:
        side = math.isqrt(positions)
        theirs = ours if positions == shape[1] else (side, side)
    if theirs == ours or theirs[0] * theirs[1] != positions:
        return None
    adapted = resample(embedding, theirs, ours)
    effect = "the position embedding is resampled"
    return Change(_patches(theirs), _patches(ours), effect, {**weights, POS_EMBED: adapted})


def _patches(grid: tuple[int, int]) -> str:
    return f"{grid[0]}x{grid[1]} patches"


def _local_up_to_layer(weights: dict[str, np.ndarray], shapes: Shapes) -> Change | None:
    """Blocks that were GPSA and are MHSA, or the other way: q, k, v, proj stay; position and gate go or are new."""
    shared = [match[0].removesuffix("q.weight") for name in weights if (match := _BLOCK.match(name)) and name in shapes]
    positional = {block + part for block in shared for part in _POSITIONAL}
    gone = {name for name in positional & weights.keys() if name not in shapes}
    fresh = {name for name in positional & shapes.keys() if name not in weights}
    if not gone and not fresh:
        return None
    effects = ["blocks without positional attention drop it"] * bool(gone)
    effects += ["new positional attention starts afresh"] * bool(fresh)
    kept = {name: array for name, array in weights.items() if name not in gone}
    return Change(_local(weights), _local(shapes), ", ".join(effects), kept, frozenset(fresh))


def _local(names) -> int:
    return sum(name.endswith("gating_param") for name in names)


_DIFFERENCES = {
    "num_classes": _num_classes,
    "in_channels": _in_channels,
    "image_size": _image_size,
    "local_up_to_layer": _local_up_to_layer,
}
ARGUMENTS = tuple(_DIFFERENCES)

"""Describe a checkpoint by its names and shapes."""

import math
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

from mindcv.weights import state_dict
from mindcv.weights.adapt import FIRST_CONV, POS_EMBED
from mindcv.weights.checkpoint_format import Arrays, CheckpointFormat
from mindcv.weights.classes import count_classes
from mindcv.weights.parts import split_parts
from mindcv.weights.read import naming, read_contents
from mindcv.weights.recorded import recorded_in


def describe(path: str | Path, formats: Iterable[CheckpointFormat] = ()) -> dict[str, str]:
    """Return a description of the checkpoint `path`, one line of text under each heading.

    The headings are file, format, layout, model, model_args (those of the run, if it had any), classes, image,
    parameters, beside (parts other than weights, if any), sha256 (of the file) and digest; classes and image only for a
    model of a known family.

    Args:
        path: The file.
        formats: What the checkpoints of the known families look like.

    Raises:
        FileNotFoundError: the file does not exist.
        ValueError: it is damaged, not a checkpoint, or the prefix of its weights is ambiguous.
    """
    contents = read_contents(path)
    with naming(path):
        parts = split_parts(contents.arrays)
    weights = parts.weights
    layout = state_dict.layout_of(weights)
    types = ", ".join(sorted({str(array.dtype) for array in weights.values()}))
    size = sum(array.size for array in weights.values())
    grid = contents.arrays.get(state_dict.GRID)
    return {
        "file": f"{path}, {Path(path).stat().st_size:,} bytes",
        "format": contents.format,
        "layout": {state_dict.MINDCV: "MindCV's names", state_dict.PYTORCH: "PyTorch's names"}[layout],
        **_model(weights, None if grid is None else (int(grid[0]), int(grid[1])), formats),
        **_model_args(recorded_in(contents.arrays) or {}),
        "parameters": f"{size:,} in {len(weights)} tensors, {types}",
        **({"beside": others} if (others := parts.describe_others()) else {}),
        "sha256": sha256(Path(path).read_bytes()).hexdigest(),
        "digest": f"{contents.digest} (of the contents, verified)" if contents.digest else "carries none",
    }


def _model_args(options: dict) -> dict[str, str]:
    """Return the heading model_args, as the option is typed, or {} if the recorded `options` have none."""
    arguments = options.get("model_args") or {}
    return {"model_args": " ".join(f"{name}={value}" for name, value in arguments.items())} if arguments else {}


def _model(weights: Arrays, grid: tuple[int, int] | None, formats: Iterable[CheckpointFormat]) -> dict[str, str]:
    """Return the headings model, classes and image; only model if the weights are in none of the formats.

    Args:
        weights: Arrays by name.
        grid: Rows and columns of patches; None if unknown, which is taken for a square.
        formats: The formats to try, in order.
    """
    for format in formats:
        renamed = format.to_mindcv(weights)
        if model := format.identify(renamed, grid):
            image = _image(renamed, grid, format.prefix_tokens)
            return {"model": model, "classes": str(count_classes(renamed)), "image": image}
    return {"model": "of no known family"}


def _image(weights: Arrays, grid: tuple[int, int] | None, prefix_tokens: int) -> str:
    """Return size, patches and channels of the images that weights under MindCV's names take, as text.

    `prefix_tokens` is the number of positions before those of the patches; `grid` is as in `_model`.
    """
    _dim, channels, height, width = weights[FIRST_CONV].shape
    if POS_EMBED not in weights:
        return f"of any size, in patches of {height}x{width}, {channels} channels"
    patches = weights[POS_EMBED].shape[1] - prefix_tokens
    side = math.isqrt(patches)
    rows, cols = grid or (side, side)
    size = f"{rows * height}x{cols * width}, " if rows * cols == patches else ""
    return f"{size}{patches} patches of {height}x{width}, {channels} channels"

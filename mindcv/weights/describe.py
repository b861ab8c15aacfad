"""Describe a checkpoint by its names and shapes."""

import math
import re
from hashlib import sha256
from pathlib import Path

import numpy as np

from mindcv.weights import state_dict
from mindcv.weights.adapt import FIRST_CONV, POS_EMBED
from mindcv.weights.classes import count_classes
from mindcv.weights.parts import split_parts
from mindcv.weights.read import naming, read_contents
from mindcv.weights.recorded import recorded_in

# Variants by the width of their tokens.
_VARIANTS = {
    192: "convit_tiny", 256: "convit_tiny_plus", 432: "convit_small",
    576: "convit_small_plus", 768: "convit_base", 1024: "convit_base_plus",
}  # fmt: skip
_DEPTH, _LOCAL = 12, 10


def describe(path: str | Path) -> dict[str, str]:
    """Return a description of the checkpoint `path`, one line of text under each heading.

    The headings are file, format, layout, model, model_args (those of the run, if it had any), classes, image,
    parameters, beside (parts other than weights, if any), sha256 (of the file) and digest; classes and image only for a
    ConViT.

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
        **_model(state_dict.to_mindcv(weights), grid),
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


def _model(weights: dict[str, np.ndarray], grid: np.ndarray | None) -> dict[str, str]:
    """Return the headings model, classes and image for a ConViT's weights under MindCV's names, else only model.

    Args:
        weights: Arrays by name.
        grid: Rows and columns of patches, (2,); None if unknown, which is taken for a square.
    """
    kernel = weights.get(FIRST_CONV)
    depth = len({match[1] for match in map(re.compile(r"blocks\.(\d+)\.").match, weights) if match})
    if kernel is None or kernel.ndim != 4 or not depth or "cls_token" not in weights:
        return {"model": "no ConViT"}
    dim, channels, height, width = kernel.shape
    local = sum(name.endswith("gating_param") for name in weights)
    model = _VARIANTS.get(dim, f"a ConViT of width {dim}")
    if (depth, local) != (_DEPTH, _LOCAL):
        model += f" with depth={depth}, local_up_to_layer={local}"
    if POS_EMBED not in weights:
        image = f"of any size, in patches of {height}x{width}"
    else:
        positions = weights[POS_EMBED].shape[1]
        side = math.isqrt(positions)
        rows, cols = (side, side) if grid is None else map(int, grid)
        image = f"{rows * height}x{cols * width}, " if rows * cols == positions else ""
        image += f"{positions} patches of {height}x{width}"
    return {"model": model, "classes": str(count_classes(weights)), "image": f"{image}, {channels} channels"}

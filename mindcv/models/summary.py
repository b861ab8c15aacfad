"""Summarise a ConViT layer by layer."""

import math
import re

from mindspore import nn

from mindcv.models.convit import GPSA, ConViT
from mindcv.models.flops import flops_by_layer


def summary(model: nn.Cell) -> str:
    """Return a table of text: each layer's output shape, parameters and FLOPs for one image, and their sums.

    B stands for the batch size. FLOPs are those of matrix products, two for a multiplication and its addition.

    Raises:
        TypeError: `model` is not a ConViT.
    """
    if not isinstance(model, ConViT):
        raise TypeError(f"got a {type(model).__name__}, wanted a ConViT")
    sizes = {}
    for parameter in model.get_parameters():
        layer = re.match(r"blocks\.\d+|\w+", parameter.name)[0]
        sizes[layer] = sizes.get(layer, 0) + parameter.size
    flops = flops_by_layer(model)
    rows = [
        (layer, kind, shape, f"{sizes.get(layer, 0):,}", f"{flops.get(layer, 0):,}")
        for layer, kind, shape in _layers(model)
        if layer in sizes
    ]
    total = ("total", "", "", f"{sum(sizes.values()):,}", f"{sum(flops.values()):,}")
    return _table([("layer", "", "output", "parameters", "FLOPs"), *rows, total])


def _layers(model: ConViT) -> list[tuple[str, str, str]]:
    """Return name, kind and output shape of each layer, all as text, in the order of the forward pass.

    "pos_embed" and "classifier" are listed even if the model has none.
    """
    patches, dim = math.prod(model.grid_size), model.num_features
    rows, cols = model.grid_size
    shape = f"(B, {patches}, {dim})"
    layers = [("patch_embed", f"{rows}x{cols} patches", shape), ("pos_embed", "learned", shape)]
    for i, block in enumerate(model.blocks):
        if i == model.local_up_to_layer:
            shape = f"(B, {patches + 1}, {dim})"
            layers.append(("cls_token", "joins", shape))
        if i == len(model.blocks) - 1:
            shape = f"(B, 1, {dim})"  # only the class token, which the classifier reads
        kind = "GPSA" if isinstance(block.attn, GPSA) else "MHSA"
        layers.append((f"blocks.{i}", f"{kind}, {block.attn.num_heads} heads", shape))
    return [*layers, ("norm", "", f"(B, {dim})"), ("classifier", "", f"(B, {model.num_classes})")]


def _table(rows: list[tuple[str, ...]]) -> str:
    """Format rows of five columns: three of text, left-aligned, and two of counts, right-aligned.

    The first row is the header and the last the total; rules separate them from the rows between.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(
            cell.ljust(width) if i < 3 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    rule = "-" * len(lines[0])
    return "\n".join([lines[0], rule, *lines[1:-1], rule, lines[-1]])

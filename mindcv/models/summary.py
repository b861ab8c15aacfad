"""Summarise a model layer by layer."""

from mindspore import nn

from mindcv.models.family import part_of


def summary(model: nn.Cell) -> str:
    """Return a table of text: each layer's output shape, parameters and FLOPs for one image, and their sums.

    B stands for the batch size. FLOPs are those of matrix products, two for a multiplication and its addition.

    Raises:
        TypeError: The model's family does not say what its layers are.
    """
    summary_rows, flops_by_layer = (part_of(model, part, "summary") for part in ("summary_rows", "flops_by_layer"))
    sizes: dict[str, int] = {}
    for parameter in model.get_parameters():
        layer = ".".join(parameter.name.split(".")[: 2 if parameter.name.startswith("blocks.") else 1])
        sizes[layer] = sizes.get(layer, 0) + parameter.size
    flops = flops_by_layer(model)
    rows = [
        (layer, kind, shape, f"{sizes.get(layer, 0):,}", f"{flops.get(layer, 0):,}")
        for layer, kind, shape in summary_rows(model)
        if layer in sizes
    ]
    total = ("total", "", "", f"{sum(sizes.values()):,}", f"{sum(flops.values()):,}")
    return _table([("layer", "", "output", "parameters", "FLOPs"), *rows, total])


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

"""Mixed precision: which cells compute in half precision, and what in them does."""

from collections.abc import Sequence
from difflib import get_close_matches

import mindspore as ms
from mindspore import Tensor, nn, ops

from mindcv.device import rounds_bfloat16
from mindcv.models.layers.precision import Mixed

# What `half` is in: operands of products, their results, LayerNorm and softmax, all else. None: what it comes in.
_HALF = "half"
_LEVELS = {
    "O0": (None, None, None, None),
    "O1": (_HALF, ms.float32, ms.float32, ms.float32),
    "O2": (_HALF, None, ms.float32, _HALF),
    "O3": (_HALF, None, _HALF, _HALF),
    "auto": (_HALF, None, ms.float32, None),
}
_TYPES = {"float16": ms.float16, "bfloat16": ms.bfloat16}


def set_precision(
    model: nn.Cell, level: str = "O0", dtype: str = "float16", cast_list: Sequence[str] | None = None
) -> None:
    """Let `model` compute in half precision; its parameters stay float32. Call it before the graph is compiled.

    Levels, as in MindSpore: under "O1" matrix products take half-precision operands and all else is float32; "auto" is
    the same, but what comes between the products keeps the widest type of what it is made from; "O2" is half
    precision but for LayerNorm and softmax; "O3" has these in half precision too. "O0" is float32. GELU computes in
    float32 inside, and the losses do.

    On a CPU, which has few operations in bfloat16, its numbers are rounded to bfloat16 and computed with in float32.

    Args:
        model: Made of the layers of this package.
        level: One of the five.
        dtype: "float16" or "bfloat16".
        cast_list: Only these cells, and what is in them, in half precision: classes ("Mlp", "GPSA"), also
            by a class that they derive from ("Dense"), or names ("blocks.3.attn", "classifier"). None for all.

    Raises:
        ValueError: no such level, type or cell, or the device has no products of that type.
    """
    if level not in _LEVELS:
        raise ValueError(f"amp_level is {level!r}; it can be {', '.join(_LEVELS)}")
    if dtype not in _TYPES:
        raise ValueError(f"amp_dtype is {dtype!r}; it can be {' or '.join(_TYPES)}")
    rounds = rounds_bfloat16()
    if level != "O0" and not rounds:
        _check_products(dtype)
    chosen = [""] if cast_list is None else _named(model, cast_list)
    full = _LEVELS["O0"] if level == "O0" else (ms.float32,) * 4
    half = [_TYPES[dtype] if kind == _HALF else kind for kind in _LEVELS[level]]
    for name, cell in model.cells_and_names():
        if isinstance(cell, Mixed):
            listed = any(not prefix or f"{name}.".startswith(f"{prefix}.") for prefix in chosen)
            cell.operands, cell.outcome, cell.exact, cell.other = half if listed else full
            cell.rounds = rounds
    model.compile_cache.clear()


def _named(model: nn.Cell, cast_list: Sequence[str]) -> list[str]:
    """The names of the cells that `cast_list` means."""
    cells = {name: {kind.__name__ for kind in type(cell).mro()} for name, cell in model.cells_and_names()}
    known = set(cells).union(*cells.values())
    for wanted in cast_list:
        if wanted not in known:
            near = get_close_matches(wanted, known, n=3, cutoff=0.3)
            raise ValueError(f"amp_cast_list: the model has no cell {wanted!r}; there is {', '.join(near) or 'Mlp'}")
    return [name for name, kinds in cells.items() if name in cast_list or not kinds.isdisjoint(cast_list)]


def _check_products(dtype: str) -> None:
    one = Tensor([[1.0]], _TYPES[dtype])
    try:
        ops.matmul(one, one).astype(ms.float32).asnumpy()
    except (RuntimeError, TypeError) as error:
        raise ValueError(
            f"amp_dtype: this device has no products of {dtype}: pass --amp_dtype {(_TYPES.keys() - {dtype}).pop()}"
        ) from error

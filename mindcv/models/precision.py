"""Mixed precision: set the dtype policy of a model's cells."""

from collections.abc import Sequence

import mindspore as ms
from mindspore import Tensor, nn, ops

from mindcv.device import emulates_bfloat16
from mindcv.errors import closest
from mindcv.mindspore_hooks import clear_compile_cache
from mindcv.models.layers.precision import DtypePolicy, PolicyCell

_DTYPES = {"float16": ms.float16, "bfloat16": ms.bfloat16}
# Fields of `DtypePolicy` at each level; "half" stands for the half-precision dtype.
_LEVELS = {
    "O0": {},
    "O1": {"compute": "half", "output": ms.float32, "norm": ms.float32, "residual": ms.float32},
    "O2": {"compute": "half", "norm": ms.float32, "residual": "half"},
    "O3": {"compute": "half", "norm": "half", "residual": "half"},
    "auto": {"compute": "half", "norm": ms.float32},
}


def set_precision(
    model: nn.Cell, level: str = "O0", dtype: str = "float16", cast_list: Sequence[str] | None = None
) -> None:
    """Set the precision that `model` computes in; its parameters stay float32. Call it before a graph is compiled.

    It sets the `policy` of every cell, in place of what an earlier call set.

    Levels, as in MindSpore:

    - "O0": float32;
    - "O1": operands of matrix products in half precision, everything else in float32;
    - "auto": operands of matrix products in half precision; between products, the widest dtype of the inputs;
    - "O2": half precision, except for LayerNorm and softmax in float32;
    - "O3": half precision, LayerNorm and softmax too.

    GELU and the losses compute in float32 at every level. On a CPU, which implements few operations in bfloat16,
    bfloat16 is emulated by float32 values rounded to it.

    Args:
        model: A model made of the layers of this package.
        level: One of the five.
        dtype: The half precision: "float16" or "bfloat16".
        cast_list: Cells to compute in half precision, with everything inside them; other cells stay in float32. Class
            names ("Mlp", "GPSA"), names of their base classes ("Dense"), or names of cells ("blocks.3.attn",
            "classifier"). None for all cells. At "O0" it changes nothing.

    Raises:
        ValueError: The level, the dtype or a cell does not exist, the device has no matrix product in that dtype, or
            the model has none of the layers of this package, which alone follow a level above O0.
    """
    if level not in _LEVELS:
        raise ValueError(f"amp_level is {level!r}; it can be {', '.join(_LEVELS)}")
    if dtype not in _DTYPES:
        raise ValueError(f"amp_dtype is {dtype!r}; it can be {' or '.join(_DTYPES)}")
    if level != "O0" and not any(isinstance(cell, PolicyCell) for _name, cell in model.cells_and_names()):
        raise ValueError(
            f"amp_level is {level!r}, but {type(model).__name__} has none of the layers of mindcv.models.layers, which "
            "follow it: pass O0"
        )
    emulate_bf16 = emulates_bfloat16()
    if level != "O0" and not emulate_bf16:
        _require_matmul(dtype)
    listed = [""] if cast_list is None else _cell_names(model, cast_list)
    fields = {field: _DTYPES[dtype] if kind == "half" else kind for field, kind in _LEVELS[level].items()}
    policy = DtypePolicy(**fields, emulate_bf16=emulate_bf16)
    full = policy if level == "O0" else DtypePolicy(ms.float32, ms.float32, ms.float32, ms.float32)
    for name, cell in model.cells_and_names():
        if isinstance(cell, PolicyCell):
            is_listed = any(not prefix or f"{name}.".startswith(f"{prefix}.") for prefix in listed)
            cell.policy = policy if is_listed else full
    clear_compile_cache(model)


def in_half_precision(model: nn.Cell) -> bool:
    """Return whether `set_precision` or MindSpore's `to_float` set a cell of `model` to half precision."""
    policies = [vars(cell.policy).values() for _name, cell in model.cells_and_names() if isinstance(cell, PolicyCell)]
    return any(dtype in _DTYPES.values() for dtypes in policies for dtype in dtypes)


def _cell_names(model: nn.Cell, cast_list: Sequence[str]) -> list[str]:
    """Return the names of the cells that have a name, a class or a base class in `cast_list`.

    Cells inside them are listed only if they match too.

    Raises:
        ValueError: An entry of `cast_list` is no cell, class or base class of the model; the message suggests others.
    """
    cells = {name: {base.__name__ for base in type(cell).mro()} for name, cell in model.cells_and_names()}
    known = set(cells).union(*cells.values())
    for wanted in cast_list:
        if wanted not in known:
            near = closest(wanted, known, n=3, cutoff=0.3) or ["Mlp"]
            raise ValueError(f"amp_cast_list: the model has no cell {wanted!r}; did you mean {' or '.join(near)}?")
    return [name for name, bases in cells.items() if name in cast_list or not bases.isdisjoint(cast_list)]


def _require_matmul(dtype: str) -> None:
    """Raise ValueError if the device has no matrix product in `dtype`."""
    one = Tensor([[1.0]], _DTYPES[dtype])
    try:
        ops.matmul(one, one).astype(ms.float32).asnumpy()
    except (RuntimeError, TypeError) as error:
        other = (_DTYPES.keys() - {dtype}).pop()
        raise ValueError(f"amp_dtype: this device has no products of {dtype}: pass --amp_dtype {other}") from error

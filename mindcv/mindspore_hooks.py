"""Everything in MindSpore that is not its documented API and that the package depends on, each with a test.

A new version of MindSpore may change any of it: run `tests/test_mindspore_hooks.py` first. Two hooks are overridden
methods and stand where they are used: `GeneratorDataset.prepare_multiprocessing` and `pre_parse`, in
`mindcv/data/dataset.py`.
"""

import mindspore as ms
from mindspore import nn
from mindspore._c_expression import MSContext

# Flags of a cell by which `nn.Cell.to_float` and `mindspore.amp` pass the compute dtype down to every cell inside.
PRECISION_FLAGS = {"fp16": ms.float16, "bf16": ms.bfloat16, "fp32": ms.float32}


def ascend_soc_version() -> str:
    """Return the generation of this machine's Ascend processor, such as "ascend910b"; "" if it is unknown."""
    return MSContext.get_instance().get_ascend_soc_version() or ""


def clear_compile_cache(cell: nn.Cell) -> None:
    """Make `cell` compile its graphs anew at its next call.

    Graph mode keys its cache by the inputs and does not see that a child cell or a Python attribute was replaced.
    """
    cell.compile_cache.clear()


def keep_in_float32(cell: nn.Cell) -> None:
    """Exempt the matrix products and convolutions of `cell`, which is changed, from `mindspore.amp`'s "O1" and "auto".

    Call it before `mindspore.amp`. "O1" exempts the cells inside too; "auto" exempts in graph mode only.

    Both read the flag fp32: "O1" as an attribute of the cell, the graph compiler among its flags. `add_flags` would set
    both, but `PolicyCell` overrides it.
    """
    cell.fp32 = cell.get_flags()["fp32"] = True

"""Everything in MindSpore that is not its documented API and that the package depends on, each with a test.

A new version of MindSpore may change any of it: run `tests/test_mindspore_hooks.py` first. Two hooks are overridden
methods and stand where they are used: `GeneratorDataset.prepare_multiprocessing` and `pre_parse`, in
`mindcv/data/dataset.py`.
"""

import logging
import platform
import re

import mindspore as ms
import numpy as np
from mindspore import nn
from mindspore._c_expression import MSContext

# The first versions that the tests passed with, and the first later ones that nobody tried, as in pyproject.toml.
TESTED = {"MindSpore": ("2.7", "2.11"), "Python": ("3.10", "3.13")}

# Flags of a cell by which `nn.Cell.to_float` and `mindspore.amp` pass the compute dtype down to every cell inside.
PRECISION_FLAGS = {"fp16": ms.float16, "bf16": ms.bfloat16, "fp32": ms.float32}


def untested_versions(versions: dict[str, str]) -> str:
    """Return one line that names the `versions` with which the package was not tested, "" if there are none.

    Args:
        versions: Version of each of `TESTED`, such as {"MindSpore": "2.10.0", "Python": "3.11.7"}.
    """
    untested = [
        f"{name} {versions[name]} (tested: {first} or later, below {end})"
        for name, (first, end) in TESTED.items()
        if not _numbers(first) <= _numbers(versions[name]) < _numbers(end)
    ]
    return f"mindcv was not tested with {' and '.join(untested)}" if untested else ""


def _numbers(version: str) -> list[int]:
    """Return the first two numbers of a version."""
    return [int(number) for number in re.findall(r"\d+", version)[:2]]


def aligned(array: np.ndarray) -> np.ndarray:
    """Return `array`, or a copy if its memory is not aligned, as that of a view into a file's bytes may be.

    For MindSpore 2.7.0, whose `Tensor` refuses such arrays.
    """
    return np.require(array, requirements="A")


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


if message := untested_versions({"MindSpore": ms.__version__, "Python": platform.python_version()}):
    logging.getLogger("mindcv").warning(message)  # once in a process, at the first import

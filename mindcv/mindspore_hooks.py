"""Everything in MindSpore that is not its documented API and that the package depends on, each with a test.

A new version of MindSpore may change any of it: run `tests/test_mindspore_hooks.py` first. Two hooks are overridden
methods and stand where they are used: `GeneratorDataset.prepare_multiprocessing` and `pre_parse`, in
`mindcv/data/dataset.py`.
"""

import hashlib
import logging
import os
import platform
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import nn
from mindspore._c_expression import MetaFuncGraph_, MSContext, ms_ctx_param
from mindspore._c_expression.typing import Type
from mindspore.communication import GlobalComm, get_rank
from mindspore.nn.cell import _cell_graph_executor

# The first versions that the tests passed with, and the first later ones that nobody tried, as in pyproject.toml.
TESTED = {"MindSpore": ("2.7", "2.11"), "Python": ("3.10", "3.13")}

# Flags of a cell by which `nn.Cell.to_float` and `mindspore.amp` pass the compute dtype down to every cell inside.
PRECISION_FLAGS = {"fp16": ms.float16, "bf16": ms.bfloat16, "fp32": ms.float32}

_PROGRAM = Path(__file__).with_name("version.py")

Dtype = Type  # base class of `mindspore.float32` and the others
ComposedOp = MetaFuncGraph_  # base class of `HyperMap`, `GradOperation` and `MultitypeFuncGraph`

# Attributes of a cell, and variables of MindSpore's functions, that no graph depends on: names, counters, and what
# earlier compilations left there.
NOT_IN_GRAPH = {
    "_cell_init_args", "_compile_cache", "_compile_phase", "_compiled", "_create_time", "_exist_names", "_exist_objs",
    "_has_mutable_args_list", "_id", "_init_flag", "_is_check_and_refresh", "_jit_graph_name", "_lazy_construct_sig",
    "_param_prefix", "_params_list", "_phase", "_phase_cache", "_scope", "__signature__", "arguments_key", "cls_name",
    "compile_phase", "create_time", "current_phase", "hash_obj", "is_top_cell", "no_inline", "sequence_modified",
}  # fmt: skip


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


@contextmanager
def compiled_once(groups: Sequence[Sequence[nn.Cell]]) -> Iterator[None]:
    """Make MindSpore compile the cells of each group once, as one graph with different parameters, in the context.

    This is what the decorator `mindspore.lazy_inline(policy="front")` does for cells whose constructors got the same
    arguments. MindSpore documents it for Ascend only; with this policy it works on a CPU as well.

    Args:
        groups: Cells that have the same graph, without a `bprop`, and that are called with inputs of the same shapes.
            (With other shapes, compilation failed in some processes and not in others.) No cell is in two groups.
    """
    cells = [cell for group in groups for cell in group]
    before = [vars(cell).get("_cell_init_args") for cell in cells]
    try:
        for key, group in enumerate(groups):
            for cell in group:
                cell.cell_init_args, cell.no_inline = f"lazy_inline_{key}", False
        yield
    finally:
        for cell, arguments in zip(cells, before, strict=True):
            for mark in ("_cell_init_args", "no_inline"):
                vars(cell).pop(mark, None)
            if arguments is not None:
                cell.cell_init_args = arguments


def prepare_compile_cache(folder: Path, compilations: int) -> Path:
    """Prepare `folder` for MindSpore's compile cache, and return the path of the next compilation's graph.

    MindSpore loads the file of that path if it exists, and writes it otherwise. If it does not exist at the first
    compilation of a process, MindSpore loads no graph later either. It compares a digest of the program's source files,
    and loads nothing after a change; here the program is always the same file.

    Args:
        folder: The folder; MindSpore keeps the first that it gets in a process.
        compilations: Number of compilations within `compile_cache` before, in this process.

    Raises:
        OSError: the folder cannot be written to.
    """
    graphs = folder / f"rank_{get_rank() if GlobalComm.INITED else 0}" / "graph_cache"
    graphs.mkdir(parents=True, exist_ok=True)
    role = os.environ.get("MS_ROLE", "")  # of a worker among several
    digest = hashlib.sha256(_PROGRAM.read_bytes()).hexdigest()
    (graphs / f"{role}compile_dependency.hash").write_text(hashlib.sha256(digest.encode()).hexdigest())
    return graphs / f"{role}compile_cache_{compilations}.mindir"


@contextmanager
def compile_cache(folder: Path) -> Iterator[None]:
    """Turn MindSpore's compile cache on within the context, for one compilation, in a `folder` prepared for it."""
    api = vars(sys.modules[type(_cell_graph_executor).__module__])
    variables = {"MS_COMPILER_CACHE_ENABLE": "1", "MS_COMPILER_CACHE_PATH": str(folder)}
    program, others = api["entry_script_path"], {name: os.environ.get(name) for name in variables}
    api["entry_script_path"] = str(_PROGRAM)
    os.environ.update(variables)
    try:
        yield
    finally:
        api["entry_script_path"] = program
        for name, value in others.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def graph_settings() -> list[tuple[str, Any]]:
    """Return MindSpore's settings in this process, by name, but for those of its compile cache and its threads."""
    others = {"enable_compile_cache", "compile_cache_path", "runtime_num_threads"}
    settings = {name: setting for name, setting in ms_ctx_param.__members__.items() if name not in others}
    context = ms.context._context()
    parallel = ("parallel_mode", "device_num", "gradients_mean")
    return [
        *((name, context.get_param(setting)) for name, setting in settings.items()),
        *((name, ms.get_auto_parallel_context(name)) for name in parallel),
    ]


def keep_in_float32(cell: nn.Cell) -> None:
    """Exempt the matrix products and convolutions of `cell`, which is changed, from `mindspore.amp`'s "O1" and "auto".

    Call it before `mindspore.amp`. "O1" exempts the cells inside too; "auto" exempts in graph mode only.

    Both read the flag fp32: "O1" as an attribute of the cell, the graph compiler among its flags. `add_flags` would set
    both, but `PolicyCell` overrides it.
    """
    cell.fp32 = cell.get_flags()["fp32"] = True


if message := untested_versions({"MindSpore": ms.__version__, "Python": platform.python_version()}):
    logging.getLogger("mindcv").warning(message)  # once in a process, at the first import

"""Training graphs as they are compiled for an Ascend, without one, and what MindSpore says about their primitives.

`python -m tests.ascend.graphs` writes the table of primitives into docs/devices.md and docs/devices.zh.md.
"""

import math
import re
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import mindspore as ms
import mindspore.context
import numpy as np
import pytest
from mindspore import Tensor, nn, ops
from mindspore.train.mind_ir_pb2 import ModelProto, TensorProto

import mindcv
from mindcv.engine.ema import ModelEMA
from mindcv.engine.loss_scale import LossScale
from mindcv.engine.step import TrainStep
from mindcv.loss import create_loss
from mindcv.models import set_precision
from mindcv.optim import create_optimizer

ROOT = Path(__file__).parents[2]
LIBRARIES = Path(ms.__file__).parent / "lib/plugin"
KERNELS = LIBRARIES / "libmindspore_ops_ascend.so"  # of single operators, for O0
GRAPH_ENGINE = LIBRARIES / "ascend/libmindspore_ascend_res_manager.so"  # translates operators for O2
MINDSPORE = "2.10.0"  # the version that the table is about

# Structure of a graph, which the compiler resolves: no kernel runs for these.
STRUCTURE = {
    "Constant", "Depend", "Load", "MakeTuple", "Partial", "Switch", "TupleGetItem", "UpdateState", "make_list",
}  # fmt: skip
HOST_CALLS = {
    "CellBackwardHook", "Custom", "HistogramSummary", "HookBackward", "ImageSummary", "InnerHookBackward", "Print",
    "PyExecute", "PyFunc", "PyInterpret", "ScalarSummary", "TensorSummary",
}  # fmt: skip

FULL = {
    "amp_level": "O2", "dynamic": True, "accumulation": 2, "clip_norm": 1.0, "ema": True, "drop_path_rate": 0.1,
}  # fmt: skip
PLAIN = {
    "amp_level": "O2", "attn_impl": "plain", "clip_value": 1.0, "skip_nonfinite": 3, "drop_rate": 0.1,
    "attn_drop_rate": 0.1, "act": "gelu_tanh",
}  # fmt: skip
OPTIONS = {  # of each graph, by the name that the table has for it
    "full": FULL,
    "float32": {"accumulation": 1},
    "bfloat16": {**FULL, "amp_dtype": "bfloat16"},
    "plain": PLAIN,
    "flash": {"amp_level": "O2", "amp_dtype": "bfloat16", "attn_impl": "flash"},
    "recompute": {"amp_level": "O2", "opt": "lamb", "recompute": True, "loss": "bce"},
    "deit float32": {"model": "deit_tiny"},
    "deit": {**FULL, "model": "deit_tiny"},
    "deit bfloat16": {**FULL, "model": "deit_tiny", "amp_dtype": "bfloat16"},
    "deit flash": {"model": "deit_tiny", "amp_level": "O2", "attn_impl": "flash"},
}


@contextmanager
def ascend(soc_version: str = "ascend910b") -> Iterator[None]:
    """Let mindcv and MindSpore's Python code take an Ascend's branches, and compile graphs without a backend."""
    real = ms.get_context

    def get_context(name):
        return "Ascend" if name == "device_target" else real(name)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ms, "get_context", get_context)
        patch.setattr(mindspore.context, "get_context", get_context)
        patch.setattr("mindcv.device.ascend_soc_version", lambda: soc_version)
        patch.setattr("mindcv.models.precision._require_matmul", lambda dtype: None)  # it multiplies on the device
        with compiling_only():
            yield


@contextmanager
def compiling_only() -> Iterator[None]:
    """Compile in graph mode, and stop before a backend chooses kernels."""
    mode = ms.get_context("mode")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MS_DEV_PRECOMPILE_ONLY", "1")
        ms.set_context(mode=ms.GRAPH_MODE)
        try:
            yield
        finally:
            ms.set_context(mode=mode)


class Sink(nn.Cell):
    """A training step whose batches come from the device's queue, as with `dataset_sink_mode`."""

    def __init__(self, step: nn.Cell, batch: tuple[Tensor, ...]):
        super().__init__(auto_prefix=False)
        types, shapes = zip(*((x.dtype, x.shape) for x in batch), strict=True)
        self.get_next = ops.operations.GetNext(types, shapes, len(batch), "queue")
        self.step = step

    def construct(self):
        return self.step(*self.get_next())


def training_graph(
    model: str = "convit_tiny",
    *,
    image_size: int = 32,
    depth: int = 2,
    batch_size: int = 8,
    amp_level: str = "O0",
    amp_dtype: str = "float16",
    opt: str = "adamw",
    loss: str = "ce",
    dynamic: bool = False,
    ema: bool = False,
    accumulation: int = 1,
    clip_norm: float | None = None,
    clip_value: float | None = None,
    skip_nonfinite: int = 0,
    recompute: bool = False,
    **arguments,
) -> "Graph":
    """Return the graph of a training step whose batches come from the device's queue; `arguments` are the model's."""
    if model.startswith("convit") and depth < 12:
        arguments["local_up_to_layer"] = depth // 2
    net = mindcv.create_model(model, image_size=image_size, num_classes=10, depth=depth, **arguments)
    set_precision(net, amp_level, amp_dtype)
    for block in net.blocks if recompute else ():
        block.recompute()
    step = TrainStep(
        net,
        create_loss(loss, label_smoothing=0.1),
        create_optimizer(net, opt, lr=[0.1, 0.01], weight_decay=0.05),
        LossScale(1024.0 if dynamic else 1.0, dynamic),
        accumulation,
        clip_norm,
        clip_value,
        skip_nonfinite=skip_nonfinite,
        ema=ModelEMA(net.get_parameters(), 0.99) if ema else None,
    )
    images = Tensor(np.zeros((batch_size, 3, image_size, image_size), np.float32))
    labels = Tensor(np.zeros((batch_size, 10), np.float32) if loss == "bce" else np.zeros(batch_size, np.int32))
    return compiled(Sink(step, (images, labels)).set_train())


def compiled(cell: nn.Cell, *inputs: Tensor) -> "Graph":
    """Return the graph that `cell` is compiled to."""
    from mindspore.graph.api import _cell_graph_executor

    cell.compile(*inputs)
    (phase,) = cell.compile_cache
    proto = ModelProto.FromString(_cell_graph_executor._get_func_graph_proto(cell, phase, "mind_ir"))
    operators = {primitive.name: primitive.op_type for primitive in proto.primitives}
    subgraphs = [proto.graph, *proto.functions]
    return Graph([Node.of(node, operators) for graph in subgraphs for node in graph.node])


@dataclass(frozen=True)
class Node:
    """An operation of a graph: its primitive, the cells around it, and shape and dtype of each result."""

    primitive: str
    scope: str
    results: tuple[tuple[tuple[int, ...], str], ...]

    @classmethod
    def of(cls, node, operators: dict[str, str]) -> "Node":
        name = node.op_type.removeprefix("REF::")
        is_call = name not in operators and node.op_type != name
        tensors = [tensor for attribute in node.attribute for tensor in attribute.tensors]
        results = tuple((tuple(t.dims), TensorProto.DataType.Name(t.data_type).lower()) for t in tensors)
        return cls("call" if is_call else operators.get(name, name), node.domain, results)

    @property
    def origin(self) -> str:
        """The class of the innermost cell, as the compiler records it: "TrainStep" for what is in none of its parts."""
        cells = re.findall(r"-(\w+)", self.scope.rpartition("/")[0])
        return cells[-1] if cells and cells[-1] != "Sink" else "TrainStep"


class Graph:
    """A compiled graph.

    Args:
        nodes: Its operations, constants among them; calls of its subgraphs are left out.
    """

    def __init__(self, nodes: list[Node]):
        self.nodes = [node for node in nodes if node.primitive != "call"]

    @cached_property
    def counts(self) -> Counter[str]:
        """Number of operations by primitive, without `STRUCTURE`."""
        return Counter(node.primitive for node in self.nodes if node.primitive not in STRUCTURE)

    def origins(self, primitive: str) -> list[str]:
        """Return the origins of a primitive's operations, the most frequent first."""
        found = Counter(node.origin for node in self.nodes if node.primitive == primitive)
        return sorted(found, key=lambda origin: (-found[origin], origin))

    def results(self) -> Iterator[tuple[Node, tuple[int, ...], str]]:
        """Iterate over each operation's results: operation, shape, dtype."""
        for node in self.nodes:
            for shape, dtype in node.results:
                yield node, shape, dtype

    def largest_constant(self) -> int:
        """Return the size of the largest constant, in bytes."""
        constants = [result for node in self.nodes if node.primitive == "Constant" for result in node.results]
        return max(math.prod(shape) * itemsize(dtype) for shape, dtype in constants)


def itemsize(dtype: str) -> int:
    """Return the bytes of an element of a dtype as the graph names it, such as "float" or "int32"."""
    return {"bool": 1, "float16": 2, "bfloat16": 2, "double": 8, "int64": 8, "uint64": 8}.get(dtype, 4)


@cache
def is_documented(primitive: str) -> bool:
    """Return whether MindSpore's documentation of a primitive, or of the function it refers to, names Ascend."""
    found = next(
        (getattr(module, primitive) for module in (ops, ops.auto_generate, ops.operations._inner_ops)
         if hasattr(module, primitive)), None,
    )  # fmt: skip
    text = found.__doc__ or "" if found else ""
    if reference := re.search(r"[Rr]efer to :func:`mindspore\.ops\.(\w+)`", text):
        text = getattr(getattr(ops, reference[1], None), "__doc__", None) or ""
    platforms = re.search(r"Supported Platforms:\s*(.*)", text)
    return bool(platforms and "Ascend" in platforms[1])


@cache
def _symbols(library: Path) -> bytes:
    return library.read_bytes()


def _has_symbol(library: Path, text: str) -> bool:
    """Return whether `text` is in the library, not after a digit."""
    # a pattern that begins with its literal is found 30 times as fast as one that begins with \D
    return bool(re.search(rf"{text}(?<=\D{text})".encode(), _symbols(library)))


@cache
def has_kernel(primitive: str) -> bool:
    """Return whether the Ascend plugin has a kernel class named after a primitive, as C++'s type names tell."""
    name = f"{primitive}Ascend"
    return _has_symbol(KERNELS, f"{len(name)}{name}")


@cache
def has_adapter(primitive: str) -> bool:
    """Return whether the Ascend plugin translates a primitive for the graph engine, as C++'s names of symbols tell."""
    constant = f"mindspore4prim{len(primitive) + 5}kPrim{primitive}E"
    return constant.encode() in _symbols(GRAPH_ENGINE) or _has_symbol(
        GRAPH_ENGINE, f"{len(primitive) + 2}cz{primitive}E"
    )


SOURCES = {"documented": is_documented, "kernel": has_kernel, "graph engine": has_adapter}


def table(graphs: dict[str, Graph]) -> list[str]:
    """Return the rows of the table in the documentation, for the graphs by name, "full" among them."""
    rows = []
    for primitive in sorted(set().union(*(graph.counts for graph in graphs.values())), key=str.lower):
        name, graph = next((name, graph) for name, graph in graphs.items() if primitive in graph.counts)
        origins = graph.origins(primitive)
        origin = ", ".join(origins[:3]) + ", …" * (len(origins) > 3)
        count = f"{graph.counts[primitive]}" + f" ({name})" * (name != "full")
        marks = ["yes" if known(primitive) else "–" for known in SOURCES.values()]
        rows.append(f"| `{primitive}` | {count} | {origin} | {' | '.join(marks)} |")
    return rows


def rows_in(page: Path) -> list[str]:
    """Return the rows of the table on a page of the documentation."""
    return re.findall(r"^\| `.*\|$", page.read_text(encoding="utf-8"), re.MULTILINE)


def pages() -> list[Path]:
    """Return the pages that have the table."""
    return [ROOT / "docs/devices.md", ROOT / "docs/devices.zh.md"]


def main() -> None:
    """Write the table into both pages, in place of the rows that are there."""
    with ascend():
        rows = "\n".join(table({name: training_graph(**options) for name, options in OPTIONS.items()}))
    for page in pages():
        text = page.read_text(encoding="utf-8")
        page.write_text(re.sub(r"(\| --- \| ---: \| .*\n)(\| `.*\|\n)*", rf"\1{rows}\n", text), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())

"""The base class of cells that are called from Python, and compiled as graphs of their own."""

from functools import partial
from weakref import WeakKeyDictionary

from mindspore import Tensor, nn

from mindcv.graph.graph_cache import graph_cache
from mindcv.graph.repeated_cells import repeated_cells
from mindcv.mindspore_hooks import compiled_once

_compiled: WeakKeyDictionary[nn.Cell, set[tuple]] = WeakKeyDictionary()  # kinds of calls with a graph


class CompiledCell(nn.Cell):
    """Base class of cells that are called from Python, which shortens the compilation of their graphs in graph mode.

    Repeated blocks are compiled once, and a graph that an earlier process compiled is loaded, see `graph_cache`. The
    results are equal to the bit: MindSpore expands repeated blocks before it optimizes the graph.
    """

    def compile(self, *args, **kwargs):
        """Compile the graph for inputs of the shapes and dtypes of `args`, unless there is one. A call does so too."""
        compile_it = partial(super().compile, *args, **kwargs)
        call = (self.training, *((arg.shape, arg.dtype) if isinstance(arg, Tensor) else repr(arg) for arg in args))
        calls = _compiled.setdefault(self, set())
        if call in calls and self.compile_cache:
            return compile_it()

        def compile_anew():
            with compiled_once(repeated_cells(self)):
                compile_it()

        cache = None if kwargs else graph_cache()
        if cache:
            cache.compile(self, args, compile_anew, compile_it)
        else:
            compile_anew()
        calls.add(call)

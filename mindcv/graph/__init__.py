"""Graph mode: what a cell's graph depends on, and how to compile it in less time."""

from mindcv.graph.compiled_cell import CompiledCell

__all__ = ["CompiledCell"]

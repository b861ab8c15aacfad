"""Inspect the attention of a model: where its heads attend, how far, and how much of it is positional.

Everything is computed by the model's own functions and parameters, in graph or in PyNative mode, and leaves the model
unchanged. `python -m mindcv.insight` draws the results.
"""

import warnings

from mindcv.insight.gates import gates
from mindcv.insight.kernel import effective_kernel
from mindcv.insight.locality import non_locality
from mindcv.insight.maps import AttentionMaps, attention_maps
from mindcv.insight.monitor import AttentionMonitor
from mindcv.insight.rollout import rollout

__all__ = [
    "AttentionMaps",
    "AttentionMonitor",
    "attention_maps",
    "effective_kernel",
    "gates",
    "non_locality",
    "rollout",
]


def __getattr__(name: str):
    """Return what an old name stands for, with a DeprecationWarning."""
    if name == "Observer":
        warnings.warn("mindcv.insight.Observer is now AttentionMonitor", DeprecationWarning, stacklevel=2)
        return AttentionMonitor
    raise AttributeError(f"module 'mindcv.insight' has no attribute {name!r}")

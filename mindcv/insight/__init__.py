"""Looking inside a ConViT: where its heads attend, how far, and how much of it is position.

Everything is computed by the functions and parameters that the model trains with, in graph and in PyNative mode, and
leaves the model as it was. `python -m mindcv.insight` draws it.
"""

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

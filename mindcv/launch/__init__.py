"""Several devices from one command: who starts the workers, watches them and ends them. Imports no MindSpore."""

from mindcv.claim import Claimed, claim
from mindcv.launch.launcher import BARS, LAUNCHED, is_due, launch
from mindcv.launch.lineage import end_with_parent

__all__ = ["BARS", "LAUNCHED", "Claimed", "claim", "end_with_parent", "is_due", "launch"]

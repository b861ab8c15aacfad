"""Several devices from one command: who starts the workers, watches them and ends them. Imports no MindSpore."""

from mindcv.launch.claim import Claimed, claim
from mindcv.launch.launcher import BARS, LAUNCHED_IN, is_due, launch

__all__ = ["BARS", "LAUNCHED_IN", "Claimed", "claim", "is_due", "launch"]

"""Several devices from one command: who starts the workers, watches them and ends them. Imports no MindSpore."""

from mindcv.distributed.launcher import BARS, LAUNCHED, is_due, launch
from mindcv.distributed.process import exit_with_parent

__all__ = ["BARS", "LAUNCHED", "exit_with_parent", "is_due", "launch"]

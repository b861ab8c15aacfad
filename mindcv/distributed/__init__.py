"""Several devices from one command: the launcher, its workers, and the context of a worker among the others.

Importing this package does not import MindSpore; `mindcv.distributed.context` does.
"""

from mindcv.distributed.launcher import is_due, launch
from mindcv.distributed.process import exit_with_parent
from mindcv.distributed.workers import BARS, LAUNCHED

__all__ = ["BARS", "LAUNCHED", "exit_with_parent", "is_due", "launch"]
